"""README and the pages beside it lead to what is there, quote what the agent says, and say the same in Korean."""
import pathlib
import re
import unicodedata
import urllib.parse

import rules
from support.agent import ROOT
from support.check import run_checks

KOREAN = ROOT / "README.ko.md"
ENGLISH = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOR_DEVELOPERS = [ROOT / "CONTRIBUTING.md", ROOT / "docs/architecture.md"]
README_LINES_MAX = 150
MANUALS = [ROOT / "packaging/man/msp-agent.8", ROOT / "packaging/man/msp-agent.yaml.5"]
# What troubleshooting.md quotes of others: systemd, a kernel's strerror(3), Prometheus, Go's TLS.
SAID_BY_OTHERS = (
    "Failed with result 'watchdog'", "Watchdog timeout", "Permission denied", "permission denied",
    "Connection reset by peer", "out of order sample", "remote write receiver needs to be enabled",
    "x509: certificate signed by unknown authority", "Unauthorized", "HTTP")
PIECE_MIN, SHARE_MIN = 8, 0.64  # how many characters of a quotation, and how much of it, the code must have
A_COMMAND = re.compile(r"(?:msp-agent (?:--|[a-z-]+( |$))|systemctl |journalctl |kill |ls$|rm |apt |dnf |sh |userdel )")


def code_lines(text: str) -> list[str]:
    """What stands in code blocks, without comments, each line with single spaces."""
    lines = [re.sub(r"\s+# .*", "", line) for line in text.splitlines() if line.startswith("    ")]
    return [" ".join(line.split()) for line in lines if line.strip()]


def inline_code(text: str) -> list[str]:
    """What stands in backquotes, also over the end of a line."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def plain(text: str) -> str:
    """Words alone: a manual page without its macros' marks, all on one line with single spaces."""
    return " ".join(re.sub(r"(?m)^\.[A-Z]\w ", "", text).replace("\\&", "").split())


def strings_of_the_code() -> str:
    """All string literals of the agent and its unit; those that stand side by side are one."""
    found = []
    for path in sorted([*ROOT.glob("agent/**/*.cpp"), *ROOT.glob("agent/**/*.h"), *ROOT.glob("collectors/*.cpp"),
                        *ROOT.glob("systemd/*.service")]):
        text = re.sub(r'"\s*\n?\s*"', "", path.read_text())
        found += re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    return "\n".join(found)


def slug(heading: str) -> str:
    """The anchor that Markdown viewers give to a heading."""
    kept = (c for c in heading.strip().lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def the_korean_page_shows_nothing_that_the_english_pages_do_not_have() -> None:
    sources = [path.read_text() for path in (*ENGLISH, *MANUALS)]
    lines = {line for text in sources for line in code_lines(text)}
    everything = plain("\n".join(sources))
    text = KOREAN.read_text()
    assert len(code_lines(text)) > 30, code_lines(text)

    def is_there(code: str) -> bool:
        return re.search(rf"(?<![\w-]){re.escape(code)}(?![\w-])", everything) is not None
    missing = [line for line in code_lines(text) if line not in lines and not is_there(line)]
    missing += [code for code in inline_code(text) if not is_there(code)]
    assert not missing, "not in README.md, docs/ or the manuals: " + "; ".join(missing)


def the_korean_table_has_every_answer() -> None:
    def statuses(text: str, heading: str) -> set[str]:
        table = text[text.index(heading):].split("\n\n")[0]
        return set(re.findall(r"\b[2-5](?:\d\d|xx)\b", " ".join(line.split("|")[1] for line in table.splitlines())))
    english = statuses((ROOT / "docs/delivery.md").read_text(), "| answer |")
    korean = statuses(KOREAN.read_text(), "| 응답 |")
    assert len(english) > 10 and korean == english, \
        f"docs/delivery.md alone has {english - korean}, Korean {korean - english}"


def the_korean_page_has_the_same_figures() -> None:
    def figures(page: pathlib.Path) -> list[list[str]]:
        text = page.read_text()
        rows = text[text.index("| | msp-agent |"):].split("\n\n")[0].splitlines()[2:]
        return [sorted(re.findall(r"\d[\d.,]*", row.split("|", 2)[2])) for row in rows]
    english, korean = figures(ROOT / "README.md"), figures(KOREAN)
    assert len(english) > 8 and korean == english, [pair for pair in zip(english, korean) if pair[0] != pair[1]]


def every_link_leads_somewhere() -> None:
    broken = []
    for page in (*ENGLISH, KOREAN):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = urllib.parse.unquote(link).partition("#")
            target = page.parent / path if path else page
            if re.match(r"\w+:", link):
                continue
            is_there = target.exists()
            if is_there and anchor:
                headings = re.findall(r"(?m)^#+ (.+)$", target.read_text())
                is_there = anchor in map(slug, headings)
            if not is_there:
                broken.append(f"{page.name}: {link}")
    assert not broken, broken


def share_said(quotation: str, said: str) -> float:
    """How much of it stands in string literals: they are joined at run time, with values between them."""
    for other in SAID_BY_OTHERS:
        quotation = quotation.replace(other, "")
    left = " ".join(word for word in quotation.replace("...", " ").split() if not re.search(r"[\d/]", word))
    at = covered = 0
    while at < len(left):
        size = next((size for size in range(len(left) - at, PIECE_MIN - 1, -1) if left[at:at + size] in said), 0)
        covered += size
        at += size or 1
    return covered / len(left) if left else 1


def troubleshooting_quotes_what_the_agent_says() -> None:
    """A quotation is inline code of several words that is no command, no setting and no query."""
    said = strings_of_the_code()
    assert share_said("no line of the agent has these words", said) < SHARE_MIN
    quoted = [code for code in inline_code((ROOT / "docs/troubleshooting.md").read_text())
              if " " in code and not A_COMMAND.match(code) and not re.match(r"[\w.]+: \S+$|[$({]|.*[=<>]", code)]
    assert len(quoted) > 30, quoted
    unknown = [quotation for quotation in quoted if share_said(quotation, said) < SHARE_MIN]
    assert not unknown, "nothing in agent/ or collectors/ says: " + "; ".join(unknown)


def the_readme_is_short_and_lists_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    count = len(text.splitlines())
    assert count <= README_LINES_MAX, \
        f"README.md has {count} lines; {README_LINES_MAX} is the limit: move details to docs/"
    end = text[text.index("## Where to read on"):]
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in end]
    assert not missing, f"README.md does not list {', '.join(missing)}"


def the_architecture_has_the_arrows_of_the_rules() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    lines = re.findall(r"(?m)^    (\S+) +->  ([^:]+):", text)
    shown = {room: set() if names == "none" else {name if name == "collectors" else f"agent/{name}"
                                                  for name in names.split(", ")}
             for room, names in lines if not names.startswith("all")}
    shown["agent"] = shown.pop("agent/main.cpp")
    wanted = {room: set(arrows) for room, arrows in rules.ARROWS.items()}
    assert shown == wanted, f"docs/architecture.md and ARROWS of tests/tree/rules.py differ: {shown}, {wanted}"


def the_paths_in_pages_for_developers_exist() -> None:
    a_path = re.compile(r"(?:agent|collectors|packaging|etc|tests)/[\w./-]*")
    named = {code for page in FOR_DEVELOPERS for code in inline_code(page.read_text())
             if a_path.fullmatch(code) and "NAME" not in code}
    assert len(named) > 40, named
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert not missing, f"named and not there: {', '.join(missing)}"


run_checks(the_korean_page_shows_nothing_that_the_english_pages_do_not_have, the_korean_table_has_every_answer,
           the_korean_page_has_the_same_figures,
           every_link_leads_somewhere, troubleshooting_quotes_what_the_agent_says,
           the_readme_is_short_and_lists_every_page, the_architecture_has_the_arrows_of_the_rules,
           the_paths_in_pages_for_developers_exist)

"""docs/configuration.md, made of the manual page msp-agent.yaml(5): one text for man and for a browser.

    python3 tests/tree/configuration_page.py     writes it anew; tree_test.py compares

Knows the part of mdoc(7) that the page uses, and refuses the rest. Of a key's text the sentences 'Range: ..',
'Default: ..', 'Required.' and, as the last one, 'Example:' with its value are set apart.
"""
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUAL = ROOT / "packaging/man/msp-agent.yaml.5"
PAGE = ROOT / "docs/configuration.md"
COMMAND = "python3 tests/tree/configuration_page.py"
CODE = {"Ic", "Ql", "Pa", "Ev"}
LEFT_OUT = {"NAME", "FILES", "SEE ALSO"}
OPENING = """# Configuration

Every key of `/etc/msp-agent.yaml`. [etc/msp-agent.yaml](../etc/msp-agent.yaml) has the keys with their defaults, ready
to edit; `msp-agent check --offline` checks a configuration. [Delivery](delivery.md) and [The buffer](buffer.md) explain
what the keys do; [Metrics](metrics.md) lists what is sent.

This page is made from the manual page msp-agent.yaml(5), and a test compares the two. This command writes it:
`{command}`.
"""


def unescaped(text: str) -> str:
    return text.replace(r"\&", "").replace(r"\:", "").replace(r"\e", "\\")  # \: is where a long word may break


def inline(line: str) -> str:
    """A line of text, or of a macro that marks words: '.Ql foo ,' is '`foo`,'."""
    if not line.startswith("."):
        return unescaped(line)
    macro, _, rest = line[1:].partition(" ")
    words = rest.split(" ")
    end = ""
    while words[-1] in {".", ",", ";", ":"}:  # \&: is not punctuation, but what is meant
        end = words.pop() + end
    if macro == "Xr":
        return f"{words[0]}({words[1]}){end}"
    if macro not in CODE:
        raise ValueError(f"{MANUAL.name}: '{line}': {COMMAND} does not know the macro {macro}")
    return f"`{unescaped(' '.join(words))}`{end}"


def paragraph(lines: list[str]) -> str:
    return textwrap.fill(" ".join(map(inline, lines)), 120, break_long_words=False, break_on_hyphens=False)


def as_yaml(key: str, value: str) -> str:
    *parents, last = key.split(".")
    lines = [f"{'  ' * depth}{parent}:" for depth, parent in enumerate(parents)]
    return "\n".join([*lines, f"{'  ' * len(parents)}{last}: {value}"])


def entry(key: str, kind: str, lines: list[str]) -> str:
    if lines[-2] != "Example:":
        raise ValueError(f"{MANUAL.name}: {key} does not end in an example")
    meaning = lines[:-2]
    facts = [f"Type: {kind}."]
    for start in ("Range: ", "Default:", "Required."):
        for at, line in enumerate(meaning):
            if line.startswith(start):
                value = [line, meaning.pop(at + 1)] if line == "Default:" else [line]  # a value in a macro of its own
                facts += map(inline, value)
                del meaning[at]
                break
    if not {"Default:", "Required."} & {fact.split(" ")[0] for fact in facts}:
        raise ValueError(f"{MANUAL.name}: {key} is not required and has no default")
    example = as_yaml(key, inline(lines[-1]).strip("`"))
    return f"### `{key}`\n\n{paragraph(meaning)}\n\n{' '.join(facts)}\n\n```yaml\n{example}\n```"


def blocks(lines: list[str]) -> list[str]:
    """The paragraphs, examples and keys of a section."""
    found: list[str] = []
    text: list[str] = []
    item: tuple[str, str] | None = None

    def flush() -> None:
        nonlocal item
        if item:
            found.append(entry(*item, text))
        elif text:
            found.append(paragraph(text))
        item = None
        text.clear()

    rest = iter(lines)
    for line in rest:
        if line.startswith((".Pp", ".Bl", ".El", ".It", ".Bd", ".Ss")):
            flush()
        if line.startswith(".Ss "):
            found.append("## " + line[4:])
        elif line.startswith(".It "):
            key, kind = re.fullmatch(r"\.It Ic (\S+) : Ar (.+)", line).groups()
            item = (key, kind)
        elif line.startswith(".Bd "):
            found.append("```yaml\n" + "\n".join(iter(rest.__next__, ".Ed")) + "\n```")
        elif not line.startswith((".Pp", ".Bl", ".El")):
            text.append(line)
    flush()
    return found


def page() -> str:
    parts = [OPENING.format(command=COMMAND).rstrip()]
    for section in re.split(r"(?m)^\.Sh ", MANUAL.read_text())[1:]:
        name, *lines = section.splitlines()
        if name not in LEFT_OUT:
            parts += ([] if name == "DESCRIPTION" else [f"## {name.capitalize()}"]) + blocks(lines)
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())

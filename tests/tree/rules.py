"""The rules of the tree. check_tree() reads a checkout and returns a sentence for each thing that breaks one.

DESIGN of the tree: includes point one way, as ARROWS says; each third-party library has one owner; a file can be read
in one sitting; nothing is named after nothing.
"""
import pathlib
import re
from typing import Iterator

LINE_MAX = 120
FUNCTION_LINES_MAX = 80
NAMES_THAT_SAY_NOTHING = ("utils", "util", "common", "manager", "helper", "helpers", "misc")

# A library's headers -> where they may be included. Paths are prefixes.
OWNERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"curl/", "libcurl", ("agent/http/",)),
    (r"openssl/", "OpenSSL", ("agent/http/tls/certificate.cpp", "agent/http/tls/ca_file.cpp",
                              "agent/http/tls/server.cpp", "agent/http/tls/client.cpp",
                              "agent/http/tls/session.cpp")),
    (r"yaml-cpp/", "yaml-cpp", ("agent/config/",)),
    (r"CLI/", "CLI11", ("agent/cli/",)),
    (r"google/protobuf/|.*\.pb\.h$", "protobuf", ("agent/delivery/encode/protobuf.h",)),
    (r"zlib", "zlib", ("agent/http/gunzip.cpp", "agent/http/gzip.cpp")),
    (r"boost/", "Boost.Beast", ("agent/listen/request_parser.cpp",)),
    (r"snappy", "snappy", ("agent/delivery/encode/encode.cpp", "agent/relay/content.cpp")),
    (r"zstd", "zstd", ("agent/queue/compression.cpp", "agent/delivery/encode/encode.cpp")),
    (r"xxhash", "xxhash", ("agent/queue/format.cpp",)),
    (r"spdlog/|fmt/", "spdlog and fmt", ("agent/base/log.",)),
    (r"re2/", "RE2", ("agent/base/regex.cpp",)),
)
# A room of the tree -> the rooms that its files may include beside their own. agent/cli and the tests may include all.
# docs/architecture.md has them as a drawing.
ARROWS: dict[str, tuple[str, ...]] = {
    "agent/base": (),
    "agent/metrics": ("agent/base",),
    "agent/http": ("agent/base",),
    "agent/queue": ("agent/base", "agent/metrics"),
    "collectors": ("agent/base", "agent/metrics"),
    "agent/sources": ("agent/base", "agent/metrics", "agent/http", "collectors"),  # http: exporters
    "agent/listen": ("agent/base", "agent/http"),  # http: TLS, logins
    "agent/relay": ("agent/base", "agent/metrics", "agent/queue", "agent/listen"),
    "agent/config": ("agent/base", "agent/metrics", "agent/http", "agent/listen", "collectors"),
    "agent/delivery": ("agent/base", "agent/metrics", "agent/queue", "agent/http", "agent/config"),
    "agent/import": ("agent/base", "agent/metrics", "agent/config", "collectors"),
    "agent/run": ("agent/base", "agent/metrics", "agent/queue", "agent/http", "agent/listen", "agent/relay",
                  "agent/config", "agent/sources", "agent/delivery", "collectors"),
    "agent": ("agent/cli",),  # main.cpp
}
# Rooms that include system headers only, but for what OWNERS gives them.
PLAIN = ("agent/base", "agent/metrics", "collectors")
THREAD_OWNERS = ("agent/base/thread.", "agent/base/detached_thread.")
THREADS = re.compile(r"\bstd::(?:jthread|thread|async)\b|\bpthread_create\b")
TYPE_OPENS = re.compile(r"(?m)^(?:struct|class|enum class) (\w+)(?: final)?(?: : [^{;]+)? \{")
# A test case that starts a thread, or whose file includes what does, has the tag: ThreadSanitizer runs no others.
TAG_OF_THREADS = "[threads]"
TAG_OF_ALONE = "[.alone]"  # run by a test case that has the other tag
CPP_TESTS = ("tests/unit/", "tests/collectors/", "tests/fault/")
STARTS_THREADS = re.compile(THREADS.pattern + r'|#include "(?:agent/base/detached_thread|'
                            r'agent/sources/background|collectors/mount_stat|'
                            r'tests/support/scripted_(?:server|bus))\.h"')
# What a room of PLAIN may include beside ours: a system header, such as <map> or <linux/rtnetlink.h>.
SYSTEM_HEADER = re.compile(r"[a-z0-9_]+|(?:sys|linux|net|netinet|arpa|asm)/[a-z0-9_/]+\.h")
SYSTEM_H = {"assert.h", "dirent.h", "errno.h", "fcntl.h", "inttypes.h", "limits.h", "mntent.h", "poll.h", "pthread.h",
            "sched.h", "signal.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h", "unistd.h"}

# Written in pieces so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:wo" + r"rk|ho" + r"me/\w+|tm" + r"p/wt|Users)/")

FUNCTION_OPENS = re.compile(
    r"( {0,4})(?!(?:class|struct|enum|union|namespace|using|if|for|while|switch|else|do)\b)\S.*\) ?"
    r"(?:const|override|noexcept|final|-> [\w:<>,&* ]+| )*\{$")

CPP = (".cpp", ".h")
TEXT = (".cpp", ".h", ".py", ".sh", ".md", ".txt", ".yaml", ".yml", ".json", ".proto", ".service", ".cmake", ".in", "")
SKIPPED = {".git", "build", "fixtures", "__pycache__"}  # .git is a file in a worktree


def check_tree(root: pathlib.Path) -> list[str]:
    problems = []
    for path in files_of(root):
        name = path.relative_to(root).as_posix()
        if any(part in NAMES_THAT_SAY_NOTHING for part in re.split(r"[/._-]", name)):
            problems.append(f"{name}: the name says nothing; call it by the noun it is about")
        if path.suffix not in TEXT:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        problems += check_text(name, text)
        if path.suffix in CPP:
            problems += check_includes(name, text) + check_owners(name, text) + check_functions(name, text)
            problems += check_tags(name, text) + check_namespaces(name, text)
    return problems + check_types(root) + check_collectors(root)


def files_of(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for path in sorted(root.iterdir()):
        if path.name in SKIPPED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from files_of(path)
        elif path.is_file():
            yield path


def check_text(name: str, text: str) -> list[str]:
    problems = []
    lines = text.splitlines()
    is_code = name.endswith((*CPP, ".py", ".sh"))
    is_table = False  # columns stay columns
    for number, line in enumerate(lines, 1):
        if name.endswith(CPP):
            is_table = "clang-format off" in line or (is_table and "clang-format on" not in line)
        if is_code and len(line) > LINE_MAX and not is_table:
            problems.append(f"{name}:{number}: {len(line)} columns; {LINE_MAX} is the limit")
        if UNFINISHED.search(line):
            problems.append(f"{name}:{number}: unfinished work belongs into an issue: {line.strip()}")
        if MACHINE_PATHS.search(line):
            problems.append(f"{name}:{number}: a path of somebody's machine: {line.strip()}")
    return problems


def includes_of(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line):
            yield number, match[1]


def check_includes(name: str, text: str) -> list[str]:
    """The direction of ARROWS."""
    problems = []
    room = room_of(name)
    for number, header in includes_of(text):
        place = f"{name}:{number}: includes {header}: "
        is_ours = header.startswith(("agent/", "collectors/", "tests/"))
        if header.startswith("tests/") and not name.startswith("tests/"):
            problems.append(place + "what ships does not know its tests")
        elif is_ours and room in ARROWS and room_of(header) not in (room, *ARROWS[room]):
            problems.append(place + f"{room} knows only {', '.join(ARROWS[room]) or 'itself'}")
        elif room in PLAIN and not is_ours and not is_system_header(header) and not has_owner(header, name):
            problems.append(place + f"{room} uses no third-party library")
        elif "../" in header:
            problems.append(place + "write the path from the root of the tree")
    return problems


def room_of(name: str) -> str:
    """agent/queue/wal.cpp -> agent/queue; collectors/cpu.cpp -> collectors; agent/main.cpp -> agent."""
    folders = name.split("/")[:-1]
    return "/".join(folders[:2] if folders[:1] == ["agent"] else folders[:1])


def namespace_of(name: str) -> str:
    """agent/queue/wal.cpp -> msp::queue; collectors/cpu.cpp -> msp::collectors; agent/base is msp itself."""
    room = room_of(name).removeprefix("agent").strip("/")
    return "msp" if room in ("", "base") else f"msp::{room}"


def check_namespaces(name: str, text: str) -> list[str]:
    """A room is a namespace, which a file may divide; what it declares of another room it names by that room's."""
    if not name.startswith(("agent/", "collectors/")):
        return []
    wanted = namespace_of(name)
    return [f"{name}: namespace {found}; of this folder it is {wanted}"
            for found in re.findall(r"(?m)^namespace (msp[\w:]*) \{", text)
            if found != wanted and (wanted == "msp" or not found.startswith(wanted + "::"))]


def has_owner(header: str, name: str) -> bool:
    return any(re.match(pattern, header) and name.startswith(owners) for pattern, _, owners in OWNERS)


def is_system_header(header: str) -> bool:
    return header in SYSTEM_H or SYSTEM_HEADER.fullmatch(header) is not None


def check_owners(name: str, text: str) -> list[str]:
    if not name.startswith(("agent/", "collectors/")):
        return []
    problems = []
    for number, header in includes_of(text):
        for pattern, library, owners in OWNERS:
            if re.match(pattern, header) and not name.startswith(owners):
                problems.append(f"{name}:{number}: includes {header}: {library} belongs to {' and '.join(owners)}")
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//")[0]
        if THREADS.search(code) and not name.startswith(THREAD_OWNERS) and not code.lstrip().startswith("#"):
            problems.append(f"{name}:{number}: threads are made in {' and '.join(THREAD_OWNERS)}: {line.strip()}")
    return problems


def check_tags(name: str, text: str) -> list[str]:
    if not name.startswith(CPP_TESTS):
        return []
    head, *cases = re.split(r"(?m)^TEST_CASE", text)
    of_all = STARTS_THREADS.search(head)
    tagged = re.compile("|".join(map(re.escape, (TAG_OF_THREADS, TAG_OF_ALONE))))
    return [f"{name}: starts threads and lacks the tag {TAG_OF_THREADS}: TEST_CASE{case.splitlines()[0]}"
            for case in cases
            if (of_all or STARTS_THREADS.search(case)) and not tagged.search(case.split(") {\n")[0])]


def check_functions(name: str, text: str) -> list[str]:
    """Their length, in code as clang-format writes it: what opens with '{' ends at the '}' of the same column."""
    problems = []
    lines = text.splitlines()
    for start, line in enumerate(lines):
        opening = FUNCTION_OPENS.match(line)
        if not opening:
            continue
        closes = re.compile(rf" {{0,{len(opening[1])}}}\}}")  # of a constructor with initializers: further left
        end = next((number for number in range(start + 1, len(lines)) if closes.match(lines[number])), len(lines) - 1)
        length = end - start + 1
        if length > FUNCTION_LINES_MAX:
            problems.append(f"{name}:{start + 1}: a function of {length} lines; more than "
                            f"{FUNCTION_LINES_MAX} are two thoughts: {line.strip()}")
    return problems


def check_types(root: pathlib.Path) -> list[str]:
    """One header for each type: a name has one meaning in the whole tree."""
    problems = []
    owners: dict[str, str] = {}
    for path in files_of(root):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".h" and name.startswith(("agent/", "collectors/")):
            for type_name in TYPE_OPENS.findall(path.read_text()):
                if owners.setdefault(type_name, name) != name:
                    problems.append(f"{name}: {type_name} is the name of a type in {owners[type_name]} as well")
    return problems


def check_collectors(root: pathlib.Path) -> list[str]:
    """What belongs to each collector of the registry: its file, its fixtures, its word in README and configuration."""
    registry = root / "collectors/registry.cpp"
    if not registry.exists():
        return ["collectors/registry.cpp: missing"]
    names = re.findall(r"MSP_COLLECTOR\((\w+), (?:true|false)\)", registry.read_text())
    problems = [] if names else ["collectors/registry.cpp: no line MSP_COLLECTOR(name, true)"]
    if names != sorted(names):
        problems.append("collectors/registry.cpp: the collectors are not in the order of their names")
    for name in names:
        if not (root / f"collectors/{name}.cpp").exists():
            problems.append(f"collector {name}: collectors/{name}.cpp is missing")
        cases = root / "tests/fixtures" / name
        if not any((case / "expected.prom").exists() for case in (cases.iterdir() if cases.is_dir() else ())):
            problems.append(f"collector {name}: no case with an expected.prom in tests/fixtures/{name}")
        for document in ("README.md", "etc/msp-agent.yaml"):
            path = root / document
            if not path.exists() or not re.search(rf"\b{name}\b", path.read_text()):
                problems.append(f"collector {name}: {document} does not mention it")
    return problems

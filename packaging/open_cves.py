#!/usr/bin/env python3
"""Says which CVEs are open in what packaging/static_dependencies.lock names, by the data of Debian's security tracker.

    python3 packaging/open_cves.py FILE [LOCK]

FILE is https://security-tracker.debian.org/tracker/data/json as downloaded today: nothing is fetched here. A CVE is
open where the tracker says so, or where it is fixed in a newer version than the lock's. Exit code 0: none is open;
1: some are, a line each; 2: it cannot be told, because the file does not speak of a package.

packaging/not_affected.txt names those that are in code which the recipes leave out. Python, because JSON is no business
of a shell; it runs on a maintainer's machine and no build needs it.
"""
import json
import pathlib
import re
import subprocess
import sys
from typing import Iterator, NamedTuple

PACKAGING = pathlib.Path(__file__).resolve().parent
# Source packages of which the tracker may have no record, as none of them ever had a CVE in Debian. Any other package
# that the file does not know is an error: it is misspelt, or the file is not what it should be.
WITHOUT_RECORDS = {"boost1.74", "cli11", "fmtlib", "re2", "snappy", "xxhash"}


class Source(NamedTuple):
    name: str
    version: str
    release: str


def sources_of(lock: str) -> list[Source]:
    """Each once. A binary package's +b1 counts rebuilds of the same source."""
    found = {}
    for line in lock.splitlines():
        if line.startswith(("#", "distribution ")) or not line.strip():
            continue
        fields = line.split()
        if len(fields) != 6:
            raise ValueError(f"the lock's line '{line}' has not 6 fields; write it anew: "
                             "sh packaging/static_dependencies.sh --update")
        _, version, _, _, release, name = fields
        found[Source(name, re.sub(r"\+b\d+$", "", version), release)] = None
    return list(found)


def is_older(version: str, than: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", version, "lt", than], check=False).returncode == 0


def open_in(source: Source, records: dict) -> Iterator[tuple[str, str]]:
    """(CVE, what is known of it). Not those that Debian rates as unimportant: no fault in the package as it is used."""
    in_release = {cve: record["releases"][source.release] for cve, record in sorted(records.items())
                  if source.release in record["releases"]}
    if not in_release:
        raise ValueError(f"the file says nothing of {source.name} in {source.release}")
    for cve, state in in_release.items():
        fixed = state.get("fixed_version", "")
        if state.get("urgency") == "unimportant":
            continue
        if state["status"] == "resolved":
            if fixed != "0" and is_older(source.version, fixed):  # 0: it was never affected
                yield cve, f"fixed in {fixed}"
        elif state["status"] == "open":
            yield cve, "not fixed yet"
        else:
            yield cve, f"{state['status']}: nobody has looked yet"


def left_out(judged: str, recipes: str) -> dict[tuple[str, str], str]:
    """(source package, CVE) -> the word of the recipe that leaves the code out. The recipe must have that word."""
    found = {}
    for line in judged.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, cve, word = line.split()
        if not re.search(rf"(?<![\w-]){re.escape(word.removeprefix('no-'))}(?![\w-])", recipes):
            raise ValueError(f"not_affected.txt says that '{word}' leaves {cve} out of {name}, and "
                             "static_recipes.sh does not have that word")
        found[name, cve] = word
    return found


def main(file: str, lock: str = str(PACKAGING / "static_dependencies.lock")) -> int:
    tracker = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    judged = left_out((PACKAGING / "not_affected.txt").read_text(), (PACKAGING / "static_recipes.sh").read_text())
    count = 0
    for source in sources_of(pathlib.Path(lock).read_text()):
        if source.name not in tracker and source.name in WITHOUT_RECORDS:
            continue
        if source.name not in tracker:
            raise ValueError(f"{file} knows no source package {source.name}: is it the whole file of today?")
        for cve, known in open_in(source, tracker[source.name]):
            if word := judged.get((source.name, cve)):
                print(f"not affected: {source.name} {source.version}: {cve}: not compiled in ({word})")
                continue
            count += 1
            print(f"open: {source.name} {source.version}: {cve}: {known}: "
                  f"{tracker[source.name][cve].get('description', '')[:100]}")
    print(f"{count} open in what {lock} names")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, KeyError) as error:
        print(f"open_cves.py: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)

"""Texts as people read them, each held by a file of its own under tests/fixtures/. A text that is not its file's is
shown as a difference, with the command that writes the files anew: then read what has changed before you keep it."""
import difflib
import os
import pathlib
import re
import sys

from support.agent import ROOT

WRITE = "MSP_WRITE_SNAPSHOTS"

# What differs from run to run and tells a reader nothing, in the order in which it is replaced.
VOLATILE = (
    (r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ", ""),  # of a line of the log
    (r"\bmsp-agent \d+\.\d+\.\d+\S*:", "msp-agent VERSION:"),
    (r"\b\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?", "DATE"),
    (r"(?<=:)\d{4,5}\b", "PORT"),
    (r"\bprocess \d+\b", "process PID"),
    (r"\b\d[\d,]* samples\b", "N samples"),
    (r"\b\d+ collectors\b", "N collectors"),
    (r"(?m)(?<=next try in ).*$", "N s"),
    # A step's time has a column of its own.
    (r"(?m)^(  (?:ok|note|warning|failed) +\S+ +)[\d.]+ ms +", r"\1N ms "),
)


def normalized(text: str, folder: pathlib.Path) -> str:
    """Without what is volatile; `folder` is the test's own."""
    text = text.replace(str(folder), "/FOLDER")
    for pattern, placeholder in VOLATILE:
        text = re.sub(pattern, placeholder, text)
    return text


def matches_snapshot(text: str, name: str) -> None:
    """`name` is below tests/fixtures/."""
    file = ROOT / "tests/fixtures" / name
    if os.environ.get(WRITE):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return
    kept = file.read_text() if file.exists() else ""
    if text == kept:
        return
    shown = str(file.relative_to(ROOT))
    difference = "".join(difflib.unified_diff(kept.splitlines(True), text.splitlines(True), shown, "what was said now"))
    test = pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)
    raise AssertionError(f"{difference}if that reads better: {WRITE}=1 PYTHONPATH=tests python3 {test}")

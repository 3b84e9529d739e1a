"""How fast a text of 10,000 series is parsed: msp-agent's parser, Prometheus' and vmagent's, in turns in one run.
Prints the CPU time of a sample and how many times that of msp-agent it is. The other two are built as Go modules.

    PYTHONPATH=tests python3 tests/bench/parsers.py [build/release/tests/exposition_bench]
"""
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

from support.agent import ROOT
from support.go_peer import BUILD_SECONDS_MAX, FOLDER, find_go

TURNS, ROUNDS = 7, 100


def peers() -> pathlib.Path:
    go = find_go()
    if go is None:
        sys.exit("parsers: there is no go to build Prometheus' and vmagent's parsers with")
    folder = FOLDER / "parsers"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pathlib.Path(__file__).parent / "parsers", folder)
    for command in (["mod", "tidy"], ["build", "-o", str(folder / "parsers"), "."]):
        subprocess.run([go, *command], cwd=folder, stdin=subprocess.DEVNULL, check=True, timeout=BUILD_SECONDS_MAX)
    return folder / "parsers"


def ours(bench: str, text: pathlib.Path) -> dict[str, tuple[int, float]]:
    """By what is done: samples, and CPU time of a round in nanoseconds."""
    said = subprocess.run([bench, str(text)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
                          timeout=600).stdout
    samples = int(said.split()[0])
    return {name.strip(): (samples, float(ms) * 1e6)
            for name, ms in re.findall(r"(?m)^(parsed|taken, all new|taken, all known) +([\d.]+) ms", said)}


def theirs(program: pathlib.Path, text: pathlib.Path) -> dict[str, tuple[int, float]]:
    said = subprocess.run([str(program), str(text), str(ROUNDS)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True, timeout=600).stdout
    return {name: (int(samples), float(ns)) for name, samples, ns in map(str.split, said.splitlines())}


bench = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/tests/exposition_bench")
program = peers()
text = FOLDER / "series.prom"
subprocess.run([bench, "--write", str(text)], stdin=subprocess.DEVNULL, check=True, timeout=60)
found: dict[str, list[float]] = {}
for _ in range(TURNS):
    for name, (samples, ns) in {**ours(bench, text), **theirs(program, text)}.items():
        assert samples == 10_000, (name, samples)
        found.setdefault(name, []).append(ns / samples)
least = statistics.median(found["parsed"])
print("| | ns per sample | ratio |\n| --- | ---: | ---: |")
for name, times in found.items():
    middle = statistics.median(times)
    print(f"| {name} | {middle:.0f} ({min(times):.0f} to {max(times):.0f}) | {middle / least:.1f} |")

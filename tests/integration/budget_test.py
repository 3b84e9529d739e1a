"""The budget of the shipped binary, tests/budget.json: its size, and what a tick takes in instructions and allocations.
A change that needs 2 % more of anything fails here, and is kept only with a reason: then

    MSP_UPDATE_BUDGET=1 sh tests/run.sh budget release

writes what is needed now. Instructions are those that valgrind counts, which do not depend on how busy or fast a
machine is; other versions of compiler and libraries give others.
"""
import json
import os
import pathlib
import re
import subprocess

from support.agent import BINARY, ROOT
from support.check import run_checks
from support.process import SECONDS_MAX

FILE = ROOT / "tests/budget.json"
PROGRAM = pathlib.Path(BINARY).parent / "tests/tick_budget"
MORE_MAX = 1.02
TICKS = 50


def instructions_of(ticks: int) -> int:
    outcome = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", PROGRAM, str(ticks)],
                             capture_output=True, text=True, check=True, timeout=10 * SECONDS_MAX)
    return int(re.search(r"Collected : (\d+)", outcome.stderr)[1])


def needed() -> dict[str, float]:
    said = subprocess.run([PROGRAM, str(TICKS)], capture_output=True, text=True, check=True,
                          timeout=SECONDS_MAX).stdout
    return {"binary_bytes": os.path.getsize(BINARY),
            "instructions_of_a_tick": round((instructions_of(2 * TICKS) - instructions_of(TICKS)) / TICKS),
            "allocations_of_a_tick": float(said.split()[0])}


def nothing_needs_more_than_its_budget() -> None:
    now = needed()
    if os.environ.get("MSP_UPDATE_BUDGET"):
        FILE.write_text(json.dumps(now, indent=2) + "\n")
    budget = json.loads(FILE.read_text())
    for name, value in now.items():
        print(f"{name}: {value:,} of {budget[name]:,}")
    over = {name: (value, budget[name]) for name, value in now.items() if value > budget[name] * MORE_MAX}
    assert not over, f"{over}: (needed, budget); MSP_UPDATE_BUDGET=1 sh tests/run.sh budget release keeps it"


run_checks(nothing_needs_more_than_its_budget)

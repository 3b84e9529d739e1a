"""Runs checks and reports them as tests/run.sh counts them: a line "ok NAME" or "FAILED NAME" each.

A check is a function without parameters; its name is its promise. It fails by raising, most often by assert.
"""
import os
import pathlib
import sys
import traceback
from typing import Callable


def run_checks(*checks: Callable[[], None]) -> None:
    """Runs all of them, then exits: 0 when none failed. A variant of the agent (asan) is named behind each."""
    suite = pathlib.Path(sys.argv[0]).stem.removesuffix("_test")
    variant = os.environ.get("MSP_VARIANT", "")
    failed = 0
    for check in checks:
        name = f"{suite}: {check.__name__.replace('_', ' ')}" + (f" ({variant})" if variant else "")
        try:
            check()
        except Exception as error:  # a check that breaks has failed, whatever it broke on
            failed += 1
            text = f"{type(error).__name__}: {error}".replace("\n", "\n  ")
            print(f"FAILED {name}\n  {text}", flush=True)
            for line in "".join(traceback.format_tb(error.__traceback__)[1:]).splitlines():
                print(f"  | {line.strip()}", flush=True)
        else:
            print(f"ok {name}", flush=True)
    sys.exit(1 if failed or not checks else 0)

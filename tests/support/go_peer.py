"""Programs of others that no distribution has in their present version, built as Go modules where `go` is at hand. A
build takes minutes; what is built stays in build/tests/go."""
import os
import pathlib
import shutil
import subprocess

from support.agent import ROOT

FOLDER = ROOT / "build/tests/go"
VMAGENT = ("github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent", "v1.151.0")
BUILD_SECONDS_MAX = 1500


def find_go() -> str | None:
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def go_peer(module: str, version: str) -> str | None:
    """The path of the program; none, and a line that says why, where it cannot be had."""
    name = module.rsplit("/", 1)[-1]
    program = FOLDER / f"{name}-{version}"
    if program.exists():
        return str(program)
    go = find_go()
    if go is None:
        print(f"{name} {version}: skipped, for there is no go to build it with", flush=True)
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    outcome = subprocess.run([go, "install", f"{module}@{version}"], cwd=FOLDER, stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, check=False, timeout=BUILD_SECONDS_MAX,
                             env={**os.environ, "GOBIN": str(FOLDER), "GOFLAGS": "-buildvcs=false"})
    if outcome.returncode != 0:
        print(f"{name} {version}: skipped, for it cannot be built here: {outcome.stderr.strip()[-300:]}", flush=True)
        return None
    pathlib.Path(FOLDER / name).rename(program)
    return str(program)

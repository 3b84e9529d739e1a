"""Programs of others that no distribution has in their present version, built as Go modules where `go` is at hand. A
build takes minutes; what is built stays in build/tests/go."""
import hashlib
import os
import pathlib
import shutil
import subprocess

from support.agent import ROOT

FOLDER = ROOT / "build/tests/go"
VMAGENT = ("github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent", "v1.151.0")
# The newest version whose library is a module with all that its program is made of.
CADVISOR = ("github.com/google/cadvisor", "v0.57.0")
BUILD_SECONDS_MAX = 1500


def find_go() -> str | None:
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def go_peer(module: str, version: str) -> str | None:
    """The path of the program; none, and a line that says why, where it cannot be had."""
    name = module.rsplit("/", 1)[-1]
    program = FOLDER / f"{name}-{version}"
    if not program.exists():
        if not _go(f"{name} {version}", FOLDER, "install", f"{module}@{version}"):
            return None
        pathlib.Path(FOLDER / name).rename(program)
    return str(program)


def cadvisor(must_build: bool = True) -> str | None:
    """The same of tests/support/cadvisor. Its build takes minutes of CPU where Go's caches are empty."""
    module, version = CADVISOR
    source = ROOT / "tests/support/cadvisor/main.go"
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    program = FOLDER / f"cadvisor-{version}-{mark}"
    if program.exists():
        return str(program)
    if not must_build:
        print(f"cadvisor {version}: skipped, for it is not built, and MSP_CADVISOR=1 does not ask for that", flush=True)
        return None
    folder = FOLDER / "cadvisor-source"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(source, folder)
    (folder / "go.mod").write_text(f"module cadvisor\n\ngo 1.24.0\n\nrequire {module} {version}\n")
    for arguments in (("mod", "tidy"), ("build", "-trimpath", "-ldflags=-s -w", "-o", f"{program}.new", ".")):
        if not _go(f"cadvisor {version}", folder, *arguments, CGO_ENABLED="0"):
            return None
    pathlib.Path(f"{program}.new").rename(program)
    return str(program)


def _go(what: str, folder: pathlib.Path, *arguments: str, **env: str) -> bool:
    """Runs go; what it says where that fails is why the peer is skipped."""
    go = find_go()
    if go is None:
        print(f"{what}: skipped, for there is no go to build it with", flush=True)
        return False
    folder.mkdir(parents=True, exist_ok=True)
    outcome = subprocess.run([go, *arguments], cwd=folder, stdin=subprocess.DEVNULL, text=True, capture_output=True,
                             check=False, timeout=BUILD_SECONDS_MAX,
                             env={**os.environ, "GOBIN": str(FOLDER), "GOFLAGS": "-buildvcs=false", **env})
    if outcome.returncode != 0:
        print(f"{what}: skipped, for it cannot be built here: {outcome.stderr.strip()[-300:]}", flush=True)
    return outcome.returncode == 0

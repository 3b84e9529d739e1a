"""The agent under test: its configuration, a run of it, its --dry-run."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
from typing import Iterator

from support.process import Process, started

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MSP_AGENT", str(ROOT / "build/release/msp-agent"))

CUSTOMER = "alpha"
SERVER = "web-01"


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="msp-agent-test-") as folder:
        yield pathlib.Path(folder)


def write_config(folder: pathlib.Path, url: str, *, server: str = SERVER, interval: str = "1s",
                 timeout: str = "10s", more: str = "", witness: str = "") -> pathlib.Path:
    """A configuration with one endpoint and a buffer of its own; `more` is further YAML,
    inside remote_write where it is indented. `witness` is the URL of a second endpoint, which sees every tick whatever
    becomes of the first."""
    config = folder / f"{server}.yaml"
    first, begins = (f"- url: {witness}\n", "- ") if witness else ("", "  ")
    config.write_text(f"""customer_id: {CUSTOMER}
server_name: {server}
interval: {interval}
buffer:
  path: {folder / f"{server}-buffer"}
remote_write:
{first}{begins}url: {url}
  timeout: {timeout}
{more}""")
    return config


def run_once(*arguments: str, prefix: tuple[str, ...] = (),
             env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the binary to its end."""
    return subprocess.run([*prefix, BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, check=False, env=env)


def dry_run(config: pathlib.Path, *arguments: str) -> str:
    """What --dry-run prints; anything else than success and silence on stderr fails."""
    outcome = run_once("--config", str(config), "--dry-run", *arguments)
    assert outcome.returncode == 0, f"--dry-run exits {outcome.returncode}: {outcome.stderr}"
    assert outcome.stderr == "", f"--dry-run says on stderr: {outcome.stderr}"
    return outcome.stdout


@contextlib.contextmanager
def running_agent(config: pathlib.Path) -> Iterator[Process]:
    """The agent in the foreground, until the block ends. A sanitizer's report in its log fails the block."""
    process = Process([BINARY, "--config", str(config)], config.with_suffix(".log"))
    with started(process):
        yield process
    no_sanitizer_complains(process)


def no_sanitizer_complains(process: Process) -> None:
    for mark in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                 "ERROR: LeakSanitizer"):
        assert mark not in process.log(), process.log()

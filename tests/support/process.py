"""Processes, ports and waiting.

What a test starts it ends by pid: when its block is left, and by the kernel when the test itself is killed.
"""
import contextlib
import pathlib
import random
import signal
import socket
import subprocess
import time
from typing import Any, Callable, Iterator

# What only a failure reaches: how long a busy machine needs for anything is nobody's promise.
SECONDS_MAX = 120


class Process:
    """A running command; both its streams go to `log_file`."""

    def __init__(self, command: list[str], log_file: pathlib.Path, env: dict[str, str] | None = None):
        self.log_file = log_file
        with open(log_file, "ab") as log:
            # setpriv becomes the command, so the pid is the command's own.
            self._popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self.pid = self._popen.pid

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, signal_number: signal.Signals) -> None:
        self._popen.send_signal(signal_number)

    def wait(self, seconds_max: float = SECONDS_MAX) -> int:
        """The exit code; raises when the process is still there after `seconds_max`."""
        return self._popen.wait(seconds_max)

    def stop(self) -> None:
        """Ends it in any case, asking first."""
        if not self.running():
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@contextlib.contextmanager
def started(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.stop()


_ports: list[socket.socket] = []  # the marks of those that are this process's


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test gets while this process lives: it is below
    those that the kernel gives to connections, and marked by an abstract socket of its name."""
    first_of_kernel = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, max(first_of_kernel, 20_000)), 1000):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0msp-agent-test-port-{port}")
            for address in ("127.0.0.1", ""):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what ended a minute ago is no one's
                    probe.bind((address, port))
        except OSError:
            mark.close()
            continue
        _ports.append(mark)
        return port
    raise AssertionError("no port is free")


def poll_until(what: str, ask: Callable[[], Any], seconds_max: float = SECONDS_MAX,
               process: Process | None = None) -> Any:
    """The first truthy answer of `ask`; raises after `seconds_max`, or at once when `process` has ended. A shorter time
    than the usual is not taken: it would be a guess at how fast the machine is.

    `ask` may raise AssertionError or OSError for "not yet": the last one is part of the failure's text.
    """
    seconds_max = max(seconds_max, SECONDS_MAX)
    deadline = time.monotonic() + seconds_max
    last = "it was never true"
    while True:
        try:
            if answer := ask():
                return answer
        except (AssertionError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
        if process is not None and not process.running():
            raise AssertionError(f"the process ended while waiting for {what}; it said:\n{process.log()}")
        if time.monotonic() > deadline:
            said = f"\nlog:\n{process.log()[-4000:]}" if process is not None else ""
            raise AssertionError(f"{what}: not within {seconds_max} s ({last}){said}")
        time.sleep(0.05)

"""A booted Debian in systemd-nspawn: a real systemd as pid 1, on an overlay over a tree that is made once.

Needs root. The mounts live in a mount namespace of this process alone (see own_mounts()), so they end with it however
it ends; what runs inside ends with systemd-nspawn, and that with the test.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Iterator

from support.agent import ROOT
from support.process import Process, poll_until

TREES = ROOT / "build/trees"
PACKAGES = "systemd,systemd-sysv,ca-certificates,dbus"
BOOT_SECONDS_MAX = 300
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def own_mounts() -> None:
    """From now on nobody else sees this process's mounts. Nothing where it is not root's."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "cannot have mounts of its own")


def tree(suite: str) -> pathlib.Path:
    """The root of a pristine Debian, made by debootstrap at the first call and kept under build/."""
    TREES.mkdir(parents=True, exist_ok=True)
    with open(TREES / f"{suite}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests may want it at once
        return _tree(suite)


def _tree(suite: str) -> pathlib.Path:
    path = TREES / suite
    if path.exists() and not (path / "usr/bin/dbus-daemon").exists():
        shutil.rmtree(path)  # of an older checkout
    if not path.exists():
        unfinished = TREES / f"{suite}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        print(f"making {path.relative_to(ROOT)} with debootstrap, once ...", flush=True)
        outcome = subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, unfinished],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert outcome.returncode == 0, f"debootstrap {suite}: {outcome.stdout[-3000:]}{outcome.stderr[-1000:]}"
        unfinished.rename(path)
    return path


class Container:
    """One machine: its files stay from boot to boot, until the block of container() ends."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path):
        self.root = root
        self._folder = folder
        self._boots = 0
        self._process: Process | None = None
        self._leader = 0

    def boot(self, *options: str) -> None:
        """Returns when the boot has come to its end. `options` are systemd-nspawn's."""
        self._boots += 1
        self._process = Process(["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--console=pipe",
                                 *options, "-D", str(self.root), "--boot"],
                                self._folder / f"console-{self._boots}.log",
                                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        poll_until("pid 1 of the container", self._find_leader, BOOT_SECONDS_MAX, self._process)
        poll_until("the end of the boot", lambda: self.says("systemctl is-system-running") in ("running", "degraded"),
                   BOOT_SECONDS_MAX, self._process)

    def _find_leader(self) -> bool:
        pid = self._process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            if os.readlink(f"/proc/{child}/exe").endswith("/systemd"):
                self._leader = int(child)
        return self._leader > 0

    def run(self, command: str, seconds_max: float = 300) -> subprocess.CompletedProcess[str]:
        """A shell command inside, to its end."""
        return subprocess.run(["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p",
                               "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "SYSTEMD_COLORS=0",
                               "SYSTEMD_PAGER=cat", "COLUMNS=300", "DEBIAN_FRONTEND=noninteractive",
                               "sh", "-c", command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds_max,
                              check=False)

    def says(self, command: str) -> str:
        """What a command prints, whatever its exit code."""
        return self.run(command).stdout.strip()

    def must(self, command: str, seconds_max: float = 300) -> str:
        """What a command prints; raises when it fails."""
        outcome = self.run(command, seconds_max)
        assert outcome.returncode == 0, (f"'{command}' exits {outcome.returncode}: {outcome.stdout}{outcome.stderr}\n"
                                         f"{self.journal()}")
        return outcome.stdout.strip()

    def journal(self, unit: str = "msp-agent") -> str:
        return self.says(f"journalctl --sync; journalctl --no-pager -o short-monotonic -u {unit}")

    def property(self, name: str, unit: str = "msp-agent") -> str:
        return self.says(f"systemctl show -P {name} {unit}")

    def pid_outside(self, pid_inside: int) -> int:
        """The pid in this process's namespace of one of the container's, to send it signals."""
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
                pids = lines["NSpid"].split()
                if len(pids) > 1 and int(pids[-1]) == pid_inside and self._is_inside(int(pids[0])):
                    return int(pids[0])
        raise AssertionError(f"no process {pid_inside} in the container")

    def _is_inside(self, pid: int) -> bool:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{self._leader}/ns/pid")

    def power_off(self) -> None:
        """An orderly shutdown."""
        self.run("systemctl --no-block poweroff")
        self._process.wait(BOOT_SECONDS_MAX)
        self._leader = 0

    def leader(self) -> int:
        """Its pid 1, as this process sees it."""
        return self._leader

    def close(self) -> None:
        if self._process is not None and self._process.running():
            if self._leader:
                os.kill(self._leader, 9)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.stop()


@contextlib.contextmanager
def container(suite: str) -> Iterator[Container]:
    """A machine that is not booted yet."""
    lower = tree(suite)
    with tempfile.TemporaryDirectory(prefix="msp-agent-boot-") as name:
        folder = pathlib.Path(name)
        for part in ("upper", "work", "root"):
            (folder / part).mkdir()
        root = folder / "root"
        mount("overlay", "overlay", root, f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}")
        machine = Container(root, folder)
        try:
            yield machine
        finally:
            machine.close()
            subprocess.run(["umount", "--recursive", root], check=True)


def mount(kind: str, what: str, where: pathlib.Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, what, where, "-o", options], check=True, capture_output=True)

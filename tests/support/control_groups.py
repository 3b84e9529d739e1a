"""Containers that are real to the kernel: control groups with the names that Docker gives them, of version 1 or 2,
with processes in them. What is made is removed, and what runs in it is ended, when a block is left."""
import contextlib
import os
import pathlib
import shutil
import subprocess
from typing import Callable, Iterator

from support.process import poll_until

GROUPS = pathlib.Path("/sys/fs/cgroup")


class Groups:
    """Where the groups of containers can be made, and what the kernel's files are called."""

    def __init__(self) -> None:
        self.is_unified = (GROUPS / "cgroup.controllers").exists()
        names = ("",) if self.is_unified else ("memory", "cpu", "cpuacct", "blkio", "pids")
        self.roots = [GROUPS / name for name in names if (GROUPS / name).is_dir()]

    def folder(self, container: str, controller: str) -> pathlib.Path:
        return (GROUPS if self.is_unified else GROUPS / controller) / "docker" / container

    def folders(self, container: str) -> list[pathlib.Path]:
        return [root / "docker" / container for root in self.roots]

    def number(self, container: str, controller: str, file: str, field: str = "") -> int:
        text = (self.folder(container, controller) / file).read_text()
        if not field:
            return int(text)
        return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == field)

    def cpu_seconds(self, container: str) -> float:
        if self.is_unified:
            return self.number(container, "", "cpu.stat", "usage_usec") / 1e6
        return self.number(container, "cpuacct", "cpuacct.usage") / 1e9

    def memory(self, container: str) -> int:
        return self.number(container, "memory", "memory.current" if self.is_unified else "memory.usage_in_bytes")

    def processes(self, container: str) -> list[int]:
        """Also those that enter it: a process is in its last folder last."""
        found = (folder / "cgroup.procs" for folder in self.folders(container))
        return sorted({int(line) for file in found if file.exists() for line in file.read_text().split()})

    def limit(self, container: str, memory_bytes: int, quota_us: int) -> None:
        """The period of the quota is 100,000 us."""
        if self.is_unified:
            (self.folder(container, "") / "memory.max").write_text(str(memory_bytes))
            (self.folder(container, "") / "cpu.max").write_text(f"{quota_us} 100000")
        else:
            (self.folder(container, "memory") / "memory.limit_in_bytes").write_text(str(memory_bytes))
            (self.folder(container, "cpu") / "cpu.cfs_quota_us").write_text(str(quota_us))

    def enter(self, container: str) -> Callable[[], None]:
        """What a new process calls."""
        files = [folder / "cgroup.procs" for folder in self.folders(container)]

        def write() -> None:
            for file in files:
                file.write_text("0")
        return write

    @contextlib.contextmanager
    def made(self, container: str) -> Iterator[None]:
        """Fails where there is one of that name, which is another's."""
        with contextlib.ExitStack() as stack:
            for folder in self.folders(container):
                if not folder.parent.exists():
                    folder.parent.mkdir()
                    stack.callback(folder.parent.rmdir)
                if self.is_unified:
                    for above in (GROUPS, folder.parent):
                        (above / "cgroup.subtree_control").write_text("+cpu +memory +io +pids")
                folder.mkdir()
                stack.callback(folder.rmdir)
            stack.callback(self._end, container)
            yield

    def _end(self, container: str) -> None:
        def is_empty() -> bool:
            left = self.processes(container)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            return not left
        poll_until("the container has ended", is_empty)

    @contextlib.contextmanager
    def running(self, container: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """In the group, which is there."""
        process = subprocess.Popen(command, preexec_fn=self.enter(container), stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            self._end(container)
            process.wait()


def can_make_groups() -> bool:
    if os.geteuid() != 0 or not shutil.which("nsenter") or not shutil.which("ip"):
        return False
    for root in Groups().roots:
        probe = root / "msp-agent-test"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError:
            return False
    return bool(Groups().roots)

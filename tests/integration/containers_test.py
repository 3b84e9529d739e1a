"""Containers that are real to the kernel: control groups with the name that Docker gives them, with limits, load and a
network of their own. What the kernel itself says of them just before and after bounds what the agent may say.

Needs root and control groups that can be made; elsewhere it says that it is skipped.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import time
from typing import Iterator

from support.agent import dry_run, temporary_folder, write_config
from support.check import run_checks
from support.exposition import parse_exposition
from support.process import poll_until

GROUPS = pathlib.Path("/sys/fs/cgroup")
IDS = tuple(digit * 64 for digit in "ab")
MEMORY_MAX = 64 << 20
# Uses a processor and 16 MiB, and has a child.
LOAD = """
import os
data = bytearray(os.urandom(1 << 20) * 16)
if os.fork() == 0:
    import signal
    signal.pause()
while True:
    sum(range(100000))
"""


class Groups:
    """Where the groups of containers can be made, and what the kernel's files are called."""

    def __init__(self) -> None:
        self.is_unified = (GROUPS / "cgroup.controllers").exists()
        names = ("",) if self.is_unified else ("memory", "cpu", "cpuacct", "blkio", "pids")
        self.roots = [GROUPS / name for name in names if (GROUPS / name).is_dir()]

    def folder(self, container: str, controller: str) -> pathlib.Path:
        return (GROUPS if self.is_unified else GROUPS / controller) / "docker" / container

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


@contextlib.contextmanager
def container(groups: Groups, identity: str) -> Iterator[subprocess.Popen[bytes]]:
    folders = [root / "docker" / identity for root in groups.roots]
    made = [root / "docker" for root in groups.roots if not (root / "docker").exists()]
    try:
        for folder in folders:
            folder.mkdir(parents=True)
        if groups.is_unified:
            for folder in (GROUPS, GROUPS / "docker"):
                (folder / "cgroup.subtree_control").write_text("+cpu +memory +io +pids")
        limit = "memory.max" if groups.is_unified else "memory.limit_in_bytes"
        (groups.folder(identity, "memory") / limit).write_text(str(MEMORY_MAX))
        if groups.is_unified:
            (groups.folder(identity, "cpu") / "cpu.max").write_text("50000 100000")
        else:
            (groups.folder(identity, "cpu") / "cpu.cfs_quota_us").write_text("50000")

        def enter() -> None:
            for folder in folders:
                (folder / "cgroup.procs").write_text("0")

        process = subprocess.Popen(["unshare", "--net", "--fork", "--kill-child", "python3", "-c", LOAD],
                                   preexec_fn=enter, stdin=subprocess.DEVNULL)
        try:
            poll_until("the container works", lambda: groups.cpu_seconds(identity) > 0.2
                       and len(processes(groups, identity)) >= 3)
            yield process
        finally:
            for pid in processes(groups, identity):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            process.wait()
    finally:
        poll_until("the container has ended", lambda: not processes(groups, identity))
        for folder in [*folders, *made]:
            if folder.exists():
                folder.rmdir()


def processes(groups: Groups, identity: str) -> list[int]:
    return [int(line) for line in (groups.folder(identity, "memory") / "cgroup.procs").read_text().split()]


def samples(folder: pathlib.Path) -> dict[str, dict[str, float]]:
    """The values by the id at the end of the path, by metric; labels other than those of the container in braces."""
    found: dict[str, dict[str, float]] = {}
    text = dry_run(write_config(folder, "http://127.0.0.1:9/api/v1/write"), "--collectors", "containers")
    for (name, labels), value in parse_exposition(text).samples.items():
        known = dict(labels)
        if name.startswith("container_"):
            interface = known.get("interface", "")
            key = f"{name}{{{interface}}}" if interface else name
            found.setdefault(known["id"].rsplit("/", 1)[-1], {})[key] = value
    return found


def the_kernel_says_the_same() -> None:
    groups, began = Groups(), time.time()
    with temporary_folder() as folder, container(groups, IDS[0]), container(groups, IDS[1]):
        before = [(groups.cpu_seconds(identity), groups.memory(identity)) for identity in IDS]
        now = time.time()
        found = samples(folder)
        for identity, (cpu, _) in zip(IDS, before):
            got = found[identity]
            assert cpu <= got["container_cpu_usage_seconds_total"] <= groups.cpu_seconds(identity), (cpu, got)
            assert abs(got["container_memory_usage_bytes"] - groups.memory(identity)) < 4 << 20, got
            assert 16 << 20 <= got["container_memory_rss"] <= got["container_memory_usage_bytes"] + (1 << 20), got
            assert got["container_memory_working_set_bytes"] <= got["container_memory_usage_bytes"], got
            assert got["container_spec_memory_limit_bytes"] == MEMORY_MAX, got
            assert (got["container_spec_cpu_quota"], got["container_spec_cpu_period"]) == (50000, 100000), got
            assert got["container_cpu_cfs_periods_total"] > 0, got
            assert got["container_processes"] == len(processes(groups, identity)), got
            assert began - 1 <= got["container_start_time_seconds"] <= now, (began, now, got)


def each_network_is_its_own() -> None:
    groups = Groups()
    with temporary_folder() as folder, container(groups, IDS[0]) as process:
        pid = processes(groups, IDS[0])[0]
        subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "add", "eth0", "type", "bridge"],
                       check=True)
        assert process.poll() is None
        found = samples(folder)[IDS[0]]
        assert found["container_network_receive_bytes_total{eth0}"] == 0, found
        networks = [name for name in found if name.startswith("container_network_receive_bytes_total")]
        assert networks == ["container_network_receive_bytes_total{eth0}"], networks  # nothing of the host's


def after_the_end_nothing_is_left() -> None:
    groups = Groups()
    with temporary_folder() as folder:
        with container(groups, IDS[0]):
            assert IDS[0] in samples(folder)
        assert IDS[0] not in samples(folder)


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


if __name__ == "__main__":
    if can_make_groups():
        run_checks(the_kernel_says_the_same, each_network_is_its_own, after_the_end_nothing_is_left)
    else:
        print("containers: skipped, for control groups cannot be made here")

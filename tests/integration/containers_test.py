"""Containers that are real to the kernel: control groups with the name that Docker gives them, with limits, load and a
network of their own. What the kernel itself says of them just before and after bounds what the agent may say.

Needs root and control groups that can be made; elsewhere it says that it is skipped.
"""
import contextlib
import pathlib
import subprocess
import time
from typing import Iterator

from support.agent import dry_run, temporary_folder, write_config
from support.check import run_checks
from support.control_groups import Groups, can_make_groups
from support.exposition import parse_exposition
from support.process import poll_until

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


@contextlib.contextmanager
def container(groups: Groups, identity: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ["unshare", "--net", "--fork", "--kill-child", "python3", "-c", LOAD]
    with groups.made(identity):
        groups.limit(identity, MEMORY_MAX, 50000)
        with groups.running(identity, command) as process:
            poll_until("the container works", lambda: groups.cpu_seconds(identity) > 0.2
                       and len(groups.processes(identity)) >= 3)
            yield process


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
            assert got["container_processes"] == len(groups.processes(identity)), got
            assert began - 1 <= got["container_start_time_seconds"] <= now, (began, now, got)


def each_network_is_its_own() -> None:
    groups = Groups()
    with temporary_folder() as folder, container(groups, IDS[0]) as process:
        pid = groups.processes(IDS[0])[0]
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


if __name__ == "__main__":
    if can_make_groups():
        run_checks(the_kernel_says_the_same, each_network_is_its_own, after_the_end_nothing_is_left)
    else:
        print("containers: skipped, for control groups cannot be made here")

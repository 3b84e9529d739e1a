"""Containers beside cAdvisor: both look at the same control groups, which have Docker's names, limits and load, while
their processes are stopped and counters stand still. What both send has one name, type, help and value; what only one
of them sends is in a list here, with the reason. cAdvisor is asked before and after: where its own two answers differ,
the kernel has changed the value, and the agent's is between them.

Needs root, control groups that can be made, and cAdvisor as a Go module: MSP_CADVISOR=1 builds it where it is not
(tests/support/go_peer.py), which takes minutes of CPU. Elsewhere it says that it is skipped. The test takes 2 s of CPU.
"""
import contextlib
import os
import pathlib
import re
import signal
import time
import urllib.request

from support.agent import dry_run, temporary_folder, write_config
from support.check import run_checks
from support.control_groups import Groups, can_make_groups
from support.exposition import Exposition, parse_exposition
from support.go_peer import cadvisor
from support.process import Process, free_port, poll_until, started

BURNS, MAPS, WRITES = (digits * 32 for digits in ("c1", "c2", "c3"))
MEMORY_MAX = 64 << 20
WRITTEN = 20 << 16
# Each makes the file that it is given, when it has done what it does.
LOADS = {
    BURNS: """
import os, pathlib, signal, sys
if os.fork() == 0: signal.pause()
pathlib.Path(sys.argv[1]).touch()
while True: sum(range(100000))
""",
    # More of a file than the group may have: pages go again.
    MAPS: """
import mmap, os, pathlib, signal, sys
data = bytearray(os.urandom(1 << 20) * 24)
with open(sys.argv[1] + ".data", "w+b") as file:
    file.truncate(100 << 20)
    mapped = mmap.mmap(file.fileno(), 0)
for at in range(0, len(mapped), 4096): mapped[at]
pathlib.Path(sys.argv[1]).touch()
signal.pause()
""",
    # And a network of its own in which nothing moves but 5 frames of 100 bytes out of it and 3 of 200 into it.
    WRITES: """
import os, pathlib, signal, socket, subprocess, sys, threading
pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
for command in ("add eth0 type veth peer name vethhost", "set eth0 up", "set vethhost up"):
    subprocess.run(["ip", "link", *command.split()], check=True)
for name, count, size in (("eth0", 5, 100), ("vethhost", 3, 200)):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((name, 0))
        for _ in range(count): sender.send(bytes(12) + bytes((0x88, 0xb5)) + bytes(size - 14))
threading.Thread(target=threading.Event().wait, daemon=True).start()
with open(sys.argv[1] + ".data", "wb") as file:
    for _ in range(20):
        file.write(os.urandom(1 << 16))
        file.flush()
        os.fsync(file.fileno())
pathlib.Path(sys.argv[1]).touch()
signal.pause()
""",
}
# The kernel drops frames of a type that nobody receives.
NETWORK = {f"container_network_{way}_{what}_total": value for way, packets, size, dropped in (
    ("receive", 3, 200, 3), ("transmit", 5, 100, 0)) for what, value in (
        ("bytes", packets * size), ("packets", packets), ("errors", 0), ("packets_dropped", dropped))}

# What cAdvisor alone sends of such a group; docs/containers.md says of each why it is not sent.
THEIRS_ALONE = re.compile(
    "container_(blkio_device_usage_total|cpu_cfs_burst_.*|cpu_load_.*|creation_time_seconds|file_descriptors|"
    "health_state|memory_events_.*|memory_failures_total|memory_kernel_usage|memory_total_.*|pressure_.*|sockets|"
    "tasks_state|ulimits_soft)")
# Without an engine cAdvisor knows no network of a group but the host's: the values are those of the frames above.
OURS_ALONE = set(NETWORK)
# Times of their own: cAdvisor's start is when the folder was made, in whole seconds.
NOT_EQUAL = {"container_last_seen", "container_start_time_seconds"}

Samples = dict[tuple[str, str, str], float]  # by id at the end of the path, name, labels beside those of the container


def by_container(page: Exposition) -> Samples:
    found: Samples = {}
    for (name, labels), value in page.samples.items():
        identity = dict(labels).get("id", "").rpartition("/docker/")[2]
        if identity not in LOADS:
            continue
        # cAdvisor has a series for each CPU, the agent their sum, as cAdvisor itself has it on version 2.
        others = ",".join(f"{key}={text}" for key, text in labels if key in ("device", "interface"))
        key = (identity, name, others)
        found[key] = found.get(key, 0) + value
    return found


class Peer:
    def __init__(self, folder: pathlib.Path, program: str):
        self.port = free_port()
        self.process = Process([program, f"-address=127.0.0.1:{self.port}", "-processes",
                                "-allow_dynamic_housekeeping=false"], folder / "cadvisor.log")

    def page(self) -> tuple[Exposition, dict[str, int]]:
        """And when it looked at each container, in ms: the timestamp of a sample."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        looked = re.findall(r'(?m)^container_memory_usage_bytes\{.*id="/docker/(\w{64})".*\} \S+ (\d+)$', text)
        return (parse_exposition(re.sub(r"(?m)^(\w+\{.*\} \S+) \d+$", r"\1", text)),
                {identity: int(at) for identity, at in looked if identity in LOADS})

    def page_since_now(self) -> Exposition:
        """With nothing in it that was read before this call: a look has the time at which it ended, so that the one
        after the first of a later time has begun later."""
        since = dict.fromkeys(LOADS, int(time.time() * 1000))
        for _ in range(2):
            def later() -> tuple[Exposition, dict[str, int]] | None:
                answer = self.page()
                return answer if all(answer[1].get(key, 0) > at for key, at in since.items()) else None
            page, since = poll_until("cAdvisor has looked at all", later, process=self.process)
        return page


def stop_all(groups: Groups) -> None:
    """And waits until no thread of them runs."""
    def is_still() -> bool:
        tasks = []
        for pid in (pid for identity in LOADS for pid in groups.processes(identity)):
            os.kill(pid, signal.SIGSTOP)
            tasks += pathlib.Path(f"/proc/{pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(") ")[2][0] == "T" for task in tasks)
    poll_until("all have stopped", is_still)


def count_disk(groups: Groups, folder: pathlib.Path) -> bool:
    """Whether what is written to the folder will be counted. New kernels count for version 1 only where there is a
    limit: this one is never reached."""
    device = folder.stat().st_dev
    place = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not place.exists():
        return False
    if not groups.is_unified:
        disk = (place / ("../dev" if (place / "partition").exists() else "dev")).read_text().strip()
        (groups.folder(WRITES, "blkio") / "blkio.throttle.write_bps_device").write_text(f"{disk} {1 << 40}")
    return True


def both_say_the_same(program: str) -> None:
    groups = Groups()
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        for identity in LOADS:
            stack.enter_context(groups.made(identity))
        # WRITES has no limit: no limit has one meaning, too.
        groups.limit(BURNS, MEMORY_MAX, 10_000)
        groups.limit(MAPS, MEMORY_MAX, 200_000)
        has_disk = count_disk(groups, folder)
        for identity, load in LOADS.items():
            stack.enter_context(groups.running(identity, ["unshare", "--net", "python3", "-c", load,
                                                          str(folder / identity)]))
        for identity in LOADS:
            poll_until(f"{identity} has worked", (folder / identity).exists)
        throttled = ("" if groups.is_unified else "cpu", "cpu.stat", "nr_throttled")
        poll_until("a processor is withheld", lambda: groups.number(BURNS, *throttled) > 0)
        stop_all(groups)
        peer = Peer(folder, program)
        stack.enter_context(started(peer.process))
        poll_until("cAdvisor answers", peer.page, process=peer.process)
        before = peer.page_since_now()
        ours_page = parse_exposition(dry_run(write_config(folder, "http://127.0.0.1:9/api/v1/write"),
                                             "--collectors", "containers"))
        after = peer.page_since_now()

    first, ours, last = by_container(before), by_container(ours_page), by_container(after)
    for name in sorted({name for _, name, _ in ours}):
        if name in before.types:
            mine, theirs = ((page.types[name], page.helps[name]) for page in (ours_page, before))
            assert mine == theirs, f"{name}: {mine} here, {theirs} of cAdvisor"
    wrong = [f"{key} is {ours.get(key)}, of cAdvisor {first.get(key)} and {last.get(key)}"
             for key in sorted(first.keys() | ours.keys()) if key[1] not in NOT_EQUAL | OURS_ALONE
             and not (THEIRS_ALONE.fullmatch(key[1]) and key not in ours)
             and not (key in ours and key in first and key in last and is_between(first[key], ours[key], last[key]))]
    assert not wrong, "\n".join(wrong)
    common = {name for _, name, _ in ours.keys() & first.keys()}
    assert len(common - NOT_EQUAL) >= 24, sorted(common)

    # What the load is for has been there to see.
    started_at = "container_start_time_seconds"
    for identity in LOADS:
        # The kernel's time of boot, which the process's start is added to, is in whole seconds.
        assert first[identity, started_at, ""] - 1 <= ours[identity, started_at, ""] <= time.time(), identity
    assert ours[BURNS, "container_cpu_cfs_throttled_periods_total", ""] > 0, ours
    assert ours[BURNS, "container_processes", ""] == 2 and ours[WRITES, "container_threads", ""] == 2, ours
    assert ours[MAPS, "container_memory_mapped_file", ""] > 0, ours
    assert 24 << 20 <= ours[MAPS, "container_memory_rss", ""] <= MEMORY_MAX, ours
    assert ours[MAPS, "container_memory_failcnt", ""] > 0, ours
    writes = [value for (identity, name, _), value in ours.items()
              if (identity, name) == (WRITES, "container_fs_writes_bytes_total")]
    assert not has_disk or max(writes) >= WRITTEN, writes
    network = {name: value for (identity, name, _), value in ours.items() if identity == WRITES and name in NETWORK}
    assert network == NETWORK, network
    assert not [key for key in ours if key[1] in NETWORK and key[0] != WRITES], "a network without devices"


def is_between(first: float, ours: float, last: float) -> bool:
    """Sums of floating point are equal but for the last digits."""
    margin = 1e-9 * abs(ours)
    return min(first, last) - margin <= ours <= max(first, last) + margin


if __name__ == "__main__":
    if not can_make_groups():
        print("container_peers: skipped, for control groups cannot be made here")
    elif peer_program := cadvisor(must_build=os.environ.get("MSP_CADVISOR") == "1"):
        def cadvisor_and_the_agent_say_the_same() -> None:
            both_say_the_same(peer_program)
        run_checks(cadvisor_and_the_agent_say_the_same)

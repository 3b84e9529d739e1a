"""Beside the distribution's process-exporter (Debian: 0.7.10), with its own configuration, which convert-alloy has made
ours: the same series, TYPE and HELP, and of processes that stand still the same values.
"""
import contextlib
import math
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Iterator

from support.agent import run_once, running_agent, temporary_folder
from support.check import run_checks
from support.exposition import Exposition, parse_exposition
from support.process import Process, free_port, poll_until, started

RULES = r"""process_names:
  - name: "{{.ExeBase}} {{.Matches.Which}}"
    cmdline: ['msp-peer-(?P<Which>\w+)$']
  - name: nothing
    comm: [msp-peer-nothing]
"""
# Each works a little and stops itself; one has a child, which no rule matches.
WORK = """
import os, signal, sys
which = sys.argv[1]
total = sum(number * number for number in range(2_000_000))
data = bytearray(30 << 20)
if which == "msp-peer-parent" and os.fork() == 0:
    os.execvp(sys.executable, [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"])
os.kill(os.getpid(), signal.SIGSTOP)
"""
WORKERS = ("msp-peer-alone", "msp-peer-alone", "msp-peer-parent")
# What ours does not have, each with the reason.
THEIRS_ONLY = {
    "namedprocess_namegroup_read_bytes_total": "only root may read it of another user's process",
    "namedprocess_namegroup_write_bytes_total": "only root may read it of another user's process",
    "namedprocess_namegroup_open_filedesc": "only root may read it of another user's process",
    "namedprocess_namegroup_worst_fd_ratio": "only root may read it of another user's process",
    "namedprocess_namegroup_threads_wchan": "where a thread waits in the kernel: root, and a series for each place",
}


def page(port: int) -> Exposition:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return parse_exposition(answer.read().decode())


def boot_time() -> int:
    return int(pathlib.Path("/proc/stat").read_text().split("btime ")[1].split()[0])


def uptime() -> float:
    return float(pathlib.Path("/proc/uptime").read_text().split()[0])


def state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def children(pid: int) -> list[int]:
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def workers() -> Iterator[None]:
    """Until they stand still."""
    processes = [subprocess.Popen([sys.executable, "-c", WORK, which], stdin=subprocess.DEVNULL) for which in WORKERS]
    try:
        poll_until("all stand still", lambda: all(state(process.pid) == "T" for process in processes), 60)
        poll_until("the child does", lambda: all(state(pid) == "T" for pid in children(processes[-1].pid)), 60)
        yield
    finally:
        for process in processes:
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()


def our_config(folder: pathlib.Path, rules: pathlib.Path, port: int) -> pathlib.Path:
    converted = run_once("convert-alloy", "--from", "process-exporter", str(rules))
    assert converted.returncode == 0, converted.stderr
    begin = converted.stdout.index("collectors:\n")
    collectors = converted.stdout[begin:converted.stdout.index("\n\n", begin)]
    config = folder / "exporter.yaml"
    config.write_text(f"listen: {{address: '127.0.0.1:{port}'}}\n{collectors}\n  costly_interval: 1s\ninterval: 1s\n")
    return config


def both_say_the_same() -> None:
    ours, theirs = free_port(), free_port()
    with temporary_folder() as folder:
        rules = folder / "process-exporter.yml"
        rules.write_text(RULES)
        exporter = Process(["prometheus-process-exporter", f"-config.path={rules}", "-threads=false",
                            "-gather-smaps=false", f"-web.listen-address=127.0.0.1:{theirs}"], folder / "theirs.log")
        with started(exporter), running_agent(our_config(folder, rules, ours)) as agent:
            for port, process in ((ours, agent), (theirs, exporter)):
                def answers(port: int = port) -> bool:
                    with contextlib.suppress(OSError):
                        return bool(page(port).samples)
                    return False
                poll_until("it answers", answers, 30, process)
            # It counts a process from 0 where that has started before its first look, and takes for the start what is
            # up to a second earlier: it adds to the boot's time, which /proc/stat has in whole seconds.
            looked = time.time()
            poll_until("what starts now is new for it", lambda: boot_time() + uptime() > looked + 0.1)
            with workers():
                def seen() -> Exposition | None:
                    mine = page(ours)  # looks at processes once in costly_interval
                    count = sum(value for (name, _), value in mine.samples.items() if name.endswith("_num_procs"))
                    return mine if count == len(WORKERS) + 1 else None
                mine, peers = poll_until("all are seen", seen, 30, agent), page(theirs)
    compare(mine, peers)


def compare(mine: Exposition, peers: Exposition) -> None:
    def groups(exposition: Exposition) -> dict[object, float]:
        return {key: value for key, value in exposition.samples.items()
                if key[0].startswith("namedprocess_namegroup_") and key[0] not in THEIRS_ONLY}

    got, wanted = groups(mine), groups(peers)
    named = {dict(labels)["groupname"] for _, labels in got}
    assert len(named) == 2, named
    assert got.keys() == wanted.keys(), (got.keys() - wanted.keys(), wanted.keys() - got.keys())
    # It adds up what it has seen between two looks, in floating point: 0.11000000000000001.
    different = {key: (got[key], wanted[key]) for key in got
                 if not math.isclose(got[key], wanted[key], rel_tol=1e-12)}
    assert not different, different
    cpu = [value for (name, _), value in got.items() if name.endswith("cpu_seconds_total")]
    assert sum(cpu) > 0, cpu
    for name in {name for name, _ in got}:
        assert mine.types[name] == peers.types[name], name
        assert mine.helps[name] == peers.helps[name], name


run_checks(both_say_the_same)

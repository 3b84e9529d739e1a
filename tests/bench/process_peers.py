"""What 5,000 processes cost the agent's process_groups and the distribution's process-exporter, in one run:

    MSP_AGENT=build/release/msp-agent PYTHONPATH=tests python3 tests/bench/process_peers.py [how many]

Each command is a group, as process-exporter's packages have it. Of both the CPU time of a look at all processes, which
is that of the program over some of them, and the resident memory afterwards; process-exporter with its defaults, and
without threads and smaps, which the agent does not have.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
from typing import Iterator

from support.agent import running_agent, temporary_folder
from support.process import Process, free_port, poll_until, started

LOOKS = 5
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def sleepers(count: int) -> Iterator[None]:
    """Real forks, of one process that ends them."""
    script = ("import os, signal, sys\npids = []\nfor _ in range(int(sys.argv[1])):\n  pids.append(os.fork())\n"
              "  if pids[-1] == 0: signal.pause()\nprint('all', flush=True)\nsys.stdin.read()\n"
              "for pid in pids: os.kill(pid, 9)\nfor pid in pids: os.waitpid(pid, 0)\n")
    with subprocess.Popen([sys.executable, "-c", script, str(count)], stdout=subprocess.PIPE,
                          stdin=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"all\n"
        yield  # and the end of its input ends it


def cpu_seconds(process: Process) -> float:
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_megabytes(process: Process) -> float:
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
        return answer.read().decode()


def looks(text: str) -> bool:
    return "namedprocess_namegroup_num_procs{" in text


def report(name: str, process: Process, port: int, apart_s: float = 0) -> None:
    """A look for each page, if they are so far apart."""
    def is_up() -> bool:
        with contextlib.suppress(OSError):
            return looks(page(port))
        return False
    poll_until(f"{name} answers", is_up, 60, process)
    before = cpu_seconds(process)
    for _ in range(LOOKS):
        time.sleep(apart_s)
        assert looks(page(port))
    spent = (cpu_seconds(process) - before) / LOOKS
    print(f"| {name} | {spent * 1000:.0f} | {resident_megabytes(process):.1f} |", flush=True)


def main(count: int) -> None:
    print(f"| {count} processes | CPU of a look, ms | resident, MB |\n| --- | ---: | ---: |", flush=True)
    with temporary_folder() as folder, sleepers(count):
        rules = folder / "rules.yml"
        rules.write_text("process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]\n")
        ours = free_port()
        config = folder / "exporter.yaml"
        config.write_text(f"listen: {{address: '127.0.0.1:{ours}'}}\ninterval: 1s\n"
                          "collectors: {enabled: [process_groups], costly_interval: 1s}\n")
        with running_agent(config) as agent:
            report("msp-agent", agent, ours, 1.5)  # a page has the look of the one before for costly_interval
        for name, flags in (("process-exporter", ()), ("process-exporter -threads=false -gather-smaps=false",
                                                       ("-threads=false", "-gather-smaps=false"))):
            theirs = free_port()
            exporter = Process(["prometheus-process-exporter", f"-config.path={rules}", *flags,
                                f"-web.listen-address=127.0.0.1:{theirs}"], folder / "theirs.log")
            with started(exporter):
                report(name, exporter, theirs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)

"""What many containers cost the agent's collector containers and cAdvisor, in one run:

    PYTHONPATH=tests python3 tests/bench/container_peers.py [how many] [seconds]

The containers are control groups with Docker's names and a sleeping process in each. Both look at the same, in turns,
and both are asked for their page every 15 s: cAdvisor with its defaults, which look at each container every second and
more seldom where nothing changes, and with a look every 15 s; the agent with this collector alone, and with all of its
default. cAdvisor sends the other control groups of the host, too. Needs root, control groups that can be made, and a
go to build cAdvisor with.
"""
import contextlib
import pathlib
import signal
import sys
import time
import urllib.request

from support.agent import BINARY, temporary_folder
from support.control_groups import Groups, can_make_groups
from support.cost import cpu_seconds
from support.go_peer import cadvisor
from support.memory import private_kilobytes, resident_kilobytes
from support.process import Process, free_port, poll_until, started

INTERVAL_S = 15


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
        return answer.read().decode()


def measure(name: str, command: list[str], port: int, count: int, turns: int, log: pathlib.Path) -> tuple[float, float]:
    process = Process(command, log)
    with started(process):
        poll_until(f"{name} sends all", lambda: page(port).count("\ncontainer_last_seen{") >= count, process=process)
        spent, text = 0.0, ""
        for turn in range(turns + 1):  # the first is not counted: it starts
            before = cpu_seconds(process.pid)
            time.sleep(INTERVAL_S)
            text = page(port)
            spent += cpu_seconds(process.pid) - before if turn > 0 else 0
        resident, private = (read(process.pid) / 1024 for read in (resident_kilobytes, private_kilobytes))
    a_minute = spent / turns * 60 / INTERVAL_S * 1000
    series = text.count("\ncontainer_")
    print(f"| {name} | {series} | {a_minute:.0f} | {resident:.1f} | {private:.1f} |", flush=True)
    return a_minute, resident


def main(count: int, turns: int) -> None:
    program = cadvisor()
    if program is None or not can_make_groups():
        sys.exit("container_peers: there is no cAdvisor, or control groups cannot be made here")
    groups = Groups()
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        for number in range(count):
            identity = f"{number:064x}"
            stack.enter_context(groups.made(identity))
            stack.enter_context(groups.running(identity, ["sleep", "100000"]))
        print(f"| {count} containers | series | CPU, ms a minute | resident, MB | private, MB |\n"
              "| --- | ---: | ---: | ---: | ---: |", flush=True)
        found = {}
        for name, collectors in (("msp-agent, containers alone", "enabled: [containers], "), ("msp-agent", "")):
            port, config = free_port(), folder / "exporter.yaml"
            config.write_text(f"listen: {{address: '127.0.0.1:{port}'}}\nseries_max: 100000\n"
                              f"collectors: {{{collectors}containers: {{containers_max: 10000}}}}\n")
            found[name] = measure(name, [BINARY, "--config", str(config)], port, count, turns, folder / "log")
        for name, flags in (("cAdvisor", []), ("cAdvisor, a look in 15 s", [
                "-housekeeping_interval=15s", "-allow_dynamic_housekeeping=false"])):
            port = free_port()
            found[name] = measure(name, [program, f"-address=127.0.0.1:{port}", *flags], port, count, turns,
                                  folder / "log")
    for ours in list(found)[:2]:
        for theirs in list(found)[2:]:
            cpu, memory = (mine / other for mine, other in zip(found[ours], found[theirs]))
            print(f"{ours} / {theirs}: CPU {cpu:.3f}, resident {memory:.3f}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("container_peers: ended by SIGTERM"))  # leaves no group behind
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) // INTERVAL_S if len(sys.argv) > 2 else 4)

"""What 250, 500 and 1,000 containers cost the collector containers in memory, from generated trees:

    PYTHONPATH=tests python3 tests/bench/container_scale.py

The agent as an exporter with that collector alone, after some pages, each of which it makes in memory as a whole.
build/release/tests/collect_bench --trees containers measures CPU.
"""
import contextlib
import pathlib
import shutil
import tempfile
import urllib.request

from support.agent import BINARY
from support.container_trees import Host, full_unified
from support.memory import private_kilobytes, resident_kilobytes
from support.process import Process, free_port, poll_until, started

PAGES = 20


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return answer.read().decode()


def measure(count: int, folder: pathlib.Path) -> None:
    host = Host(folder / "host").unified()
    for number in range(count):
        full_unified(host, f"system.slice/docker-{number:064x}.scope", host.process("app"))
    port = free_port()
    config = folder / "exporter.yaml"
    config.write_text(f"listen: {{address: '127.0.0.1:{port}'}}\nseries_max: 130000\n"
                      "collectors: {enabled: [containers], containers: {containers_max: 10000}}\n")
    command = [BINARY, "--config", str(config), f"--path.procfs={host.folder}/proc", f"--path.sysfs={host.folder}/sys"]
    process = Process(command, folder / "log")
    with started(process):
        def answers() -> bool:
            with contextlib.suppress(OSError):
                return page(port).count("\ncontainer_last_seen{") == count
            return False
        poll_until("the page has all", answers, 60, process)
        for _ in range(PAGES):
            text = page(port)
        resident, private = (read(process.pid) / 1024 for read in (resident_kilobytes, private_kilobytes))
        series = text.count("\ncontainer_")
        print(f"| {count} | {series} | {len(text) / 1e6:.1f} | {resident:.1f} | {private:.1f} |", flush=True)


if __name__ == "__main__":
    print("| containers | series | page, MB | resident, MB | private, MB |\n| ---: | ---: | ---: | ---: | ---: |")
    for how_many in (1, 250, 500, 1000):
        place = pathlib.Path(tempfile.mkdtemp(prefix="msp-agent-bench-", dir="/dev/shm"))
        try:
            measure(how_many, place)
        finally:
            shutil.rmtree(place)

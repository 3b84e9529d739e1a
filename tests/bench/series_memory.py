"""What a series costs the agent in memory at its worst: a host with so many network devices, of which one in a hundred
is renamed at each tick, while the endpoint answers, does not, and answers again. agent/run/memory_limit.h has the
figures.

    PYTHONPATH=tests python3 tests/bench/series_memory.py [DEVICES...]
"""
import contextlib
import http.server
import pathlib
import re
import sys
import threading
import time

from support.agent import BINARY, temporary_folder, write_config
from support.process import Process, poll_until, started

HEAD = "Inter-| Receive | Transmit\n face |bytes |bytes\n"
SERIES_OF_A_DEVICE = 17


class Endpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 204
    requests = 0

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers["Content-Length"]))
        Endpoint.requests += 1
        self.send_response(Endpoint.status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def write_devices(host: pathlib.Path, count: int, generation: int) -> None:
    names = [f"ppp{i}" if i % 100 else f"tap{generation}-{i}" for i in range(count)]
    text = HEAD + "".join(f"{name}: {i} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n" for i, name in enumerate(names))
    (host / "proc/net/dev").write_text(text)


def most_kilobytes(pid: int) -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def measure(count: int, port: int) -> tuple[int, int]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        host = folder / "host"
        (host / "proc/net").mkdir(parents=True)
        for name in range(count):
            statistics = host / f"sys/class/net/ppp{name}/statistics"
            statistics.mkdir(parents=True)
            (statistics / "rx_nohandler").write_text("0\n")
        write_devices(host, count, 0)
        more = "collectors: {enabled: [netdev]}\nseries_max: 130000\n"
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", interval="2s", more=more)
        Endpoint.status = 204
        agent = stack.enter_context(started(Process(
            [BINARY, "--config", str(config), f"--path.procfs={host}/proc", f"--path.sysfs={host}/sys"],
            folder / "log")))
        before = Endpoint.requests
        poll_until("a request", lambda: Endpoint.requests > before, 60, agent)
        for generation, status in enumerate([204] * 3 + [503] * 8 + [204] * 6):
            Endpoint.status = status
            write_devices(host, count, generation + 1)
            time.sleep(2)
        return count * SERIES_OF_A_DEVICE, most_kilobytes(agent.pid)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
least = None
for devices in [int(argument) for argument in sys.argv[1:]] or [10, 500, 1500, 2900]:
    series, kilobytes = measure(devices, server.server_address[1])
    least = least or (series, kilobytes)
    each = (kilobytes - least[1]) * 1024 / (series - least[0]) if series > least[0] else 0
    print(f"{series} series: most {kilobytes} kB, {each:.0f} bytes for each of more than {least[0]}", flush=True)

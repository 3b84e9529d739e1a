"""What 20 targets of 2,000 series at 15 s cost the agent, the distribution's vmagent and prometheus (agent mode), and
vmagent as it is now where there is a go to build it with, all at once: CPU and memory while an endpoint takes
everything, bytes on the wire, and bytes on disk of an outage that lasts as long. Some send remote write 1.0 with
snappy, some the same with zstd, as to a VictoriaMetrics. Memory is the mean of what was seen each second, and the most.

    MSP_AGENT=build/release/msp-agent PYTHONPATH=tests python3 tests/bench/scrape_peers.py [MINUTES]
"""
import contextlib
import http.server
import os
import pathlib
import re
import statistics
import sys
import threading
import time
from typing import Callable

from support.agent import BINARY, temporary_folder
from support.cost import cpu_seconds, folder_bytes
from support.go_peer import VMAGENT, go_peer
from support.process import Process, free_port, poll_until, started

TARGETS, SERIES, INTERVAL_S = 20, 2_000, 15
FAMILIES = 50


class Exposing(http.server.BaseHTTPRequestHandler):
    """Half of the series are counters that grow, the others stay."""
    protocol_version = "HTTP/1.1"
    scrapes = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        Exposing.scrapes += 1
        lines = []
        for family in range(FAMILIES):
            name = f"bench_metric_{family}_total"
            lines.append(f"# HELP {name} Of family {family}.\n# TYPE {name} counter\n")
            for i in range(SERIES // FAMILIES):
                value = family * 1_000 + i + (Exposing.scrapes * (i + 1) if i % 2 else 0)
                lines.append(f'{name}{{device="device-{i}",mode="mode-{i % 8}",path="/srv/data/{i}"}} {value}\n')
        body = "".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """/NAME/write of each; counts what arrives."""
    protocol_version = "HTTP/1.1"
    is_down = False
    body_bytes: dict[str, int] = {}
    requests: dict[str, int] = {}

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        size = int(self.headers["Content-Length"])
        self.rfile.read(size)
        if not Endpoint.is_down:
            name = self.path.split("/")[1]
            Endpoint.body_bytes[name] = Endpoint.body_bytes.get(name, 0) + size
            Endpoint.requests[name] = Endpoint.requests.get(name, 0) + 1
        self.send_response(503 if Endpoint.is_down else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()


def served(handler: type[http.server.BaseHTTPRequestHandler]) -> int:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def pss_mib(pid: int) -> float:
    return int(re.search(r"(?m)^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) / 1024


def agent(folder: pathlib.Path, targets: list[str], url: str, protocol: str = "prometheus-1.0") -> Process:
    config = folder / "msp-agent.yaml"
    (folder / "run").mkdir()
    jobs = "".join(f"  - {{job: bench, targets: ['{target}'], labels: {{instance: '{target}'}}}}\n"
                   for target in targets)
    config.write_text(f"customer_id: alpha\nserver_name: web-01\ncollectors: {{enabled: [loadavg]}}\n"
                      f"buffer: {{path: {folder / 'disk'}}}\nremote_write: {{url: '{url}', protocol: {protocol}}}\n"
                      f"scrape:\n{jobs}")
    return Process([BINARY, "--config", str(config)], folder / "log",
                   {**os.environ, "RUNTIME_DIRECTORY": str(folder / "run")})


def agent_to_victoria_metrics(folder: pathlib.Path, targets: list[str], url: str) -> Process:
    return agent(folder, targets, url, "victoriametrics")


def scrape_config(folder: pathlib.Path, targets: list[str], more: str) -> str:
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{scrape_interval: {INTERVAL_S}s, "
                      f"external_labels: {{customer_id: alpha, server_name: web-01}}}}\n{more}"
                      f"scrape_configs:\n  - job_name: bench\n    static_configs: [{{targets: {targets}}}]\n")
    return str(config)


def vmagent(program: str = "vmagent", *flags: str) -> Callable[[pathlib.Path, list[str], str], Process]:
    def start(folder: pathlib.Path, targets: list[str], url: str) -> Process:
        return Process([program, f"-promscrape.config={scrape_config(folder, targets, '')}", f"-remoteWrite.url={url}",
                        f"-remoteWrite.tmpDataPath={folder / 'disk'}", f"-httpListenAddr=127.0.0.1:{free_port()}",
                        *flags], folder / "log")
    return start


def prometheus(folder: pathlib.Path, targets: list[str], url: str) -> Process:
    config = scrape_config(folder, targets, f"remote_write: [{{url: '{url}'}}]\n")
    return Process(["prometheus", "--enable-feature=agent", f"--config.file={config}",
                    f"--storage.agent.path={folder / 'disk'}", f"--web.listen-address=127.0.0.1:{free_port()}"],
                   folder / "log")


minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
PEERS = {"msp-agent": agent, "msp-agent-zstd": agent_to_victoria_metrics, "vmagent": vmagent(),
         "prometheus": prometheus}
if PROGRAM := go_peer(*VMAGENT):
    PEERS["vmagent-now"] = vmagent(PROGRAM, "-remoteWrite.forcePromProto")
    PEERS["vmagent-now-zstd"] = vmagent(PROGRAM, "-remoteWrite.forceVMProto")
with contextlib.ExitStack() as stack:
    folder = stack.enter_context(temporary_folder())
    exposing = [f"127.0.0.1:{served(Exposing)}" for _ in range(TARGETS)]
    endpoint = served(Endpoint)
    running: dict[str, Process] = {}
    for name, start in PEERS.items():
        (folder / name).mkdir()
        running[name] = stack.enter_context(started(
            start(folder / name, exposing, f"http://127.0.0.1:{endpoint}/{name}/write")))
    for name, process in running.items():
        poll_until(f"a request of {name}", lambda name=name: Endpoint.requests.get(name, 0) > 0, 60, process)
    time.sleep(2 * INTERVAL_S)  # all series are known
    began = time.monotonic()
    cpu = {name: cpu_seconds(process.pid) for name, process in running.items()}
    wire = dict(Endpoint.body_bytes)
    memory: dict[str, list[float]] = {name: [] for name in running}
    while time.monotonic() < began + minutes * 60:
        for name, process in running.items():
            memory[name].append(pss_mib(process.pid))
        time.sleep(1)
    seconds = time.monotonic() - began
    scrapes = TARGETS * seconds / INTERVAL_S
    rows = {}
    for name, process in running.items():
        used = cpu_seconds(process.pid) - cpu[name]
        samples = SERIES * scrapes
        rows[name] = [f"{used / seconds * 3600:.1f} s/h", f"{used / scrapes * 1000:.2f} ms",
                      f"{statistics.mean(memory[name]):.1f} MiB", f"{max(memory[name]):.1f} MiB",
                      f"{(Endpoint.body_bytes[name] - wire[name]) / samples:.2f} B"]
    Endpoint.is_down = True
    before = {name: folder_bytes(folder / name / "disk") for name in running}
    time.sleep(minutes * 60)
    print(f"{TARGETS} targets of {SERIES:,} series every {INTERVAL_S} s, {minutes:g} minutes, then an outage as long")
    print("| | CPU | CPU per scrape | memory (PSS), mean | most | wire per sample | disk when it works | "
          "disk of the outage |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, cells in rows.items():
        after = folder_bytes(folder / name / "disk")
        print(f"| {name} | {' | '.join(cells)} | {before[name] / 1e6:.2f} MB | {(after - before[name]) / 1e6:.2f} MB |")

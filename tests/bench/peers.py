"""What README's comparison is made of: the agent and those that it replaces, side by side, each with the host's metrics
every 15 s to one VictoriaMetrics behind an nginx: memory, CPU and bytes while all is well; what an outage takes of the
disk; what a kill -9 in the outage costs. A node_exporter counts as a part of the agent that scrapes it. What is not
installed is left out and named. As root, on a quiet machine:

    PYTHONPATH=tests python3 tests/bench/peers.py [--runs 3] [--minutes 10] [--outage 5]

Prints one table, minimum and maximum of the runs, and writes all figures to build/peers.json.
"""
import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable

from support.agent import BINARY, ROOT, temporary_folder
from support.cost import cpu_seconds, folder_bytes
from support.go_peer import VMAGENT, go_peer
from support.memory import private_kilobytes, resident_kilobytes
from support.nginx import Nginx, running_nginx
from support.process import Process, free_port, poll_until, started
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

INTERVAL_S = 15
NINE = "cpu, diskstats, filesystem, loadavg, meminfo, netdev, stat, time, uname"
FLAGS = ["--collector.disable-defaults", *(f"--collector.{name}" for name in NINE.split(", "))]
COLLECTD = ("cpu", "df", "disk", "interface", "load", "memory", "swap", "uptime", "processes")


class Passage:
    """Of TCP, for what speaks no HTTP: counts the bytes to the server, and can be shut."""

    def __init__(self, port: int):
        self.bytes, self.is_open = 0, True
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self.is_open:
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()
            else:
                client.close()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            while self.is_open:
                if not select.select([client], [], [], 0.1)[0]:
                    continue
                data = client.recv(65536)
                if not data:
                    return
                self.bytes += len(data)
                server.sendall(data)


@dataclasses.dataclass
class Peer:
    """`start` is given the peer's folder, what it writes to and the port of its node exporter, 0 where it has none.
    `selector` finds its samples, and with `one` a series of which each scrape has a sample."""
    name: str
    programs: list[str]
    version: list[str]
    start: Callable[[pathlib.Path, str, int], Process]
    has_node_exporter: bool = True
    one: str = "node_load1"
    label: str = "peer"  # whose value is the name

    @property
    def selector(self) -> str:
        return f'{self.label}="{self.name}"'


def runtime_folder(folder: pathlib.Path) -> str:
    """In memory, as /run is; of every life of the peer."""
    link = folder / "run"
    if not link.exists():
        link.symlink_to(tempfile.mkdtemp(dir="/dev/shm"))
    return str(link.resolve())


def agent(folder: pathlib.Path, url: str, _: int) -> Process:
    config = folder / "msp-agent.yaml"
    config.write_text(f"customer_id: alpha\nserver_name: web-01\nlabels: {{peer: {folder.name}}}\n"
                      f"collectors: {{enabled: [{NINE}]}}\nbuffer: {{path: {folder / 'disk'}}}\n"
                      f"remote_write: {{url: '{url}'}}\n")
    return Process([BINARY, "--config", str(config)], folder / "log",
                   {**os.environ, "RUNTIME_DIRECTORY": runtime_folder(folder),
                    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"})  # as the unit sets it


def scrape_config(folder: pathlib.Path, port: int, more: str = "") -> str:
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{scrape_interval: {INTERVAL_S}s, external_labels: {{customer_id: alpha, server_name: "
                      f"web-01, peer: {folder.name}}}}}\n{more}scrape_configs:\n  - job_name: node\n"
                      f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
    return str(config)


def vmagent(program: str) -> Callable[[pathlib.Path, str, int], Process]:
    def start(folder: pathlib.Path, url: str, port: int) -> Process:
        return Process([program, f"-promscrape.config={scrape_config(folder, port)}", f"-remoteWrite.url={url}",
                        f"-remoteWrite.tmpDataPath={folder / 'disk'}", f"-httpListenAddr=127.0.0.1:{free_port()}"],
                       folder / "log")
    return start


def prometheus(folder: pathlib.Path, url: str, port: int) -> Process:
    config = scrape_config(folder, port, f"remote_write: [{{url: '{url}'}}]\n")
    return Process(["prometheus", "--enable-feature=agent", f"--config.file={config}",
                    f"--storage.agent.path={folder / 'disk'}", f"--web.listen-address=127.0.0.1:{free_port()}"],
                   folder / "log")


def collectd(folder: pathlib.Path, address: str, _: int) -> Process:
    config = folder / "collectd.conf"
    plugins = "\n".join(f"LoadPlugin {name}" for name in (*COLLECTD, "write_graphite"))
    config.write_text(f"""Hostname "{folder.name}"
BaseDir "{folder}"
PIDFile "{folder / 'pid'}"
Interval {INTERVAL_S}
{plugins}
<Plugin write_graphite>
  <Node "centre">
    Host "127.0.0.1"
    Port "{address.rsplit(':', 1)[1]}"
    Protocol "tcp"
    LogSendErrors false
    UseTags true
  </Node>
</Plugin>
""")
    return Process(["collectd", "-f", "-C", str(config)], folder / "log")


def peers() -> list[Peer]:
    node = shutil.which("prometheus-node-exporter") or ""
    all_ = [Peer("msp-agent", [BINARY], [BINARY, "--version"], agent, has_node_exporter=False),
            Peer("collectd", ["/usr/sbin/collectd"], ["/usr/sbin/collectd", "-h"], collectd, has_node_exporter=False,
                 one="load.load.shortterm", label="host"),
            Peer("node_exporter+vmagent", [node, "vmagent"], ["dpkg-query", "--show", "victoria-metrics"],
                 vmagent("vmagent")),
            Peer("node_exporter+prometheus-agent", [node, "prometheus"], ["prometheus", "--version"], prometheus)]
    if program := go_peer(*VMAGENT):
        all_.append(Peer("node_exporter+vmagent-now", [node, program], ["echo", program.rsplit("/", 1)[1]],
                         vmagent(program)))
    found = []
    for peer in all_:
        missing = [program for program in peer.programs if not shutil.which(program)]
        print(f"{peer.name}: left out, for {missing[0] or 'prometheus-node-exporter'} is not installed"
              if missing else f"{peer.name}: {version_of(peer)}", file=sys.stderr)
        if not missing:
            found.append(peer)
    return found


def version_of(peer: Peer) -> str:
    outcome = subprocess.run(peer.version, capture_output=True, text=True, check=False)
    said = outcome.stdout + outcome.stderr
    return next((line for line in said.splitlines() if re.search(r"\d\.\d", line)), "of no known version").strip()


def written_bytes(pid: int) -> int:
    return int(re.search(r"(?m)^write_bytes:\s+(\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())[1])


class Running:
    """A peer with its node exporter."""

    def __init__(self, peer: Peer, folder: pathlib.Path, stack: contextlib.ExitStack, url: str):
        self.peer, self.folder, self._url, self._stack = peer, folder / peer.name, url, stack
        (self.folder / "disk").mkdir(parents=True)
        self.passage: Passage | None = None
        self._port = 0
        self.exporter: list[Process] = []
        if peer.has_node_exporter:
            self._port = free_port()
            self.exporter = [stack.enter_context(started(Process(
                [peer.programs[0], f"--web.listen-address=127.0.0.1:{self._port}", *FLAGS], self.folder / "node.log")))]
        self.start()

    def start(self) -> None:
        self.began = time.time()
        self.process = self._stack.enter_context(started(self.peer.start(self.folder, self._url, self._port)))

    def kill(self) -> None:
        os.kill(self.process.pid, 9)
        self.process.wait()

    def pids(self) -> list[int]:
        return [process.pid for process in (self.process, *self.exporter)]

    def used(self) -> dict[str, float]:
        return {"cpu": sum(map(cpu_seconds, self.pids())),
                "written": sum(map(written_bytes, self.pids()))}

    def memory(self) -> dict[str, float]:
        return {"resident memory, kB": sum(map(resident_kilobytes, self.pids())),
                "private dirty memory, kB": sum(map(private_kilobytes, self.pids()))}

    def wire_bytes(self, nginx: Nginx) -> int:
        if self.passage:
            return self.passage.bytes
        return sum(int(one["request_length"]) for one in nginx.requests()
                   if one["request_uri"].startswith(f"/{self.peer.name}/") and one["status"].startswith("2"))


def samples_between(server: VictoriaMetrics, peer: Peer, begin: float, end: float) -> int:
    """Of all series, to the sample."""
    lines = server.get("/api/v1/export", **{"match[]": f"{{{peer.selector}}}", "start": f"{begin:.3f}",
                                            "end": f"{end:.3f}"}).splitlines()
    return sum(len(json.loads(line)["timestamps"]) for line in lines)


def scrapes_of(server: VictoriaMetrics, peer: Peer) -> list[float]:
    series = server.export(f'{{__name__="{peer.one}",{peer.selector}}}')
    return sorted({at / 1000 for one in series for at in one["timestamps"]})


def missing_between(scrapes: list[float], begin: float, end: float) -> int:
    """How many of the scrapes that were due from the last one before `begin` until `end` are not there."""
    known = [at for at in scrapes if at < begin][-1:] + [at for at in scrapes if begin <= at < end]
    if not known:
        return round((end - begin) / INTERVAL_S)
    gaps = [later - earlier for earlier, later in zip(known, known[1:])]
    return sum(max(0, round(gap / INTERVAL_S) - 1) for gap in gaps) + int((end - known[-1]) / INTERVAL_S)


def run(all_: list[Peer], minutes: float, outage: float) -> dict[str, dict[str, float]]:
    """One run of all of them at once."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        graphite = free_port()
        server = stack.enter_context(running_victoria_metrics(folder, options=(
            f"-graphiteListenAddr=127.0.0.1:{graphite}",)))
        up = "client_max_body_size 64m; server { listen PORT; " + "".join(
            f"location /{peer.name}/ {{ proxy_pass {server.base}/; }} " for peer in all_) + "}"
        nginx = stack.enter_context(running_nginx(folder, up))
        running: list[Running] = []
        stack.callback(lambda: [shutil.rmtree(link.resolve()) for link in folder.glob("*/run")])
        for peer in all_:
            passage = Passage(graphite) if peer.name == "collectd" else None
            url = f"tcp:{passage.port}" if passage else f"http://127.0.0.1:{nginx.port}/{peer.name}/api/v1/write"
            one = Running(peer, folder, stack, url)
            one.passage = passage
            running.append(one)
        first: dict[str, float] = {}
        while len(first) < len(running):
            for one in running:
                if one.peer.name not in first and one.wire_bytes(nginx) > 0:
                    first[one.peer.name] = time.time() - one.began
            time.sleep(0.02)
        time.sleep(60)
        began = time.time()
        before = [(one.used(), one.wire_bytes(nginx)) for one in running]
        time.sleep(minutes * 60)
        found: dict[str, dict[str, float]] = {}
        hours = (time.time() - began) / 3600
        for one, (used, wire) in zip(running, before):
            now, bytes_ = one.used(), one.wire_bytes(nginx) - wire
            found[one.peer.name] = {
                "binaries, MB": sum(pathlib.Path(shutil.which(program) or program).stat().st_size
                                    for program in one.peer.programs) / 1e6,
                **one.memory(), "CPU, seconds in an hour": (now["cpu"] - used["cpu"]) / hours,
                "disk writes on a good day, MB in an hour": (now["written"] - used["written"]) / 1e6 / hours,
                "wire, bytes": bytes_, "first samples sent after the start, s": first[one.peer.name]}
        gone = time.time()
        nginx.restart("server { listen PORT; return 503; }")
        for one in running:
            if one.passage:
                one.passage.is_open = False
        disk = {one.peer.name: folder_bytes(one.folder / "disk") for one in running}
        time.sleep(outage * 60)
        for one in running:
            grown = folder_bytes(one.folder / "disk") - disk[one.peer.name]
            found[one.peer.name]["disk of the outage, bytes"] = grown
        killed = time.time()
        for one in running:
            one.kill()
        nginx.restart(up)
        for one in running:
            if one.passage:
                one.passage.is_open = True
            one.start()
        back = time.time()
        poll_until("each has sent again", lambda: all(
            any(at > back for at in scrapes_of(server, one.peer)) for one in running))
        time.sleep(minutes * 60)  # until they have caught up
        for one in running:
            row, scrapes = found[one.peer.name], scrapes_of(server, one.peer)
            samples = samples_between(server, one.peer, began, gone)
            row["samples of a scrape"] = samples / max(1, len([at for at in scrapes if began <= at < gone]))
            row["wire, bytes per sample, live"] = row.pop("wire, bytes") / max(1, samples)
            row["scrapes of the outage"] = round((killed - gone) / INTERVAL_S)
            row["scrapes lost when killed in the outage"] = min(row["scrapes of the outage"],
                                                                missing_between(scrapes, gone, killed))
            row["disk of the outage, bytes per sample"] = row.pop("disk of the outage, bytes") / (
                row["samples of a scrape"] * row["scrapes of the outage"])
    return found


def shown(values: list[float]) -> str:
    def text(value: float) -> str:
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"
    least, most = text(min(values)), text(max(values))
    return least if least == most else f"{least} to {most}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--outage", type=float, default=5, help="minutes")
    arguments = parser.parse_args()
    all_ = peers()
    runs = [run(all_, arguments.minutes, arguments.outage) for _ in range(arguments.runs)]
    about = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "kernel": platform.release(),
             "processors": os.cpu_count(), "load": os.getloadavg()[0], "minutes": arguments.minutes,
             "outage minutes": arguments.outage, "versions": {peer.name: version_of(peer) for peer in all_}}
    (ROOT / "build/peers.json").write_text(json.dumps({"about": about, "runs": runs}, indent=2) + "\n")
    print(json.dumps(about, indent=2))
    print(f"| | {' | '.join(peer.name for peer in all_)} |\n| --- |{' ---: |' * len(all_)}")
    for row in runs[0][all_[0].name]:
        print(f"| {row} | {' | '.join(shown([one[peer.name][row] for one in runs]) for peer in all_)} |")


main()

"""What tests/bench.sh runs: agents side by side at 15 s over TLS with a whole CA bundle, beside the kernel's own share,
and the benches of single parts. Prints one table, and writes it with all raw figures to build/bench.json.

    PYTHONPATH=tests python3 tests/bench/table.py [--full]

An agent here is a plain process without its unit: tests/bench/service_cost.py measures packages under it.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator

from support.agent import BINARY, ROOT, temporary_folder, write_config
from support.certificates import Authority
from support.cost import cpu_seconds
from support.memory import host_bundle
from support.nginx import Nginx, running_nginx
from support.process import Process, free_port, poll_until, started
from support.receiver import receiving

INTERVAL_S = 15
PRESETS = {"minimal": "collectors: {preset: minimal}\n", "standard": "", "full": "collectors: {preset: full}\n",
           "standard, one target": "scrape: {job: node, targets: ['127.0.0.1:TARGET']}\n",
           "standard, every 60 s": "  send_every: 60s\n"}
BENCHES = ROOT / "build/release/tests"
# As the unit sets it.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


def field(path: str, name: str) -> int:
    return int(re.search(rf"(?m)^{name}:\s+(\d+)", pathlib.Path(path).read_text())[1])


def now_of(pid: int) -> dict[str, float]:
    """What the kernel has counted of a process so far."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    return {"cpu us": cpu_seconds(pid) * 1e6,
            "user us": int(stat[11]) * tick_us, "system us": int(stat[12]) * tick_us, "page faults": int(stat[7]),
            "wake-ups": sum(field(f"{task}/status", "voluntary_ctxt_switches") for task in tasks),
            "disk bytes": field(f"/proc/{pid}/io", "write_bytes")}


def memory_of(pid: int) -> dict[str, int]:
    return {"resident kB": field(f"/proc/{pid}/status", "VmRSS"), "most kB": field(f"/proc/{pid}/status", "VmHWM"),
            "proportional kB": field(f"/proc/{pid}/smaps_rollup", "Pss"),
            "private kB": field(f"/proc/{pid}/smaps_rollup", "Private_Dirty")}


class Running:
    """An agent of the table, and the server that it delivers to."""

    def __init__(self, name: str, agent: Process, nginx: Nginx, config: pathlib.Path, env: dict[str, str]):
        self.name, self.agent, self.nginx, self._config, self._env = name, agent, nginx, config, env
        self.begun: dict[str, float] = {}

    def sent(self) -> tuple[int, int, int]:
        """Samples, requests, bytes."""
        outcome = subprocess.run([BINARY, "--config", self._config, "status", "--json"], capture_output=True, text=True,
                                 env=self._env, check=False)
        samples = json.loads(outcome.stdout)["endpoints"][0]["sent_samples"]
        requests = [request for request in self.nginx.requests() if request["ssl_protocol"] != "-"]
        return samples, len(requests), sum(int(request["request_length"]) for request in requests)

    def begin(self) -> None:
        poll_until("a request", lambda: self.nginx.requests(), process=self.agent)
        self.begun = {**now_of(self.agent.pid), **dict(zip(("samples", "requests", "bytes"), self.sent()))}

    def end(self, ticks: float) -> dict[str, float]:
        ended = {**now_of(self.agent.pid), **dict(zip(("samples", "requests", "bytes"), self.sent()))}
        grown = {name: ended[name] - self.begun[name] for name in ended}
        names = ["cpu us", "page faults", "wake-ups"]
        if ticks > 100:  # the kernel gives them in steps of 10 ms
            names[1:1] = ["user us", "system us"]
        per_tick = {f"{name} a tick": grown[name] / ticks for name in names}
        return {**per_tick, "CPU s an hour": grown["cpu us"] / ticks * 3600 / INTERVAL_S / 1e6,
                "samples a tick": grown["samples"] / ticks, "requests": grown["requests"],
                "wire B a sample": grown["bytes"] / max(1, grown["samples"]),
                "disk bytes an hour": grown["disk bytes"] / ticks * 3600 / INTERVAL_S, **memory_of(self.agent.pid)}


@contextlib.contextmanager
def running(folder: pathlib.Path, authority: Authority, name: str, more: str) -> Iterator[Running]:
    home = folder / re.sub(r"\W+", "-", name)
    home.mkdir()
    certificate = authority.issue("monitor", "IP:127.0.0.1")
    server = f"""ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};
  client_max_body_size 20m; server {{ listen PORT_2; return 204; }}
  server {{ listen PORT ssl; location / {{ proxy_pass http://PORT_2; }} }}"""  # who passes a body on has counted it
    (home / "bundle.pem").write_text(host_bundle() + authority.ca.read_text())
    with running_nginx(home, server) as nginx, tempfile.TemporaryDirectory(dir="/dev/shm") as runtime:
        env = {**ENVIRONMENT, "RUNTIME_DIRECTORY": runtime}  # in memory, as /run is
        config = write_config(home, f"https://127.0.0.1:{nginx.port}/api/v1/write", interval=f"{INTERVAL_S}s",
                              more=f"  tls: {{ca_file: {home / 'bundle.pem'}}}\n{more}")
        with started(Process([BINARY, "--config", str(config)], home / "agent.log", env)) as agent:
            yield Running(name, agent, nginx, config, env)


def side_by_side(minutes: float, folder: pathlib.Path) -> dict[str, dict[str, float]]:
    """The agents and, at the same cadence, the floor and the agent's own collecting."""
    authority, target = Authority(folder), free_port()
    node = Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{target}"], folder / "node.log")
    ticks = max(3, round(minutes * 60 / INTERVAL_S))
    with contextlib.ExitStack() as stack:
        stack.enter_context(started(node))
        agents = [stack.enter_context(running(folder, authority, name, more.replace("TARGET", str(target))))
                  for name, more in PRESETS.items()]
        for one in agents:
            one.begin()
        time.sleep(INTERVAL_S)  # what the start needed is over
        began = time.monotonic()
        for one in agents:
            one.begin()
        parts = bench("collect_bench", "--cadence", str(INTERVAL_S), "--ticks", str(ticks))
        time.sleep(max(0.0, ticks * INTERVAL_S - (time.monotonic() - began)))
        made = (time.monotonic() - began) / INTERVAL_S
        found = {one.name: one.end(made) for one in agents}
    found["collecting alone"] = {
        "cpu us a tick": number(parts, r"agent +\S+ +(\S+)"), "allocations a tick": number(parts, r"agent.* (\S+)$")}
    found["floor: the same files and mounts, kept open"] = {"cpu us a tick": number(parts, r"floor +\S+ +(\S+)")}
    return found


def bench(name: str, *arguments: str) -> str:
    return subprocess.run([BENCHES / name, *arguments], capture_output=True, text=True, check=False).stdout


def number(text: str, pattern: str) -> float:
    match = re.search(pattern, text, re.MULTILINE)
    return float(match[1].replace(",", "")) if match else float("nan")


def system_calls(folder: pathlib.Path, seconds: int) -> dict[str, int]:
    """Of a run of so many ticks at 1 s, its start and stop with it."""
    trace = folder / f"calls-{seconds}"
    with receiving() as receiver:
        config = write_config(folder, receiver.url, server=f"calls-{seconds}")
        command = ["strace", "--daemonize", "-f", "-c", "-U", "name,calls", "-o", str(trace), BINARY, "--config",
                   str(config)]
        with started(Process(command, folder / "calls.log")) as agent:
            poll_until("ticks", lambda: len(receiver.timestamps()) >= seconds, process=agent)
    poll_until("strace's table", lambda: trace.exists() and "total" in trace.read_text())
    return {name: int(calls) for name, calls in re.findall(r"(?m)^ *(\w+) +(\d+)$", trace.read_text())}


def calls_of_a_tick(folder: pathlib.Path) -> dict[str, float]:
    few, many = system_calls(folder, 5), system_calls(folder, 25)
    grown = {name: (many[name] - few.get(name, 0)) / 20 for name in many if name != "total"}
    return dict(sorted(((name, calls) for name, calls in grown.items() if calls >= 0.5), key=lambda one: -one[1]))


def start_and_gap(folder: pathlib.Path, starts: int) -> dict[str, float]:
    """From exec to the first 2xx, and what a stop and a start in turn cost, as an upgrade makes them."""
    took, gaps, holes = [], [], 0
    for number_ in range(starts):
        home = folder / f"start-{number_}"
        home.mkdir()
        with receiving() as receiver:
            config = write_config(home, receiver.url)
            for life in range(2):
                seen, began = len(receiver.accepted()), time.time()
                with started(Process([BINARY, "--config", str(config)], home / "log", ENVIRONMENT)) as agent:
                    poll_until("a request", lambda seen=seen: len(receiver.accepted()) > seen, process=agent)
                    took.append((receiver.accepted()[seen].arrived - began) * 1000)
                    count = len(set(receiver.timestamps()))
                    poll_until("ticks", lambda count=count: len(set(receiver.timestamps())) >= count + 3, process=agent)
                    if life == 0:
                        last = max(receiver.timestamps())
                        agent.send(signal.SIGTERM)
                        agent.wait()
                    else:
                        first = min(tick for tick in receiver.timestamps() if tick > last)
                        gaps.append((first - last) / 1000)
                        holes += max(0, round((first - last) / 1000) - 1)
    return {"start to the first 2xx, ms, least": min(took), "start to the first 2xx, ms, most": max(took),
            "stop and start: longest gap between ticks of 1 s, s": max(gaps),
            "stop and start: scrapes missing, of all": holes}


def parts(hours: int) -> dict[str, float]:
    codec, wire = bench("codec_bench"), bench("wire_bench", "--live", "8")
    with temporary_folder() as folder, running_nginx(folder, "client_max_body_size 20m; "
                                                     "server { listen PORT; return 204; }") as nginx:
        url = f"http://127.0.0.1:{nginx.port}/api/v1/write"
        zstd, snappy = bench("catch_up_bench", url, str(hours)), bench("catch_up_bench", url, str(hours),
                                                                       "prometheus-1.0")
    live = r"victoriametrics +live +\S+ +\S+ +\S+ +(\S+)"
    return {"buffer: encode a scrape, us": number(codec, r"encode .*, (\S+) us a scrape"),
            "buffer: B a sample on disk": number(codec, r"everything +(\S+) B/sample"),
            "protobuf and zstd, ns a sample live": number(wire, live),
            "protobuf and snappy, ns a sample live": number(wire, live.replace("victoriametrics", "prometheus-1.0")),
            "body B a sample live, zstd": number(wire, r"victoriametrics +live +(\S+)"),
            "body B a sample at 60 s, zstd": number(wire, r"victoriametrics +four scrapes +(\S+)"),
            "catching up, zstd: B a sample": number(zstd, r"(\S+) bytes/sample"),
            "catching up, zstd: samples/s": number(zstd, r"(\S+) samples/s"),
            "catching up, snappy: B a sample": number(snappy, r"(\S+) bytes/sample"),
            "catching up, snappy: samples/s": number(snappy, r"(\S+) samples/s")}


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def print_table(agents: dict[str, dict[str, float]], others: dict[str, dict[str, float]]) -> None:
    rows = list(dict.fromkeys(row for figures in agents.values() for row in figures))
    print("| | " + " | ".join(agents) + " |")
    print("| --- |" + " ---: |" * len(agents))
    for row in rows:
        print(f"| {row} | " + " | ".join(shown(one[row]) if row in one else "" for one in agents.values()) + " |")
    for title, figures in others.items():
        print(f"\n| {title} | |\n| --- | ---: |")
        for name, value in figures.items():
            print(f"| {name} | {shown(value)} |")


def machine() -> dict[str, Any]:
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "version": subprocess.run([BINARY, "--version"], capture_output=True, text=True,
                                      check=True).stdout.splitlines()[0],
            "binary bytes": os.path.getsize(BINARY), "kernel": platform.release(), "CPUs": os.cpu_count(),
            "CPU": cpu[1] if cpu else platform.machine(), "load": os.getloadavg()}


parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true", help="an hour at the real cadence, not a minute and a half")
parser.add_argument("--json", type=pathlib.Path, default=ROOT / "build/bench.json")
arguments = parser.parse_args()
result: dict[str, Any] = {"machine": machine()}
print(", ".join(f"{name} {value}" for name, value in result["machine"].items()), flush=True)
with temporary_folder() as top:
    result["agents"] = side_by_side(60 if arguments.full else 1.5, top)
    tables = {"system calls of a tick": calls_of_a_tick(top),
              "start and stop": start_and_gap(top, 10 if arguments.full else 2),
              "parts": parts(72 if arguments.full else 6)}
result |= tables
print_table(result["agents"], tables)
arguments.json.write_text(json.dumps(result, indent=1) + "\n")
print(f"\n{arguments.json.relative_to(ROOT) if arguments.json.is_relative_to(ROOT) else arguments.json} has all of it",
      file=sys.stderr)

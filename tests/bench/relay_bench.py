"""What a relay costs for many agents: msp-agent and the distribution's vmagent, both at once, get the same requests of
AGENTS simulated agents (240 series every 15 s, remote write 1.0 in snappy, a connection and an address each), and write
to a VictoriaMetrics each. CPU and memory of a good day, bytes on disk in an outage, and how fast they catch up.

    MSP_AGENT=build/release/msp-agent PYTHONPATH=tests python3 tests/bench/relay_bench.py [MINUTES] [AGENTS]
"""
import contextlib
import ctypes
import http.client
import os
import pathlib
import re
import struct
import sys
import tempfile
import threading
import time

from support.agent import BINARY, temporary_folder
from support.cost import cpu_seconds, folder_bytes
from support.process import Process, free_port, poll_until, started
from support.remote_write import HEADERS, Wire
from support.victoria_metrics import running_victoria_metrics
from support.write_message import label, varint

SERIES, INTERVAL_S, WORKERS = 240, 15, 20
PEERS = ("msp-agent", "vmagent")
SNAPPY = ctypes.CDLL("libsnappy.so.1")
SNAPPY.snappy_max_compressed_length.restype = ctypes.c_size_t


def snappy(message: bytes) -> bytes:
    size = ctypes.c_size_t(SNAPPY.snappy_max_compressed_length(ctypes.c_size_t(len(message))))
    out = ctypes.create_string_buffer(size.value)
    assert SNAPPY.snappy_compress(bytes(message), ctypes.c_size_t(len(message)), out, ctypes.byref(size)) == 0
    return out.raw[:size.value]


def timestamp_bytes(milliseconds: int) -> bytes:
    """Always as long, for the template."""
    encoded = varint(milliseconds)
    assert len(encoded) == 6
    return encoded


class Agent:
    def __init__(self, number: int):
        self.address = f"127.1.{number // 250}.{number % 250 + 1}"
        self.turn = 0
        self.connections: dict[str, http.client.HTTPConnection] = {}
        message, self.places = bytearray(), []
        for i in range(SERIES):
            labels = (("__name__", f"bench_metric_{i % 40}_total"), ("customer_id", "alpha"), ("device", f"device-{i}"),
                      ("instance", f"server-{number:04}.example.com"), ("job", "integrations/unix"),
                      ("server_name", f"server-{number:04}"))
            own = b"".join(b"\x0a" + varint(len(one)) + one for one in (label(*pair) for pair in labels))
            head = own + b"\x12\x10\x09"
            series = head + bytes(8) + b"\x10" + bytes(6)
            message += b"\x0a" + varint(len(series)) + series
            self.places.append(len(message) - 15)
        self.template = bytes(message)

    def body(self, now_ms: int) -> bytes:
        message, time_of = bytearray(self.template), timestamp_bytes(now_ms)
        self.turn += 1
        for i, at in enumerate(self.places):  # half of them grow
            struct.pack_into("<d", message, at, i * 1_000 + (self.turn * (i + 1) if i % 2 else 0))
            message[at + 9:at + 15] = time_of
        return snappy(message)


class Senders:
    """All agents, in their phases, on a few threads; what they could not deliver they drop, and it is counted."""

    def __init__(self, count: int, ports: dict[str, int]):
        self.accepted = dict.fromkeys(ports, 0)  # samples
        self.refused = dict.fromkeys(ports, 0)   # requests
        self._ports = ports
        self._agents = [Agent(number) for number in range(count)]
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(worker,)) for worker in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def _run(self, worker: int) -> None:
        began, turn = time.monotonic(), 0
        mine = range(worker, len(self._agents), WORKERS)
        while True:
            for number in mine:
                due = began + (turn + number / len(self._agents)) * INTERVAL_S
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                self._send(self._agents[number])
            turn += 1

    def _send(self, agent: Agent) -> None:
        body = agent.body(int(time.time() * 1000))
        for name, port in self._ports.items():
            is_taken = self._post(agent, name, port, body) or self._post(agent, name, port, body)
            with self._lock:
                self.accepted[name] += SERIES if is_taken else 0
                self.refused[name] += 0 if is_taken else 1

    @staticmethod
    def _post(agent: Agent, name: str, port: int, body: bytes) -> bool:
        connection = agent.connections.get(name)
        if connection is None:
            connection = agent.connections[name] = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=20, source_address=(agent.address, 0))
        try:
            connection.request("POST", "/api/v1/write", body, HEADERS[Wire.PROMETHEUS_1_0])
            answer = connection.getresponse()
            answer.read()
            return answer.status == 204
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            return False

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def resident_mib(pid: int) -> float:
    return int(re.search(r"(?m)^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def peak_mib(pid: int) -> float:
    return int(re.search(r"(?m)^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def msp_agent(folder: pathlib.Path, port: int, url: str) -> Process:
    run = RUN / "msp-agent"  # as /run is: in memory
    run.mkdir()
    config = folder / "msp-agent.yaml"
    config.write_text(f"customer_id: msp\nserver_name: relay-01\ncollectors: {{enabled: [loadavg]}}\n"
                      f"buffer: {{path: {folder / 'disk'}, max_size: 4GiB, min_free: 0}}\n"
                      f"remote_write: {{url: '{url}', catch_up_rate: unlimited}}\n"
                      f"listen: {{address: '127.0.0.1:{port}', receive: true, metrics: false}}\n")
    return Process([BINARY, "--config", str(config)], folder / "log",
                   {**os.environ, "RUNTIME_DIRECTORY": str(run)})


def vmagent(folder: pathlib.Path, port: int, url: str) -> Process:
    return Process(["vmagent", f"-remoteWrite.url={url}", f"-remoteWrite.tmpDataPath={folder / 'disk'}",
                    f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=WARN"], folder / "log")


minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
agents = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
with contextlib.ExitStack() as stack:
    folder = stack.enter_context(temporary_folder())
    RUN = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
    centre_ports, ports = ({name: free_port() for name in PEERS} for _ in range(2))
    for name in PEERS:
        (folder / name).mkdir()

    def start_centres(centres: contextlib.ExitStack) -> dict:
        return {name: centres.enter_context(running_victoria_metrics(folder / name, centre_ports[name]))
                for name in PEERS}

    def rows(server) -> float:
        return server.metric('vm_rows_inserted_total{type="promremotewrite"}')

    with contextlib.ExitStack() as centres:
        servers = start_centres(centres)
        relays = {name: stack.enter_context(started(start(folder / name, ports[name], servers[name].url)))
                  for name, start in (("msp-agent", msp_agent), ("vmagent", vmagent))}
        for name, server in servers.items():
            poll_until(f"{name} listens", lambda name=name: not http.client.HTTPConnection(
                "127.0.0.1", ports[name], timeout=5).connect(), 30, relays[name])
        senders = Senders(agents, ports)
        stack.callback(senders.stop)
        time.sleep(2 * INTERVAL_S)  # all are connected
        began, before = time.monotonic(), {name: cpu_seconds(one.pid) for name, one in relays.items()}
        memory = {name: [resident_mib(one.pid)] for name, one in relays.items()}
        while time.monotonic() - began < minutes * 60:
            time.sleep(1)
            for name, one in relays.items():
                memory[name].append(resident_mib(one.pid))
        seconds = time.monotonic() - began
        used = {name: cpu_seconds(one.pid) - before[name] for name, one in relays.items()}
        print(f"{agents:,} agents of {SERIES} series every {INTERVAL_S} s, {minutes:g} minutes", flush=True)
        print("| | CPU | resident: begin, end, most | refused |\n| --- | ---: | ---: | ---: |")
        for name in PEERS:
            print(f"| {name} | {used[name] / seconds * 100:.1f} % of a core | {memory[name][0]:.1f}, "
                  f"{memory[name][-1]:.1f}, {max(memory[name]):.1f} MiB | {senders.refused[name]} |", flush=True)
    outage = dict(senders.accepted)
    disk = {name: folder_bytes(folder / name / "disk") for name in PEERS}
    most = {name: 0.0 for name in PEERS}
    began = time.monotonic()
    while time.monotonic() - began < minutes * 60:
        time.sleep(1)
        most = {name: max(most[name], resident_mib(one.pid)) for name, one in relays.items()}
    senders.stop()
    kept = {name: senders.accepted[name] - outage[name] for name in PEERS}
    print("an outage as long, then catching up\n"
          "| | samples | disk | a sample | resident, most | catching up | CPU of it |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name, one in relays.items():  # one after the other: they share the machine
        size = folder_bytes(folder / name / "disk") - disk[name]
        with running_victoria_metrics(folder / name, centre_ports[name]) as server:
            # What it waits before, and behind the first small try, is not its rate.
            poll_until(f"{name} sends again", lambda server=server, few=kept[name] / 10: rows(server) > few, 300, one)
            began, begun, used = time.monotonic(), rows(server), cpu_seconds(one.pid)
            poll_until(f"{name} has caught up", lambda server=server, name=name: rows(server) >= kept[name], 600, one)
            caught_up = kept[name] - begun
            rate, used = caught_up / (time.monotonic() - began), (cpu_seconds(one.pid) - used) / caught_up * 1e6
            most[name] = max(most[name], peak_mib(one.pid))
        print(f"| {name} | {kept[name]:,} | {size / 1e6:.1f} MB | {size / kept[name]:.2f} B | {most[name]:.1f} MiB | "
              f"{rate:,.0f} samples/s | {used:.2f} µs a sample |", flush=True)

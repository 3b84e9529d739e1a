"""An agent on a host that fails, and whether it kept its promises: every scrape that the buffer has taken arrives, as
it was taken, and no other one.

A life is one process of the agent, tests/support/faulty_agent.cpp, through its phases: start with a backlog, ticks, an
outage, catching up, a reload, a stop. Lives share a buffer; the last one has no fault and delivers what is left.
"""
import contextlib
import dataclasses
import mmap
import os
import pathlib
import re
import shutil
import signal
import struct
import time
import zlib
from typing import Callable, Iterator

from support.agent import BINARY, ROOT
from support.process import Process, poll_until, started
from support.receiver import Receiver, receiving
from support.remote_write import STALE_BITS, Series

PROGRAM = pathlib.Path(BINARY).parent / "tests/faulty_agent"
PAGE_BYTES = 4096
RECORD = struct.Struct("<qIIQ")
PHASES = ("start", "ticks", "outage", "catching up", "reload", "stop")
COLLECTORS = "[loadavg, meminfo, stat, uname, watchdog]"
SYSFS = ROOT / "tests/fixtures/watchdog/server/sys"
NS = 1_000_000_000


class Faults:
    """The page that the agent shares, and its ledger."""
    CALLS, LEFT, FAILING, FAILED, ELAPSED, STEPPED, BEGUN = range(7)

    def __init__(self, path: pathlib.Path):
        path.write_bytes(bytes(PAGE_BYTES))
        self.path = path
        with open(path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), PAGE_BYTES)

    def __getitem__(self, field: int) -> int:
        return struct.unpack_from("<q", self._page, 8 * field)[0]

    def __setitem__(self, field: int, value: int) -> None:
        struct.pack_into("<q", self._page, 8 * field, value)

    def arm(self, call: int, count: int) -> None:
        self[self.FAILING] = count
        self[self.LEFT] = call

    def disarm(self) -> None:
        self[self.LEFT] = 0

    def elapse(self, seconds: float) -> None:
        self[self.ELAPSED] += int(seconds * NS)

    def wall_ms(self) -> int:
        """The agent's."""
        return (time.time_ns() + self[self.ELAPSED] + self[self.STEPPED]) // 1_000_000

    def appended(self) -> int:
        """Records; two of a scrape."""
        return (self.path.stat().st_size - PAGE_BYTES) // RECORD.size

    def close(self) -> None:
        self._page.close()


@dataclasses.dataclass
class Taken:
    """What was made of a moment, of all sources."""
    samples: int = 0
    sum: int = 0
    open: int = 0  # appends that had not returned when the process ended


def ledger(content: bytes) -> dict[int, Taken]:
    taken: dict[int, Taken] = {}
    for time, samples, crc, has_returned in RECORD.iter_unpack(content[PAGE_BYTES:]):
        moment = taken.setdefault(time, Taken())
        if has_returned:
            moment.open -= 1
        else:
            moment.samples, moment.sum, moment.open = moment.samples + samples, moment.sum + crc, moment.open + 1
    return taken


def delivered(receiver: Receiver) -> dict[int, Taken]:
    """What arrived, a sample that came twice once; raises where its values differ."""
    values: dict[tuple, int] = {}
    arrived: dict[int, Taken] = {}

    def take(series: Series, crc: int, time: int, bits: bytes) -> None:
        key, value = (series.labels, time), int.from_bytes(bits, "little")
        if key in values:
            assert values[key] == value, f"two values of {key}"
            return
        values[key] = value
        moment = arrived.setdefault(time, Taken())
        moment.samples, moment.sum = moment.samples + 1, moment.sum + zlib.crc32(bits, crc)
    for request in receiver.accepted():
        for series in request.series:
            crc = zlib.crc32("".join(name + value for name, value in series.labels).encode())
            for time, value in series.samples:
                take(series, crc, time, struct.pack("<d", value))
            for time in series.stale:
                take(series, crc, time, STALE_BITS.to_bytes(8, "little"))
    return arrived


def losses(made: dict[int, Taken], arrived: dict[int, Taken]) -> list[str]:
    """Of which promises were broken. A scrape whose append had not returned may be missing, or not."""
    wrong = [f"{time}: nobody made it" for time in arrived if time not in made]
    for time, moment in made.items():
        there = arrived.get(time, Taken())
        if moment.open:
            if there.samples > moment.samples:
                wrong.append(f"{time}: {there.samples} samples arrived, of {moment.samples}")
        elif there.samples != moment.samples:
            wrong.append(f"{time}: {there.samples} of {moment.samples} samples arrived")
        elif there.sum & 0xFFFFFFFF != moment.sum & 0xFFFFFFFF:
            wrong.append(f"{time}: another label or value arrived than was made")
    return wrong


def write_config(folder: pathlib.Path, url: str, labels: str = "{}") -> pathlib.Path:
    config = folder / "agent.yaml"
    config.write_text(f"""customer_id: alpha
server_name: web-01
interval: 1s
labels: {labels}
collectors: {{enabled: {COLLECTORS}}}
buffer: {{path: {folder / "buffer"}}}
remote_write: [{{name: centre, url: '{url}', timeout: 2m}}]
""")
    return config


@dataclasses.dataclass
class Life:
    code: int | None = None  # where it ended by itself, or at its stop
    phase: str = ""  # in which it ended
    last_line: str = ""
    log: str = ""
    has_begun: bool = False  # the program, and not only the C library
    peak_bytes: int = 0  # of its address space
    calls: dict[str, int] = dataclasses.field(default_factory=dict)  # of malloc, by phase


def peak_address_space(agent: Process) -> int:
    status = pathlib.Path(f"/proc/{agent.pid}/status").read_text()
    return int(re.search(r"VmPeak:\s+(\d+) kB", status)[1]) << 10


def is_whole(skipped: dict[int, float]) -> bool:
    """Whether there is a tick for each second, or is counted. By time: msp_agent_ticks_skipped_total."""
    times = list(skipped)
    return not times or (times[-1] - times[0]) // 1000 <= len(times) - 1 + skipped[times[-1]] - skipped[times[0]]


class Host:
    """A folder, a receiver and what was made."""

    def __init__(self, folder: pathlib.Path, receiver: Receiver):
        self.folder = folder
        self.receiver = receiver
        self.faults = Faults(folder / "faults")
        self.begun_ms: list[int] = []  # lives

    def agent(self, prefix: tuple[str, ...] = (), labels: str = "{}") -> Process:
        self.begun_ms.append(self.faults.wall_ms())
        config = write_config(self.folder, self.receiver.url, labels)
        return Process([*prefix, str(PROGRAM), "--config", str(config), "--path.sysfs", str(SYSFS)],
                       self.folder / f"{len(self.begun_ms)}.log", {**os.environ, "MSP_FAULTS": str(self.faults.path)})

    def take(self, backlog: "Backlog") -> None:
        """What an agent left that was killed in an outage."""
        shutil.copytree(backlog.buffer, self.folder / "buffer")
        with open(self.faults.path, "ab") as file:
            file.write(backlog.records)
        self.faults[Faults.ELAPSED] = backlog.elapsed_ns

    def made(self) -> dict[int, Taken]:
        return ledger(self.faults.path.read_bytes())

    def wrong(self) -> list[str]:
        return losses(self.made(), delivered(self.receiver))

    def silent(self) -> list[str]:
        """Ticks, and metrics of the host in them, that are missing though nothing in the samples says so. A life with a
        fault lies between two without one, which have all metrics."""
        ticks: dict[int, dict[str, float]] = {}
        failures = set()  # ticks that say that a collector has failed
        for request in self.receiver.accepted():
            for series in request.series:
                for time, value in series.samples:
                    ticks.setdefault(time, {})[series.name] = value
                    if series.name == "node_scrape_collector_success" and value == 0:
                        failures.add(time)
        ticks = {time: tick for time, tick in ticks.items() if "up" in tick}  # without that of the stop
        wanted = {name for name in ticks[min(ticks)] if name.startswith("node_")}
        wrong = [f"{time}: without {sorted(missing)}" for time, tick in ticks.items()
                 if time not in failures and (missing := wanted - set(tick))]
        for begin, end in zip(self.begun_ms, [*self.begun_ms[1:], 1 << 60]):
            skipped = {time: tick["msp_agent_ticks_skipped_total"] for time, tick in sorted(ticks.items())
                       if begin <= time < end}
            # Where a clock moves while a tick is made, it is the next one that counts what was skipped.
            if not any(is_whole(dict(list(skipped.items())[:count])) for count in (len(skipped), len(skipped) - 1)):
                wrong.append(f"a tick is missing, and not counted as skipped: {skipped}")
        return wrong

    def has_all(self) -> bool:
        arrived: dict[int, int] = {}
        for request in self.receiver.accepted():
            for series in request.series:
                for time in series.times:
                    arrived[time] = arrived.get(time, 0) + 1
        return all(moment.open or arrived.get(time, 0) >= moment.samples for time, moment in self.made().items())

    def has_all_in_time(self) -> bool:
        """The wait between two tries, and before a backlog, passes quickly."""
        self.faults.elapse(2)
        return self.has_all()

    def live(self, prefix: tuple[str, ...] = (), at: dict[str, Callable[[Process], None]] = {},
             after: Callable[[str, Process], None] = lambda *_: None, delivers: bool = True) -> Life:
        """All phases, or those until it ends. `at` is called at the beginning of a phase, of "start" before there is a
        process."""
        life = Life()
        self.faults[Faults.BEGUN] = 0
        faults, receiver = self.faults, self.receiver
        if "start" in at:
            at["start"](None)
        calls = faults[Faults.CALLS]
        with started(self.agent(prefix)) as agent:
            def until(what: str, ask: Callable[[], bool]) -> bool:
                try:
                    poll_until(what, lambda: not agent.running() or ask())
                except AssertionError as problem:
                    raise AssertionError(f"{problem}; {self.wrong()[:3]}; {agent.log()[-2000:]}") from None
                return agent.running()

            def ticks(count: int) -> bool:
                since = faults.appended()
                return until("ticks", lambda: faults.appended() >= since + 2 * count)

            def outage() -> bool:
                receiver.judge = lambda request: 503
                if not ticks(1):
                    return False
                faults.elapse(10)  # what waits is due on the disk then
                return ticks(2)

            def catch_up() -> bool:
                receiver.judge = None
                faults.elapse(60)
                return ticks(2)

            def reload() -> bool:
                write_config(self.folder, receiver.url, "{role: web}")
                agent.send(signal.SIGHUP)
                return until("the reload", lambda: "reloaded: " in agent.log() or "was not reloaded" in agent.log()
                             ) and ticks(1)

            def stop() -> bool:
                agent.send(signal.SIGTERM)
                return until("the end", lambda: False)
            steps = {"start": lambda: ticks(1), "ticks": lambda: ticks(2), "outage": outage, "catching up": catch_up,
                     "reload": reload, "stop": stop}
            for phase, step in steps.items():
                life.phase = phase
                if phase != "start" and phase in at:
                    at[phase](agent)
                goes_on = step()
                life.calls[phase] = faults[Faults.CALLS] - calls
                calls = faults[Faults.CALLS]
                if not goes_on:
                    break
                after(phase, agent)
                life.peak_bytes = peak_address_space(agent)
                if delivers and phase == "catching up" and not until("what was made", self.has_all_in_time):
                    break
            receiver.judge = None
            life.code = agent.wait()
            life.log = agent.log()
            life.has_begun = faults[Faults.BEGUN] != 0
            life.last_line = (life.log.splitlines() or [""])[-1]
        return life

    def deliver_the_rest(self) -> None:
        """By an agent without a fault."""
        self.faults.disarm()
        self.receiver.judge = None
        with started(self.agent()) as agent:
            poll_until("the first tick", lambda: " every 1 s " in agent.log(), process=agent)
            poll_until("what was made", self.has_all_in_time, process=agent)
            agent.send(signal.SIGTERM)
            assert agent.wait() == 0, agent.log()


@dataclasses.dataclass
class Backlog:
    buffer: pathlib.Path
    records: bytes
    elapsed_ns: int


@contextlib.contextmanager
def host(folder: pathlib.Path, backlog: Backlog | None = None) -> Iterator[Host]:
    folder.mkdir()
    with receiving() as receiver:
        there = Host(folder, receiver)
        if backlog:
            there.take(backlog)
        try:
            yield there
        finally:
            there.faults.close()


def make_backlog(folder: pathlib.Path) -> Backlog:
    """Segments, offsets, and a log with scrapes that no segment has."""
    with host(folder) as there:
        there.receiver.judge = lambda request: 503
        with started(there.agent()) as agent:
            def ticks(count: int) -> None:
                since = there.faults.appended()
                poll_until("ticks", lambda: there.faults.appended() >= since + 2 * count, process=agent)
            ticks(2)
            there.faults.elapse(10)
            ticks(2)
            poll_until("a segment", lambda: list((there.folder / "buffer").glob("*.seg")), process=agent)
            ticks(1)
            agent.send(signal.SIGKILL)
            agent.wait()
        return Backlog(there.folder / "buffer", there.faults.path.read_bytes()[PAGE_BYTES:],
                       there.faults[Faults.ELAPSED])

"""What a fleet does to the centre that just came back: 200 senders, the agent's own code, the closed write path of the
kit and behind it one VictoriaMetrics that is gone for a while. The curve of their requests, as nginx's log has it, is
printed."""
import collections
import pathlib
import re
import signal

from support.agent import BINARY, temporary_folder
from support.central import Central
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

FLEET = pathlib.Path(BINARY).parent / "tests/fleet"
AGENTS = 200
SERIES = 100
INTERVAL_S = 15
OUTAGE_S = 60

# What the centre must stand after an outage, as multiples of the steady rate of requests, which is one for each scrape.
# Scrapes are counted and not seconds: a busy machine makes fewer of both.
INTERVAL_MAX = 2
FIVE_SECONDS_MAX = 3  # 67 scrapes, and requests come by chance

ONCE = ("-dedup.minScrapeInterval=1ms",)


class Line:
    def __init__(self, words: tuple[str, ...]):
        self.second, self.appended, self.delivered, self.waiting, self.requests = map(int, words)


def lines(fleet: Process) -> list[Line]:
    return [Line(words) for words in re.findall(r"^(\d+) (\d+) (\d+) (\d+) (\d+)$", fleet.log(), re.MULTILINE)]


def wait_seconds(fleet: Process, seconds: int) -> int:
    """Until the fleet has printed so many more lines; its second then."""
    until = (lines(fleet) or [Line(("0",) * 5)])[-1].second + seconds
    poll_until(f"second {until} of the fleet", lambda: lines(fleet) and lines(fleet)[-1].second >= until,
               seconds + 300, fleet)
    return until


def has_settled(fleet: Process) -> bool:
    said = lines(fleet)
    return bool(said) and said[-1].delivered >= 2 * AGENTS * SERIES and said[-1].waiting <= AGENTS * SERIES / 20


def rates(fleet: Process, since: int, seconds: int) -> list[float]:
    """Requests per scrape after second `since`, in windows of as many scrapes as `seconds` should have."""
    found: list[float] = []
    begin, *later = [line for line in lines(fleet) if line.second >= since]
    for line in later:
        scrapes = (line.appended - begin.appended) / SERIES
        if scrapes >= AGENTS * seconds / INTERVAL_S:
            found.append((line.requests - begin.requests) / scrapes)
            begin = line
    return found


def in_server(server: VictoriaMetrics) -> float:
    server.get("/internal/force_flush")
    counted = server.query("sum(count_over_time(fleet_value[1h]))")
    return counted[0][1] if counted else 0


def central_with_a_log(folder: pathlib.Path, storage: str) -> tuple[Central, pathlib.Path]:
    """One that also says when it has answered each request, and what."""
    central = Central(folder / "centre", storage)
    log = central.folder / "all.log"
    config = central.folder / "write.conf"
    text = config.read_text()
    assert text.count("\nserver {\n") == 1
    config.write_text(text.replace("\nserver {\n", "\nlog_format every '$msec $status';\n"
                                   f"server {{\n  access_log {log} every;\n"))
    return central, log


def answers(log: pathlib.Path) -> list[tuple[float, int]]:
    return [(float(at), int(status)) for at, status in re.findall(r"^(\S+) (\d+)$", log.read_text(), re.MULTILINE)]


def curve(log: pathlib.Path, since: float) -> str:
    """Requests per second, in means of 5 s, as multiples of the steady rate."""
    counts = collections.Counter(int((at - since) // 5) for at, _ in answers(log) if at >= since)
    return " ".join(f"{counts[number] / 5 / (AGENTS / INTERVAL_S):.1f}" for number in range(max(counts)))


def two_hundred_agents_catch_up_through_the_closed_write_path_and_lose_nothing() -> None:
    port = free_port()
    with temporary_folder() as folder:
        central, log = central_with_a_log(folder, f"127.0.0.1:{port}")
        token = central.token("add", "alpha")
        command = [str(FLEET), central.url, str(folder / "fleet"), str(AGENTS), str(SERIES), str(INTERVAL_S),
                   str(central.authority.ca), token]
        with central.nginx(), started(Process(command, folder / "fleet.log")) as fleet:
            with running_victoria_metrics(folder, port, options=ONCE):
                poll_until("all agents have connections and know what the server takes", lambda: has_settled(fleet),
                           600, fleet)
                settled = lines(fleet)[-1].second
                wait_seconds(fleet, 2 * INTERVAL_S)
                steady = rates(fleet, settled, INTERVAL_S)[0]
                assert 0 < steady <= 1.1, f"{steady:.2f} requests per scrape before the outage"
            wait_seconds(fleet, OUTAGE_S)
            with running_victoria_metrics(folder, port, options=ONCE) as server:
                back = lines(fleet)[-1].second
                away_until = max(at for at, status in answers(log) if status == 502)
                wait_seconds(fleet, 90)
                print(f"  from the centre's return, every 5 s: {curve(log, away_until)}")
                fives, intervals = rates(fleet, back, 5), rates(fleet, back, INTERVAL_S)
                assert max(intervals) <= INTERVAL_MAX, f"requests per scrape in an interval: {intervals}"
                assert max(fives) <= FIVE_SECONDS_MAX, f"requests per scrape in 5 s: {fives}"
                fleet.send(signal.SIGTERM)
                fleet.wait()
                last = lines(fleet)[-1]
                assert last.waiting == 0 and last.delivered >= last.appended, fleet.log()[-300:]
                poll_until("every sample, once", lambda: in_server(server) == last.appended)
        # 400: VictoriaMetrics before 1.88 takes no zstd.
        said = collections.Counter(status for _, status in answers(log))
        assert said[204] > 0 and said[502] > 0 and said[429] == 0, said


run_checks(two_hundred_agents_catch_up_through_the_closed_write_path_and_lose_nothing)

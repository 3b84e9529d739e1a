"""What a fleet does to the centre that just came back: 500 senders, the agent's own code, and one VictoriaMetrics that
is gone for a while. The curve of their requests is printed."""
import pathlib
import re
import signal

from support.agent import BINARY, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

FLEET = pathlib.Path(BINARY).parent / "tests/fleet"
AGENTS = 500
SERIES = 100
INTERVAL_S = 15
OUTAGE_S = 60

# What the centre must stand after an outage, as multiples of the steady rate of requests, which is one for each scrape.
# Scrapes are counted and not seconds: a busy machine makes fewer of both.
FIRST_MINUTE_MAX = 3
FIVE_SECONDS_MAX = 6

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


def five_hundred_agents_catch_up_without_a_stampede_and_lose_nothing() -> None:
    port = free_port()
    with temporary_folder() as folder, \
            started(Process([str(FLEET), f"http://127.0.0.1:{port}/api/v1/write", str(folder / "fleet"), str(AGENTS),
                             str(SERIES), str(INTERVAL_S)], folder / "fleet.log")) as fleet:
        with running_victoria_metrics(folder, port, options=ONCE) as server:
            settled = wait_seconds(fleet, INTERVAL_S)
            wait_seconds(fleet, INTERVAL_S)
            wait_seconds(fleet, INTERVAL_S)
            steady = rates(fleet, settled, INTERVAL_S)[0]
            assert 0 < steady <= 1.1, f"{steady:.2f} requests per scrape before the outage"
        wait_seconds(fleet, OUTAGE_S)
        with running_victoria_metrics(folder, port, options=ONCE) as server:
            back = lines(fleet)[-1].second
            wait_seconds(fleet, 90)
            curve = rates(fleet, back, 5)
            print("  requests per scrape, every 5 s from the centre's return: " +
                  " ".join(f"{rate:.1f}" for rate in curve))
            minute = sum(curve[:12]) / len(curve[:12])
            assert minute <= FIRST_MINUTE_MAX, f"{minute:.1f} times the steady rate in the first minute: {curve}"
            assert max(curve) <= FIVE_SECONDS_MAX, f"{max(curve):.1f} times the steady rate for 5 s: {curve}"
            fleet.send(signal.SIGTERM)
            fleet.wait()
            last = lines(fleet)[-1]
            assert last.waiting == 0 and last.delivered >= last.appended, fleet.log()[-300:]
            poll_until("every sample, once", lambda: in_server(server) == last.appended)


run_checks(five_hundred_agents_catch_up_without_a_stampede_and_lose_nothing)

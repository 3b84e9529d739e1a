"""Every answer an endpoint can give, and what it costs: nothing, or exactly what is counted. All endpoints of one agent
get the same samples, so what one of them lacks is what another one has."""
import contextlib
import dataclasses
import email.utils
import os
import pathlib
import re
import signal
import threading
import time
from typing import Callable, Iterator

from support import answers
from support.agent import BINARY, CUSTOMER, ROOT, SERVER, no_sanitizer_complains, running_agent, temporary_folder
from support.check import run_checks
from support.process import Process, poll_until, started
from support.receiver import Receiver, Request, endless, hold_until, receiving
from support.remote_write import Wire

# Of an endpoint: what does not answer costs it once or twice.
TIMEOUT = 8
# What is tried once a minute is not tried within a test; it is at the agent's stop.
HELD = "held"
AGAIN = "again"


@dataclasses.dataclass
class Row:
    """`first` is answered to the first request, then everything is accepted."""
    first: int | Callable
    then: str = AGAIN
    lost: bool = False  # what was in the first request


# The table of docs/delivery.md; a check compares the two.
STATUSES: dict[str, list[Row]] = {
    "2xx": [Row(204)],
    "no answer": [Row(answer) for answer in (
        answers.close_without_answer, answers.reset, answers.garbage, answers.silence, answers.one_byte_at_a_time,
        answers.endless_headers)],
    "408, 425, 429, 5xx": [Row(code) for code in (408, 425, 429, 500, 502, 503, 504)]
                          + [Row(answers.body_of_100_mb), Row(endless)],
    "401, 403, 404, 405, 407, 410, 3xx": [Row(code, HELD) for code in (401, 403, 404, 405, 407, 410, 300, 304)],
    "400, 422, other 4xx": [Row(code) for code in (400, 402, 422, 451)],
    "409": [Row(409, lost=True)],
    "413": [Row(413)],
    "415": [Row(415)],
}


class Agent(Process):
    """One that can be started again on its buffer."""

    def __init__(self, config: pathlib.Path):
        self._config = config
        super().__init__([BINARY, "--config", str(config)], config.with_suffix(".log"))

    def stop_and_deliver(self, what: str, is_there: Callable[[], bool]) -> str:
        """Its log up to its stop. What the stop had not the time to send, 3 s, the next start does; that makes one
        tick more."""
        self.stop()
        assert self.wait() == 0, self.log()
        log = self.log()
        if not is_there():
            self._config.write_text(self._config.read_text().replace("interval: 1s", "interval: 1h"))
            with running_agent(self._config) as again:
                poll_until(what, is_there, process=again)
                again.send(signal.SIGKILL)  # without a last word, which would be one more to wait for
                again.wait()
        return log


@contextlib.contextmanager
def agent_with(endpoints: list[tuple[Receiver, str]], timeout: int = TIMEOUT) -> Iterator[Agent]:
    """`endpoints`: a receiver and further keys of its endpoint."""
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        entries = "".join(f"  - url: {receiver.url}\n    timeout: {timeout}s\n{keys}" for receiver, keys in endpoints)
        config.write_text(f"customer_id: {CUSTOMER}\nserver_name: {SERVER}\ninterval: 1s\n"
                          f"collectors: {{enabled: [loadavg, uname]}}\n"
                          f"buffer: {{path: {folder / 'buffer'}}}\nremote_write:\n{entries}")
        with started(Agent(config)) as agent:
            yield agent
        no_sanitizer_complains(agent)


def accepted_samples(receiver: Receiver) -> set:
    return {sample for request in receiver.accepted() for sample in request.samples() if not is_probe(sample)}


def is_probe(sample: tuple) -> bool:
    return dict(sample[0])["__name__"] == "msp_agent_probe"


def dropped(receiver: Receiver, about: Receiver) -> float:
    """How many samples the agent says, in what `receiver` has, that `about` refused."""
    for request in reversed(receiver.accepted()):
        for series in request.series:
            labels = dict(series.labels)
            if (series.name == "msp_agent_samples_dropped_total" and labels["reason"] == "rejected"
                    and labels["endpoint"] == about.url and series.samples):
                return series.samples[-1][1]
    raise AssertionError("msp_agent_samples_dropped_total is not there")


def check_rows(name: str, rows: list[Row]) -> None:
    """Each row with an endpoint of its own, beside one that accepts everything."""
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(receiving())
        receivers = [stack.enter_context(receiving([row.first])) for row in rows]
        with agent_with([(receiver, "") for receiver in (good, *receivers)]) as agent:
            for row, receiver in zip(rows, receivers):
                if row.then == AGAIN:
                    poll_until(f"accepted after {row.first}", lambda: len(receiver.timestamps()) >= 3, process=agent)
            poll_until("ticks", lambda: len(good.timestamps()) >= 3, process=agent)
            for row, receiver in zip(rows, receivers):
                if row.then == HELD:
                    assert len(receiver.requests) == 1, f"{row.first}: {len(receiver.requests)} requests, not held"
            counts = [dropped(good, receiver) for receiver in receivers]
            peak_kb = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{agent.pid}/status").read_text())[1])
            lost = [receiver.requests[0].samples() if row.lost else set() for row, receiver in zip(rows, receivers)]

            def missing() -> list[set]:
                accepted = [accepted_samples(receiver) for receiver in (good, *receivers)]
                return [set().union(*accepted) - one for one in accepted[1:]]
            log = agent.stop_and_deliver("what is lost, and no more", lambda: missing() == lost)
            still = missing()
    for row, receiver, count, gone, expected in zip(rows, receivers, counts, still, lost):
        assert gone == expected, f"{row.first}: {len(gone)} samples are missing, not {len(expected)}\n{log}"
        assert count == len(expected), f"{row.first}: {count} counted as dropped, not {len(expected)}"
        if row.then == HELD:
            words = rf"error +cannot deliver to {receiver.url}: HTTP {row.first}\b.*; \w.*; [\d,]+ samples kept"
            assert re.search(words, log), f"{row.first}: no word of what to do\n{log}"
    if not os.environ.get("MSP_VARIANT"):
        assert peak_kb < 20_000, f"{name}: {peak_kb} kB of memory with {len(rows)} endpoints"


def every_answer_costs_nothing_or_what_is_counted() -> None:
    for name, rows in STATUSES.items():
        check_rows(name, rows)


def the_page_shows_the_same_table() -> None:
    page = (ROOT / "docs/delivery.md").read_text()
    table = page[page.index("| answer | what happens |"):].split("\n\n")[0]
    cells = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    names = [re.sub(r" \(.*?\)", "", cell) for cell in cells]
    assert names == list(STATUSES), f"docs/delivery.md has the rows {names}, this test {list(STATUSES)}"


def retry_after_is_waited_for_in_both_its_forms() -> None:
    def at_date(handler: object) -> None:
        answers.status(503, Retry_After=email.utils.formatdate(time.time() + 4, usegmt=True))(handler)
    with receiving([answers.status(429, Retry_After="3")]) as seconds, receiving([at_date]) as date, \
            receiving([answers.status(503, Retry_After="0")]) as zero:
        with agent_with([(seconds, ""), (date, ""), (zero, "")]) as agent:
            for receiver, least in ((seconds, 3), (date, 2.9), (zero, 0)):
                poll_until("a second request", lambda: len(receiver.requests) >= 2, process=agent)
                waited = receiver.requests[1].arrived - receiver.requests[0].arrived
                assert waited >= least, f"the second request came after {waited:.2f} s"


def a_refused_series_is_dropped_counted_and_told_once() -> None:
    def judge(request: Request) -> int | Callable:
        bad = any(series.name == "node_load5" for series in request.series)
        return answers.status(400, "node_load5 is not welcome") if bad else 204
    with receiving() as good, receiving() as picky:
        picky.judge = judge
        with agent_with([(good, ""), (picky, "")]) as agent:
            poll_until("drops in its own metrics", lambda: dropped(good, picky) >= 3, process=agent)

            def missing() -> set[str]:
                return {dict(labels)["__name__"] for labels, _ in accepted_samples(good) - accepted_samples(picky)}
            log = agent.stop_and_deliver("all but one series", lambda: missing() == {"node_load5"})
    told = [line for line in log.splitlines() if "refuses samples" in line]
    assert len(told) == 1, log
    assert "HTTP 400: node_load5 is not welcome; 1 dropped" in told[0] and "node_load5{" in told[0], told[0]


def an_endpoint_that_refuses_everything_costs_no_sample_and_few_requests() -> None:
    with receiving() as good, receiving() as wrong:
        wrong.judge = lambda request: answers.status(400, "unsupported path")
        with agent_with([(good, ""), (wrong, "")]) as agent:
            poll_until("the refusal in the log", lambda: "unsupported path; it refuses everything" in agent.log(),
                       process=agent)
            count = len(good.timestamps())
            poll_until("some ticks", lambda: len(good.timestamps()) >= count + 5, process=agent)
            requests = len(wrong.requests)
            assert requests <= 4, f"{requests} requests to who refuses all of them"
            assert dropped(good, wrong) == 0
            wrong.judge = None
            agent.stop_and_deliver("all samples", lambda: accepted_samples(good) <= accepted_samples(wrong))


def a_conflict_with_everything_is_not_believed() -> None:
    with receiving() as good, receiving() as wrong:
        wrong.judge = lambda request: answers.status(409, "conflict")
        with agent_with([(good, ""), (wrong, "")]) as agent:
            poll_until("the refusal in the log", lambda: "HTTP 409: conflict; it refuses everything" in agent.log(),
                       process=agent)
            count = len(good.timestamps())
            poll_until("some ticks", lambda: len(good.timestamps()) >= count + 5, process=agent)
            assert len(wrong.requests) <= 4, f"{len(wrong.requests)} requests to one that refuses all of them"
            assert dropped(good, wrong) == 0
            wrong.judge = None
            agent.stop_and_deliver("all samples", lambda: accepted_samples(good) <= accepted_samples(wrong))


def what_is_dropped_for_a_conflict_is_not_told_as_delivered() -> None:
    """After an outage: the endpoint takes nothing of a tick, and a sample of another series."""
    def judge(request: Request) -> int:
        return 204 if all(is_probe((series.labels, 0)) for series in request.series) else 409
    with receiving() as good, receiving([answers.reset]) as receiver:
        receiver.judge = judge
        with agent_with([(good, ""), (receiver, "")]) as agent:
            poll_until("drops in its own metrics", lambda: dropped(good, receiver) > 0, process=agent)
            poll_until("some ticks", lambda: len(good.timestamps()) >= 6, process=agent)
            poll_until("the refusal in the log", lambda: "refuses samples: HTTP 409" in agent.log(), process=agent)
            log = agent.log()
            assert "delivered again" not in log and log.count("refuses samples: HTTP 409") == 1, log
            receiver.judge = None
            poll_until("the end of it", lambda: f"delivered again to {receiver.url}" in agent.log(), process=agent)


def a_page_for_people_is_warned_about_once_and_counts_as_delivered() -> None:
    def page(handler: answers.Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", "15")
        handler.end_headers()
        handler.wfile.write(b"<h1>Log in</h1>")
    page.accepts = True
    with receiving() as receiver:
        receiver.judge = lambda request: page
        with agent_with([(receiver, "")]) as agent:
            poll_until("some ticks", lambda: len(receiver.timestamps()) >= 3, process=agent)
            agent.stop()
            warnings = [line for line in agent.log().splitlines() if "HTML page" in line]
    assert len(warnings) == 1 and "check host and path of url" in warnings[0], warnings
    times = receiver.timestamps()
    assert times == sorted(set(times)), "something was sent again"


def an_endpoint_that_fails_at_every_tick_for_a_moment_is_told_a_few_times() -> None:
    with receiving() as good, receiving() as flapping:
        flapping.judge = lambda request: 503 if len(flapping.requests) % 2 == 0 else 204
        with agent_with([(good, ""), (flapping, "")]) as agent:
            poll_until("many failures", lambda: len([request for request in list(flapping.requests)
                                                     if not request.accepted]) > 5, process=agent)
            agent.stop()
            log = agent.log()
    assert 1 <= log.count("cannot deliver to") <= 3, log
    assert log.count("delivered again") <= 3, log


def a_server_that_says_1970_is_the_one_that_is_wrong() -> None:
    def old(handler: answers.Handler) -> None:
        handler.date_time_string = lambda *_: "Thu, 01 Jan 1970 00:00:09 GMT"
        answers.status(204)(handler)
        del handler.date_time_string
    old.accepts = True
    with receiving([old] * 9) as receiver:
        with agent_with([(receiver, "")]) as agent:
            poll_until("the clock", lambda: "this host's clock is " in agent.log(), process=agent)
            agent.stop()
            assert "the server's says 1970-01-01: correct it, or its proxy's" in agent.log(), agent.log()


def version_2_that_says_it_stored_nothing_falls_back_to_1() -> None:
    def nothing(handler: answers.Handler) -> None:
        answers.status(204, X_Prometheus_Remote_Write_Samples_Written="0")(handler)
    with receiving() as old:
        old.judge = lambda request: nothing if request.wire is Wire.PROMETHEUS_2_0 else 204
        with agent_with([(old, "    protocol: prometheus-2.0\n")]) as agent:
            poll_until("ticks", lambda: len(old.timestamps()) >= 3, process=agent)
            log = agent.stop_and_deliver("all samples", lambda: {
                sample for request in old.requests for sample in request.samples()} == {
                    sample for request in old.accepted() for sample in request.samples()})
    assert [request.wire for request in old.requests].count(Wire.PROMETHEUS_2_0) == 1
    assert log.count("it says that it stored none of the samples in prometheus-2.0") == 1, log


def version_2_that_stores_a_part_is_counted_and_told_once() -> None:
    def part(handler: answers.Handler) -> None:
        answers.status(204, X_Prometheus_Remote_Write_Samples_Written="5")(handler)
    part.accepts = True
    with receiving() as good, receiving() as half:
        half.judge = lambda request: part
        with agent_with([(good, ""), (half, "    protocol: prometheus-2.0\n")]) as agent:
            poll_until("ticks", lambda: len(half.timestamps()) >= 4, process=agent)
            poll_until("the count", lambda: dropped(good, half) > 10, process=agent)
            agent.stop()
            log = agent.log()
    assert 1 <= log.count(" and says that it did not store ") <= 3, log


def a_size_limit_is_learned() -> None:
    limit = 600
    with receiving() as good, receiving() as small:
        small.judge = lambda request: 413 if request.body_bytes > limit else 204
        with agent_with([(good, ""), (small, "    protocol: prometheus-1.0\n")]) as agent:
            poll_until("ticks", lambda: len(small.timestamps()) >= 4, process=agent)
            first_accepted = small.accepted()[0].arrived
            refused = [request for request in small.requests if not request.accepted]
            agent.stop_and_deliver("all samples", lambda: accepted_samples(good) == accepted_samples(small))
    assert 0 < len(refused) <= 4, f"{len(refused)} requests were too large"
    assert all(request.arrived < first_accepted for request in refused), "the size was forgotten"


def auto_falls_back_to_snappy_and_says_so_once() -> None:
    with receiving() as good, receiving() as old:
        old.judge = lambda request: 400 if request.wire is Wire.VICTORIAMETRICS else 204
        with agent_with([(good, ""), (old, "")]) as agent:
            poll_until("ticks", lambda: len(old.timestamps()) >= 3, process=agent)
            log = agent.stop_and_deliver("all samples", lambda: accepted_samples(good) == accepted_samples(old))
    assert [request.accepted for request in old.requests[:3]] == [False, True, True], "zstd once, then snappy"
    assert {request.wire for request in old.requests[1:]} == {Wire.PROMETHEUS_1_0}
    assert {request.wire for request in good.requests} == {Wire.VICTORIAMETRICS}
    assert log.count(" gets prometheus-1.0 from now on; it does not take victoriametrics (HTTP 400)") == 1, log


def version_2_that_nobody_confirms_falls_back_to_1() -> None:
    with receiving() as modern, receiving() as old:
        # As VictoriaMetrics does it: 204, without a word of what was written.
        old.judge = lambda request: answers.status(204) if request.wire is Wire.PROMETHEUS_2_0 else 204
        with agent_with([(modern, "    protocol: prometheus-2.0\n"), (old, "    protocol: prometheus-2.0\n")]) as agent:
            poll_until("ticks", lambda: len(old.timestamps()) >= 3, process=agent)
            log = agent.stop_and_deliver("all samples", lambda: accepted_samples(modern) == accepted_samples(old))
    assert {request.wire for request in modern.requests} == {Wire.PROMETHEUS_2_0}
    assert [request.wire for request in old.requests].count(Wire.PROMETHEUS_2_0) == 1
    assert log.count("does not confirm what it gets in prometheus-2.0") == 1, log


def after_an_outage_the_newest_is_first_or_last_as_configured() -> None:
    with receiving() as good, receiving() as fresh, receiving() as oldest, receiving() as unknown:
        fresh.judge = oldest.judge = unknown.judge = lambda request: 503
        with agent_with([(good, ""), (fresh, "    order: fresh_first\n"), (oldest, "    order: oldest_first\n"),
                         (unknown, "")]) as agent:
            poll_until("an outage", lambda: len(good.timestamps()) >= 6, process=agent)
            fresh.judge = oldest.judge = unknown.judge = None
            kept = set(good.timestamps()[:6])
            for receiver in (fresh, oldest, unknown):
                poll_until("the backlog", lambda: kept <= set(receiver.timestamps()), process=agent)
            agent.stop_and_deliver("all samples", lambda: accepted_samples(good) == accepted_samples(fresh)
                                   == accepted_samples(oldest) == accepted_samples(unknown))
    times = fresh.timestamps()
    assert times[0] > min(times[1:]), f"the first that was accepted is not the newest: {times} of {sorted(kept)}"
    # Until it has accepted anything nobody knows whether it would take the older ones after that.
    times = unknown.timestamps()
    assert times[0] == min(kept) and times[1] > min(times[2:]), f"not the oldest, then the newest: {times}"
    assert oldest.timestamps() == sorted(set(oldest.timestamps())), "not in order, or twice"


def a_poisoned_scrape_of_a_backlog_is_dropped_alone_and_in_order() -> None:
    poisoned = []
    with receiving() as good, receiving() as picky:
        picky.judge = lambda request: 503
        with agent_with([(good, ""), (picky, "    order: oldest_first\n")]) as agent:
            poll_until("an outage", lambda: len(good.timestamps()) >= 6, process=agent)
            poisoned.append(good.timestamps()[3])
            picky.judge = lambda request: 422 if poisoned[0] in {t for _, t in request.samples()} else 204
            kept = set(good.timestamps()[:6]) - set(poisoned)
            poll_until("the backlog", lambda: kept <= set(picky.timestamps()), process=agent)
            poll_until("the count", lambda: dropped(good, picky) > 0, process=agent)
            count = dropped(good, picky)

            def missing_ticks() -> set[int]:
                return {timestamp for _, timestamp in accepted_samples(good) - accepted_samples(picky)}
            agent.stop_and_deliver("all but one scrape", lambda: missing_ticks() == set(poisoned))
            missing = accepted_samples(good) - accepted_samples(picky)
    assert count == len(missing), f"{count} counted, {len(missing)} lost"
    assert picky.timestamps() == sorted(picky.timestamps()), "not in order"


def an_endpoint_that_hangs_does_not_delay_the_other() -> None:
    release = threading.Event()
    with receiving([hold_until(release)]) as hung, receiving() as good:
        with agent_with([(hung, ""), (good, "")], timeout=300) as agent:
            poll_until("a request that hangs", lambda: hung.requests, process=agent)
            count = len(good.timestamps())
            poll_until("ticks", lambda: len(good.timestamps()) >= count + 6, process=agent)
            assert len(hung.requests) == 1, "the other endpoint does not hang"
            release.set()


def a_clock_that_goes_wrong_again_is_told_again() -> None:
    with receiving([answers.of_yesterday] * 2 + [204] + [answers.of_yesterday] * 2) as receiver:
        with agent_with([(receiver, "")]) as agent:
            poll_until("all of these answers", lambda: len(receiver.requests) > 5, process=agent)
            words = "this host's clock is 1 d 0 h ahead of the server's"
            poll_until("both times", lambda: agent.log().count(words) == 2, process=agent)


run_checks(every_answer_costs_nothing_or_what_is_counted, the_page_shows_the_same_table,
           retry_after_is_waited_for_in_both_its_forms, a_refused_series_is_dropped_counted_and_told_once,
           an_endpoint_that_refuses_everything_costs_no_sample_and_few_requests,
           a_conflict_with_everything_is_not_believed, what_is_dropped_for_a_conflict_is_not_told_as_delivered,
           a_page_for_people_is_warned_about_once_and_counts_as_delivered,
           an_endpoint_that_fails_at_every_tick_for_a_moment_is_told_a_few_times,
           a_server_that_says_1970_is_the_one_that_is_wrong, version_2_that_says_it_stored_nothing_falls_back_to_1,
           version_2_that_stores_a_part_is_counted_and_told_once, a_size_limit_is_learned,
           auto_falls_back_to_snappy_and_says_so_once, version_2_that_nobody_confirms_falls_back_to_1,
           after_an_outage_the_newest_is_first_or_last_as_configured,
           a_poisoned_scrape_of_a_backlog_is_dropped_alone_and_in_order,
           an_endpoint_that_hangs_does_not_delay_the_other, a_clock_that_goes_wrong_again_is_told_again)

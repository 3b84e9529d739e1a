"""The loop: ticks, stops, outages and pauses, each on a running agent at an interval of 1 s."""
import datetime
import re
import signal
import statistics
import threading
import time

from support.agent import CUSTOMER, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import free_port, poll_until
from support.receiver import hold_until, receiving
from support.ticks import holes, ticks_in
from support.victoria_metrics import running_victoria_metrics

STOP_SECONDS_MAX = 5


def phase_of(timestamps: list[int]) -> int:
    """Of a grid of one second, in milliseconds: most ticks are in time, and none is early. The first tick, at once and
    not on the grid, is none of them."""
    phases = [tick % 1000 for tick in sorted(timestamps)]
    return min(phases, key=lambda grid: statistics.median((phase - grid) % 1000 for phase in phases))


def check_no_hole(ticks: dict[int, float]) -> None:
    """Each second has its tick, most of them in time."""
    assert not holes(ticks), f"a hole: {holes(ticks)} of {ticks}"
    times = sorted(ticks)[1:]
    grid = phase_of(times)
    late = [(time_ms - grid) % 1000 for time_ms in times]
    assert statistics.median(late) <= 250, f"most ticks are late: {late} ms"


def a_stop_delivers_what_is_buffered() -> None:
    release = threading.Event()
    with temporary_folder() as folder, receiving([hold_until(release)]) as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("a request", lambda: receiver.requests, process=agent)
            time.sleep(2.5)  # ticks that wait behind the answer that does not come
            stopped_ms = time.time() * 1000
            begin = time.monotonic()
            agent.send(signal.SIGTERM)
            poll_until("the agent says that it stops", lambda: "SIGTERM" in agent.log())
            release.set()
            exit_code = agent.wait(STOP_SECONDS_MAX)
            took = time.monotonic() - begin
        assert exit_code == 0, f"exit code {exit_code}: {agent.log()}"
        assert took < STOP_SECONDS_MAX, f"the stop took {took:.1f} s"
        ticks = receiver.timestamps()
        assert len(ticks) >= 3, f"ticks that arrived: {ticks}"
        assert stopped_ms - max(ticks) < 1250, f"the last tick that arrived is {stopped_ms - max(ticks):.0f} ms old"
        check_no_hole(receiver.ticks())


def a_stop_ends_in_time_when_nobody_listens() -> None:
    with temporary_folder() as folder:
        with running_agent(write_config(folder, f"http://127.0.0.1:{free_port()}/api/v1/write")) as agent:
            poll_until("cannot reach", lambda: "cannot reach" in agent.log(), process=agent)
            begin = time.monotonic()
            agent.send(signal.SIGTERM)
            exit_code = agent.wait(STOP_SECONDS_MAX)
            took = time.monotonic() - begin
        assert exit_code == 0, f"exit code {exit_code}: {agent.log()}"
        assert took < STOP_SECONDS_MAX, f"the stop took {took:.1f} s"
        assert "kept for the next start" in agent.log(), f"samples wait and not a word of it: {agent.log()}"


def an_outage_leaves_no_hole_and_two_log_lines() -> None:
    port = free_port()
    with temporary_folder() as folder:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write")
        with running_agent(config) as agent:
            poll_until("cannot reach", lambda: "cannot reach" in agent.log(), process=agent)
            started_ms = datetime.datetime.fromisoformat(agent.log().split()[0]).timestamp() * 1000
            time.sleep(4)  # the outage
            with running_victoria_metrics(folder, port) as server:
                poll_until("delivered again", lambda: "delivered again" in agent.log(), 60, agent)
                (caught_up,) = re.findall(r"delivered again.*?([\d,]+) samples caught up", agent.log())
                assert int(caught_up.replace(",", "")) > 100, f"{caught_up} samples caught up"

                def whole() -> bool:
                    exported = server.export(f'node_load1{{customer_id="{CUSTOMER}"}}')
                    assert len(exported) == 1, f"{len(exported)} series"
                    ticks = exported[0]["timestamps"]
                    check_no_hole(ticks_in(server, f'customer_id="{CUSTOMER}"'))
                    return ticks[-1] - ticks[0] > 5000 and ticks[0] - started_ms < 1000
                poll_until("every tick since the start", whole, 20, agent)
                agent.stop()
        lines = agent.log().splitlines()
        for words in ("cannot reach", "delivered again"):
            told = [line for line in lines if words in line]
            assert len(told) == 1, f"{len(told)} lines with '{words}', not one: {lines}"
        (failure,) = [line for line in lines if "cannot reach" in line]
        assert "samples kept" in failure and "next try in" in failure, failure


def missed_ticks_are_skipped_and_counted_not_sent_late() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("5 ticks", lambda: len(receiver.timestamps()) >= 5, process=agent)
            before = len(receiver.timestamps())
            agent.send(signal.SIGSTOP)
            stopped_ms = time.time() * 1000
            time.sleep(4.3)  # the pause itself
            resumed_ms = time.time() * 1000
            agent.send(signal.SIGCONT)
            poll_until("5 ticks more", lambda: len(receiver.timestamps()) >= before + 5, process=agent)
            agent.stop()
        ticks = receiver.timestamps()
        late = [tick for tick in ticks if stopped_ms + 50 < tick < resumed_ms - 50]
        assert not late, f"samples are stamped with moments at which the agent stood still: {late}"
        assert ticks == sorted(set(ticks)), f"not one tick after the other: {ticks}"
        skipped = {value for request in receiver.requests for series in request.series
                   if series.name == "msp_agent_ticks_skipped_total" for _, value in series.samples}
        assert min(skipped) == 0 and 3 <= max(skipped) <= 4, f"msp_agent_ticks_skipped_total: {sorted(skipped)}"
        # The first tick after the pause is at once or on the grid.
        before_it = [tick for tick in ticks[1:] if tick <= stopped_ms + 50]
        after_it = [tick for tick in ticks if tick >= resumed_ms - 50][1:]
        apart = (phase_of(after_it) - phase_of(before_it) + 500) % 1000 - 500
        assert abs(apart) < 250, f"the rhythm before and after is not the same: {before_it} {after_it}"


def phase_of_server(server: str) -> int:
    """Milliseconds after the full second at which this server ticks."""
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url, server=server)) as agent:
            poll_until("4 ticks", lambda: len(receiver.timestamps()) >= 4, process=agent)
        return phase_of(sorted(receiver.timestamps())[1:])


def servers_tick_at_their_own_phase_the_same_after_a_restart() -> None:
    phases = {server: (phase_of_server(server), phase_of_server(server)) for server in ("web-01", "web-02", "db-01")}
    for server, (first, second) in phases.items():
        apart = abs((first - second + 500) % 1000 - 500)
        assert apart < 200, f"{server} ticks at {first} ms, after a restart at {second} ms"
    firsts = sorted(first for first, _ in phases.values())
    assert firsts[-1] - firsts[0] > 100, f"all servers tick at the same moment: {phases}"


run_checks(a_stop_delivers_what_is_buffered, a_stop_ends_in_time_when_nobody_listens,
           an_outage_leaves_no_hole_and_two_log_lines, missed_ticks_are_skipped_and_counted_not_sent_late,
           servers_tick_at_their_own_phase_the_same_after_a_restart)

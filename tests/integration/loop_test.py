"""The loop: ticks, stops, outages and pauses, each on a running agent at an interval of 1 s."""
import pathlib
import re
import signal
import statistics
import time

from support.agent import CUSTOMER, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import free_port, poll_until
from support.receiver import receiving
from support.ticks import holes, ticks_in
from support.victoria_metrics import running_victoria_metrics

def phase_of(timestamps: list[int]) -> int:
    """Of a grid of one second, in milliseconds: most ticks are in time, and none is early. The first tick, at once and
    not on the grid, is none of them."""
    phases = [tick % 1000 for tick in sorted(timestamps)]
    return min(phases, key=lambda grid: statistics.median((phase - grid) % 1000 for phase in phases))


def delivers_at_its_stop() -> bool:
    """False where the three seconds of a stop were too short for this machine, which is told."""
    with temporary_folder() as folder, receiving() as receiver, receiving() as witness:
        # All but the first tick would wait for an hour.
        config = write_config(folder, receiver.url, more="  send_every: 1h\n", witness=witness.url)
        with running_agent(config) as agent:
            poll_until("a request", lambda: receiver.requests, process=agent)
            poll_until("ticks that wait", lambda: len(witness.timestamps()) >= 4, process=agent)
            collected = set(witness.timestamps())
            assert not collected <= set(receiver.timestamps()), "nothing waits"
            agent.send(signal.SIGTERM)
            exit_code = agent.wait()
        assert exit_code == 0, f"exit code {exit_code}: {agent.log()}"
        assert not holes(witness.ticks()), f"a hole: {holes(witness.ticks())} of {witness.ticks()}"
        missing = collected - set(receiver.timestamps())
        assert not missing or "kept for the next start" in agent.log(), f"{sorted(missing)}\n{agent.log()}"
        return not missing


def a_stop_delivers_what_is_buffered() -> None:
    assert any(delivers_at_its_stop() for _ in range(5)), "in none of five stops"


def a_stop_ends_when_nobody_listens() -> None:
    with temporary_folder() as folder:
        with running_agent(write_config(folder, f"http://127.0.0.1:{free_port()}/api/v1/write")) as agent:
            poll_until("cannot reach", lambda: "cannot reach" in agent.log(), process=agent)
            agent.send(signal.SIGTERM)
            exit_code = agent.wait()
        assert exit_code == 0, f"exit code {exit_code}: {agent.log()}"
        assert "kept for the next start" in agent.log(), f"samples wait and not a word of it: {agent.log()}"


def an_outage_leaves_no_hole_and_two_log_lines() -> None:
    port = free_port()
    with temporary_folder() as folder, receiving() as witness:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", witness=witness.url)
        with running_agent(config) as agent:
            poll_until("cannot reach", lambda: "cannot reach" in agent.log(), process=agent)
            poll_until("ticks of the outage", lambda: len(witness.timestamps()) >= 5, process=agent)
            collected = set(witness.timestamps())
            with running_victoria_metrics(folder, port) as server:
                poll_until("delivered again", lambda: "delivered again" in agent.log(), process=agent)
                (caught_up,) = re.findall(r"delivered again.*?([\d,]+) samples caught up", agent.log())
                assert int(caught_up.replace(",", "")) > 100, f"{caught_up} samples caught up"

                def whole() -> bool:
                    exported = server.export(f'node_load1{{customer_id="{CUSTOMER}"}}')
                    assert len(exported) == 1, f"{len(exported)} series"
                    ticks = ticks_in(server, f'customer_id="{CUSTOMER}"')
                    assert not holes(ticks), f"a hole: {holes(ticks)} of {ticks}"
                    return collected <= set(exported[0]["timestamps"]) and collected <= set(ticks)
                poll_until("every tick since the start", whole, process=agent)
                agent.stop()
        lines = agent.log().splitlines()
        for words in ("cannot reach", "delivered again"):
            told = [line for line in lines if words in line]
            assert len(told) == 1, f"{len(told)} lines with '{words}', not one: {lines}"
        (failure,) = [line for line in lines if "cannot reach" in line]
        assert "samples kept" in failure and "next try in" in failure, failure


def stands_still(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def missed_ticks_are_skipped_and_counted_not_sent_late() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("5 ticks", lambda: len(receiver.timestamps()) >= 5, process=agent)
            before = len(receiver.timestamps())
            agent.send(signal.SIGSTOP)
            poll_until("it stands still", lambda: stands_still(agent.pid))
            stopped_ms = time.time() * 1000
            time.sleep(4.3)  # the pause itself
            resumed_ms = time.time() * 1000
            agent.send(signal.SIGCONT)
            poll_until("5 ticks more", lambda: len(receiver.timestamps()) >= before + 5, process=agent)
            agent.stop()
        ticks = receiver.ticks()
        late = [tick for tick in ticks if stopped_ms < tick < resumed_ms - 1]
        assert not late, f"samples are stamped with moments at which the agent stood still: {late}"
        skipped = sorted(set(ticks.values()))
        assert skipped[0] == 0 and skipped[-1] >= 3, f"msp_agent_ticks_skipped_total: {skipped}"
        # Before and after it one grid explains all ticks and what was skipped.
        assert not holes(ticks), f"not skipped, and not there: {holes(ticks)} of {ticks}"


def phase_of_server(server: str) -> int:
    """Milliseconds after the full second at which this server ticks."""
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url, server=server)) as agent:
            poll_until("4 ticks", lambda: len(receiver.timestamps()) >= 4, process=agent)
        return phase_of(sorted(receiver.timestamps())[1:])


def phase_of_two_lives(server: str) -> int:
    """A busy machine can make all ticks of a life late: then other two are compared."""
    seen = [phase_of_server(server)]
    for _ in range(10):
        seen.append(phase_of_server(server))
        if abs((seen[-1] - seen[-2] + 500) % 1000 - 500) <= 20:
            return seen[-1]
    raise AssertionError(f"{server} ticks at another moment after each restart: {seen}")


def servers_tick_at_their_own_phase_the_same_after_a_restart() -> None:
    phases = sorted(phase_of_two_lives(server) for server in ("web-01", "web-02", "db-01"))
    assert phases[-1] - phases[0] > 100, f"all servers tick at the same moment: {phases}"


run_checks(a_stop_delivers_what_is_buffered, a_stop_ends_when_nobody_listens,
           an_outage_leaves_no_hole_and_two_log_lines, missed_ticks_are_skipped_and_counted_not_sent_late,
           servers_tick_at_their_own_phase_the_same_after_a_restart)

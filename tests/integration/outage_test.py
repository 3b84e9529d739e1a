"""An outage for real: the agent goes on at 1 s against a VictoriaMetrics that is stopped for a while, and is killed or
stopped meanwhile. Afterwards every tick that it ever took is there, once, in every series."""
import contextlib
import os
import pathlib
import signal
import tempfile
import time
from typing import Iterator

from support.agent import BINARY, CUSTOMER, SERVER, run_once, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

MINE = f'customer_id="{CUSTOMER}",server_name="{SERVER}"'
# One series of each kind that every tick has.
ALWAYS = ("node_time_seconds", "node_load1", "node_memory_MemTotal_bytes", "node_uname_info", "up",
          "msp_agent_build_info")


@contextlib.contextmanager
def runtime_directory() -> Iterator[pathlib.Path]:
    """On a memory-backed file system, as systemd's /run is."""
    with tempfile.TemporaryDirectory(prefix="msp-agent-test-", dir="/dev/shm") as folder:
        yield pathlib.Path(folder)


def agent_process(config: pathlib.Path, runtime: pathlib.Path) -> Process:
    return Process([BINARY, "--config", str(config)], config.with_suffix(".log"),
                   env={**os.environ, "RUNTIME_DIRECTORY": str(runtime)})


def kill(agent: Process) -> None:
    agent.send(signal.SIGKILL)
    agent.wait(10)


def stop_orderly(agent: Process) -> None:
    agent.send(signal.SIGTERM)
    assert agent.wait(10) == 0, agent.log()


def ticks_of(server: VictoriaMetrics, selector: str) -> list[list[int]]:
    server.get("/internal/force_flush")
    return [series["timestamps"] for series in server.export(selector)]


def waits_for(server: VictoriaMetrics, since: float, agent: Process) -> None:
    """Returns when a tick from after `since` is there and nothing older is on its way."""
    def caught_up() -> bool:
        # In this order: what is asked for second is at least as new as that tick.
        ticks = (ticks_of(server, f"node_time_seconds{{{MINE}}}") or [[0]])[0]
        waiting = server.query(f"msp_agent_buffer_samples{{{MINE}}}")
        return bool(waiting) and waiting[0][1] == 0 and ticks[-1] > since * 1000
    poll_until("the backlog delivered", caught_up, 60, agent)


def check_no_hole(server: VictoriaMetrics, lives: list[tuple[float, float]]) -> None:
    """`lives`: when each agent was surely up and ticking, from and until."""
    ticks = ticks_of(server, f"node_time_seconds{{{MINE}}}")
    assert len(ticks) == 1, f"{len(ticks)} series of node_time_seconds"
    times = ticks[0]
    assert times == sorted(set(times)), "a tick is there twice, or out of order"
    for begin, end in lives:
        mine = [t for t in times if begin * 1000 <= t <= end * 1000]
        gaps = [b - a for a, b in zip(mine, mine[1:])]
        expected = end - begin - 1
        assert len(mine) >= expected, f"{len(mine)} ticks in {end - begin:.1f} s of an agent's life: {gaps}"
        assert all(gap <= 1500 for gap in gaps), f"a hole in an agent's life: ticks are {gaps} ms apart"
    for name in ALWAYS:
        for other in ticks_of(server, f"{name}{{{MINE}}}"):
            assert other == times, f"{name} has {len(other)} ticks, node_time_seconds {len(times)}"
    count = server.query(f"count_over_time(node_time_seconds{{{MINE}}}[10m])")[0][1]
    assert count == len(times), f"count_over_time says {count}, there are {len(times)} ticks"
    dropped = server.query(f"sum(msp_agent_samples_dropped_total{{{MINE}}})")
    assert not dropped or dropped[0][1] == 0, f"{dropped} samples dropped"


def outage_with(end_agent, lives_count: int, seconds_of_life: float) -> None:
    """Server up, server down while that many agents live and end, server up."""
    port = free_port()
    lives = []
    with temporary_folder() as folder, runtime_directory() as runtime:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s")

        def live(agent: Process, seconds: float) -> None:
            # Its second tick is a second after its start at the latest.
            begin = time.time()
            time.sleep(seconds)  # what is measured: a life of this length
            assert agent.running(), agent.log()
            lives.append((begin, time.time() - 0.2))

        with running_victoria_metrics(folder, port) as server, started(agent_process(config, runtime)) as agent:
            poll_until("the first tick", lambda: server.query("node_time_seconds"), process=agent)
            server.process.stop()
            live(agent, seconds_of_life)
            end_agent(agent)
        for _ in range(lives_count - 1):
            with started(agent_process(config, runtime)) as agent:
                live(agent, seconds_of_life)
                end_agent(agent)
        with started(agent_process(config, runtime)) as agent, running_victoria_metrics(folder, port) as server:
            waits_for(server, time.time() + 1, agent)
            check_no_hole(server, lives)
            log = agent.log()
            assert "samples of an earlier run are kept for" in log, log
            for mark in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
                assert mark not in log, log


def an_agent_killed_three_times_in_an_outage_loses_no_tick() -> None:
    outage_with(kill, 3, 5.5)


def an_agent_stopped_twice_in_an_outage_loses_no_tick() -> None:
    outage_with(stop_orderly, 2, 4)


def a_long_outage_goes_to_disk_and_is_removed_from_there_when_delivered() -> None:
    port = free_port()
    with temporary_folder() as folder, runtime_directory() as runtime:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s")
        buffer = folder / f"{SERVER}-buffer"
        with started(agent_process(config, runtime)) as agent:
            poll_until("a segment", lambda: list(buffer.glob("*.seg")), 20, agent)
            with running_victoria_metrics(folder, port) as server:
                waits_for(server, time.time() + 1, agent)
                poll_until("no segment", lambda: not list(buffer.glob("*.seg")), 20, agent)


def a_second_agent_on_the_same_buffer_is_told_and_exits_1() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, server.url)
        with running_agent(config) as agent:
            poll_until("the first tick", lambda: server.query("node_time_seconds"), process=agent)
            second = run_once("--config", str(config))
            assert second.returncode == 1, f"exit code {second.returncode}"
            assert f"is in use by process {agent.pid}:" in second.stderr, second.stderr


run_checks(an_agent_killed_three_times_in_an_outage_loses_no_tick,
           an_agent_stopped_twice_in_an_outage_loses_no_tick,
           a_long_outage_goes_to_disk_and_is_removed_from_there_when_delivered,
           a_second_agent_on_the_same_buffer_is_told_and_exits_1)

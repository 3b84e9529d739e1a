"""An outage for real: the agent goes on at 1 s against a VictoriaMetrics that is stopped for a while, and is killed or
stopped meanwhile. Afterwards every tick that it ever took is there, once, in every series."""
import contextlib
import os
import pathlib
import signal
import tempfile
import time
from typing import Iterator

from support.agent import BINARY, SERVER, run_once, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.receiver import receiving
from support.ticks import check_no_hole, wait_caught_up
from support.victoria_metrics import running_victoria_metrics


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
    agent.wait()


def stop_orderly(agent: Process) -> None:
    agent.send(signal.SIGTERM)
    assert agent.wait() == 0, agent.log()


def outage_with(end_agent, lives_count: int, ticks_of_life: int) -> None:
    """Server up, server down while that many agents live and end, server up. A second endpoint says which ticks each
    of them made."""
    port = free_port()
    lives: list[list[int]] = []
    with temporary_folder() as folder, runtime_directory() as runtime, receiving() as witness:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s", witness=witness.url)

        def live(agent: Process) -> None:
            begun = time.time() * 1000

            def of_this_one() -> list[int]:
                return sorted({tick for tick in witness.timestamps() if tick >= begun})
            lives.append(poll_until("ticks of this life", lambda: (ticks := of_this_one())[ticks_of_life:] and ticks,
                                    process=agent))

        with running_victoria_metrics(folder, port) as server, started(agent_process(config, runtime)) as agent:
            poll_until("the first tick", lambda: server.query("node_time_seconds"), process=agent)
            server.process.stop()
            live(agent)
            end_agent(agent)
        for _ in range(lives_count - 1):
            with started(agent_process(config, runtime)) as agent:
                live(agent)
                end_agent(agent)
        with started(agent_process(config, runtime)) as agent, running_victoria_metrics(folder, port) as server:
            wait_caught_up(server, time.time() + 1, agent)
            check_no_hole(server, lives)
            log = agent.log()
            assert "samples of an earlier run are kept for" in log, log
            for mark in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
                assert mark not in log, log


def an_agent_killed_three_times_in_an_outage_loses_no_tick() -> None:
    outage_with(kill, 3, 5)


def an_agent_stopped_twice_in_an_outage_loses_no_tick() -> None:
    outage_with(stop_orderly, 2, 4)


def a_long_outage_goes_to_disk_and_is_removed_from_there_when_delivered() -> None:
    port = free_port()
    with temporary_folder() as folder, runtime_directory() as runtime:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s")
        buffer = folder / f"{SERVER}-buffer"
        with started(agent_process(config, runtime)) as agent:
            poll_until("a segment", lambda: list(buffer.glob("*.seg")), process=agent)
            with running_victoria_metrics(folder, port) as server:
                wait_caught_up(server, time.time() + 1, agent)
                poll_until("no segment", lambda: not list(buffer.glob("*.seg")), process=agent)


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

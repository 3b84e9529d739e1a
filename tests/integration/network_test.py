"""A real network that fails: the agent is on the far side of a veth pair, a VictoriaMetrics on this one. Whatever the
link did, once it works again every tick is there, once, in every series."""
import contextlib
import time
from typing import Iterator

from support.agent import BINARY, temporary_folder, write_config
from support.check import run_checks
from support.link import HERE, Link, enter_own_network, linked
from support.process import Process, poll_until, started
from support.ticks import MINE, check_no_hole, newest_tick, ticks_of, wait_caught_up
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

TIMEOUT_S = 2
# An answer that the link loses is a request that is sent again. What arrives twice this server keeps once.
ONCE = ("-dedup.minScrapeInterval=1ms",)


@contextlib.contextmanager
def agent_over_link() -> Iterator[tuple[Link, VictoriaMetrics, Process]]:
    """Its first tick has arrived; at the end the link is mended, and every tick must be there."""
    with temporary_folder() as folder, linked(folder) as link, \
            running_victoria_metrics(folder, address=HERE, options=ONCE) as server:
        config = write_config(folder, server.url, timeout=f"{TIMEOUT_S}s")
        agent = Process(link.there(BINARY, "--config", str(config)), folder / "agent.log")
        with started(agent):
            poll_until("the first tick", lambda: newest_tick(server) > 0, process=agent)
            yield link, server, agent
            link.mend()
            wait_caught_up(server, time.time(), agent)
            check_no_hole(server)


def problem_told(agent: Process, words: str) -> None:
    poll_until(f"the agent says '{words}'", lambda: words in agent.log(), process=agent)


def a_link_that_is_cut_and_mended_leaves_no_hole() -> None:
    with agent_over_link() as (link, _, agent):
        link.cut()
        problem_told(agent, "samples kept")
        link.mend()


def a_link_that_loses_30_of_100_packets_leaves_no_hole() -> None:
    with agent_over_link() as (link, server, agent):
        link.drop(30)
        since = time.time()
        poll_until("ticks through the bad link", lambda: newest_tick(server) > since + 10, process=agent)


def a_slow_link_delivers_and_ticks_stay_on_time() -> None:
    with agent_over_link() as (link, server, agent):
        def ticks() -> int:
            return len(ticks_of(server, f"node_load1{{{MINE}}}")[0])
        wanted = ticks() + 10
        link.slow_down("200kbit")
        poll_until("ten more ticks", lambda: ticks() >= wanted, process=agent)


def connections_that_turn_into_a_black_hole_are_noticed_within_the_timeout() -> None:
    with agent_over_link() as (link, _, agent):
        link.drop(100)
        problem_told(agent, f" within {TIMEOUT_S} s")
        link.mend()


def a_server_that_comes_back_without_knowing_the_connection_is_reached_anew() -> None:
    """Black-holed while it restarts: the agent's end of the connection is never closed."""
    with temporary_folder() as folder, linked(folder) as link:
        with running_victoria_metrics(folder, address=HERE, options=ONCE) as server:
            port = int(server.base.rsplit(":", 1)[1])
            config = write_config(folder, server.url, timeout=f"{TIMEOUT_S}s")
            agent = Process(link.there(BINARY, "--config", str(config)), folder / "agent.log")
            with started(agent):
                poll_until("the first tick", lambda: newest_tick(server) > 0, process=agent)
                link.drop(100)
                problem_told(agent, f" within {TIMEOUT_S} s")
                server.process.stop()
                link.mend()
                with running_victoria_metrics(folder, port, HERE, ONCE) as server_again:
                    wait_caught_up(server_again, time.time(), agent)
                    check_no_hole(server_again)


enter_own_network()
run_checks(a_link_that_is_cut_and_mended_leaves_no_hole,
           a_link_that_loses_30_of_100_packets_leaves_no_hole,
           a_slow_link_delivers_and_ticks_stay_on_time,
           connections_that_turn_into_a_black_hole_are_noticed_within_the_timeout,
           a_server_that_comes_back_without_knowing_the_connection_is_reached_anew)

"""A real network that fails: the agent is on the far side of a veth pair, a VictoriaMetrics on this one. Whatever the
link did, once it works again every tick is there, once, in every series."""
import contextlib
import json
import os
import sys
import time
from typing import Iterator

from support.agent import BINARY, run_once, temporary_folder, write_config
from support.check import run_checks
from support.link import HERE, Link, enter_own_network, linked
from support.process import Process, free_port, poll_until, started
from support.remote_write import Wire
from support.ticks import MINE, check_no_hole, newest_tick, ticks_of, wait_caught_up
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics
from support.write_message import post, series_1_0, snappy

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


# A head that stops, a body that stops; they end with their process.
HALF_OPEN = f"""
import socket, sys, time
head = b"POST /api/v1/write HTTP/1.1\\r\\nHost: a\\r\\n"
ends = [socket.create_connection(("{HERE}", int(sys.argv[1])), timeout=60) for _ in range(30)]
for number, one in enumerate(ends):
    one.sendall(head + (b"Content-Length: 9000\\r\\n\\r\\n" + b"x" * 100) * (number % 2))
print("all are connected", flush=True)
time.sleep(3600)
"""


def senders_that_vanish_without_a_word_cost_a_relay_nothing_for_long() -> None:
    """Neither FIN nor RST comes of them: the server's own deadlines end their connections, its ticks and what others
    send go on."""
    port = free_port()
    with temporary_folder() as folder, linked(folder) as link, running_victoria_metrics(folder) as server:
        (folder / "run").mkdir()
        config = write_config(folder, server.url, more=f"listen: {{address: ':{port}', receive: true}}\n")
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(folder / "run")}
        relay = Process([BINARY, "--config", str(config)], folder / "relay.log", environment)
        senders = Process(link.there(sys.executable, "-c", HALF_OPEN, str(port)), folder / "senders.log")

        def count(of: str) -> int:
            said = run_once("--config", str(config), "status", "--json", env=environment).stdout
            return int(json.loads(said)["listen"][of])

        with started(relay):
            poll_until("the first tick", lambda: newest_tick(server) > 0, process=relay)
            with started(senders):
                poll_until("all of them", lambda: "all are connected" in senders.log(), process=senders)
                link.cut()
                name, sent = "sent_meanwhile", 0
                while sent == 0 or count("connections") > 1:  # one may be that of a write
                    sent += 1
                    message = series_1_0([("__name__", name), ("number", str(sent))], [(int(time.time() * 1000), 1)])
                    local = ("::1", "127.0.0.1")[sent % 2]
                    assert post(port, Wire.PROMETHEUS_1_0, snappy(message), address=local)[0] == 204
                poll_until("no connection", lambda: count("connections") == 0, process=relay)
                assert count("refused") == 30, "a connection ended, and not by the relay's deadline"
            wait_caught_up(server, time.time(), relay)
            check_no_hole(server)
            assert len(server.export(f'{{__name__="{name}"}}')) == sent, "what others sent is not all there"


enter_own_network()
run_checks(a_link_that_is_cut_and_mended_leaves_no_hole,
           a_link_that_loses_30_of_100_packets_leaves_no_hole,
           a_slow_link_delivers_and_ticks_stay_on_time,
           connections_that_turn_into_a_black_hole_are_noticed_within_the_timeout,
           a_server_that_comes_back_without_knowing_the_connection_is_reached_anew,
           senders_that_vanish_without_a_word_cost_a_relay_nothing_for_long)

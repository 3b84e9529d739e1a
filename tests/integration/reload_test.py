"""SIGHUP: what has changed in the configuration is taken over, and no tick is lost, doubled or late by it."""
import http.server
import os
import pathlib
import re
import signal
import threading
import time
from typing import Callable

from support.agent import running_agent, temporary_folder, write_config
from support.answers import status
from support.check import run_checks
from support.process import Process, free_port, poll_until
from support.receiver import hold_until, receiving
from support.ticks import MINE, check_no_hole, holes, newest_tick, ticks_of, wait_caught_up
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics



def reload(agent: Process, config: pathlib.Path, old: str, new: str, says: str = "reloaded: ") -> None:
    text = config.read_text()
    assert old in text, f"{old!r} is not in {text}"
    config.write_text(text.replace(old, new))
    reload_as_it_is(agent, says)


def reload_as_it_is(agent: Process, says: str = "reloaded: ") -> None:
    told = agent.log().count(says)
    agent.send(signal.SIGHUP)
    poll_until(f"the agent says '{says}'", lambda: agent.log().count(says) > told, process=agent)


def first_tick(server: VictoriaMetrics, agent: Process) -> None:
    poll_until("the first tick", lambda: newest_tick(server) > 0, process=agent)


def good_and_bad_configurations_leave_no_hole_and_no_double() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, server.url, more="log: {level: info}\n")
        with running_agent(config) as agent:
            first_tick(server, agent)
            reload_as_it_is(agent)
            reload(agent, config, "log: {level: info}", "log: {level: loud}", "stays in force")
            assert f"{config}:" in agent.log() and "log.level: found 'loud'" in agent.log(), agent.log()
            reload(agent, config, "log: {level: loud}", "log: {level: info}\ncollectors: {disabled: [netdev]}")
            reload(agent, config, "timeout: 10s", "timeout: 9s")
            reload(agent, config, "collectors: {disabled: [netdev]}", "customer_id: again", "stays in force")
            reload(agent, config, "customer_id: again", "collectors: {disabled: [netdev, stat]}")
            wait_caught_up(server, time.time(), agent)
            check_no_hole(server)


def the_centre_sees_which_configuration_is_in_force_and_that_one_was_refused() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, server.url, more="log: {level: info}\n")
        with running_agent(config) as agent:
            def newest(metric: str) -> float:
                return next((value for _, value in server.query(metric)), -1)

            def becomes(what: str, good: bool, is_hash: Callable[[float], bool]) -> float:
                poll_until(what, lambda: newest("msp_agent_config_last_reload_successful") == good and
                           is_hash(newest("msp_agent_config_hash")), 30, agent)
                return newest("msp_agent_config_hash")
            first = becomes("a hash", True, lambda value: value > 0)
            reload(agent, config, "level: info", "level: loud", "stays in force")
            becomes("a reload that failed", False, lambda value: value == first)
            reload(agent, config, "level: loud", "level: debug")
            becomes("another hash", True, lambda value: value not in (-1, first))


def a_series_that_ends_by_it_gets_its_stale_marker() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, server.url, more="labels: {team: one}\n")
        with running_agent(config) as agent:
            first_tick(server, agent)
            reload(agent, config, "team: one", "team: two")

            def two_teams() -> bool:
                found = server.query("last_over_time(node_load1[1m])")
                return {labels["team"] for labels, _ in found} == {"one", "two"}
            poll_until("ticks of both teams", two_teams, process=agent)
            # Without the marker the old series would go on for as long as the server looks back.
            poll_until("only the new series", lambda: [labels["team"] for labels, _ in server.query("node_load1")] ==
                       ["two"], process=agent)


def an_endpoint_that_is_added_gets_ticks_and_one_that_is_removed_what_is_kept_for_it() -> None:
    port = free_port()
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s")
        begin = time.time()
        with running_agent(config) as agent:
            poll_until("it cannot reach the first endpoint", lambda: "cannot reach" in agent.log(), process=agent)
            reload(agent, config, f"http://127.0.0.1:{port}/api/v1/write", server.url)
            told = r"is no longer in the configuration: [\d,]+ samples are still to be delivered"
            assert re.search(told, agent.log()), agent.log()
            reloaded = time.time()
            poll_until("ticks at the new endpoint", lambda: newest_tick(server) > reloaded + 1, process=agent)
            check_no_hole(server)
            other = folder / "other"
            other.mkdir()
            with running_victoria_metrics(other, port) as late:
                poll_until("the removed endpoint has got everything", lambda: "has got everything" in agent.log(),
                           process=agent)
                late.get("/internal/force_flush")
                kept = ticks_of(late, f"node_time_seconds{{{MINE}}}")[0]
                assert kept == sorted(set(kept)) and kept[0] / 1000 >= begin - 1, kept
                # Nothing of after its removal.
                assert kept[-1] < newest_tick(server) * 1000, kept


def one_address_for_another_tenant_costs_none_of_the_agents_own_metrics() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        def only_beta(handler: http.server.BaseHTTPRequestHandler) -> None:
            status(204 if handler.headers["X-Scope-OrgID"] == "beta" else 503)(handler)
        receiver.judge = lambda request: only_beta
        config = write_config(folder, receiver.url, more="  headers: {X-Scope-OrgID: alpha}\n")
        with running_agent(config) as agent:
            poll_until("it cannot deliver", lambda: "cannot deliver" in agent.log(), process=agent)
            reload(agent, config, "X-Scope-OrgID: alpha", "X-Scope-OrgID: beta")
            assert "samples are still to be delivered" in agent.log(), agent.log()
            reloaded_ms = time.time() * 1000

            def own_metric() -> bool:
                return any(when > reloaded_ms for request in list(receiver.requests) for series in request.series
                           if series.name == "msp_agent_requests_total" for when, _ in series.samples)
            poll_until("a tick with the agent's own metrics", own_metric, process=agent)
            assert "reported twice" not in agent.log(), agent.log()


def a_hanging_request_of_a_changed_endpoint_holds_up_no_tick() -> None:
    release = threading.Event()
    with temporary_folder() as folder, receiving([204, hold_until(release)]) as receiver:
        config = write_config(folder, receiver.url, timeout="30s")
        with running_agent(config) as agent:
            poll_until("a request that hangs", lambda: len(receiver.requests) >= 2, process=agent)
            reload(agent, config, "timeout: 30s", "timeout: 20s")
            before = len(receiver.requests)
            poll_until("ticks go on", lambda: len(receiver.requests) >= before + 3, process=agent)
            release.set()
            assert not holes(receiver.ticks()), sorted(receiver.ticks())


def two_hundred_reloads_leak_nothing() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        config = write_config(folder, server.url, more="labels: {team: one}\n"
                              "collectors: {disabled: [containers]}\n")  # other tests begin and end some
        with running_agent(config) as agent:
            first_tick(server, agent)

            def held() -> tuple[int, int]:
                return (len(os.listdir(f"/proc/{agent.pid}/task")), len(os.listdir(f"/proc/{agent.pid}/fd")))
            reload(agent, config, "team: one", "team: two")
            reloaded = time.time()
            poll_until("a tick after it", lambda: newest_tick(server) > reloaded + 1, process=agent)
            threads, files = held()
            for number in range(200):
                text = config.read_text()
                config.write_text(text.replace(f"timeout: {10 + number}s", f"timeout: {11 + number}s"))
                reload_as_it_is(agent)
            def settled() -> bool:
                now = held()
                assert now[0] <= threads and now[1] <= files, f"threads and files {now}, {(threads, files)} before"
                return True
            poll_until("no more threads and files than before", settled)


run_checks(good_and_bad_configurations_leave_no_hole_and_no_double,
           the_centre_sees_which_configuration_is_in_force_and_that_one_was_refused,
           a_series_that_ends_by_it_gets_its_stale_marker,
           an_endpoint_that_is_added_gets_ticks_and_one_that_is_removed_what_is_kept_for_it,
           one_address_for_another_tenant_costs_none_of_the_agents_own_metrics,
           a_hanging_request_of_a_changed_endpoint_holds_up_no_tick, two_hundred_reloads_leak_nothing)

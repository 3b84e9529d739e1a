"""A real Prometheus as the receiver: it refuses what is older than what it has of a series, so what waited in an outage
must come oldest first and all of it be taken."""
import contextlib
from typing import Iterator

from support.agent import SERVER, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, free_port, poll_until
from support.prometheus import Prometheus, running_prometheus
from support.receiver import receiving
from support.ticks import holes

SELECTOR = f'msp_agent_ticks_skipped_total{{server_name="{SERVER}"}}'


def ticks(server: Prometheus) -> dict[int, float]:
    """As holes() wants them."""
    series = server.series(SELECTOR)
    return {round(at * 1000): float(value) for at, value in series[0]["values"]} if series else {}


def nothing_was_refused(server: Prometheus) -> None:
    """It counts its answers by status; a sample out of order is a 400. While it starts, it answers 503, and the batch
    comes again."""
    written = {line.split('code="')[1][:3] for line in server.get("/metrics").splitlines()
               if line.startswith("prometheus_http_requests_total{") and 'handler="/api/v1/write"' in line}
    assert "204" in written and written <= {"204", "503"}, f"it answered {written}"


@contextlib.contextmanager
def after_an_outage(settings: str) -> Iterator[tuple[Prometheus, Process]]:
    """The server is back, and the agent has five ticks for it that it could not deliver."""
    with temporary_folder() as folder, receiving() as witness:
        port = free_port()
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", more=settings, witness=witness.url)
        with running_prometheus(folder, port) as server, running_agent(config) as agent:
            poll_until("3 ticks", lambda: len(ticks(server)) >= 3, process=agent)
            server.process.stop()
            poll_until("the outage in the log", lambda: "cannot reach" in agent.log(), process=agent)
            count = len(witness.timestamps())
            poll_until("five ticks", lambda: len(witness.timestamps()) >= count + 5, process=agent)
            with running_prometheus(folder, port) as again:
                yield again, agent


def it_delivers_every_series_with_its_labels() -> None:
    with temporary_folder() as folder, running_prometheus(folder) as server:
        with running_agent(write_config(folder, server.url, more="  protocol: prometheus-1.0\n")) as agent:
            poll_until("4 ticks", lambda: len(ticks(server)) >= 4, process=agent)
            for name in ("up", "node_uname_info", "node_cpu_seconds_total", "msp_agent_build_info"):
                for series in server.series(name):
                    labels = series["metric"]
                    assert (labels["customer_id"], labels["server_name"]) == ("alpha", SERVER), labels
            assert "dropped" not in agent.log() and "refuses" not in agent.log(), agent.log()
        nothing_was_refused(server)


def after_an_outage_nothing_is_refused_and_nothing_is_missing() -> None:
    with after_an_outage("  protocol: prometheus-1.0\n") as (server, agent):
        poll_until("the end of the outage in the log", lambda: "delivered again" in agent.log(), process=agent)
        count = len(ticks(server))
        poll_until("2 ticks after it", lambda: len(ticks(server)) >= count + 2, process=agent)
        arrived = ticks(server)
        nothing_was_refused(server)
        assert "dropped" not in agent.log() and "refuses" not in agent.log(), agent.log()
    assert len(arrived) >= 10 and not holes(arrived), f"ticks are missing: {holes(arrived)} of {sorted(arrived)}"


def auto_finds_out_that_it_wants_them_in_order() -> None:
    """Nobody has to know it beforehand, also not of an agent that is started into the backlog of an earlier one."""
    with temporary_folder() as folder, receiving() as witness:
        port = free_port()
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", witness=witness.url)
        with running_agent(config) as agent:
            poll_until("the outage in the log", lambda: "cannot reach" in agent.log(), process=agent)
            poll_until("what is to wait", lambda: len(witness.timestamps()) >= 5, process=agent)
            kept = set(witness.timestamps())
        with running_agent(config) as agent:
            poll_until("the outage in the log", lambda: "cannot reach" in agent.log(), process=agent)
            with running_prometheus(folder, port) as server:
                poll_until("the end of the outage in the log", lambda: "delivered again" in agent.log(), process=agent)
                poll_until("all that was kept", lambda: kept <= set(ticks(server)), process=agent)
            assert "takes no sample that is older" in agent.log(), agent.log()
            assert "dropped" not in agent.log() and "refuses" not in agent.log(), agent.log()


def in_another_order_it_refuses_and_the_loss_is_counted_and_told() -> None:
    """What oldest_first is for, and that the two checks above can fail."""
    with after_an_outage("  protocol: prometheus-1.0\n  order: fresh_first\n") as (server, agent):
        poll_until("the refusal in the log", lambda: "refuses samples" in agent.log(), process=agent)
        dropped = f'msp_agent_samples_dropped_total{{server_name="{SERVER}",reason="rejected"}}'
        poll_until("the loss in its own metrics", lambda: any(
            float(series["values"][-1][1]) > 0 for series in server.series(dropped)), process=agent)
        assert "out of order" in agent.log(), agent.log()


run_checks(it_delivers_every_series_with_its_labels, after_an_outage_nothing_is_refused_and_nothing_is_missing,
           auto_finds_out_that_it_wants_them_in_order, in_another_order_it_refuses_and_the_loss_is_counted_and_told)

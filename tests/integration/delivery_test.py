"""What goes over the wire, and what the agent does with the answers: against a receiver that answers by script and
holds every request to remote write 1.0."""
import signal

from support.agent import CUSTOMER, SERVER, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import poll_until
from support.receiver import Receiver, endless, receiving
from support.ticks import holes


def last_value(receiver: Receiver, name: str, **labels: str) -> float:
    """The newest accepted sample of the series of this name with these labels; raises when there is none."""
    for request in reversed(receiver.accepted()):
        for series in request.series:
            if series.name == name and labels.items() <= dict(series.labels).items() and series.samples:
                return series.samples[-1][1]
    raise AssertionError(f"no sample of {name} {labels}")


def every_request_obeys_remote_write_1_0() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("4 requests", lambda: len(receiver.requests) >= 4, process=agent)
    # The receiver has looked at each of them; here is what the specification does not ask for.
    assert len({request.connection for request in receiver.requests}) == 1, "not one connection for all requests"
    # Costly collectors, netclass among them, are a source with ticks of its own; the last word is one more.
    ticks = {timestamp for request in receiver.requests for series in request.series
             if series.name in ("node_time_seconds", "msp_agent_stop_reason")
             or ("collector", "netclass") in series.labels
             for timestamp, _ in series.samples}
    for request in receiver.requests:
        times = {timestamp for _, timestamp in request.samples()}
        # A busy machine may make two ticks before one is sent.
        assert times and times <= ticks, f"one timestamp per tick, got {sorted(times - ticks)}"
        assert 0 <= request.arrived * 1000 - max(times), "a timestamp that is not the moment of the tick"
        for series in request.series:
            labels = dict(series.labels)
            assert (labels["customer_id"], labels["server_name"]) == (CUSTOMER, SERVER), labels
            assert labels.get("instance") and labels.get("job"), labels
    assert not holes(receiver.ticks()), f"not a tick a second: {receiver.ticks()}"


def refused_with_503_is_sent_again_and_arrives_once() -> None:
    with temporary_folder() as folder, receiving([503, 503]) as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("an accepted request", receiver.accepted, process=agent)
            # A tick that waited behind the second 503 knows of one retry only.
            poll_until("both retries in its own metrics",
                       lambda: last_value(receiver, "msp_agent_retries_total") >= 2, process=agent)
            retries = last_value(receiver, "msp_agent_retries_total")
    assert retries == 2, f"msp_agent_retries_total is {retries} after two 503"
    refused = receiver.requests[0].samples() | receiver.requests[1].samples()
    accepted = [sample for request in receiver.accepted() for sample in request.samples()]
    assert refused and refused <= set(accepted), f"{len(refused - set(accepted))} samples were lost"
    assert len(accepted) == len(set(accepted)), f"{len(accepted) - len(set(accepted))} samples arrived twice"


def an_answer_that_never_ends_costs_the_timeout_and_no_sample() -> None:
    with temporary_folder() as folder, receiving([endless]) as receiver:
        with running_agent(write_config(folder, receiver.url, timeout="2s")) as agent:
            poll_until("a second request", lambda: len(receiver.requests) >= 2, process=agent)
            first = receiver.requests[0].samples()
            poll_until("the kept samples", lambda: first <= {sample for request in receiver.accepted()
                                                             for sample in request.samples()}, process=agent)


def a_stop_does_not_wait_for_an_answer_that_never_ends() -> None:
    with temporary_folder() as folder, receiving([endless] * 100) as receiver:
        with running_agent(write_config(folder, receiver.url, timeout="5m")) as agent:
            poll_until("a request", lambda: receiver.requests, process=agent)
            agent.send(signal.SIGTERM)
            assert agent.wait() == 0, f"exit code {agent.wait(0)}"  # long before the timeout


run_checks(every_request_obeys_remote_write_1_0, refused_with_503_is_sent_again_and_arrives_once,
           an_answer_that_never_ends_costs_the_timeout_and_no_sample,
           a_stop_does_not_wait_for_an_answer_that_never_ends)

"""The unit tells the agent that the host shuts down, and not at a stop of the service alone."""
from scratch import needs_root
from support.check import run_checks
from support.container import own_mounts
from support.process import poll_until
from support.receiver import Receiver, receiving
from support.service import configure, machine_with_agent, start


def reasons(receiver: Receiver) -> list[float]:
    """In the order of their timestamps."""
    return [value for _, value in sorted(sample for request in receiver.requests for series in request.series
                                         if series.name == "msp_agent_stop_reason" for sample in series.samples)]


@needs_root
def a_stop_and_a_shutdown_are_told_apart() -> None:
    with receiving() as receiver, machine_with_agent("bookworm") as machine:
        configure(machine, receiver.url)
        start(machine)
        poll_until("samples", lambda: len(reasons(receiver)) >= 2)
        machine.must("systemctl stop msp-agent")
        start(machine)
        # A stop that had no time left for it leaves it to the next start.
        poll_until("the last word, and samples again", lambda: 1 in reasons(receiver) and reasons(receiver)[-1] == 0)
        machine.power_off()
        machine.boot()
        poll_until("the last word of the shutdown", lambda: 2 in reasons(receiver))
        assert [reason for reason in reasons(receiver) if reason] == [1, 2], reasons(receiver)


own_mounts()
run_checks(a_stop_and_a_shutdown_are_told_apart)

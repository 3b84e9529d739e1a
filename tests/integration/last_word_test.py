"""The agent's last word: in its last request it says why it stops, in the next run how the one before ended, so that
the centre can tell a stop, a reboot and a crash apart."""
import pathlib
import signal

from support.agent import running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import free_port, poll_until
from support.receiver import Receiver, receiving
from support.remote_write import Series

STOP, BEFORE = "msp_agent_stop_reason", "msp_agent_previous_stop_reason"


def of(receiver: Receiver, name: str) -> list[Series]:
    return [series for request in receiver.requests for series in request.series if series.name == name]


def values(receiver: Receiver, name: str) -> list[float]:
    """In the order of their timestamps."""
    return [value for _, value in sorted(sample for series in of(receiver, name) for sample in series.samples)]


def run(config: pathlib.Path, receiver: Receiver, end: signal.Signals) -> str:
    """One run of the agent, ended after two ticks; its log."""
    count = len(values(receiver, "node_load1"))
    with running_agent(config) as agent:
        poll_until("two ticks", lambda: len(values(receiver, "node_load1")) >= count + 2, process=agent)
        agent.send(end)
        code = agent.wait()
    assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0), agent.log()
    return agent.log()


def a_stop_says_why_in_the_last_request() -> None:
    for end, reason in ((signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGPWR, 2)):
        with temporary_folder() as folder, receiving() as receiver:
            log = run(write_config(folder, receiver.url), receiver, end)
            assert f"{end.name}: " in log and "sending what is left" in log, log
            said = values(receiver, STOP)
            assert said[-1] == reason and set(said[:-1]) == {0}, said
            last = receiver.requests[-1]
            newest = max(time for request in receiver.requests for series in request.series for time in
                         (time for time, _ in series.samples))
            series, = [series for series in last.series if series.name == STOP]
            assert series.samples[-1][0] == newest, "something is newer than the last word"
            assert {series.labels for series in of(receiver, STOP)} == {series.labels}, "it is another series"
            stale = [series for request in receiver.requests for series in request.series if series.stale]
            assert not stale, f"stale markers at a stop: {stale}"
            assert not receiver.violations, receiver.violations


def a_kill_says_nothing() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        run(write_config(folder, receiver.url), receiver, signal.SIGKILL)
        assert set(values(receiver, STOP)) == {0}, values(receiver, STOP)


def the_next_run_says_how_the_one_before_ended() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        mark = folder / "web-01-buffer/stop"

        def before() -> float:
            run(config, receiver, signal.SIGTERM)
            return values(receiver, BEFORE)[-1]
        assert before() == 0
        assert mark.read_text().startswith("stop "), mark.read_text()
        run(config, receiver, signal.SIGKILL)
        assert values(receiver, BEFORE)[-1] == 1
        assert mark.read_text().startswith("running "), mark.read_text()
        assert (got := before()) == 3, (got, values(receiver, BEFORE))
        run(config, receiver, signal.SIGPWR)
        assert before() == 2
        mark.write_text("running 00000000-0000-4000-8000-000000000000\n")
        assert before() == 4
        for text in ("", "\n", "garbage " * 100, "running"):
            mark.write_text(text)
            assert before() == (4 if text == "running" else 0), text


def a_last_word_that_cannot_be_delivered_is_kept() -> None:
    with temporary_folder() as folder:
        port = free_port()
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write")
        with running_agent(config) as agent:
            poll_until("it cannot deliver", lambda: "cannot reach" in agent.log(), process=agent)
            agent.send(signal.SIGTERM)
            assert agent.wait() == 0, agent.log()
        with receiving(port=port) as receiver:
            run(config, receiver, signal.SIGTERM)
            said = values(receiver, STOP)
        assert said.count(1) == 2 and said[-1] == 1 and 0 in said, said


def without_a_disk_nothing_is_known_and_nothing_fails() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        (folder / "web-01-buffer").write_text("no folder")
        run(config, receiver, signal.SIGTERM)
        assert values(receiver, STOP)[-1] == 1 and set(values(receiver, BEFORE)) == {0}, values(receiver, BEFORE)


run_checks(a_stop_says_why_in_the_last_request, a_kill_says_nothing, the_next_run_says_how_the_one_before_ended,
           a_last_word_that_cannot_be_delivered_is_kept, without_a_disk_nothing_is_known_and_nothing_fails)

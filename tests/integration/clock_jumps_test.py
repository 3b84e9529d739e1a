"""Clocks that jump by years, both ways, at each phase of an agent's life, and a process that is stopped for an hour
(SIGSTOP), which is an hour for its clocks when it goes on: all that its buffer has taken arrives, with the timestamps
and values that it was taken with. tests/simulation does that many times over (--clocks); here it is the program."""
import concurrent.futures
import pathlib
import signal

from support.agent import temporary_folder
from support.check import run_checks
from support.faulty_agent import NS, Backlog, Faults, Host, host, make_backlog
from support.process import Process, poll_until

YEAR = 365 * 86_400
RUNNING = ("ticks", "outage", "catching up", "reload")


def stop_for_an_hour(there: Host, agent: Process) -> None:
    agent.send(signal.SIGSTOP)
    poll_until("the stop", lambda: all(
        (task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        for task in pathlib.Path(f"/proc/{agent.pid}/task").iterdir()))
    there.faults.elapse(3600)
    agent.send(signal.SIGCONT)


def one(folder: pathlib.Path, backlog: Backlog, phase: str, years: int) -> str:
    """0 years: it is stopped."""
    try:
        with host(folder, backlog) as there:
            def at(agent: Process) -> None:
                if years:
                    there.faults[Faults.STEPPED] = years * YEAR * NS
                else:
                    stop_for_an_hour(there, agent)
            life = there.live(at={phase: at})
            assert life.code == 0, life.log[-1000:]
            then = there.begun_ms[0] / 1000 + years * YEAR
            moved = [time for time in there.made() if abs(time / 1000 - then) < 86_400]
            assert len(moved) > 1, f"no tick {years} years later"
            there.deliver_the_rest()
            return "; ".join(there.wrong()[:3])
    except AssertionError as problem:
        return f"{problem}"[:1500]


def a_clock_that_jumps_and_a_process_that_is_stopped_lose_nothing() -> None:
    with temporary_folder() as folder:
        backlog = make_backlog(folder / "backlog")
        cases = [(phase, years) for phase in RUNNING for years in (0, 10, -10, 40, -50)]
        with concurrent.futures.ThreadPoolExecutor(8) as workers:
            found = list(workers.map(lambda item: one(folder / f"{item[0]}", backlog, *item[1]), enumerate(cases)))
    wrong = [f"{case}: {problem}" for case, problem in zip(cases, found) if problem]
    print(f"clocks: {len(cases) - len(wrong)} of {len(cases)}, {len(wrong)} lost")
    assert not wrong, "\n".join(wrong)


run_checks(a_clock_that_jumps_and_a_process_that_is_stopped_lose_nothing)

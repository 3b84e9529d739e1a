"""What a host can run out of, at every point of an agent's life: memory, address space, descriptors. The agent goes on,
or ends with 1 and one line that says why; it never dies of a signal and never hangs, and all that its buffer has taken
arrives as it was taken. Counted: "n of n, 0 lost".

    MSP_FAULTS=all python3 tests/integration/exhaustion_test.py     each call of malloc: 14,000 runs; else a sample
"""
import concurrent.futures
import dataclasses
import functools
import os
import pathlib
import resource
import shutil
from typing import Callable

from support.agent import temporary_folder
from support.check import run_checks
from support.faulty_agent import PHASES, Backlog, Faults, Host, Life, host, make_backlog
from support.process import Process

ALL = os.environ.get("MSP_FAULTS") == "all"
EVER = 1 << 60
SAMPLE = {"start": 12}  # calls of malloc that fail; of other phases:
SAMPLE_ELSE = 4


@dataclasses.dataclass(frozen=True)
class Fault:
    phase: str
    call: int   # since the phase began
    count: int  # of calls that fail

    def __str__(self) -> str:
        return f"{self.phase}, call {self.call} of malloc{' and all after it' if self.count == EVER else ''}"


@dataclasses.dataclass
class Outcome:
    fault: object
    failed: int = 0
    ended: bool = False  # by itself
    told: bool = False   # that samples are lost
    problem: str = ""
    life: Life | None = None


def complaint(life: Life, words: tuple[str, ...]) -> str:
    """What is wrong with an end: 1 and a line about what is lacking, or 0 at the stop."""
    if life.code == 0 and life.phase == "stop":
        return ""
    if life.code == 1 and any(word in life.last_line for word in words):
        return ""
    if life.code != 0 and not life.has_begun:
        return ""  # the kernel could not load it, or the C library not start it: none of its code has run
    return f"it ended in the phase '{life.phase}' with {life.code}: {life.log[-600:]}"


def outcome_of(folder: pathlib.Path, backlog: Backlog, fault: object, words: tuple[str, ...],
               live: Callable[[Host], Life]) -> Outcome:
    outcome = Outcome(fault)
    try:
        with host(folder, backlog) as there:
            life = outcome.life = live(there)
            outcome.failed = there.faults[Faults.FAILED]
            outcome.ended = life.code != 0
            outcome.problem = complaint(life, words)
            # Without a descriptor for the disk.
            outcome.told = "which are lost: the disk cannot be used" in life.log
            if not outcome.told:
                there.deliver_the_rest()
            lost = [] if outcome.told else there.wrong() + there.silent()
            outcome.problem = outcome.problem or "; ".join(lost[:3]) + (f" ({len(lost)})" if lost else "")
    except AssertionError as problem:
        outcome.problem = outcome.problem or f"{problem}"[:1500]
    if outcome.problem and ALL:
        print(f"{fault}: {outcome.problem}", flush=True)
    shutil.rmtree(folder)
    return outcome


def outcomes_of(folder: pathlib.Path, backlog: Backlog, words: tuple[str, ...],
                faults: list[tuple[object, Callable[[Host], Life]]]) -> list[Outcome]:
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MSP_JOBS", 8))) as workers:
        return list(workers.map(lambda item: outcome_of(folder / f"{item[0]}", backlog, item[1][0], words, item[1][1]),
                                enumerate(faults)))


def malloc_fails(fault: Fault, there: Host) -> Life:
    def after(phase: str, _: Process) -> None:
        if phase == fault.phase:
            there.faults.disarm()
    return there.live(at={fault.phase: lambda _: there.faults.arm(fault.call, fault.count)}, after=after)


def every_call_of_malloc_may_fail() -> None:
    with temporary_folder() as folder:
        backlog = make_backlog(folder / "backlog")
        with host(folder / "reference", backlog) as there:
            calls = there.live().calls
            assert not there.wrong() and not there.silent(), there.wrong() + there.silent()
        faults = []
        for phase in PHASES:
            if ALL:
                # Threads and the number of ticks make the one run longer than the other.
                faults += [Fault(phase, call, 1) for call in range(1, calls[phase] * 11 // 10)]
                faults += [Fault(phase, call, EVER) for call in range(1, calls[phase], 7)]
                continue
            sample = SAMPLE.get(phase, SAMPLE_ELSE)
            faults += [Fault(phase, 1 + calls[phase] * i // sample, 1) for i in range(sample)]
            faults += [Fault(phase, 1 + calls[phase] * i // 3, EVER) for i in range(2)]
        outcomes = outcomes_of(folder, backlog, ("emory",),
                               [(fault, functools.partial(malloc_fails, fault)) for fault in faults])
    report("malloc", outcomes)
    idle = [f"{outcome.fault}" for outcome in outcomes if not outcome.failed]
    if not ALL:
        assert len(idle) < len(outcomes) / 4, f"not reached: {idle}"
        return
    for phase in PHASES:
        reached = max(outcome.fault.call for outcome in outcomes if outcome.failed and outcome.fault.phase == phase)
        print(f"malloc: {phase}: {calls[phase]} calls in a run without a fault, the last that failed is {reached}")
        assert reached < calls[phase] * 11 // 10 - 1, f"{phase}: there are more than {reached}"


@dataclasses.dataclass(frozen=True)
class Limit:
    """Of a resource, from a phase to its end; from "start" on for the whole life."""
    name: str
    phase: str
    at: int

    def __str__(self) -> str:
        return f"{self.name} of {self.at} from the phase '{self.phase}' on"


def is_limited(limit: Limit, which: int, of: Callable[[Process], int], there: Host) -> Life:
    """`of`: what a running process has; the limit is that much, and limit.at more."""
    if limit.phase == "start":
        return there.live(prefix=("prlimit", f"--{limit.name}={limit.at}:{limit.at}"), delivers=False)
    before = resource.getrlimit(which)

    def at(agent: Process) -> None:
        resource.prlimit(agent.pid, which, (max(of(agent) + limit.at, 0), before[1]))

    def after(phase: str, agent: Process) -> None:
        if phase == limit.phase:
            resource.prlimit(agent.pid, which, before)
    return there.live(at={limit.phase: at}, after=after)


def address_space(agent: Process) -> int:
    return int(pathlib.Path(f"/proc/{agent.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def highest_descriptor(agent: Process) -> int:
    return max(map(int, os.listdir(f"/proc/{agent.pid}/fd"))) + 1


RUNNING = ("ticks", "outage", "catching up", "reload")


def address_space_runs_out() -> None:
    with temporary_folder() as folder:
        backlog = make_backlog(folder / "backlog")
        with host(folder / "reference", backlog) as there:
            peak = there.live().peak_bytes
        step = (64 if ALL else 2048) << 10
        limits = [Limit("as", "start", at) for at in (16 << 20, *range(peak + (1 << 20), 2 << 20, -step))]
        limits += [Limit("as", phase, more) for phase in RUNNING
                   for more in (range(-(2 << 20), 4 << 20, step) if ALL else (0, 1 << 18))]
        outcomes = outcomes_of(folder, backlog, ("emory", "start a thread"), [
            (limit, functools.partial(is_limited, limit, resource.RLIMIT_AS, address_space)) for limit in limits])
    runs = [outcome.fault.at for outcome in outcomes if outcome.fault.phase == "start" and not outcome.ended]
    begins = [outcome.fault.at for outcome in outcomes if outcome.fault.phase == "start" and outcome.life.has_begun]
    print(f"address space: it runs in {min(runs) >> 10} KiB (its peak is {peak >> 10}), with less it says so, below "
          f"{min(begins) >> 10} KiB it is the kernel or the C library that cannot start it")
    report("address space", outcomes)
    assert len(runs) < len(begins), "no limit was too low"


def descriptors_run_out() -> None:
    with temporary_folder() as folder:
        backlog = make_backlog(folder / "backlog")
        counts = range(40, 3, -1) if ALL else (30, 24, 20, 18, 16, 14, 13, 12, 11, 10, 9, 8, 6, 5, 4)
        limits = [Limit("nofile", "start", count) for count in counts]
        limits += [Limit("nofile", phase, more) for phase in RUNNING
                   for more in (range(-14, 8) if ALL else (-1000, -2, 0, 1))]
        outcomes = outcomes_of(folder, backlog, ("files", "descriptor"), [
            (limit, functools.partial(is_limited, limit, resource.RLIMIT_NOFILE, highest_descriptor))
            for limit in limits])
    report("descriptors", outcomes)
    assert any(outcome.ended for outcome in outcomes), "no limit was too low"


def report(what: str, outcomes: list[Outcome]) -> None:
    wrong = [outcome for outcome in outcomes if outcome.problem]
    ended = sum(outcome.ended for outcome in outcomes)
    print(f"{what}: {len(outcomes) - len(wrong)} of {len(outcomes)}, {len(wrong)} lost; the agent ended by itself, and "
          f"said why, in {ended}; it went on in {len(outcomes) - ended}; it lost what the disk did not take at its "
          f"stop, and said so, in {sum(outcome.told for outcome in outcomes)}")
    assert not wrong, "\n".join(f"{outcome.fault}: {outcome.problem}" for outcome in wrong[:40])


run_checks(every_call_of_malloc_may_fail, address_space_runs_out, descriptors_run_out)

"""Each system call of the agent's steady state and of an outage fails, with each error that it may return, again and
again while the agent runs: it goes on or ends with one line that says why, it hangs never, and of what it made nothing
is lost without a word. Counted: "n of n, 0 lost".

    MSP_FAULTS=all python3 tests/integration/faults_test.py     all of them, 4 minutes; else a short list
"""
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import signal

from support.agent import BINARY, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, poll_until, started
from support.receiver import receiving

# What `man 2` names and a host can bring about; the calls are those that strace -c counts in a tick and in an outage.
ERRORS = {
    "read": "EIO EINTR EAGAIN ENOMEM", "pread64": "EIO EINTR ENOMEM EAGAIN", "write": "EIO ENOSPC EINTR EAGAIN EPIPE",
    "pwrite64": "EIO ENOSPC EINTR EFBIG EDQUOT", "openat": "EMFILE ENFILE EACCES ENOENT EIO ENOMEM EINTR",
    "newfstatat": "EACCES EIO ENOMEM", "fstat": "EIO ENOMEM", "getdents64": "EIO ENOMEM", "statfs": "EIO EINTR ENOMEM",
    "fcntl": "EINTR EAGAIN", "socket": "EMFILE ENFILE ENOMEM EACCES",
    "connect": "ECONNREFUSED EINTR ENETUNREACH EAGAIN",
    "sendto": "EPIPE ECONNRESET EAGAIN EINTR ENOMEM", "sendmsg": "EPIPE ENOMEM", "recvfrom": "ECONNRESET EAGAIN EINTR",
    "setsockopt": "ENOMEM EPERM", "getsockname": "ENOBUFS", "getsockopt": "ENOBUFS", "poll": "EINTR ENOMEM",
    "fdatasync": "EIO ENOSPC", "fsync": "EIO ENOSPC", "ftruncate": "EIO EFBIG", "fallocate": "ENOSPC EIO EOPNOTSUPP",
    "renameat": "EIO ENOSPC EACCES", "unlinkat": "EIO EACCES", "mmap": "ENOMEM", "madvise": "ENOMEM EAGAIN",
    "uname": "EFAULT", "clock_adjtime": "EPERM", "timerfd_settime": "EINVAL", "close": "EIO EINTR",
    "pipe2": "EMFILE ENFILE", "eventfd2": "EMFILE", "flock": "EINTR",
}
SHORT = ("read:EIO", "pread64:EIO", "pread64:EINTR", "write:ENOSPC", "pwrite64:ENOSPC", "openat:EMFILE",
         "openat:ENOMEM", "newfstatat:EACCES", "getdents64:EIO", "statfs:EIO", "socket:EMFILE", "connect:EINTR",
         "sendto:EPIPE", "sendto:EAGAIN", "recvfrom:ECONNRESET", "poll:EINTR", "poll:ENOMEM", "fdatasync:EIO",
         "mmap:ENOMEM", "renameat:EIO", "unlinkat:EIO")
# The start is another matter: limits_test.py. strace counts in each thread; what is called a few times in a tick, or
# less, fails from its third call on.
OFTEN = {"read", "pread64", "openat", "newfstatat", "fstat", "getdents64", "close", "fcntl", "poll", "mmap"}
TICKS = 3


@dataclasses.dataclass
class Outcome:
    fault: str
    injected: int = 0
    problem: str = ""
    ended: bool = False
    told: bool = False  # that the disk took nothing at the stop, and samples are lost by it


def traced(config: pathlib.Path, trace: pathlib.Path, call: str, error: str) -> Process:
    # --daemonize: the agent is the process that is started, and ended.
    when = "40+7" if call in OFTEN else "3+2"
    return Process(["strace", "--daemonize", "--follow-forks", "--output", str(trace), "--trace", f"?{call}",
                    "--status", "failed", "--inject", f"?{call}:error={error}:when={when}", BINARY,
                    "--config", str(config)], config.with_suffix(".log"))


def complaint(agent: Process) -> str:
    """Of an agent that has ended by itself."""
    code = agent.wait()
    lines = agent.log().splitlines()
    if code != 1 or not lines or not re.search(r" error +\S", lines[-1]):
        return f"it ended with {code}: {lines[-1:]}"
    return ""


def one(fault: str) -> Outcome:
    """Good ticks, then an outage, all of it with the fault; the next agent has none, and delivers what is left."""
    outcome = Outcome(fault)
    call, error = fault.split(":")
    with temporary_folder() as folder, receiving() as receiver, receiving() as witness:
        config = write_config(folder, receiver.url, timeout="5s", witness=witness.url)
        trace = folder / "trace"

        def ticks(count: int) -> bool:
            return len(set(witness.timestamps())) >= count or not agent.running()
        try:
            with started(traced(config, trace, call, error)) as agent:
                poll_until("ticks", lambda: ticks(TICKS))
                receiver.judge = lambda request: 503
                poll_until("ticks of an outage", lambda: ticks(2 * TICKS))
                outcome.ended = not agent.running()
                if outcome.ended:
                    outcome.problem = complaint(agent)
                else:
                    agent.send(signal.SIGTERM)
                    code = agent.wait()  # raises where it hangs
                    outcome.problem = "" if code in (0, 1) else f"its stop ended with {code}: {agent.log()[-300:]}"
            outcome.injected = trace.read_text().count("(INJECTED)") if trace.exists() else 0
            outcome.told = "which are lost: the disk cannot be used" in agent.log()
            made = set() if outcome.told else set(witness.timestamps())
            receiver.judge = None
            with running_agent(config) as agent:
                poll_until("what was made", lambda: made <= set(receiver.timestamps()), process=agent)
        except AssertionError as problem:
            outcome.problem = outcome.problem or f"{problem}"[:1500]
    return outcome


def every_fault_is_survived_and_nothing_is_lost() -> None:
    wanted = [f"{call}:{error}" for call, errors in ERRORS.items() for error in errors.split()]
    assert set(SHORT) <= set(wanted)
    faults = wanted if os.environ.get("MSP_FAULTS") == "all" else list(SHORT)
    with concurrent.futures.ThreadPoolExecutor(8) as workers:
        outcomes = list(workers.map(one, faults))
    wrong = [outcome for outcome in outcomes if outcome.problem]
    idle = [outcome.fault for outcome in outcomes if not outcome.injected]
    ended = [outcome.fault for outcome in outcomes if outcome.ended]
    told = [outcome.fault for outcome in outcomes if outcome.told]
    print(f"faults: {len(outcomes) - len(wrong)} of {len(outcomes)}, {len(wrong)} lost without a word; "
          f"{sum(outcome.injected for outcome in outcomes)} calls failed; the agent ended, and said why, after: "
          f"{', '.join(ended) or 'none'}; it lost what the disk did not take at its stop, and said so, after: "
          f"{', '.join(told) or 'none'}; not called so often: {', '.join(idle) or 'none'}")
    unexpected = [fault for fault in told if not fault.endswith(("ENOSPC", "EIO", "EFBIG", "EDQUOT"))]
    assert not unexpected, f"the disk is said to be at fault after {unexpected}"
    assert not wrong, "\n".join(f"{outcome.fault}: {outcome.problem}" for outcome in wrong)
    assert len(idle) < len(outcomes) / 3, idle


run_checks(every_fault_is_survived_and_nothing_is_lost)

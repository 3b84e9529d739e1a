"""What the host does not give the agent costs what needs it, or ends it with one line that says what was lacking: it
never dies of a signal without a word."""
import ctypes
import os
import pathlib
import re
import signal
import subprocess

from support.agent import BINARY, ROOT, run_once, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import SECONDS_MAX, Process, free_port, poll_until, started
from support.receiver import Receiver, receiving

STARTS = 25
IN_OPEN = 0x20
PLAIN_SIGHUP = ("env", "--default-signal=HUP")  # whoever runs the tests may ignore it
USER = 61_183  # of nobody else, so that its tasks are counted from 0
REFUSED = "http://127.0.0.1:9/api/v1/write"


def limited(config: pathlib.Path, *prefix: str) -> Process:
    return Process([*prefix, BINARY, "--config", str(config)], config.with_suffix(".log"))


def a_file_that_may_not_grow_costs_no_tick() -> None:
    port = free_port()
    with temporary_folder() as folder:
        config = write_config(folder, f"http://127.0.0.1:{port}/api/v1/write", timeout="2s")
        with started(limited(config, "prlimit", "--fsize=4096")) as agent:
            poll_until("what the disk said", lambda: "File too large" in agent.log(), process=agent)
            with receiving(port=port) as receiver:
                poll_until("samples", lambda: len(set(receiver.timestamps())) > 3, process=agent)
            assert agent.running()


def soft_limit_of(agent: Process) -> int:
    limits = pathlib.Path(f"/proc/{agent.pid}/limits").read_text()
    return int(re.search(r"Max open files +(\d+)", limits)[1])


def open_files_of(agent: Process) -> int:
    return len(os.listdir(f"/proc/{agent.pid}/fd"))


def the_soft_limit_on_open_files_is_raised_to_what_is_needed() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with started(limited(write_config(folder, receiver.url), "prlimit", "--nofile=64:1024")) as agent:
            poll_until("two ticks", lambda: len(set(receiver.timestamps())) >= 2, process=agent)
            assert soft_limit_of(agent) == 180, soft_limit_of(agent)
            assert open_files_of(agent) <= 180, open_files_of(agent)
            assert "files open" not in agent.log(), agent.log()


def a_hard_limit_that_is_too_low_is_told_once_and_by_check() -> None:
    wanted = ("this process may have 64 files open, and may need 180: collectors or endpoints can fail with 'Too many "
              "open files'; raise the limit (LimitNOFILE= of the unit, ulimit -n)")
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with started(limited(config, "prlimit", "--nofile=64:64")) as agent:
            poll_until("two ticks", lambda: len(set(receiver.timestamps())) >= 2, process=agent)
            assert soft_limit_of(agent) == 64, soft_limit_of(agent)
            assert agent.log().count(wanted) == 1 and "Too many open files" not in agent.log().replace(wanted, ""), \
                agent.log()
        checked = run_once("--config", str(config), "check", prefix=("prlimit", "--nofile=64:64"))
        assert wanted in checked.stdout and checked.returncode == 0, checked


def setting(name: str) -> int:
    """Of the unit."""
    return int(re.search(rf"(?m)^{name}=(\d+)$", (ROOT / "systemd/msp-agent.service").read_text())[1])


def threads_of(agent: Process) -> int:
    return len(os.listdir(f"/proc/{agent.pid}/task"))


def the_unit_allows_what_the_most_endpoints_need() -> None:
    stuck_mounts_max = 16  # a thread in each, collectors/mount_stat.h
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        text = config.read_text().split("remote_write:")[0] + "remote_write:\n"

        def write(name: str) -> None:
            config.write_text(text + f"- url: {receiver.url}\n" +
                              "".join(f"- {{url: '{REFUSED}/{name}{i}', timeout: 100ms}}\n" for i in range(15)))
        write("a")
        said = run_once("--config", str(config), "check", prefix=("prlimit", "--nofile=64:64")).stdout
        needed = int(re.search(r"may need (\d+)", said)[1])
        of_check = len(receiver.requests)
        with started(limited(config)) as agent:
            poll_until("a request", lambda: len(receiver.requests) > of_check, process=agent)
            write("b")
            agent.send(signal.SIGHUP)
            most_threads = most_files = 0

            def is_reloaded() -> bool:
                nonlocal most_threads, most_files
                most_threads = max(most_threads, threads_of(agent))
                most_files = max(most_files, open_files_of(agent))
                return "reloaded: " in agent.log()
            poll_until("the reload", is_reloaded, process=agent)
            is_reloaded()
    assert most_files <= needed <= setting("LimitNOFILE"), f"{most_files} open, {needed} planned"
    assert most_threads + stuck_mounts_max <= setting("TasksMax"), most_threads
    print(f"of 16 endpoints that are replaced: at most {most_threads} threads, {most_files} open files")


class Opened:
    """Waits until somebody opens a file."""

    def __init__(self, path: pathlib.Path):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC)
        assert self._fd >= 0 and libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN) >= 0, ctypes.get_errno()

    def wait(self) -> None:
        os.read(self._fd, 4096)

    def close(self) -> None:
        os.close(self._fd)


def a_sighup_while_the_configuration_is_read_for_the_first_time_is_kept() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        config.write_text(config.read_text() + "# to read takes a while\n" * 40_000)
        for _ in range(STARTS):
            opened = Opened(config)
            config.with_suffix(".log").unlink(missing_ok=True)
            with started(limited(config, *PLAIN_SIGHUP)) as agent:
                opened.wait()
                opened.close()
                agent.send(signal.SIGHUP)
                poll_until("the reload", lambda: "reloaded: " in agent.log(), process=agent)


def a_sighup_ends_a_command_that_is_no_agent() -> None:
    """It is a terminal that was closed."""
    with temporary_folder() as folder:
        config = write_config(folder, REFUSED)
        command = subprocess.Popen([*PLAIN_SIGHUP, BINARY, "--config", str(config), "--dry-run", "--diff"],
                                   stdout=subprocess.DEVNULL)
        # It sleeps between its two passes.
        poll_until("the pause", lambda: "nanosleep" in pathlib.Path(f"/proc/{command.pid}/wchan").read_text())
        command.send_signal(signal.SIGHUP)
        assert command.wait(SECONDS_MAX) == -signal.SIGHUP, command.returncode


def said_at_its_end(agent: Process, receiver: Receiver) -> str:
    """Its last line, where it ends with 1; nothing where it delivers."""
    poll_until("an end, or a request", lambda: not agent.running() or receiver.requests)
    if agent.running():
        return ""
    code = agent.wait(1)
    assert code == 1, f"exit code {code}: {agent.log()}"
    return agent.log().splitlines()[-1]


def too_few_threads_are_told_in_one_line() -> None:
    """nproc of a user of its own: root has no such limit."""
    if os.getuid() != 0:
        print("only root can become a user without processes: not looked at")
        return
    said = {}
    with temporary_folder() as folder:
        folder.chmod(0o711)
        for count in range(1, 8):
            home = folder / str(count)
            home.mkdir()
            with receiving() as receiver:
                config = write_config(home, receiver.url)
                for path in (home, config):
                    os.chown(path, USER, USER)
                with started(limited(config, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                                     "prlimit", f"--nproc={count}")) as agent:
                    said[count] = said_at_its_end(agent, receiver)
    assert said[1] and not said[7], said
    for line in filter(None, said.values()):
        assert "start a thread" in line and "TasksMax=" in line, line


def peak_address_space(agent: Process) -> int:
    status = pathlib.Path(f"/proc/{agent.pid}/status").read_text()
    return int(re.search(r"VmPeak:\s+(\d+) kB", status)[1]) << 10


def too_little_memory_is_told_in_one_line() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with running_agent(write_config(folder, receiver.url)) as agent:
            poll_until("a request", lambda: receiver.requests, process=agent)
            peak = peak_address_space(agent)
    if peak > 1 << 40:
        print("a sanitizer takes more address space than can be limited: not looked at")
        return
    said = []
    for percent in range(50, 100, 4):
        with temporary_folder() as folder, receiving() as receiver:
            with started(limited(write_config(folder, receiver.url), "prlimit",
                                 f"--as={peak * percent // 100}")) as agent:
                poll_until("an end, or a request", lambda: not agent.running() or receiver.requests)
                code = None if agent.running() else agent.wait(1)
                if code is None or "error while loading shared libraries" in agent.log():
                    continue  # it is the loader that lacks the memory
                assert code == 1, f"exit code {code} with {percent} %: {agent.log()}"
                said.append(agent.log().splitlines()[-1])
    assert said, "half of the address space is enough"
    for line in said:
        assert "emory" in line or "start a thread" in line, line


run_checks(a_file_that_may_not_grow_costs_no_tick, the_soft_limit_on_open_files_is_raised_to_what_is_needed,
           a_hard_limit_that_is_too_low_is_told_once_and_by_check, the_unit_allows_what_the_most_endpoints_need,
           a_sighup_while_the_configuration_is_read_for_the_first_time_is_kept,
           a_sighup_ends_a_command_that_is_no_agent, too_few_threads_are_told_in_one_line,
           too_little_memory_is_told_in_one_line)

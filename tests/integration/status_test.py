"""msp-agent status: what a running agent does, and what a person is told when it does not."""
import contextlib
import json
import os
import pathlib
import signal
import stat
import subprocess
import termios
import time
from typing import Iterator

from support.agent import BINARY, run_once, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.receiver import receiving
from support.terminal import Terminal

SECRET = "s3cr3t-token"


def environment(folder: pathlib.Path) -> dict[str, str]:
    """As the unit has it: a folder in memory, which here is one of the test's."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return {**os.environ, "RUNTIME_DIRECTORY": str(run)}


@contextlib.contextmanager
def running(config: pathlib.Path) -> Iterator[Process]:
    process = Process([BINARY, "--config", str(config)], config.with_suffix(".log"), environment(config.parent))
    with started(process):
        poll_until("a status", (config.parent / "run/status.json").exists, process=process)
        yield process


def status(config: pathlib.Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run_once("--config", str(config), "status", *arguments, prefix=prefix, env=environment(config.parent))


def said(config: pathlib.Path, code: int, *wanted: str) -> str:
    outcome = status(config)
    assert outcome.returncode == code, f"exit {outcome.returncode}: {outcome.stdout}{outcome.stderr}"
    for text in wanted:
        assert text in outcome.stdout, f"'{text}' is not in:\n{outcome.stdout}"
    return outcome.stdout


def when_all_is_well_the_first_line_says_so() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url, more=f"  bearer_token: {SECRET}\n")
        with running(config) as agent:
            text = poll_until("all is well", lambda: said(config, 0, "all is well\n"), process=agent)
            assert text.startswith("all is well\n"), text
            for wanted in ("alpha/web-01, msp-agent ", f"process {agent.pid} since ", "delivering", receiver.url,
                           "OUTAGE IT STILL HOLDS", "COLLECTOR", "meminfo"):
                assert wanted in text, f"'{wanted}' is not in:\n{text}"
            assert "\x1b" not in text, "colour without a terminal"
            file = folder / "run/status.json"
            assert stat.S_IMODE(file.stat().st_mode) == 0o640, oct(file.stat().st_mode)
            assert SECRET not in file.read_text() + text, "the secret is shown"


def json_is_for_programs() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            def is_well() -> dict | None:
                said = json.loads(status(config, "--json").stdout)
                return said if said["well"] and said["endpoints"][0]["sent_samples"] > 100 else None
            told = poll_until("all is well", is_well, process=agent)
        assert told["running"] is True and told["well"] is True and told["pid"] == agent.pid, told
        assert told["process"]["cpu_seconds"] > 0 and told["process"]["resident_bytes"] > 1e6, told
        assert told["updated"] >= told["started"] > 1.6e9 and told["interval_seconds"] == 1, told
        endpoint, = told["endpoints"]
        assert endpoint["name"] == receiver.url and endpoint["state"] == "delivering", endpoint
        assert endpoint["last_success"] > told["started"] - 1 and endpoint["sent_samples"] > 100, endpoint
        assert told["buffer"]["holds_outage_seconds"] > 3600, told["buffer"]
        series = {collector["name"]: collector["series"] for collector in told["collectors"]}
        assert series["loadavg"] == 3 and series["uname"] == 1, series


def it_is_of_the_moment_for_who_may_ask_and_else_of_the_file() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            poll_until("all is well", lambda: status(config).returncode == 0, process=agent)
            before = time.time()
            assert json.loads(status(config, "--json").stdout)["updated"] >= before
            if os.getuid() != 0:
                return
            for path in (folder, folder / "run"):
                path.chmod(0o755)
            config.chmod(0o644)
            file = folder / "run/status.json"
            group = ("setpriv", "--reuid=65534", f"--regid={file.stat().st_gid}", "--clear-groups")
            written = json.loads(file.read_text())["updated"]
            told = json.loads(status(config, "--json", prefix=group).stdout)
            assert told["well"] and told["updated"] == written, told


def a_forged_file_ends_no_process_of_somebody_else() -> None:
    if os.getuid() != 0:
        return
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        file = folder / "run/status.json"
        with running(config):
            written = json.loads(status(config, "--json").stdout)
        victim = Process(["sleep", "1000"], folder / "sleep.log")
        with started(victim):
            ticks = pathlib.Path(f"/proc/{victim.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
            for number, is_link in ((signal.SIGUSR1, False), (signal.SIGKILL, False), (signal.SIGUSR1, True)):
                forged = {**written, "pid": victim.pid, "start_ticks": int(ticks), "status_signal": int(number),
                          "stopped": False}
                file.unlink()
                target = folder / "forged.json" if is_link else file
                target.write_text(json.dumps(forged))
                if is_link:
                    file.symlink_to(target)  # root's, as the victim is
                else:
                    os.chown(file, 65534, 65534)
                assert json.loads(status(config, "--json").stdout)["pid"] == victim.pid
            victim.send(signal.SIGTERM)
            assert victim.wait() == -signal.SIGTERM, "another signal has ended it"


def an_endpoint_that_is_down_is_named_with_its_error_and_what_is_kept() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        port = free_port()
        config = write_config(folder, receiver.url)
        down = f"http://127.0.0.1:{port}/api/v1/write?key={SECRET}"
        config.write_text(config.read_text().replace(
            "remote_write:\n  url: ", f"remote_write:\n- url: {down}\n- url: "))
        with running(config) as agent:
            text = poll_until("trouble", lambda: said(
                config, 1, f"cannot reach http://127.0.0.1:{port}/api/v1/write: ", " samples kept", "tries again",
                "delivering", "retrying"), process=agent)
            assert text.startswith("cannot reach "), text
            json_text = status(config, "--json").stdout
        assert SECRET not in text + json_text, "the secret is shown"
        told = json.loads(json_text)
        down, up = told["endpoints"]
        assert down["backlog_samples"] > 0 and down["last_success"] is None and down["last_error"], down
        assert up["state"] == "delivering" and up["last_error"] == "", up


def the_words_of_the_centre_are_shown() -> None:
    def refuse(handler) -> None:
        body = b"tenant alpha is unknown"
        handler.send_response(401)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with temporary_folder() as folder, receiving([refuse] * 100) as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            poll_until("the refusal", lambda: said(config, 1, "cannot deliver to ", "tenant alpha is unknown",
                                                   "It needs a correction", "misconfigured"), process=agent)


def an_agent_that_was_killed_is_not_running() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            agent.send(signal.SIGKILL)
            agent.wait()
            text = said(config, 1, f"msp-agent is not running: process {agent.pid} is gone",
                        "systemctl start msp-agent")
            assert text.startswith("msp-agent is not running"), text
            assert json.loads(status(config, "--json").stdout)["running"] is False


def another_process_of_the_same_pid_is_not_the_agent() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        file = folder / "run/status.json"
        with running(config) as agent:
            agent.send(signal.SIGKILL)
            agent.wait()
        file.write_text(file.read_text().replace(f'"pid": {agent.pid},', f'"pid": {os.getpid()},'))
        said(config, 1, f"process {os.getpid()} is gone")


def an_agent_that_was_stopped_says_when() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            agent.send(signal.SIGTERM)
            assert agent.wait() == 0
            said(config, 1, f"msp-agent is not running: process {agent.pid} was stopped at 20")


def an_agent_that_hangs_is_found_out() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            agent.send(signal.SIGSTOP)
            text = poll_until("the verdict", lambda: said(config, 1, f"msp-agent hangs: process {agent.pid}"))
            assert f"kill -CONT {agent.pid}" in text, text
            told = json.loads(status(config, "--json").stdout)
            assert told["running"] is True and told["hangs"] is True, told
            agent.send(signal.SIGCONT)
            poll_until("all is well", lambda: said(config, 0, "all is well"), process=agent)


def who_may_not_read_it_is_told_who_may() -> None:
    if os.getuid() != 0:
        return
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config):
            for path in (folder, folder / "run"):
                path.chmod(0o755)
            config.chmod(0o644)
            outcome = status(config, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        assert outcome.returncode == 1, outcome
        assert "run as root or as a member of the group msp-agent" in outcome.stdout.splitlines()[0], outcome


def without_a_file_it_says_where_it_looked() -> None:
    with temporary_folder() as folder:
        config = write_config(folder, "http://127.0.0.1:9/api/v1/write")
        said(config, 1, f"msp-agent is not running, or began just now: there is no {folder}/run/status.json")
        assert json.loads(status(config, "--json").stdout)["running"] is False


def a_file_that_is_damaged_is_one_clear_line() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        file = folder / "run/status.json"
        with running(config):
            whole = file.read_bytes()
        for damaged in (b"", b"\0\xff" * 50, b"[1, 2]", b"{}", whole[:len(whole) // 2], whole[:-3], b"{" * 5000):
            file.write_bytes(damaged)
            outcome = status(config)
            assert outcome.returncode == 1 and len(outcome.stdout.splitlines()) == 1, (damaged[:60], outcome)
            assert "not a status of msp-agent" in outcome.stdout, outcome


def without_a_folder_in_memory_it_is_beside_the_buffer() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        plain = {name: value for name, value in os.environ.items() if name != "RUNTIME_DIRECTORY"}
        process = Process([BINARY, "--config", str(config)], config.with_suffix(".log"), plain)
        with started(process):
            file = folder / "web-01-buffer/status.json"
            poll_until("a status", file.exists, process=process)
            outcome = run_once("--config", str(config), "status", "--json", env=plain)
            assert json.loads(outcome.stdout)["update_seconds"] == 60, outcome.stdout


def watch_shows_it_anew_and_leaves_the_terminal_as_it_was() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url)
        with running(config) as agent:
            poll_until("all is well", lambda: status(config).returncode == 0, process=agent)
            for key in ("q", "\x03"):
                terminal = Terminal("--config", str(config), "status", "--watch", env=environment(folder))
                terminal.wait_for("q ends")
                assert "all is well" in terminal.said and "\x1b[32m" in terminal.said, terminal.said
                assert not terminal.modes()[3] & (termios.ECHO | termios.ICANON), terminal.modes()
                terminal.wait_for("q ends")
                terminal.type(key)
                terminal.wait_for("\x1b[?1049l")
                poll_until("the modes", lambda: terminal.modes()[3] & termios.ECHO
                           and terminal.modes()[3] & termios.ICANON)
                assert terminal.end() == 0, terminal.said


def watch_without_a_terminal_is_bad_usage() -> None:
    with temporary_folder() as folder:
        outcome = status(write_config(folder, "http://127.0.0.1:9/api/v1/write"), "--watch")
        assert outcome.returncode == 2 and "--watch needs a terminal" in outcome.stderr, outcome
        assert outcome.stdout == "", outcome


run_checks(when_all_is_well_the_first_line_says_so, json_is_for_programs,
           it_is_of_the_moment_for_who_may_ask_and_else_of_the_file, a_forged_file_ends_no_process_of_somebody_else,
           an_endpoint_that_is_down_is_named_with_its_error_and_what_is_kept, the_words_of_the_centre_are_shown,
           an_agent_that_was_killed_is_not_running, another_process_of_the_same_pid_is_not_the_agent,
           an_agent_that_was_stopped_says_when, an_agent_that_hangs_is_found_out,
           who_may_not_read_it_is_told_who_may, without_a_file_it_says_where_it_looked,
           a_file_that_is_damaged_is_one_clear_line, without_a_folder_in_memory_it_is_beside_the_buffer,
           watch_shows_it_anew_and_leaves_the_terminal_as_it_was, watch_without_a_terminal_is_bad_usage)

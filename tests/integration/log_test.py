"""What the agent says on stderr, by where stderr goes."""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time
import unicodedata

from support.agent import BINARY, temporary_folder, write_config
from support.check import run_checks
from support.process import SECONDS_MAX, Process, free_port, poll_until, started

ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def start(folder: pathlib.Path, stderr: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    config = write_config(folder, f"http://127.0.0.1:{free_port()}/api/v1/write")
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BINARY, "--config", str(config)],
                            stdin=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **environment})


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(SECONDS_MAX)


def lines_in_file(environment: dict[str, str], is_journal: bool) -> list[str]:
    """A start and a failure to deliver, as they stand in a file."""
    with temporary_folder() as folder:
        log = folder / "log"
        with open(log, "wb") as file:
            status = os.fstat(file.fileno())
            if is_journal:
                environment = {**environment, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            process = start(folder, file.fileno(), environment)
            try:
                poll_until("a failure to deliver", lambda: "cannot reach" in log.read_text())
            finally:
                end(process)
        return log.read_text().splitlines()


def the_journal_gets_priorities_and_no_time_of_its_own() -> None:
    lines = lines_in_file({}, is_journal=True)
    assert re.match(r"<6>msp-agent \d+\.\d+\.\d+: alpha/web-01: ", lines[0]), lines[0]
    assert any(line.startswith("<4>cannot reach http://127.0.0.1:") for line in lines), lines


def a_file_gets_time_and_level() -> None:
    lines = lines_in_file({"JOURNAL_STREAM": "1:1"}, is_journal=False)  # of another process's stream
    assert re.match(ISO + r" info +msp-agent ", lines[0]), lines[0]
    assert any(re.match(ISO + r" warning +cannot reach ", line) for line in lines), lines
    assert not any("\033" in line for line in lines), lines


def a_line_is_one_printable_line_whatever_it_quotes() -> None:
    with temporary_folder() as folder:
        proc = folder / "proc"
        proc.mkdir()
        (proc / "loadavg").write_bytes(b"\x1b[31m\xff\xc2\x9b" + bytes(60_000) + b"\n")
        config = write_config(folder, f"http://127.0.0.1:{free_port()}/api/v1/write",
                              more="collectors: {enabled: [loadavg]}\n")
        process = Process([BINARY, "--config", str(config), "--path.procfs", str(proc)], folder / "log")
        with started(process):
            poll_until("the failure", lambda: "loadavg: " in process.log(), process=process)
        said = (folder / "log").read_bytes().decode()  # raises where it is not UTF-8
    lines = [line for line in said.splitlines() if "loadavg: " in line]
    assert len(lines) == 1 and "\\x1b[31m\\xff\\u009b\\x00" in lines[0], said[:500]
    assert lines[0].endswith("...'") and len(lines[0]) < 9_000, lines[0][-200:]
    odd = {character for character in said if character != "\n" and unicodedata.category(character) == "Cc"}
    assert not odd, odd


def a_terminal_gets_colour_and_a_short_time() -> None:
    ours, theirs = pty.openpty()
    with temporary_folder() as folder:
        process = start(folder, theirs, {})
        os.close(theirs)
        said = b""
        try:
            deadline = time.monotonic() + SECONDS_MAX
            while b"cannot reach" not in said and time.monotonic() < deadline:
                if select.select([ours], [], [], 0.5)[0]:
                    said += os.read(ours, 4096)
        finally:
            end(process)
            os.close(ours)
    text = said.decode()
    assert re.match(r"\d\d:\d\d:\d\d \033\[", text), text
    assert "cannot reach" in text, text


run_checks(the_journal_gets_priorities_and_no_time_of_its_own, a_file_gets_time_and_level,
           a_line_is_one_printable_line_whatever_it_quotes, a_terminal_gets_colour_and_a_short_time)

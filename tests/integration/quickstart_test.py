"""packaging/quickstart.sh: one command to samples in a VictoriaMetrics, and nothing of it left when it ends."""
import os
import pathlib
import re
import signal
import subprocess
import urllib.request

from support.agent import ROOT, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started

CUSTOMER = b'"customer_id":"quickstart"'
COMMAND = ["sh", str(ROOT / "packaging/quickstart.sh")]


def environment(port: int, graph_port: int = 0) -> dict[str, str]:
    return os.environ | {"QUICKSTART_PORT": str(port), "QUICKSTART_GRAPH_PORT": str(graph_port)}


def left_over(port: int) -> list[str]:
    """Command lines of processes that belong to the quickstart on this port."""
    commands = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended meanwhile
    return [command for command in commands
            if f"127.0.0.1:{port}" in command or "build/quickstart/msp-agent.yaml" in command]


def it_shows_samples_and_ends_by_itself() -> None:
    port = free_port()
    for _ in range(2):  # the second run finds the first one's build and data
        outcome = subprocess.run([*COMMAND, "--for", "3s"], env=environment(port), capture_output=True, text=True,
                                 timeout=1500, check=False)
        said = f"{outcome.stdout}{outcome.stderr}"
        assert outcome.returncode == 0, f"exit code {outcome.returncode}: {said}"
        shown = re.search(r"(?m)^(\d+) series of this host", outcome.stdout)
        assert shown and int(shown[1]) > 100, said
        for words in ("memory used", "disk / used", "Done after 3 s", "curl"):
            assert words in outcome.stdout, f"'{words}' is not said: {said}"
        assert re.search(r"Done after 3 s: [1-9]\d+ samples arrived", outcome.stdout), said
        assert not left_over(port), left_over(port)


def a_stop_ends_all_that_it_started() -> None:
    port = free_port()
    with temporary_folder() as folder, \
            started(Process(COMMAND, folder / "quickstart.log", environment(port))) as quickstart:
        poll_until("samples", lambda: "series of this host" in quickstart.log(), process=quickstart)
        for program in ("victoria-metrics ", "build/release/msp-agent "):
            assert any(command.startswith(program) for command in left_over(port)), f"{program} does not run"
        quickstart.send(signal.SIGTERM)
        assert quickstart.wait() == 143, "it was told to end with SIGTERM"
        assert not left_over(port), left_over(port)


def with_graph_a_page_draws_them() -> None:
    port, graph_port = free_port(), free_port()
    with temporary_folder() as folder, started(Process([*COMMAND, "--graph"], folder / "quickstart.log",
                                                       environment(port, graph_port))) as quickstart:
        page = poll_until("the page's address", lambda: re.search(r"Look at it: +(\S+)", quickstart.log()),
                          process=quickstart)[1]
        with urllib.request.urlopen(page, timeout=120) as answer:
            assert b"graph" in answer.read().lower(), page
        query = f"http://127.0.0.1:{graph_port}/api/v1/query?query=node_load1"
        poll_until("its samples", lambda: CUSTOMER in urllib.request.urlopen(query, timeout=120).read(),
                   process=quickstart)
        quickstart.send(signal.SIGTERM)
        assert quickstart.wait() == 143, "it was told to end with SIGTERM"
        assert not left_over(port) and not left_over(graph_port), left_over(port) + left_over(graph_port)


def a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with temporary_folder() as folder:
        port = free_port()
        other = Process(["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(folder)],
                        folder / "http.log")
        with started(other):
            poll_until("it listens", lambda: subprocess.run(
                ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/"], check=False).returncode == 0)
            outcome = subprocess.run([*COMMAND, "--for", "3s"], env=environment(port), capture_output=True, text=True,
                                     timeout=1500, check=False)
    assert outcome.returncode == 1 and f"port {port}" in outcome.stderr and "QUICKSTART_PORT" in outcome.stderr, \
        f"exit code {outcome.returncode}: {outcome.stdout}{outcome.stderr}"


def a_fleet_of_fourteen_servers_ends_by_itself() -> None:
    port = free_port()
    outcome = subprocess.run([*COMMAND, "--fleet", "--for", "30s"], env=environment(port), capture_output=True,
                             text=True, timeout=1500, check=False)
    said = f"{outcome.stdout}{outcome.stderr}"
    assert outcome.returncode == 0, f"exit code {outcome.returncode}: {said}"
    for pattern in (r"  beta +app-01 +[89]\d\n", r"  epsilon +idle-01 +[0-3]\n", r"  gamma +batch-01 +9\d\n",
                    r"14 servers sent samples"):
        assert re.search(pattern, outcome.stdout), f"'{pattern}' is not there: {said}"
    assert not left_over(port), left_over(port)


run_checks(it_shows_samples_and_ends_by_itself, a_stop_ends_all_that_it_started, with_graph_a_page_draws_them,
           a_fleet_of_fourteen_servers_ends_by_itself, a_port_that_is_taken_is_told_with_what_to_do)

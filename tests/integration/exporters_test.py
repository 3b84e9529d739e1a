"""check and init --scrape find exporters at their well-known ports: real ones of Debian, in a network namespace of the
test's own, where these ports are free. Nothing that hangs, floods or is no exporter is found or waited for."""
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import threading
from typing import Any

from support.agent import ROOT, run_once, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started

CLONE_NEWNET = 0x40000000  # unshare(2)
INIT = ("init", "--customer-id", "a", "--url", "http://h/w", "--scrape")
MYSQLD, REDIS, NODE, BIND, POSTFIX = 9104, 9121, 9100, 9119, 9154


def into_an_empty_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(2) of the network")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def exporter(folder: pathlib.Path, name: str, address: str) -> Process:
    return Process([f"prometheus-{name}", f"--web.listen-address={address}"], folder / f"{name}.log")


def answering(port: int, answer: bytes) -> socket.socket:
    """Gives each who connects `answer`; of an empty one nothing, for ever."""
    server = socket.create_server(("127.0.0.1", port))
    kept = []

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            kept.append(peer)
            if answer:
                peer.recv(4096)
                peer.sendall(answer)
                peer.close()
    threading.Thread(target=serve, daemon=True).start()
    return server


def checked(folder: pathlib.Path, more: str = "", *flags: str) -> list[dict[str, Any]]:
    config = folder / "msp-agent.yaml"
    config.write_text(f"customer_id: a\nremote_write: {{url: 'http://127.0.0.1:{free_port()}/w', timeout: 1s}}\n"
                      f"buffer: {{path: {folder / 'buffer'}, min_free: 0}}\n{more}")
    outcome = run_once("--config", str(config), *flags, "check", "--json")
    steps: list[dict[str, Any]] = json.loads(outcome.stdout)["host"]["steps"]
    return [step for step in steps if step["step"] in ("exporter", "scrape")]


def exporters_are_found_and_proposed() -> None:
    with temporary_folder() as folder:
        assert (steps := checked(folder)) == [], steps
        with started(exporter(folder, "redis-exporter", f"127.0.0.1:{REDIS}")) as redis, \
                started(exporter(folder, "node-exporter", f"0.0.0.0:{NODE}")) as node:
            poll_until("redis_exporter listens", lambda: listens(REDIS), process=redis)
            poll_until("node_exporter listens", lambda: listens(NODE), process=node)
            replaced, found, block = checked(folder)
            assert replaced["result"] == "warning" and "stop node_exporter" in replaced["text"], replaced
            assert "listens at every address" in replaced["text"] and replaced["to_world"] == 1, replaced
            assert found["result"] == "note" and found["port"] == REDIS and found["to_world"] == 0, found
            assert block["text"].endswith("scrape: [{job: redis, targets: ['127.0.0.1:9121']}]"), block
            again = checked(folder, block["text"][block["text"].index("scrape: ["):] + "\n")
            assert [step["port"] for step in again] == [NODE], again
            # The tables are those of the host's /proc, where that is mounted elsewhere.
            assert checked(folder, "", f"--path.procfs={ROOT / 'tests/fixtures/loadavg'}") == []

            written = folder / "new.yaml"
            outcome = run_once("--config", str(written), *INIT)
            assert outcome.returncode == 0, outcome
            assert written.read_text().endswith("\nscrape:\n  - job: redis\n    targets: ['127.0.0.1:9121']\n"), \
                written.read_text()


def what_is_no_exporter_is_not_found() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body>hello</body></html>\n"
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9121/metrics\r\nContent-Length: 0\r\n\r\n"
    servers = [answering(MYSQLD, b""), answering(BIND, page), answering(POSTFIX, moved)]
    try:
        with temporary_folder() as folder:
            assert (steps := checked(folder)) == [], steps
    finally:
        for server in servers:
            server.close()


def init_without_exporters_says_so() -> None:
    with temporary_folder() as folder:
        written = folder / "new.yaml"
        outcome = run_once("--config", str(written), *INIT)
        assert outcome.returncode == 0 and "no exporter answers" in outcome.stderr, outcome
        assert "scrape" not in written.read_text(), written.read_text()


if os.geteuid() == 0:
    into_an_empty_network()
    run_checks(exporters_are_found_and_proposed, what_is_no_exporter_is_not_found, init_without_exporters_says_so)
else:
    raise SystemExit("needs root, for a network namespace")

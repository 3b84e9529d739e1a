"""The name of the endpoint moves to another server while the agent runs: after an answer that is not 2xx the next try
looks the name up anew and makes a connection of its own; while all goes well the connection is kept."""
import contextlib
import http.server
import pathlib
import threading
from typing import Iterator

from support.agent import running_agent, temporary_folder, write_config
from support.check import run_checks
from support.container import own_mounts
from support.link import run
from support.process import poll_until

NAME = "centre.test"
OLD, NEW = "127.0.0.2", "127.0.0.3"
TICKS = 3


class Server(http.server.ThreadingHTTPServer):
    """Answers every request with `status`."""

    def __init__(self, address: str, port: int, status: int):
        self.status, self.requests, self.connections = status, 0, 0
        super().__init__((address, port), Handler)

    def process_request(self, request, client_address) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def serving(address: str, port: int, status: int) -> Iterator[Server]:
    with Server(address, port, status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextlib.contextmanager
def own_hosts(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The /etc/hosts of this process and what it starts."""
    hosts = folder / "hosts"
    point_name_to(hosts, OLD)
    run("mount", "--bind", str(hosts), str(pathlib.Path("/etc/hosts").resolve()))
    try:
        yield hosts
    finally:
        run("umount", str(pathlib.Path("/etc/hosts").resolve()))


def point_name_to(hosts: pathlib.Path, address: str) -> None:
    hosts.write_text(f"127.0.0.1 localhost\n{address} {NAME}\n")


def moves(status: int) -> None:
    """The old server takes some ticks; then the name moves, and the old one answers `status` for ever."""
    with temporary_folder() as folder, own_hosts(folder) as hosts, serving(OLD, 0, 204) as old:
        port = old.server_address[1]
        config = write_config(folder, f"http://{NAME}:{port}/api/v1/write", timeout="30s")
        with serving(NEW, port, 204) as new, running_agent(config) as agent:
            poll_until("ticks at the old server", lambda: old.requests >= TICKS, process=agent)
            assert old.connections == 1, f"{old.connections} connections while all went well"
            point_name_to(hosts, NEW)
            old.status = status
            poll_until("ticks at the new server", lambda: new.requests >= TICKS, process=agent)
            assert new.connections == 1, f"{new.connections} connections while all went well"


def after_a_refusal_the_name_is_looked_up_anew_and_the_server_that_it_means_now_gets_the_samples() -> None:
    moves(503)


own_mounts()
run_checks(after_a_refusal_the_name_is_looked_up_anew_and_the_server_that_it_means_now_gets_the_samples)

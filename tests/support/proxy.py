"""An HTTP proxy for CONNECT on loopback: a fake, because nginx has none. It looks at who asks and passes bytes on."""
import base64
import contextlib
import http.server
import select
import socket
import threading
from typing import Iterator


class Proxy:
    """`login` is "user:password"; whoever does not say that gets 407."""

    def __init__(self, login: str = ""):
        self.asked: list[str] = []      # the targets of all CONNECT requests
        self.headers: list[str] = []    # all header lines it was ever shown
        proxy = self
        wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                proxy.headers += [f"{name}: {value}" for name, value in self.headers.items()]
                self.close_connection = True
                if self.headers.get("Proxy-Authorization") != wanted:
                    self.send_error(407)
                    return
                host, port = self.path.rsplit(":", 1)
                try:
                    server = socket.create_connection((host, int(port)), 5)
                except OSError:
                    self.send_error(502)
                    return
                self.send_response(200)
                self.end_headers()
                with server:
                    pass_on(self.connection, server)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def pass_on(a: socket.socket, b: socket.socket) -> None:
    """Until one of them is done."""
    with contextlib.suppress(OSError):
        while True:
            for side in select.select([a, b], [], [])[0]:
                data = side.recv(65536)
                if not data:
                    return
                (b if side is a else a).sendall(data)


@contextlib.contextmanager
def running_proxy(login: str = "") -> Iterator[Proxy]:
    proxy = Proxy(login)
    try:
        yield proxy
    finally:
        proxy.close()

"""A remote write receiver that answers as a script says and checks every request it gets, of any of the protocols."""
import contextlib
import dataclasses
import http.server
import ssl
import threading
import time
from typing import Callable, Iterable, Iterator

from support.remote_write import Labels, Series, Wire, read_request, wire_of


@dataclasses.dataclass
class Request:
    arrived: float              # time.time() when its body had been read
    connection: tuple[str, int]
    accepted: bool
    series: list[Series]
    wire: Wire = Wire.PROMETHEUS_1_0
    body_bytes: int = 0

    def samples(self) -> set[tuple[Labels, int]]:
        return {(series.labels, time) for series in self.series for time, _ in series.samples}

    def timestamps(self) -> list[int]:
        """Those of node_load1, which every tick has."""
        return sorted(time for series in self.series if series.name == "node_load1" for time, _ in series.samples)


def written_headers(request: Request) -> dict[str, str]:
    """What a receiver of 2.0 must say: how much it has taken."""
    if request.wire is not Wire.PROMETHEUS_2_0:
        return {}
    samples = sum(len(series.times) for series in request.series) if request.accepted else 0
    return {"X-Prometheus-Remote-Write-Samples-Written": str(samples),
            "X-Prometheus-Remote-Write-Histograms-Written": "0",
            "X-Prometheus-Remote-Write-Exemplars-Written": "0"}


class Receiver:
    """Listens on 127.0.0.1. `answers` are used up one per request, then `judge` answers to what is in the request, or
    it is 204: a status, or a function that is given the handler and answers itself (support.answers has some). A
    request that breaks the specification is kept in `violations`."""

    def __init__(self, answers: Iterable[int | Callable] = (), port: int = 0,
                 tls: ssl.SSLContext | None = None):
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.judge: Callable[[Request], int | Callable] | None = None
        self._answers = list(answers)
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer, request = receiver._take(self, body)
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                for name, value in written_headers(request).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a connection that ends early is the client's to tell
        if tls is not None:
            # The handshake is made by the connection's own thread, with its first read.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/api/v1/write"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _take(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[int | Callable, Request]:
        try:
            assert handler.path == "/api/v1/write", f"path {handler.path}"
            series = read_request(handler.headers, body)
        except Exception as violation:
            series = []
            self.violations.append(f"{type(violation).__name__}: {violation}")
        with self._lock:
            request = Request(time.time(), handler.client_address, False, series, wire_of(handler.headers), len(body))
            if self._answers:
                answer = self._answers.pop(0)
            else:
                answer = self.judge(request) if self.judge else 204
            request.accepted = answer == 204 or getattr(answer, "accepts", False)
            self.requests.append(request)
        return answer, request

    def accepted(self) -> list[Request]:
        return [request for request in list(self.requests) if request.accepted]

    def timestamps(self) -> list[int]:
        """Of all ticks that arrived and were accepted, in the order of arrival."""
        return [timestamp for request in self.accepted() for timestamp in request.timestamps()]

    def ticks(self) -> dict[int, float]:
        """When each of them was, and what msp_agent_ticks_skipped_total was in it."""
        return dict(sample for request in self.accepted() for series in request.series
                    if series.name == "msp_agent_ticks_skipped_total" for sample in series.samples)

    def answer_from_now_on(self, answers: Iterable[int | Callable]) -> None:
        """Instead of what is left of the answers before."""
        with self._lock:
            self._answers = list(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def receiving(answers: Iterable[int | Callable] = (), port: int = 0,
              tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for the length of the block, which fails when a request broke the specification."""
    receiver = Receiver(answers, port, tls)
    try:
        yield receiver
    finally:
        receiver.close()
    assert not receiver.violations, f"remote write is broken: {receiver.violations[:3]}"


def hold_until(release: threading.Event) -> Callable:
    """An answer that comes only when `release` is set: then 204."""
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        release.wait(600)
        handler.send_response(204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    answer.accepts = True
    return answer


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    """An answer of 503 whose body never ends: a byte every 50 ms for as long as someone listens."""
    handler.send_response(503)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"1\r\n.\r\n")
            time.sleep(0.05)
    handler.close_connection = True

"""Answers that no good server gives, for support.receiver: each a function that is given the handler.

Only of_yesterday says that anything was accepted.
"""
import contextlib
import http.server
import socket
import struct
import time
from typing import Callable

Handler = http.server.BaseHTTPRequestHandler
PATIENCE_SECONDS = 30  # how long an answer that does not end goes on when nobody hangs up


def status(code: int, body: str = "", **headers: str) -> Callable:
    """A complete answer; retry_after="3" is the header Retry-After."""
    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())
    return answer


def of_yesterday(handler: Handler) -> None:
    """2xx by a server whose clock is a day behind."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 86400))
    handler.date_time_string = lambda *_: date
    status(204)(handler)
    del handler.date_time_string  # the connection has other answers, too


of_yesterday.accepts = True


def close_without_answer(handler: Handler) -> None:
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Closes so that the other side gets RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def garbage(handler: Handler) -> None:
    handler.wfile.write(bytes(range(256)) * 16)
    handler.close_connection = True


def silence(handler: Handler) -> None:
    """Nothing, on a connection that stays open."""
    _until_hung_up(handler, b"")


def one_byte_at_a_time(handler: Handler) -> None:
    """A header that never ends."""
    handler.wfile.write(b"HTTP/1.1 204 ")
    _until_hung_up(handler, b"x")


def endless_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 503 no\r\n")
    _until_hung_up(handler, b"X-Filler: " + b"x" * 1000 + b"\r\n", pause=0)


def body_of_100_mb(handler: Handler) -> None:
    handler.send_response(500)
    handler.send_header("Content-Length", str(100 << 20))
    handler.end_headers()
    block = b"x" * (1 << 20)
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(block)
    handler.close_connection = True


def _until_hung_up(handler: Handler, piece: bytes, pause: float = 0.05) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    handler.connection.settimeout(0.05)
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            if piece:
                handler.connection.send(piece)
                time.sleep(pause)
                continue
            try:
                if handler.connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
    handler.close_connection = True

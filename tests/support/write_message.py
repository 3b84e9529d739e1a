"""Remote write as senders make it, by hand: messages of 1.0 and 2.0, good ones and such as no library would write.
Shares no code with the agent."""
import ctypes
import http.client
import struct
from typing import Sequence

from support.remote_write import HEADERS, Wire

Labels = Sequence[tuple[str, str]]
Sample = tuple[int, float]  # milliseconds since 1970, value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def sample(time: int, value: float = 1, start: int = 0) -> bytes:
    return varint(1 << 3 | 1) + struct.pack("<d", value) + field(2, time) + (field(3, start) if start else b"")


def label(name: str, value: str) -> bytes:
    return field(1, name.encode()) + field(2, value.encode())


def series_1_0(labels: Labels, samples: Sequence[Sample]) -> bytes:
    """One of a WriteRequest's series; several behind one another are a message."""
    return field(1, b"".join([field(1, label(*one)) for one in labels] + [field(2, sample(*one)) for one in samples]))


def message_2_0(labels: Labels, samples: Sequence[Sample]) -> bytes:
    """A Request of one series."""
    symbols = ["", *dict.fromkeys(text for pair in labels for text in pair)]
    refs = b"".join(varint(symbols.index(text)) for pair in labels for text in pair)
    series = field(1, refs) + b"".join(field(2, sample(*one)) for one in samples)
    return b"".join(field(4, symbol.encode()) for symbol in symbols) + field(5, series)


def snappy(message: bytes) -> bytes:
    """One literal."""
    if not message:
        return b"\0"
    return varint(len(message)) + bytes([63 << 2]) + (len(message) - 1).to_bytes(4, "little") + message


def zstd(message: bytes) -> bytes:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    size_max = len(message) + len(message) // 128 + 1_000
    out = ctypes.create_string_buffer(size_max)
    size = library.ZSTD_compress(out, ctypes.c_size_t(size_max), message, ctypes.c_size_t(len(message)), 1)
    return out.raw[:size]


def body_of(wire: Wire, message: bytes) -> bytes:
    return zstd(message) if wire is Wire.VICTORIAMETRICS else snappy(message)


def post(port: int, wire: Wire, body: bytes, login: str = "", path: str = "/api/v1/write", address: str = "127.0.0.1",
         **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer. `login` is an Authorization."""
    connection = http.client.HTTPConnection(address, port, timeout=20)
    try:
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, HEADERS[wire] | ({"Authorization": login} if login else {}) | own)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
    finally:
        connection.close()

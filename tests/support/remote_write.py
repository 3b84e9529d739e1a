"""Remote write as a receiver sees it: decodes a request by hand, and holds it to every MUST of the specification of its
version. Shares no code with the agent.

- 1.0: prometheus.WriteRequest in a snappy block (https://prometheus.io/docs/specs/prw/remote_write_spec/)
- VictoriaMetrics: the same message in one zstd frame
- 2.0: io.prometheus.write.v2.Request in a snappy block (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/)
"""
import ctypes
import dataclasses
import enum
import re
import struct
from typing import Iterator, Mapping

STALE_BITS = 0x7FF0000000000002

Labels = tuple[tuple[str, str], ...]


class Wire(enum.Enum):
    PROMETHEUS_1_0 = "prometheus-1.0"
    VICTORIAMETRICS = "victoriametrics"
    PROMETHEUS_2_0 = "prometheus-2.0"


PROTOBUF = "application/x-protobuf"
HEADERS = {
    Wire.PROMETHEUS_1_0: {"Content-Encoding": "snappy", "Content-Type": PROTOBUF,
                          "X-Prometheus-Remote-Write-Version": "0.1.0"},
    Wire.VICTORIAMETRICS: {"Content-Encoding": "zstd", "Content-Type": PROTOBUF,
                           "X-VictoriaMetrics-Remote-Write-Version": "1"},
    Wire.PROMETHEUS_2_0: {"Content-Encoding": "snappy",
                          "Content-Type": f"{PROTOBUF};proto=io.prometheus.write.v2.Request",
                          "X-Prometheus-Remote-Write-Version": "2.0.0"},
}
BODY_BYTES_MAX, RAW_BYTES_MAX = 1 << 20, 8 << 20  # what the agent promises, where a request has more than one series


@dataclasses.dataclass
class Series:
    labels: Labels
    samples: list[tuple[int, float]]  # milliseconds since 1970, value
    stale: list[int] = dataclasses.field(default_factory=list)  # timestamps of stale markers
    # Of 2.0:
    type: int = 0  # Metadata.MetricType: 0 unspecified, 1 counter, 2 gauge
    help: str = ""
    unit: str = ""
    starts: dict[int, int] = dataclasses.field(default_factory=dict)  # start timestamp by timestamp, where there is one
    times: list[int] = dataclasses.field(default_factory=list)  # of samples and stale markers, as they came

    @property
    def name(self) -> str:
        return dict(self.labels)["__name__"]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where the next thing begins."""
    value = shift = 0
    while True:
        assert at < len(data) and shift < 70, "a varint that does not end"
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def unsnappy(block: bytes) -> bytes:
    """Decompresses the snappy block format (google/snappy, format_description.txt)."""
    size, at = _varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:  # a literal
            length = (tag >> 2) + 1
            if length > 60:
                width = length - 60
                length = int.from_bytes(block[at:at + width], "little") + 1
                at += width
            assert at + length <= len(block), "a snappy literal reaches past the end"
            out += block[at:at + length]
            at += length
            continue
        if tag & 3 == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(block[at:at + width], "little")
            at += width
        assert 0 < offset <= len(out), "a snappy copy from before the beginning"
        pattern = bytes(out[-offset:][:length])
        out += (pattern * (length // len(pattern) + 1))[:length]  # a copy may overlap what it writes
    assert len(out) == size, f"snappy: {len(out)} bytes where {size} were announced"
    return bytes(out)


def unzstd(frame: bytes) -> bytes:
    """Decompresses exactly one zstd frame that says how much is in it."""
    zstd = ctypes.CDLL("libzstd.so.1")  # with any python3, not only the distribution's
    for function in (zstd.ZSTD_getFrameContentSize, zstd.ZSTD_findFrameCompressedSize, zstd.ZSTD_decompress):
        function.restype = ctypes.c_ulonglong
    length = ctypes.c_size_t(len(frame))
    assert frame[:4] == b"\x28\xb5\x2f\xfd", f"not a zstd frame: it begins with {frame[:4].hex()}"
    size = zstd.ZSTD_getFrameContentSize(frame, length)
    assert size <= 1 << 30, "a zstd frame that does not say how much is in it"
    assert zstd.ZSTD_findFrameCompressedSize(frame, length) == len(frame), "something stands behind the zstd frame"
    message = ctypes.create_string_buffer(size + 1)
    assert zstd.ZSTD_decompress(message, ctypes.c_size_t(size), frame, length) == size, "a zstd frame that is damaged"
    return message.raw[:size]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protobuf message; fixed64 as its 8 bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        assert key & 7 in (1, 2), f"protobuf wire type {key & 7}"
        if key & 7 == 1:
            length = 8
        else:
            length, at = _varint(message, at)
        assert at + length <= len(message), "a protobuf field reaches past the end"
        yield key >> 3, message[at:at + length]
        at += length


def _sample(content: bytes, series: Series) -> None:
    """Sample {1: double value, 2: int64 timestamp, 3 (of 2.0): int64 start_timestamp}"""
    sample = {1: bytes(8), 2: 0, 3: 0} | dict(_fields(content))
    timestamp, start = (number - (1 << 64) if number >> 63 else number for number in (sample[2], sample[3]))
    series.times.append(timestamp)
    if start != 0:
        series.starts[timestamp] = start
    if struct.unpack("<Q", sample[1])[0] == STALE_BITS:
        series.stale.append(timestamp)
    else:
        series.samples.append((timestamp, struct.unpack("<d", sample[1])[0]))


def decode_write_request(message: bytes) -> list[Series]:
    """WriteRequest {1: TimeSeries {1: Label {1: name, 2: value}, 2: Sample}}"""
    all_series = []
    for number, field in _fields(message):
        assert number == 1, f"WriteRequest has no field {number} that the agent would send"
        labels, series = [], Series((), [])
        for part, content in _fields(field):
            assert part in (1, 2), f"TimeSeries has no field {part}"
            if part == 1:
                label = {1: b"", 2: b""} | dict(_fields(content))
                labels.append((label[1].decode(), label[2].decode()))  # raises where it is not UTF-8
            else:
                _sample(content, series)
        series.labels = tuple(labels)
        all_series.append(series)
    return all_series


def decode_v2_request(message: bytes) -> list[Series]:
    """Request {4: symbols, 5: TimeSeries {1: packed labels_refs, 2: Sample,
    5: Metadata {1: type, 3: help_ref, 4: unit_ref}}}"""
    symbols, parts = [], []
    for number, field in _fields(message):
        assert number in (4, 5), f"field {number} is reserved: a receiver could take it for 1.0"
        (symbols if number == 4 else parts).append(field)
    symbols = [symbol.decode() for symbol in symbols]
    assert symbols and symbols[0] == "", "the first symbol must be empty"
    assert len(set(symbols)) == len(symbols), "a symbol comes twice"

    def symbol(ref: int) -> str:
        assert ref < len(symbols), f"reference {ref} where there are {len(symbols)} symbols"
        return symbols[ref]

    all_series = []
    for part in parts:
        refs, series = [], Series((), [])
        for number, content in _fields(part):
            assert number in (1, 2, 5), f"TimeSeries has no field {number} that the agent would send"
            if number == 1:
                at = 0
                while at < len(content):
                    ref, at = _varint(content, at)
                    refs.append(ref)
            elif number == 2:
                _sample(content, series)
            else:
                metadata = {1: 0, 3: 0, 4: 0} | dict(_fields(content))
                series.type, series.help, series.unit = metadata[1], symbol(metadata[3]), symbol(metadata[4])
        assert len(refs) % 2 == 0, "a label without a value"
        series.labels = tuple((symbol(name), symbol(value)) for name, value in zip(refs[::2], refs[1::2]))
        all_series.append(series)
    return all_series


def wire_of(headers: Mapping[str, str]) -> Wire:
    """By Content-Encoding and Content-Type, as receivers do."""
    if headers.get("Content-Encoding") == "zstd":
        return Wire.VICTORIAMETRICS
    if "io.prometheus.write.v2.Request" in headers.get("Content-Type", ""):
        return Wire.PROMETHEUS_2_0
    return Wire.PROMETHEUS_1_0


def read_request(headers: Mapping[str, str], body: bytes) -> list[Series]:
    """The series of one request; raises with the rule that it breaks."""
    wire = wire_of(headers)
    check_headers(wire, headers)
    message = unzstd(body) if wire is Wire.VICTORIAMETRICS else unsnappy(body)
    all_series = decode_v2_request(message) if wire is Wire.PROMETHEUS_2_0 else decode_write_request(message)
    assert all_series, "a request without series"
    if len(all_series) > 1:
        assert len(body) <= BODY_BYTES_MAX, f"a body of {len(body)} bytes"
        assert len(message) <= RAW_BYTES_MAX, f"a message of {len(message)} bytes"
    seen = set()
    for series in all_series:
        check_series(series)
        assert series.labels not in seen, f"a series comes twice in one request: {series.labels}"
        seen.add(series.labels)
    return all_series


def check_headers(wire: Wire, headers: Mapping[str, str]) -> None:
    for name, wanted in HEADERS[wire].items():
        assert headers.get(name) == wanted, f"header {name} is {headers.get(name)!r}, must be {wanted!r}"
    for other in HEADERS.values():
        for name in other.keys() - HEADERS[wire].keys():
            assert name not in headers, f"header {name} is of another protocol than {wire.value}"
    assert headers.get("User-Agent"), "header User-Agent is missing"


def check_series(series: Series) -> None:
    names = [name for name, _ in series.labels]
    text = f"{dict(series.labels)}"
    assert "__name__" in names, f"no metric name: {text}"
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", series.name), f"not a metric name: {text}"
    assert names == sorted(names), f"labels are not sorted: {names}"
    assert len(set(names)) == len(names), f"a label comes twice: {names}"
    for name, value in series.labels:
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name), f"not a label name: {name!r} of {text}"
        assert value, f"label {name} is empty: {text}"
    times = series.times
    assert times, f"a series without samples: {text}"
    assert all(a < b for a, b in zip(times, times[1:])), f"samples are not in time order: {times} of {text}"
    assert series.type in (0, 1, 2), f"type {series.type}: the agent has counters and gauges: {text}"
    for timestamp, start in series.starts.items():
        assert series.type != 2, f"a gauge does not start: {text}"
        assert 0 < start < timestamp, f"a sample of {timestamp} that starts at {start}: {text}"

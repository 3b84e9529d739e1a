"""Remote write 1.0 as a receiver sees it: decodes a request by hand, and holds it to every MUST of the specification
(https://prometheus.io/docs/specs/prw/remote_write_spec/). Shares no code with the agent.
"""
import dataclasses
import re
import struct
from typing import Iterator, Mapping

STALE_BITS = 0x7FF0000000000002

Labels = tuple[tuple[str, str], ...]


@dataclasses.dataclass
class Series:
    labels: Labels
    samples: list[tuple[int, float]]  # milliseconds since 1970, value
    stale: list[int] = dataclasses.field(default_factory=list)  # timestamps of stale markers

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
        for _ in range(length):  # may overlap what it writes
            out.append(out[-offset])
    assert len(out) == size, f"snappy: {len(out)} bytes where {size} were announced"
    return bytes(out)


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


def decode_write_request(message: bytes) -> list[Series]:
    """WriteRequest {1: TimeSeries {1: Label {1: name, 2: value}, 2: Sample {1: double value, 2: int64 timestamp}}}"""
    all_series = []
    for number, field in _fields(message):
        if number != 1:
            continue  # metadata
        labels, series = [], Series((), [])
        for part, content in _fields(field):
            if part == 1:
                label = {1: b"", 2: b""} | dict(_fields(content))
                labels.append((label[1].decode(), label[2].decode()))  # raises where it is not UTF-8
            elif part == 2:
                sample = {1: bytes(8), 2: 0} | dict(_fields(content))
                timestamp = sample[2] - (1 << 64) if sample[2] >> 63 else sample[2]
                if struct.unpack("<Q", sample[1])[0] == STALE_BITS:
                    series.stale.append(timestamp)
                else:
                    series.samples.append((timestamp, struct.unpack("<d", sample[1])[0]))
        series.labels = tuple(labels)
        all_series.append(series)
    return all_series


def read_request(headers: Mapping[str, str], body: bytes) -> list[Series]:
    """The series of one request; raises with the rule that it breaks."""
    for name, wanted in (("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf"),
                         ("X-Prometheus-Remote-Write-Version", "0.1.0")):
        assert headers.get(name) == wanted, f"header {name} is {headers.get(name)!r}, must be {wanted!r}"
    assert headers.get("User-Agent"), "header User-Agent is missing"

    all_series = decode_write_request(unsnappy(body))
    assert all_series, "a request without series"
    seen = set()
    for series in all_series:
        _check_series(series)
        assert series.labels not in seen, f"a series comes twice in one request: {series.labels}"
        seen.add(series.labels)
    return all_series


def _check_series(series: Series) -> None:
    names = [name for name, _ in series.labels]
    text = f"{dict(series.labels)}"
    assert "__name__" in names, f"no metric name: {text}"
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", series.name), f"not a metric name: {text}"
    assert names == sorted(names), f"labels are not sorted: {names}"
    assert len(set(names)) == len(names), f"a label comes twice: {names}"
    for name, value in series.labels:
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name), f"not a label name: {name!r} of {text}"
        assert value, f"label {name} is empty: {text}"
    times = [timestamp for timestamp, _ in series.samples]
    assert times or series.stale, f"a series without samples: {text}"
    assert all(a < b for a, b in zip(times, times[1:])), f"samples are not in time order: {times} of {text}"

"""The receiver of the other tests: takes each protocol, and notices each rule of it that is broken."""
import http.client
import struct

from support.check import run_checks
from support.receiver import Receiver
from support.remote_write import HEADERS, STALE_BITS, Series, Wire, read_request, unsnappy, unzstd
from support.write_message import field, sample, snappy, varint, zstd

NAME = ("__name__", "node_load1")
LABELS = (NAME, ("customer_id", "alpha"))
AGENT = {"User-Agent": "msp-agent/0"}


def series_v1(labels: tuple = LABELS, times: tuple = (1_000, 2_000)) -> bytes:
    parts = [field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels]
    return field(1, b"".join(parts + [field(2, sample(time)) for time in times]))


def request_v2(symbols: tuple = ("", "__name__", "node_forks_total", "Forks."), refs: tuple = (1, 2), kind: int = 1,
               help_ref: int = 3, start: int = 500, copies: int = 1) -> bytes:
    series = (field(1, b"".join(map(varint, refs))) + field(2, sample(1_000, start=start)) +
              field(5, field(1, kind) + field(3, help_ref)))
    return b"".join(field(4, symbol.encode()) for symbol in symbols) + field(5, series) * copies


def violation(wire: Wire, body: bytes, **headers: str) -> str:
    try:
        read_request(HEADERS[wire] | AGENT | {name.replace("_", "-"): value for name, value in headers.items()}, body)
    except Exception as error:
        return f"{error}"
    return ""


def expect(text: str, wire: Wire, body: bytes, **headers: str) -> None:
    found = violation(wire, body, **headers)
    assert text in found if text else not found, f"wanted {text!r}, got {found!r}"


def each_protocol_is_told_by_its_headers_and_read() -> None:
    bodies = {Wire.PROMETHEUS_1_0: snappy(series_v1()), Wire.VICTORIAMETRICS: zstd(series_v1()),
              Wire.PROMETHEUS_2_0: snappy(request_v2())}
    receiver = Receiver()
    try:
        for wire, body in bodies.items():
            connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=120)
            connection.request("POST", "/api/v1/write", body, HEADERS[wire] | AGENT)
            answer = connection.getresponse()
            assert answer.status == 204, f"{wire}: {answer.status}"
            written = answer.getheader("X-Prometheus-Remote-Write-Samples-Written")
            assert written == ("1" if wire is Wire.PROMETHEUS_2_0 else None), f"{wire}: {written}"
            connection.close()
    finally:
        receiver.close()
    assert not receiver.violations, receiver.violations
    assert [request.wire for request in receiver.requests] == list(bodies)
    first, second, third = (request.series[0] for request in receiver.requests)
    assert first == second == Series(LABELS, [(1_000, 1), (2_000, 1)], times=[1_000, 2_000]), first
    assert third == Series((("__name__", "node_forks_total"),), [(1_000, 1)], type=1, help="Forks.",
                           starts={1_000: 500}, times=[1_000]), third


def a_stale_marker_is_no_sample() -> None:
    marker = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
    body = field(1, field(1, field(1, b"__name__") + field(2, b"a")) + field(2, sample(7, marker)))
    series, = read_request(HEADERS[Wire.PROMETHEUS_1_0] | AGENT, snappy(body))
    assert (series.samples, series.stale) == ([], [7]), series


def headers_that_are_missing_wrong_or_of_another_protocol_are_noticed() -> None:
    body = snappy(series_v1())
    expect("User-Agent is missing", Wire.PROMETHEUS_1_0, body, User_Agent="")
    expect("X-Prometheus-Remote-Write-Version is '2.0.0'", Wire.PROMETHEUS_1_0, body,
           X_Prometheus_Remote_Write_Version="2.0.0")
    expect("Content-Encoding is None", Wire.PROMETHEUS_1_0, body, Content_Encoding=None)
    expect("of another protocol", Wire.PROMETHEUS_1_0, body, X_VictoriaMetrics_Remote_Write_Version="1")
    expect("of another protocol", Wire.VICTORIAMETRICS, zstd(series_v1()), X_Prometheus_Remote_Write_Version="0.1.0")


def a_body_that_is_not_compressed_as_it_says_is_noticed() -> None:
    expect("where", Wire.PROMETHEUS_1_0, b"\x05" + snappy(series_v1())[1:])
    expect("not a zstd frame", Wire.VICTORIAMETRICS, snappy(series_v1()))
    expect("behind the zstd frame", Wire.VICTORIAMETRICS, zstd(series_v1()) + b"x")
    for text in (b"a" * 1_000, bytes(range(256)) * 9, b"abcabcabcabcabcd"):
        assert unsnappy(snappy(text)) == text == unzstd(zstd(text))
    assert unsnappy(b"\x0a\x00a" + bytes([8 << 2 | 2]) + b"\x01\x00") == b"a" * 10  # a copy of what it writes


def series_that_break_a_rule_are_noticed() -> None:
    for text, labels, times in (
            ("", LABELS, (1, 2)),
            ("no metric name", LABELS[1:], (1,)),
            ("not a metric name", (("__name__", "node-load"),), (1,)),
            ("not sorted", LABELS[::-1], (1,)),
            ("comes twice", LABELS + (("customer_id", "beta"),), (1,)),
            ("is empty", LABELS + (("device", ""),), (1,)),
            ("not a label name", LABELS + (("de-vice", "a"),), (1,)),
            ("without samples", LABELS, ()),
            ("not in time order", LABELS, (2, 1)),
            ("not in time order", LABELS, (2, 2))):
        expect(text, Wire.PROMETHEUS_1_0, snappy(series_v1(labels, times)))
    expect("comes twice in one request", Wire.PROMETHEUS_1_0, snappy(series_v1() * 2))
    expect("without series", Wire.VICTORIAMETRICS, zstd(b""))
    expect("no field 3", Wire.PROMETHEUS_1_0, snappy(series_v1() + field(3, b"metadata")))


def rules_of_2_0_are_noticed() -> None:
    for text, body in (
            ("", request_v2()),
            ("first symbol", request_v2(symbols=("__name__", "a", "b"), refs=(0, 1), help_ref=2)),
            ("a symbol comes twice", request_v2(symbols=("", "__name__", "a", "a"))),
            ("reference 9", request_v2(refs=(1, 9))),
            ("reference 9", request_v2(help_ref=9)),
            ("a label without a value", request_v2(refs=(1, 2, 3))),
            ("is empty", request_v2(symbols=("", "__name__", "a", "b"), refs=(1, 2, 3, 0))),
            ("comes twice in one request", request_v2(copies=2)),
            ("type 3", request_v2(kind=3)),
            ("a gauge does not start", request_v2(kind=2)),
            ("starts at 1000", request_v2(start=1_000)),
            ("could take it for 1.0", series_v1() + request_v2())):
        expect(text, Wire.PROMETHEUS_2_0, snappy(body))


run_checks(
    each_protocol_is_told_by_its_headers_and_read,
    a_stale_marker_is_no_sample,
    headers_that_are_missing_wrong_or_of_another_protocol_are_noticed,
    a_body_that_is_not_compressed_as_it_says_is_noticed,
    series_that_break_a_rule_are_noticed,
    rules_of_2_0_are_noticed,
)

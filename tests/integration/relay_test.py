"""A relay between real senders and a real VictoriaMetrics: every sample of every sender arrives once, with the labels
that the login enforces, through outage, kill -9, a full disk and restarts; nobody writes as somebody else, and neither
the slow nor a crowd delay what the relay does for others.
"""
import contextlib
import pathlib
import signal
import socket
import threading
import time
from typing import Iterator

from support.agent import BINARY, running_agent, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.receiver import Receiver, Request, receiving
from support.remote_write import Series, Wire
from support.senders import Pages, Way, missing, numbers, sending
from support.ticks import holes, ticks_in
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics
from support.write_message import body_of, field, label, message_2_0, post, sample, series_1_0, snappy, varint, zstd

ALPHA, BETA = "token-of-alpha", "token-of-beta"
RELAY = 'customer_id="msp",server_name="relay-01"'
ALPHA_LOGIN, BETA_LOGIN = f"Bearer {ALPHA}", f"Bearer {BETA}"


def write_relay(folder: pathlib.Path, port: int, url: str, buffer: pathlib.Path | None = None) -> pathlib.Path:
    for name, token in (("alpha", ALPHA), ("beta", BETA)):
        (folder / f"{name}.token").write_text(token + "\n")
        (folder / f"{name}.token").chmod(0o600)
    config = folder / "relay.yaml"
    config.write_text(f"""customer_id: msp
server_name: relay-01
interval: 1s
collectors: {{enabled: [loadavg, time]}}
buffer:
  path: {buffer or folder / "relay-buffer"}
  min_free: 0
remote_write:
  url: {url}
  timeout: 5s
listen:
  address: 127.0.0.1:{port}
  receive: true
  metrics: false
  clients:
    - {{name: alpha, bearer_token_file: {folder / "alpha.token"}, labels: {{customer_id: alpha}}}}
    - {{name: beta, bearer_token_file: {folder / "beta.token"}, labels: {{customer_id: beta}}}}
""")
    return config


def relay_is_up(port: int, relay: Process) -> None:
    def connects() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    poll_until("the relay listens", connects, 20, relay)


@contextlib.contextmanager
def own_disk(folder: pathlib.Path, size: str) -> Iterator[tuple[list[str], pathlib.Path]]:
    """A file system of that size at `folder`, in a mount namespace: what a command begins with to be there, and the
    folder as it is seen from here. It is gone with the process that holds it."""
    folder.mkdir()
    holder = Process(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                      f"mount -t tmpfs -o size={size} none {folder} && exec sleep infinity"],
                     folder.with_suffix(".log"))
    with started(holder):
        seen = pathlib.Path(f"/proc/{holder.pid}/root{folder}")
        poll_until("the disk", lambda: f" {folder} tmpfs" in pathlib.Path(f"/proc/{holder.pid}/mounts").read_text(),
                   20, holder)
        yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"], seen


def kill(process: Process) -> None:
    process.send(signal.SIGKILL)
    process.wait(20)


def every_sample_of_every_sender_arrives_once_through_outage_kill_full_disk_and_restart() -> None:
    port, centre = free_port(), free_port()
    pages = Pages()
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        stack.callback(pages.end)
        prefix, disk = stack.enter_context(own_disk(folder / "disk", "4m"))
        config = write_relay(folder, port, f"http://127.0.0.1:{centre}/api/v1/write", folder / "disk/buffer")

        def start_relay() -> Process:
            command = [*prefix, BINARY, "--config", str(config)]
            process = stack.enter_context(started(Process(command, folder / "relay.log")))
            relay_is_up(port, process)
            return process

        def start_centre() -> VictoriaMetrics:
            # Of two samples of one time it keeps one: what a kill makes a sender send again counts once.
            return centres.enter_context(running_victoria_metrics(folder, centre,
                                                                  options=("-dedup.minScrapeInterval=1ms",)))

        relay = start_relay()
        way = Way(f"http://127.0.0.1:{port}/api/v1/write", folder / "alpha.token")
        processes = stack.enter_context(sending(folder, pages, way))

        def asked_again(times: int) -> None:
            """So many more scrapes of each."""
            poll_until("each sender's first scrape", lambda: set(pages.asked) == set(processes), 60)
            before = dict(pages.asked)
            poll_until("more scrapes", lambda: all(pages.asked[name] >= before[name] + times for name in before),
                       90)

        def all_there(server: VictoriaMetrics) -> bool:
            found = [text for name in processes if (text := missing(server, pages, name))]
            assert not found, found
            return True

        with contextlib.ExitStack() as centres:
            server = start_centre()
            asked_again(2)
            poll_until("a sample of each", lambda: all(numbers(server, name) for name in processes), 60, relay)
        asked_again(2)  # the centre is away: the relay answers 204 and keeps it
        kill(relay)
        asked_again(1)  # the senders keep it
        relay = start_relay()
        asked_again(2)
        relay.send(signal.SIGTERM)
        assert relay.wait(20) == 0, relay.log()
        relay = start_relay()
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        asked_again(4)
        ballast.unlink()
        with contextlib.ExitStack() as centres:
            server = start_centre()
            asked_again(1)
            kill(relay)  # while it sends
            relay = start_relay()
            asked_again(1)
            pages.close()
            poll_until("all samples of all senders", lambda: all_there(server), 120, relay)
            customers = {one["metric"].get("customer_id") for one in server.export('{sender!=""}')}
            assert customers == {"alpha"}, customers
            dropped = server.query(f"sum(msp_agent_samples_dropped_total{{{RELAY}}})")
            assert not dropped or dropped[0][1] == 0, dropped


def forged_messages() -> dict[str, tuple[Wire, bytes]]:
    """By the name of its metric: all that one can try to be beta with alpha's token. A message may be refused."""
    now = int(time.time() * 1000)
    beta = ("customer_id", "beta")

    def v1(name: str, *labels: bytes, points: bytes = b"") -> bytes:
        return field(1, b"".join(field(1, one) for one in (label("__name__", name), *labels)) +
                     (points or field(2, sample(now))))

    def symbols(*texts: str) -> bytes:
        return b"".join(field(4, text.encode()) for text in ("", "__name__", *texts))

    def v2(*parts: bytes) -> bytes:
        return field(5, b"".join(parts) + field(2, sample(now)))

    plain = {
        "forged_plain": v1("forged_plain", label(*beta)),
        "forged_none": v1("forged_none"),
        "forged_twice": v1("forged_twice", label("customer_id", "alpha"), label(*beta)),
        "forged_twice_beta": v1("forged_twice_beta", label(*beta), label(*beta)),
        # Of a field that is there twice the last one counts.
        "forged_name_twice": v1("forged_name_twice", field(1, b"x") + field(1, b"customer_id") + field(2, b"beta")),
        "forged_value_twice": v1("forged_value_twice",
                                 field(1, b"customer_id") + field(2, b"alpha") + field(2, b"beta")),
        "forged_value_first": v1("forged_value_first", field(2, b"beta") + field(1, b"customer_id")),
        "forged_long_varint": field(1, field(1, label("__name__", "forged_long_varint")) +
                                    b"\x0a" + b"\x93\x80\x00" + field(1, b"customer_id") + field(2, b"beta") +
                                    field(2, sample(now))),
        "forged_behind_samples": v1("forged_behind_samples", points=field(2, sample(now)) + field(1, label(*beta))),
        "forged_two_series_fields": v1("forged_two_series_fields") + v1("forged_two_series_fields", label(*beta)),
        "forged_unknown_field": v1("forged_unknown_field", field(7, label(*beta)) + label(*beta)) +
                                field(9, label(*beta)),
        "forged_upper_case": v1("forged_upper_case", label("Customer_Id", "beta"), label("CUSTOMER_ID", "beta")),
        "forged_blank": v1("forged_blank", label("customer_id ", "beta")),
        "forged_zero_byte": v1("forged_zero_byte", label("customer_id\0", "beta")),
        "forged_full_width": v1("forged_full_width", label("ｃustomer_id", "beta")),
        "forged_not_utf8": v1("forged_not_utf8", field(1, b"customer_id\xff") + field(2, b"beta")),
        "forged_quoted": v1("forged_quoted", label("x", 'y",customer_id="beta')),
        "forged_name": v1('forged_name{customer_id="beta"}'),
    }
    found = {}
    for name, message in plain.items():
        found[name] = (Wire.PROMETHEUS_1_0, snappy(message))
        found[f"{name}_zstd"] = (Wire.VICTORIAMETRICS, zstd(message))
    found["forged_two_frames"] = (Wire.VICTORIAMETRICS, zstd(v1("forged_two_frames")) +
                                  zstd(v1("forged_two_frames", label(*beta))))
    second = {
        "forged_2_plain": message_2_0([("__name__", "forged_2_plain"), beta], [(now, 1)]),
        "forged_2_twice": message_2_0([("__name__", "forged_2_twice"), ("customer_id", "alpha"), beta], [(now, 1)]),
        "forged_2_same_symbol": symbols("forged_2_same_symbol", "customer_id", "alpha", "customer_id", "beta") +
                                v2(field(1, bytes([1, 2, 5, 6]))),
        "forged_2_unpacked": symbols("forged_2_unpacked", "customer_id", "beta") +
                             v2(*(field(1, ref) for ref in (1, 2, 3, 4))),
        "forged_2_chunks": symbols("forged_2_chunks", "customer_id", "beta") +
                           v2(field(1, bytes([1, 2, 3])), field(1, bytes([4]))),
        "forged_2_late_symbols": v2(field(1, bytes([1, 2, 3, 4]))) +
                                 symbols("forged_2_late_symbols", "customer_id", "beta"),
        "forged_2_long_varint": symbols("forged_2_long_varint", "customer_id", "beta") +
                                v2(field(1, bytes([1, 2]) + b"\x83\x80\x00" + bytes([4]))),
        "forged_2_odd": symbols("forged_2_odd", "customer_id", "beta") + v2(field(1, bytes([1, 2, 3]))),
        "forged_2_behind": symbols("forged_2_behind", "customer_id", "beta") +
                           v2(field(1, bytes([1, 2]))) + v2(field(1, bytes([1, 2, 3, 4]))),
        "forged_2_huge_ref": symbols("forged_2_huge_ref", "customer_id", "beta") +
                             v2(field(1, bytes([1, 2, 3]) + varint((1 << 32) + 4))),
    }
    found |= {name: (Wire.PROMETHEUS_2_0, snappy(message)) for name, message in second.items()}
    found["forged_1_as_2"] = (Wire.PROMETHEUS_2_0, snappy(v1("forged_1_as_2", label(*beta))))
    found["forged_2_as_1"] = (Wire.PROMETHEUS_1_0,
                              snappy(message_2_0([("__name__", "forged_2_as_1"), beta], [(now, 1)])))
    found["forged_both"] = (Wire.PROMETHEUS_1_0, snappy(v1("forged_both", label(*beta)) + second["forged_2_plain"]))
    return found


# Plain writes of a sender that means no harm, which must arrive under the login's name.
MUST_ARRIVE = {"forged_plain", "forged_none", "forged_value_first", "forged_behind_samples", "forged_2_plain",
               "forged_2_unpacked", "forged_upper_case", "forged_quoted"}


def nobody_writes_as_somebody_else() -> None:
    port = free_port()
    with temporary_folder() as folder, running_victoria_metrics(folder) as server, \
            running_agent(write_relay(folder, port, server.url)) as relay:
        relay_is_up(port, relay)
        for name, (wire, body) in forged_messages().items():
            status, _, said = post(port, wire, body, ALPHA_LOGIN)
            assert status == 204 or 400 <= status < 500, f"{name}: {status} {said}"
            assert status == 204 or name not in MUST_ARRIVE, f"{name}: {status} {said}"
        now = int(time.time() * 1000)
        ways = {"extra_label": "/api/v1/write?extra_label=customer_id=beta",
                "escaped": "/api/v1/write?extra_label=customer%5Fid%3Dbeta",
                "push": "/api/v1/push?extra_label=customer_id=beta",
                "alloy": "/api/v1/metrics/write?extra_label=customer_id=beta"}
        for name, path in ways.items():
            message = series_1_0([("__name__", f"way_{name}")], [(now, 1)])
            status, _, said = post(port, Wire.PROMETHEUS_1_0, snappy(message), ALPHA_LOGIN, path, X_Scope_OrgID="beta",
                                   AccountID="2", X_Forwarded_User="beta")
            assert status == 204, f"{name}: {status} {said}"
        one = series_1_0([("__name__", "of_beta"), ("customer_id", "alpha")], [(now, 1)])
        assert post(port, Wire.PROMETHEUS_1_0, snappy(one), BETA_LOGIN)[0] == 204  # what the others must not look like
        last = series_1_0([("__name__", "last_of_all")], [(now, 1)])
        assert post(port, Wire.PROMETHEUS_1_0, snappy(last), ALPHA_LOGIN)[0] == 204

        def customers(selector: str) -> dict[str, set[str]]:
            server.get("/internal/force_flush")
            found: dict[str, set[str]] = {}
            for series in server.export(selector):
                found.setdefault(series["metric"]["__name__"], set()).add(series["metric"].get("customer_id", ""))
            return found

        wanted = MUST_ARRIVE | {f"way_{name}" for name in ways} | {"last_of_all", "of_beta"}
        poll_until("all that must arrive", lambda: wanted <= set(customers('{server_name!="relay-01"}')), 60, relay)
        found = customers('{server_name!="relay-01"}')
        assert found.pop("of_beta") == {"beta"}, found
        assert all(those == {"alpha"} for those in found.values()), found
        assert customers('{customer_id!~"alpha|beta|msp"}') == {}
        # Whoever has no login, or a wrong one.
        for login in ("", "Bearer ", "Bearer nonsense", f"Bearer {ALPHA}x", f"bearer{ALPHA}", "Basic YWxwaGE6YmV0YQ=="):
            assert post(port, Wire.PROMETHEUS_1_0, snappy(one), login)[0] == 401, login


def a_relay_behind_a_relay_and_a_loop() -> None:
    first, second, loop = free_port(), free_port(), free_port()
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        for name in ("one", "two", "three"):
            (folder / name).mkdir()
        inner = write_relay(folder / "one", first, server.url)
        outer = write_relay(folder / "two", second, f"http://127.0.0.1:{first}/api/v1/write")
        outer.write_text(outer.read_text().replace("  timeout: 5s\n", f"  timeout: 5s\n  bearer_token_file: "
                                                   f"{folder / 'one/alpha.token'}\n"))
        with running_agent(inner) as one, running_agent(outer) as two:
            relay_is_up(first, one)
            relay_is_up(second, two)
            now = int(time.time() * 1000)
            for wire in (Wire.PROMETHEUS_1_0, Wire.VICTORIAMETRICS):
                message = series_1_0([("__name__", f"through_{wire.name.lower()}")], [(now, 1), (now + 1, 2)])
                assert post(second, wire, body_of(wire, message), BETA_LOGIN)[0] == 204

            def there() -> bool:
                server.get("/internal/force_flush")
                found = server.export('{__name__=~"through_.*"}')
                return sorted(one["values"] for one in found) == [[1, 2], [1, 2]] and \
                    all(one["metric"]["customer_id"] == "alpha" for one in found)  # the last relay's word
            poll_until("what went through two relays", there, 60, two)
        # A relay that sends to itself.
        config = write_relay(folder / "three", loop, f"http://127.0.0.1:{loop}/api/v1/write")
        config.write_text(config.read_text().replace("  timeout: 5s\n", f"  timeout: 5s\n  bearer_token_file: "
                                                     f"{folder / 'three/alpha.token'}\n"))
        with running_agent(config) as relay:
            relay_is_up(loop, relay)
            poll_until("the loop is named", lambda: "in a circle" in relay.log(), 60, relay)


def a_crowd_and_the_slow_do_not_delay_ticks_or_others() -> None:
    port = free_port()
    slow: list[socket.socket] = []
    with temporary_folder() as folder, running_victoria_metrics(folder) as server, \
            running_agent(write_relay(folder, port, server.url)) as relay, contextlib.ExitStack() as stack:
        relay_is_up(port, relay)
        stack.callback(lambda: [one.close() for one in slow])
        stop = threading.Event()
        head = b"POST /api/v1/write HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + ALPHA.encode() + b"\r\n"
        for i in range(20):  # half of a head, half of a body, nothing at all; of many addresses
            for beginning in (head, head + b"Content-Length: 9000\r\n\r\n" + b"x" * 100, b""):
                one = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(f"127.0.1.{i + 1}", 0))
                one.sendall(beginning)
                slow.append(one)

        def trickle() -> None:
            while not stop.wait(0.5):
                for one in slow:
                    with contextlib.suppress(OSError):
                        one.sendall(b"X")

        def connect() -> None:
            for i in range(5_000):
                with contextlib.suppress(OSError), socket.create_connection(
                        ("127.0.0.1", port), timeout=20, source_address=(f"127.0.2.{i % 200 + 1}", 0)):
                    pass

        threads = [threading.Thread(target=trickle), threading.Thread(target=connect), threading.Thread(target=connect)]
        stack.callback(lambda: [thread.join() for thread in threads])
        stack.callback(stop.set)
        for thread in threads:
            thread.start()
        sent, since = 0, int(time.time() * 1000)
        while any(thread.is_alive() for thread in threads[1:]) or sent < 50:
            sent += 1
            message = series_1_0([("__name__", "in_the_crowd")], [(since + sent, sent)])
            # A sender whose connection is refused or ended tries again.
            body = snappy(message)
            poll_until("the write is taken",
                       lambda body=body: post(port, Wire.PROMETHEUS_1_0, body, ALPHA_LOGIN)[0] == 204, 60, relay)
        last = time.time()

        def values() -> list[float]:
            server.get("/internal/force_flush")
            return [value for series in server.export('{__name__="in_the_crowd"}') for value in series["values"]]
        poll_until("all of it", lambda: sorted(values()) == list(range(1, sent + 1)), 60, relay)
        ticks = poll_until("a tick from after it",
                           lambda: max(found := ticks_in(server, RELAY), default=0) > last * 1000 and found, 60, relay)
        assert not holes(ticks), f"ticks are missing: {holes(ticks)} of {sorted(ticks)}"


def label_of(series: Series, name: str) -> str:
    return dict(series.labels).get(name, "")


def newest_of(centre: Receiver, prefix: str) -> dict[tuple[str, ...], float]:
    """By the rest of the metric's name, `client` and `reason`."""
    return {(series.name.removeprefix(prefix), label_of(series, "client"), label_of(series, "reason")): value
            for request in centre.accepted() for series in request.series
            if series.name.startswith(prefix) for _, value in series.samples}


def one_bad_series_costs_only_itself() -> None:
    """A centre that refuses the whole request for its sake, as Prometheus does."""
    port = free_port()
    bad = {("alpha", "m_17"), ("alpha", "m_171"), ("beta", "m_0")}

    def judge(request: Request) -> int:
        return 400 if any((label_of(one, "customer_id"), one.name) in bad for one in request.series) else 204

    with temporary_folder() as folder, receiving() as centre:
        centre.judge = judge
        with running_agent(write_relay(folder, port, centre.url)) as relay:
            relay_is_up(port, relay)
            wanted: set[tuple[str, str, int]] = set()
            refused = 0

            def arrived() -> list[tuple[str, str, int]]:
                return [(label_of(series, "customer_id"), series.name, at) for request in centre.accepted()
                        for series in request.series if series.name.startswith("m_") for at, _ in series.samples]

            for _ in range(3):
                at = int(time.time() * 1000)
                for name, login, count in (("alpha", ALPHA_LOGIN, 300), ("beta", BETA_LOGIN, 40)):
                    message = b"".join(series_1_0([("__name__", f"m_{i}")], [(at, i)]) for i in range(count))
                    assert post(port, Wire.PROMETHEUS_1_0, snappy(message), login)[0] == 204
                    sent = {(name, f"m_{i}", at) for i in range(count)}
                    wanted |= {one for one in sent if one[:2] not in bad}
                    refused += len(sent - wanted)
                poll_until("all but the bad ones", lambda: wanted <= set(arrived()), 120, relay)
                poll_until("each of these is counted", lambda: newest_of(
                    centre, "msp_agent_samples_dropped_").get(("total", "", "rejected")) == refused, 120, relay)
            found = arrived()
            assert len(found) == len(set(found)) and set(found) == wanted, "a sample came twice, or a bad one"
            assert "refuses samples" in relay.log() and '{customer_id="' in relay.log(), relay.log()


def a_client_is_counted_by_name() -> None:
    port = free_port()
    with temporary_folder() as folder, receiving() as centre, running_agent(
            write_relay(folder, port, centre.url)) as relay:
        relay_is_up(port, relay)
        up, down = (series_1_0([("__name__", name)], [(int(time.time() * 1000), 1)]) for name in ("up", "down"))
        assert post(port, Wire.PROMETHEUS_1_0, snappy(up + down), ALPHA_LOGIN)[0] == 204
        nameless = series_1_0([], [(1, 1)])
        assert post(port, Wire.PROMETHEUS_1_0, snappy(nameless), ALPHA_LOGIN)[0] == 204
        assert post(port, Wire.PROMETHEUS_1_0, b"nonsense", BETA_LOGIN)[0] == 400
        wanted = {("requests_total", "alpha", ""): 2, ("requests_total", "beta", ""): 1,
                  ("samples_total", "alpha", ""): 2, ("samples_total", "beta", ""): 0,
                  ("samples_skipped_total", "alpha", ""): 1, ("samples_skipped_total", "beta", ""): 0,
                  ("requests_refused_total", "alpha", "damaged"): 0, ("requests_refused_total", "beta", "damaged"): 1}

        def counted() -> dict[tuple[str, ...], float]:
            return newest_of(centre, "msp_agent_received_")
        poll_until("the counts", lambda: wanted.items() <= counted().items(), 60, relay)
        assert {client for _, client, _ in counted()} == {"alpha", "beta"}, counted()


def nothing_is_destroyed_where_the_trouble_is_the_relays_own() -> None:
    """Its share of the buffer is full: 429 or 503 and Retry-After, which all senders obey, and never another 4xx."""
    port = free_port()
    with temporary_folder() as folder, receiving() as centre:
        centre.judge = lambda request: 503
        config = write_relay(folder, port, centre.url)
        config.write_text(config.read_text().replace("  min_free: 0\n", "  min_free: 0\n  max_size: 1MiB\n"))
        with running_agent(config) as relay:
            relay_is_up(port, relay)
            answers: dict[int, int] = {}
            at = 0
            while at < 400 and not set(answers) & {429, 503}:
                at += 1
                message = b"".join(series_1_0([("__name__", "flood"), ("number", f"{at}-{i}-{hash((at, i))}")],
                                              [(1_700_000_000_000 + at, hash((at, i)) / 7)]) for i in range(1_000))
                status, headers, said = post(port, Wire.VICTORIAMETRICS, zstd(message), ALPHA_LOGIN)
                answers[status] = answers.get(status, 0) + 1
                assert status in (204, 429, 503), f"{status}: {said}"
                assert status == 204 or int(headers["Retry-After"]) >= 1, headers
            assert set(answers) & {429, 503}, answers


run_checks(every_sample_of_every_sender_arrives_once_through_outage_kill_full_disk_and_restart,
           nobody_writes_as_somebody_else, a_relay_behind_a_relay_and_a_loop,
           a_crowd_and_the_slow_do_not_delay_ticks_or_others, one_bad_series_costs_only_itself,
           a_client_is_counted_by_name,
           nothing_is_destroyed_where_the_trouble_is_the_relays_own)

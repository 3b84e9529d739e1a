"""Exporters that the agent scrapes: what arrives of a good one, and what each kind of fault costs."""
import contextlib
import gzip
import http.server
import os
import pathlib
import re
import signal
import socketserver
import ssl
import threading
import time
from typing import Callable, Iterator

from support.agent import dry_run, run_once, running_agent, temporary_folder, write_config
from support.authority import OwnAuthority
from support.check import run_checks
from support.process import Process, free_port, poll_until
from support.receiver import Receiver, receiving

GOOD = """# HELP app_requests_total Requests.
# TYPE app_requests_total counter
app_requests_total{code="200"} 7
# TYPE app_seconds histogram
app_seconds_bucket{le="1"} 1
app_seconds_bucket{le="+Inf"} 2
app_seconds_sum 0.5
app_seconds_count 2
"""
SLOW = "5s"  # and as long may an exporter take, where none is to fail
STALE = float("nan")  # a marker; none of the exporters below has a NaN
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Exporter:
    """Answers at /metrics as `answer` says; counts the requests and keeps their headers."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None):
        self.answer = answer
        self.headers: list[dict[str, str]] = []
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                exporter.headers.append(dict(self.headers))
                exporter.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@contextlib.contextmanager
def exporting(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Exporter]:
    exporter = Exporter(answer, tls)
    try:
        yield exporter
    finally:
        exporter.server.shutdown()
        exporter.server.server_close()


def text(content: str | bytes, status: int = 200, **headers: str) -> Answer:
    body = content.encode() if isinstance(content, str) else content

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Type": "text/plain; version=0.0.4", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return answer


def endless(head: bytes, part: bytes, pause: float = 0) -> Answer:
    """Until the client goes away."""
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while True:
            handler.wfile.write(part)
            handler.wfile.flush()
            if pause:
                time.sleep(pause)
    return answer


def job(name: str, *targets: str, more: str = "") -> str:
    return f"  - job: {name}\n    targets: [{', '.join(repr(target) for target in targets)}]\n" + more


def seen(receiver: Receiver, job_name: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By metric, what arrived of a job: labels and value, in the order of time."""
    found: dict[str, list[tuple[int, dict[str, str], float]]] = {}
    for request in receiver.accepted():
        for series in request.series:
            labels = dict(series.labels)
            if labels.get("job") == job_name:
                for at, value in series.samples:
                    found.setdefault(series.name, []).append((at, labels, value))
                for at in series.stale:
                    found.setdefault(series.name, []).append((at, labels, STALE))
    return {name: [(labels, value) for _, labels, value in sorted(all_, key=lambda one: one[0])]
            for name, all_ in found.items()}


def is_stale(value: float) -> bool:
    return value != value


def last(receiver: Receiver, job_name: str, name: str) -> float | None:
    values = [value for _, value in seen(receiver, job_name).get(name, [])]
    return values[-1] if values else None


def a_good_target_arrives_with_its_labels_and_what_is_known_of_it() -> None:
    with temporary_folder() as folder, receiving() as receiver, exporting(text(GOOD)) as exporter:
        config = write_config(folder, receiver.url, interval=SLOW, more="scrape:\n" + job("app", exporter.address))
        with running_agent(config) as agent:
            poll_until("three scrapes", lambda: len(seen(receiver, "app").get("up", [])) >= 3, process=agent)
        found = seen(receiver, "app")
        labels, value = found["app_requests_total"][0]
        assert value == 7, value
        expected = {"customer_id": "alpha", "server_name": "web-01", "job": "app", "code": "200",
                    "__name__": "app_requests_total", "instance": os.uname().nodename}
        assert labels == expected, labels
        assert {labels["le"] for labels, _ in found["app_seconds_bucket"]} == {"1.0", "+Inf"}, found
        assert found["up"][0][1] == 1 and found["scrape_samples_scraped"][0][1] == 5, found
        assert found["scrape_samples_post_metric_relabeling"][0][1] == 5, found
        assert [value for _, value in found["scrape_series_added"]][:2] == [5, 0], found
        assert not any(is_stale(value) for values in found.values() for _, value in values), "a marker at a stop"
        sent = exporter.headers[0]
        assert sent["Accept"].startswith("text/plain;version=0.0.4"), sent
        assert (sent["Accept-Encoding"], sent["X-Prometheus-Scrape-Timeout-Seconds"]) == ("gzip", "5"), sent


def a_target_that_fails_ends_its_series_and_comes_back() -> None:
    with temporary_folder() as folder, receiving() as receiver, exporting(text(GOOD)) as exporter:
        config = write_config(folder, receiver.url, more="scrape:\n" + job("app", exporter.address))
        with running_agent(config) as agent:
            poll_until("up", lambda: last(receiver, "app", "up") == 1, process=agent)
            exporter.answer = text("broken", 500)
            poll_until("down", lambda: last(receiver, "app", "up") == 0, process=agent)
            poll_until("the marker", lambda: is_stale(last(receiver, "app", "app_seconds_sum") or 0), process=agent)
            count = len(exporter.headers)
            poll_until("two more", lambda: len(exporter.headers) >= count + 2, process=agent)
            exporter.answer = text(GOOD)
            poll_until("up again", lambda: last(receiver, "app", "up") == 1, process=agent)
            poll_until("the log", lambda: "works again" in agent.log(), process=agent)
            # Where the machine is too busy for an answer within the interval, there are other outages as well.
            told = agent.log().count(f"app/{exporter.address}: HTTP 500: broken")
            assert told == 1 or (told > 1 and "no answer within" in agent.log()), agent.log()
        found = seen(receiver, "app")
        ups = [value for _, value in found["up"]]
        outages = sum(before == 1 and after == 0 for before, after in zip(ups, ups[1:]))
        stale = [value for _, value in found["app_seconds_sum"] if is_stale(value)]
        assert outages >= 1 and len(stale) == outages, f"{len(stale)} markers of {outages} outages"


def faults() -> dict[str, tuple[Answer, str]]:
    packed = gzip.compress(b"# comment\n" * 10_000_000)
    return {
        "hangs": (endless(b"", b"", 0.2), "within"),
        "headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"x" * 1000 + b"\r\n"), "header"),
        "gigabyte": (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"a 1\n" * 10_000), "body_max"),
        "endless": (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"a 1\n" * 10_000), "body_max"),
        "trickle": (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"a 1\n", 0.2), "within"),
        "packed": (text(packed, Content_Encoding="gzip"), "body_max"),
        "damaged": (text(b"no gzip", Content_Encoding="gzip"), "gzip"),
        "short": (endless_short(), "closed"),
        "elsewhere": (text("", 302, Location="http://192.0.2.1/metrics"), "HTTP 302"),
        "page": (text("<html><body>hello</body></html>", Content_Type="text/html"), "a page for people"),
        "nothing": (text("", 204), "HTTP 204"),
        "openmetrics": (text("a 1\n", Content_Type="application/openmetrics-text"), "# EOF"),
        "many": (text("".join(f'm{{i="{i}"}} 1\n' for i in range(101))), "series_max"),
    }


def endless_short() -> Answer:
    """A body that is shorter than it says."""
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n")
    return answer


def every_fault_costs_its_target_alone() -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        receiver = stack.enter_context(receiving())
        good = stack.enter_context(exporting(text(GOOD)))
        jobs = job("good", good.address)
        wanted = {}
        for name, (answer, words) in faults().items():
            exporter = stack.enter_context(exporting(answer))
            jobs += job(name, exporter.address, more="    series_max: 100\n    body_max: 1MiB\n")
            wanted[f"{name}/{exporter.address}"] = words
        wanted[f"closed/127.0.0.1:{(port := free_port())}"] = "refused"
        jobs += job("closed", f"127.0.0.1:{port}")
        config = write_config(folder, receiver.url, interval=SLOW, more="scrape:\n" + jobs)
        with running_agent(config) as agent:
            poll_until("all are told", lambda: all(f"{name}: " in agent.log() for name in wanted), process=agent)
            count = len(good.headers)
            poll_until("three scrapes of the good one", lambda: len(good.headers) >= count + 3, process=agent)
            most = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{agent.pid}/status").read_text())[1])
            assert os.environ.get("MSP_VARIANT") or most < 64 << 10, f"{most >> 10} MiB at its worst"
            for name, words in wanted.items():
                line = next(line for line in agent.log().splitlines() if f"{name}: " in line)
                assert words in line, line
                assert agent.log().count(f"{name}: ") == 1, f"{name} is told more than once"
        ups = [value for _, value in seen(receiver, "good")["up"]]
        assert ups and set(ups) == {1}, ups
        for name in faults():
            found = seen(receiver, name)
            assert {value for _, value in found["up"]} == {0}, (name, found["up"])
            extra = {metric for metric in found if metric != "up" and not metric.startswith("scrape_")}
            assert extra <= {"msp_agent_scrape_bad_lines"}, (name, extra)


def bad_lines_cost_themselves_and_are_told_once() -> None:
    body = "a 1\nb{c=\"d} 2\n\xff 3\nd 4\n".encode("latin-1")
    with temporary_folder() as folder, receiving() as receiver, exporting(text(body)) as exporter:
        config = write_config(folder, receiver.url, interval=SLOW, more="scrape:\n" + job("app", exporter.address))
        with running_agent(config) as agent:
            poll_until("three scrapes", lambda: len(seen(receiver, "app").get("up", [])) >= 3, process=agent)
            line = "2 lines are no samples and are left out; the first is line 2: labels that have no end"
            assert agent.log().count(line) == 1, agent.log()
        found = seen(receiver, "app")
        assert (found["a"][0][1], found["d"][0][1], found["up"][0][1]) == (1, 4, 1), found
        assert found["msp_agent_scrape_bad_lines"][0][1] == 2, found


def a_collector_of_many_customers_keeps_their_labels_with_honor_labels() -> None:
    """As the collector of cloud services exposes them: the customer_id in its metrics is the one that counts."""
    body = "".join(
        f'msp_csp_{metric}{{customer_id="{customer}",csp="aws",region="ap-northeast-2",resource_id="i-{i}",'
        f'instance_type="m5.large",service="ec2"}} {i}\n'
        for metric in ("cpu_utilization", "network_in_bytes") for i, customer in enumerate(("beta", "gamma")))
    with temporary_folder() as folder, receiving() as receiver, exporting(text(body)) as exporter:
        config = write_config(folder, receiver.url, more="labels: {csp: own, region: own}\nscrape:\n" +
                              job("csp", exporter.address, more="    honor_labels: true\n") +
                              job("plain", exporter.address, more="    labels: {instance: other}\n"))
        with running_agent(config) as agent:
            poll_until("both", lambda: all("msp_csp_cpu_utilization" in seen(receiver, name)
                                           for name in ("csp", "plain")), process=agent)
        found = seen(receiver, "csp")
        of_customers = {labels["customer_id"]: labels for labels, _ in found["msp_csp_cpu_utilization"]}
        assert set(of_customers) == {"beta", "gamma"}, of_customers
        assert of_customers["beta"] == {
            "__name__": "msp_csp_cpu_utilization", "customer_id": "beta", "csp": "aws", "region": "ap-northeast-2",
            "resource_id": "i-0", "instance_type": "m5.large", "service": "ec2", "job": "csp",
            "server_name": "web-01", "instance": os.uname().nodename}, of_customers["beta"]
        assert found["up"][0][0]["customer_id"] == "alpha", found["up"]
        plain = [labels for labels, _ in seen(receiver, "plain")["msp_csp_cpu_utilization"]]
        assert {(labels["customer_id"], labels["exported_customer_id"]) for labels in plain} == {
            ("alpha", "beta"), ("alpha", "gamma")}, plain
        assert {(labels["csp"], labels["exported_csp"]) for labels in plain} == {("own", "aws")}, plain


def rules_are_applied_at_the_job_at_all_and_at_the_endpoint() -> None:
    with temporary_folder() as folder, receiving() as first, receiving() as second, exporting(text(GOOD)) as exporter:
        config = write_config(folder, first.url, more="scrape:\n" + job(
            "app", exporter.address, more="    relabel:\n      - {source_labels: [code], regex: '(.)..', "
            "target_label: class, replacement: '${1}xx'}\n      - {action: labeldrop, regex: code}\n") +
            "relabel: {source_labels: [job], target_label: team, replacement: 'team-$1'}\n"
            "metrics: {drop: ['app_seconds_.*']}\n")
        config.write_text(config.read_text().replace(
            f"remote_write:\n  url: {first.url}\n  timeout: 10s\n",
            f"remote_write:\n  - url: {first.url}\n  - url: {second.url}\n    relabel:\n"
            "      - {action: keep, source_labels: [__name__], regex: 'app_.*|msp_agent_samples_dropped_total'}\n"))
        with running_agent(config) as agent:
            poll_until("both", lambda: all(len(seen(one, "app").get("app_requests_total", [])) >= 3
                                           for one in (first, second)), process=agent)
        labels = seen(first, "app")["app_requests_total"][0][0]
        assert (labels["class"], labels["team"]) == ("2xx", "team-app") and "code" not in labels, labels
        assert not any(name.startswith("app_seconds") for name in seen(first, "app")), seen(first, "app").keys()
        assert seen(first, "app")["up"][0][0]["team"] == "team-app", seen(first, "app")["up"]
        assert set(seen(second, "app")) == {"app_requests_total"}, seen(second, "app").keys()
        assert set(seen(second, "node")) == {"msp_agent_samples_dropped_total"}, seen(second, "node").keys()
        dropped = [value for labels, value in seen(first, "node")["msp_agent_samples_dropped_total"]
                   if labels["reason"] == "relabel" and labels["endpoint"] == second.url]
        assert dropped and dropped[-1] > 0, "what a rule drops is not counted"


def a_reload_adds_and_removes_targets() -> None:
    with temporary_folder() as folder, receiving() as receiver, exporting(text(GOOD)) as one, \
            exporting(text(GOOD)) as other:
        config = write_config(folder, receiver.url, more="scrape:\n" + job("one", one.address))
        with running_agent(config) as agent:
            poll_until("the first", lambda: last(receiver, "one", "up") == 1, process=agent)
            threads = len(os.listdir(f"/proc/{agent.pid}/task"))
            kept = config.read_text()
            config.write_text(kept.replace("scrape:\n", "scrape:\n" + job("other", other.address)))
            agent.send(signal.SIGHUP)
            poll_until("the second", lambda: last(receiver, "other", "up") == 1, process=agent)
            poll_until("no other thread for another target",
                       lambda: len(os.listdir(f"/proc/{agent.pid}/task")) <= threads, process=agent)
            assert not any(is_stale(value) for _, value in seen(receiver, "one")["up"]), "the first was begun anew"
            config.write_text(kept.split("scrape:")[0])
            agent.send(signal.SIGHUP)
            for name in ("one", "other"):
                poll_until("markers", lambda: all(is_stale(values[-1][1]) for values in seen(receiver, name).values()),
                           process=agent)
            poll_until("no thread for none", lambda: len(os.listdir(f"/proc/{agent.pid}/task")) < threads,
                       process=agent)


def a_target_that_wants_a_client_certificate_gets_it() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        own = OwnAuthority(folder, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        context.load_verify_locations(own.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        with exporting(text(GOOD), context) as exporter:
            target = f"https://{exporter.address.replace('127.0.0.1', 'localhost')}/metrics"
            with_certificate = (f"    tls: {{ca_file: {own.ca}, cert_file: {own.certificate}, key_file: {own.key}}}\n"
                                "    labels: {instance: a}\n")
            config = write_config(folder, receiver.url, more="scrape:\n" +
                                  job("app", target, more=with_certificate) +
                                  job("bare", target, more=f"    tls: {{ca_file: {own.ca}}}\n") +
                                  job("unknown", target))
            with running_agent(config) as agent:
                poll_until("up", lambda: last(receiver, "app", "up") == 1, process=agent)
                # Later ones too: a connection that another target has proved itself on is not theirs.
                for name in ("bare", "unknown"):
                    poll_until("down", lambda: len(seen(receiver, name).get("up", [])) >= 4, process=agent)
            for name in ("bare", "unknown"):
                assert {value for _, value in seen(receiver, name)["up"]} == {0}, seen(receiver, name)["up"]


def a_socket_and_a_login() -> None:
    with temporary_folder() as folder, receiving() as receiver, exporting(text(GOOD)) as exporter:
        path = folder / "app.sock"

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/metrics"
                text(GOOD)(self)

            def log_message(self, *_: object) -> None:
                pass

            def address_string(self) -> str:
                return "socket"

        with Server(str(path), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            token = folder / "token"
            token.write_text("from-a-file\n")
            token.chmod(0o600)
            config = write_config(folder, receiver.url, more="scrape:\n" + job("socket", f"unix:{path}") +
                                  job("app", exporter.address, more=f"    bearer_token_file: {token}\n"
                                      "    headers: {X-Scope: abcd}\n"))
            with running_agent(config) as agent:
                poll_until("both", lambda: last(receiver, "socket", "up") == 1 == last(receiver, "app", "up"),
                           process=agent)
            server.shutdown()
        sent = exporter.headers[0]
        assert (sent["Authorization"], sent["X-Scope"]) == ("Bearer from-a-file", "abcd"), sent


def timestamps_are_kept_where_they_are_wanted() -> None:
    """As cAdvisor's: each container has a time, which stands still while nothing new is known of it."""
    began = int(time.time() * 1000)
    containers = [{"web": began - 30_000, "db": began - 20_000}]

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        now = int(time.time() * 1000)
        text("".join(f'{name}{{of="{one}"}} {i} {at}\n' for name in ("cpu", "memory")
                     for i, (one, at) in enumerate(containers[0].items())) +
             f"plain 1\nfuture 1 {now + 660_000}\npast 1 {now - 3_660_000}\n")(handler)

    with temporary_folder() as folder, receiving() as receiver, exporting(answer) as exporter:
        config = write_config(folder, receiver.url, interval=SLOW, more="scrape:\n" +
                              job("kept", exporter.address, more="    honor_timestamps: true\n") +
                              job("now", exporter.address, more="    labels: {instance: other}\n"))
        with running_agent(config) as agent:
            def scrapes(count: int) -> None:
                poll_until(f"{count} scrapes", lambda: len(seen(receiver, "kept").get("plain", [])) >= count and
                           len(seen(receiver, "now").get("plain", [])) >= count, process=agent)
            scrapes(1)
            containers[0] = {"web": began - 30_000, "db": began - 15_000}
            scrapes(3)
            containers[0] = {"db": began - 15_000}
            scrapes(5)
            line = "2 lines are no samples and are left out; the first is line 6: a timestamp more than 10 minutes"
            assert agent.log().count(line) == 1, agent.log()
        kept: dict[tuple[str, str], list[int]] = {}
        ended = set()
        for request in receiver.accepted():
            for series in request.series:
                labels = dict(series.labels)
                if "of" in labels:
                    if labels["job"] == "kept":
                        kept.setdefault((series.name, labels["of"]), []).extend(at for at, _ in series.samples)
                    if series.stale:
                        ended.add((labels["job"], series.name, labels["of"]))
        times = {"web": [began - 30_000], "db": [began - 20_000, began - 15_000]}
        assert kept == {(name, of): at for name in ("cpu", "memory") for of, at in times.items()}, kept
        gone = {("now", "cpu", "web"), ("now", "memory", "web")}
        # All series end where a machine is too busy for an answer in time; those with a time of their own never do.
        was_down = 0 in {value for _, value in seen(receiver, "now")["up"]}
        assert gone <= ended and {name for name, *_ in ended} == {"now"} and (was_down or ended == gone), ended
        found = seen(receiver, "kept")
        assert not {"future", "past"} & set(found), found
        assert found["up"][-1][1] == 1 and found["scrape_samples_scraped"][0][1] == 5, found


def check_status_and_dry_run_show_the_targets() -> None:
    with temporary_folder() as folder, receiving() as receiver, exporting(text(GOOD)) as exporter, \
            exporting(text("no", 403)) as closed:
        good = write_config(folder, receiver.url, interval=SLOW, more="scrape:\n" + job("app", exporter.address))
        printed = dry_run(good)
        assert 'app_requests_total{code="200",customer_id="alpha"' in printed, printed[-2000:]
        bad = write_config(folder, receiver.url, server="web-02", interval=SLOW, more="scrape:\n" +
                           job("app", exporter.address) + job("closed", closed.address))
        outcome = run_once("--config", str(bad), "check")
        assert outcome.returncode == 1, outcome.stdout + outcome.stderr
        assert f"app/{exporter.address}" in outcome.stdout and "5 samples" in outcome.stdout, outcome.stdout
        assert "HTTP 403: no; set basic_auth or bearer_token_file of the job" in outcome.stdout, outcome.stdout
        with running_agent(bad) as agent:
            poll_until("the targets", lambda: last(receiver, "closed", "up") == 0, process=agent)

            def shown() -> bool:
                status = run_once("--config", str(bad), "status").stdout
                return f"the target closed/{closed.address} is down: HTTP 403" in status and "Targets" in status
            poll_until("the status", shown, process=agent)


run_checks(a_good_target_arrives_with_its_labels_and_what_is_known_of_it,
           a_target_that_fails_ends_its_series_and_comes_back, every_fault_costs_its_target_alone,
           bad_lines_cost_themselves_and_are_told_once,
           a_collector_of_many_customers_keeps_their_labels_with_honor_labels,
           rules_are_applied_at_the_job_at_all_and_at_the_endpoint, a_reload_adds_and_removes_targets,
           a_target_that_wants_a_client_certificate_gets_it, a_socket_and_a_login,
           timestamps_are_kept_where_they_are_wanted,
           check_status_and_dry_run_show_the_targets)

"""What sends to a relay, for real: each sender scrapes a page of its own and writes to one address with one login.

Fluent Bit, which docs/relay.md names as well, is not in Debian 12: no test runs it.

A page counts how often it was asked, and shows the count: a sample that is lost is a number that is missing at the
centre, one that comes twice is there twice.
"""
import contextlib
import dataclasses
import http.server
import pathlib
import threading
from typing import Callable, Iterator

from support.agent import BINARY
from support.go_peer import VMAGENT, go_peer
from support.process import Process, free_port, started
from support.victoria_metrics import VictoriaMetrics

INTERVAL_S = 2
COMPANIONS = 20  # series beside the count


class Pages:
    """GET /NAME/metrics, until close(): then there is no page any more."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self._is_closed = False
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = pages.page(self.path.split("/")[1])
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def page(self, name: str) -> bytes:
        if self._is_closed:
            return b""
        number = self.asked[name] = self.asked.get(name, 0) + 1
        # The second metric claims to be another customer's.
        lines = [f"page_number {number}", f'page_forged{{customer_id="beta",tenant="beta"}} {number}']
        lines += [f'page_companion{{number="{i}"}} {number * i}' for i in range(COMPANIONS)]
        return ("\n".join(lines) + "\n").encode()

    def close(self) -> None:
        self._is_closed = True

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclasses.dataclass
class Way:
    """To the relay."""
    url: str
    token_file: pathlib.Path


def vmagent(program: str) -> Callable[[str, pathlib.Path, Pages, Way], list[str]]:
    def command(name: str, folder: pathlib.Path, pages: Pages, way: Way) -> list[str]:
        (folder / "scrape.yml").write_text(scrape_config(name, pages))
        return [program, f"-promscrape.config={folder / 'scrape.yml'}", f"-remoteWrite.url={way.url}",
                f"-remoteWrite.bearerTokenFile={way.token_file}", f"-remoteWrite.tmpDataPath={folder / 'queue'}",
                f"-httpListenAddr=127.0.0.1:{free_port()}", "-loggerLevel=WARN"]
    return command


def scrape_config(name: str, pages: Pages) -> str:
    """Its external label is a lie."""
    return (f"global: {{scrape_interval: {INTERVAL_S}s, scrape_timeout: {INTERVAL_S}s,\n"
            f"  external_labels: {{customer_id: beta}}}}\n"
            f"scrape_configs:\n  - job_name: page\n    metrics_path: /{name}/metrics\n    static_configs:\n"
            f"      - {{targets: ['{pages.address}'], labels: {{sender: {name}}}}}\n")


def prometheus(name: str, folder: pathlib.Path, pages: Pages, way: Way) -> list[str]:
    """In agent mode."""
    config = folder / "prometheus.yml"
    config.write_text(scrape_config(name, pages) + f"remote_write:\n  - url: {way.url}\n    authorization: "
                      f"{{credentials_file: {way.token_file}}}\n    queue_config: {{batch_send_deadline: 1s, "
                      "max_backoff: 1s}\n")
    return ["prometheus", "--enable-feature=agent", f"--config.file={config}", f"--storage.agent.path={folder / 'wal'}",
            f"--web.listen-address=127.0.0.1:{free_port()}", "--log.level=warn"]


def msp_agent(protocol: str) -> Callable[[str, pathlib.Path, Pages, Way], list[str]]:
    def command(name: str, folder: pathlib.Path, pages: Pages, way: Way) -> list[str]:
        config = folder / "msp-agent.yaml"
        config.write_text(f"customer_id: beta\nserver_name: {name}\ninterval: {INTERVAL_S}s\n"
                          f"collectors: {{enabled: [loadavg]}}\nbuffer: {{path: {folder / 'buffer'}}}\n"
                          f"remote_write: {{url: '{way.url}', protocol: {protocol}, "
                          f"bearer_token_file: {way.token_file}, timeout: 5s}}\n"
                          f"scrape:\n  - {{job: page, targets: ['http://{pages.address}/{name}/metrics'], "
                          f"labels: {{sender: {name}}}}}\n")
        return [BINARY, "--config", str(config)]
    return command


def senders() -> dict[str, Callable[[str, pathlib.Path, Pages, Way], list[str]]]:
    found = {"prometheus": prometheus, "vmagent": vmagent("vmagent")}
    for protocol in ("prometheus-1.0", "victoriametrics", "prometheus-2.0"):
        found[f"msp-agent-{protocol.replace('.', '-')}"] = msp_agent(protocol)
    if program := go_peer(*VMAGENT):
        found["vmagent-now"] = vmagent(program)
    return found


@contextlib.contextmanager
def sending(folder: pathlib.Path, pages: Pages, way: Way) -> Iterator[dict[str, Process]]:
    with contextlib.ExitStack() as stack:
        processes = {}
        for name, command in senders().items():
            place = folder / name
            place.mkdir()
            processes[name] = stack.enter_context(started(
                Process(command(name, place, pages, way), place / "log")))
        yield processes


def numbers(server: VictoriaMetrics, name: str) -> list[int]:
    """Of a sender's page, as they arrived: one for each sample that is no stale marker."""
    server.get("/internal/force_flush")
    return [int(value) for series in server.export(f'{{__name__="page_number",sender="{name}"}}')
            for value in series["values"] if value is not None]


def missing(server: VictoriaMetrics, pages: Pages, name: str) -> str:
    """What of a sender's samples has not arrived; empty: all of them, and each once. A scrape that it gave up, on a
    busy machine, is one that it calls failed."""
    arrived = numbers(server, name)
    twice = sorted({number for number in arrived if arrived.count(number) > 1})
    if twice:
        return f"{name}: twice: {twice}"
    ups = server.export(f'{{__name__="up",sender="{name}",job="page"}}')
    failed = sum(value == 0 for series in ups for value in series["values"])
    lost = sorted(set(range(1, pages.asked[name] + 1)) - set(arrived))
    return f"{name}: missing: {lost} of {pages.asked[name]}" if len(lost) > failed else ""

"""The distribution's prometheus as a remote write receiver on loopback, with data that lives as long as the test."""
import contextlib
import json
import pathlib
import urllib.parse
import urllib.request
from typing import Iterator

from support.process import Process, free_port, poll_until, started


class Prometheus:
    def __init__(self, folder: pathlib.Path, port: int):
        self.base = f"http://127.0.0.1:{port}"
        self.url = f"{self.base}/api/v1/write"
        (folder / "prometheus.yml").write_text("{}\n")  # it scrapes nobody
        self.process = Process(["prometheus", "--web.enable-remote-write-receiver",
                                f"--config.file={folder / 'prometheus.yml'}",
                                f"--storage.tsdb.path={folder / 'prometheus'}",
                                f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")

    def get(self, path: str, **parameters: str) -> str:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.base}{path}?{query}", timeout=120) as answer:
            return answer.read().decode()

    def series(self, selector: str, seconds: int = 600) -> list[dict]:
        """Raw samples of the last `seconds`: {"metric": labels, "values": [[time, value]]} each."""
        answer = json.loads(self.get("/api/v1/query", query=f"{selector}[{seconds}s]"))
        return answer["data"]["result"]


@contextlib.contextmanager
def running_prometheus(folder: pathlib.Path, port: int = 0) -> Iterator[Prometheus]:
    server = Prometheus(folder, port or free_port())
    with started(server.process):
        poll_until("prometheus answers", lambda: "Ready" in server.get("/-/ready"), process=server.process)
        yield server

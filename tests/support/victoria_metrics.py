"""The distribution's victoria-metrics on loopback, with data that lives as long as the test."""
import contextlib
import json
import pathlib
import urllib.parse
import urllib.request
from typing import Iterator

from support.process import Process, free_port, poll_until, started


class VictoriaMetrics:
    def __init__(self, folder: pathlib.Path, port: int, address: str, options: tuple[str, ...]):
        self.base = f"http://{address}:{port}"
        self.url = f"{self.base}/api/v1/write"
        self._asked = 0
        self.process = Process(["victoria-metrics", f"-httpListenAddr={address}:{port}",
                                f"-storageDataPath={folder / 'victoria-metrics'}", "-search.latencyOffset=0s",
                                "-loggerLevel=WARN", *options], folder / "victoria-metrics.log")

    def get(self, path: str, **parameters: str) -> str:
        with urllib.request.urlopen(f"{self.base}{path}?{urllib.parse.urlencode(parameters)}", timeout=120) as answer:
            return answer.read().decode()

    def query(self, expression: str, at_ms: int = 0) -> list[tuple[dict[str, str], float]]:
        """An instant query, as of now or of `at_ms` since 1970: (labels, value) of each result."""
        when = {"time": f"{at_ms / 1000:.3f}"} if at_ms else {}
        answer = json.loads(self.get("/api/v1/query", query=expression, nocache="1", **when))
        return [(result["metric"], float(result["value"][1])) for result in answer["data"]["result"]]

    def export(self, selector: str) -> list[dict]:
        """Raw samples, a {"metric", "values", "timestamps"} for each series; the selector has braces."""
        # No two questions are the same: it remembers for seconds that there was nothing to be found.
        self._asked += 1
        selector = selector.replace("{", f'{{__name__!="{self._asked}",', 1)
        lines = self.get("/api/v1/export", **{"match[]": selector}).splitlines()
        return [json.loads(line) for line in lines]

    def metric(self, name: str) -> float:
        """One of its own metrics, summed over its labels."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").splitlines()
                   if line.startswith(name))


@contextlib.contextmanager
def running_victoria_metrics(folder: pathlib.Path, port: int = 0, address: str = "127.0.0.1",
                             options: tuple[str, ...] = ()) -> Iterator[VictoriaMetrics]:
    server = VictoriaMetrics(folder, port or free_port(), address, options)
    with started(server.process):
        poll_until("victoria-metrics answers", lambda: server.get("/health") == "OK", process=server.process)
        yield server

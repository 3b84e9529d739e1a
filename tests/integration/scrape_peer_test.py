"""Exporters of the distribution, scraped by msp-agent and by the distribution's prometheus in one run: the same series
with the same labels and values, and the same end when the exporter goes away."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
from typing import Callable, Iterator

from support.agent import running_agent, temporary_folder, write_config
from support.check import run_checks
from support.nginx import running_nginx
from support.process import Process, free_port, poll_until, started
from support.prometheus import Prometheus, running_prometheus

# Of the agent alone, on all that it sends.
OWN = ("customer_id", "server_name")
# Prometheus and the agent say each for itself how their scrapes went.
ABOUT = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
         "scrape_series_added")
Exporting = Callable[[pathlib.Path, str], contextlib.AbstractContextManager[Process]]


class Both:
    """What prometheus has scraped itself, and what it got of the agent."""

    def __init__(self, server: Prometheus):
        self.server = server

    def series(self, agents: bool, seconds: int) -> dict[tuple, list[float]]:
        matcher = 'customer_id="alpha"' if agents else 'customer_id=""'
        found = {}
        for series in self.server.series(f'{{job="peer",{matcher}}}', seconds):
            labels = tuple(sorted((name, value) for name, value in series["metric"].items() if name not in OWN))
            found[labels] = [float(value) for _, value in series["values"]]
        return found

    def names(self, agents: bool, at: float) -> set[str]:
        """What an instant query of that moment finds: what has ended by a marker is not among them."""
        matcher = 'customer_id="alpha"' if agents else 'customer_id=""'
        answer = json.loads(self.server.get("/api/v1/query", query=f'{{job="peer",{matcher}}}', time=f"{at:.3f}"))
        return {one["metric"]["__name__"] for one in answer["data"]["result"]}

    def ups(self, agents: bool) -> list[tuple[float, float]]:
        """Time and value of each scrape's `up`."""
        matcher = 'customer_id="alpha"' if agents else 'customer_id=""'
        found = self.server.series(f'up{{job="peer",{matcher}}}')
        return [(float(at), float(value)) for at, value in found[0]["values"]] if found else []

    def end(self, agents: bool) -> tuple[float, float]:
        """The moments of the last scrape that found the exporter, and of the one after it, which did not."""
        ups = self.ups(agents)
        last = max(i for i, (_, value) in enumerate(ups) if value == 1)
        assert last + 1 < len(ups), "it is up"
        return ups[last][0], ups[last + 1][0]


def name_of(labels: tuple) -> str:
    return dict(labels)["__name__"]


def compare(exporting: Exporting, series_min: int) -> None:
    """One run of both, to the end of the exporter."""
    target, server_port = f"127.0.0.1:{free_port()}", free_port()
    with temporary_folder() as folder:
        folder.chmod(0o755)  # a database has a user of its own
        with exporting(folder, target) as exporter, running_prometheus(folder, server_port) as server:
            (folder / "prometheus.yml").write_text(
                "scrape_configs:\n  - job_name: peer\n    scrape_interval: 1s\n    scrape_timeout: 1s\n"
                f"    static_configs: [{{targets: ['{target}']}}]\n")
            server.process.send(signal.SIGHUP)
            config = write_config(folder, server.url, more="  protocol: prometheus-1.0\nscrape:\n"
                                  f"  - {{job: peer, targets: ['{target}'], labels: {{instance: '{target}'}}, "
                                  "normalize: false}\n")  # the distribution's is Prometheus 2
            with running_agent(config) as agent:
                both = Both(server)
                poll_until("five scrapes of each", lambda: all(
                    len(next((values for labels, values in both.series(agents, 600).items()
                              if name_of(labels) == "up" and 1 in values), [])) >= 5
                    for agents in (True, False)), process=agent)
                theirs, ours = both.series(False, 60), both.series(True, 60)
                check_series(theirs, ours, series_min)
                check_values(theirs, ours, series_min // 2)
                exporter.stop()
                for agents in (True, False):
                    poll_until("the end", lambda agents=agents: both.end(agents), process=agent)
                    check_end(both, agents, series_min)


def check_end(both: Both, agents: bool, series_min: int) -> None:
    """Every series has a sample of the last scrape that was up, or ended before it, and a marker of the first one that
    was down: at that very moment a query finds none."""
    last, down = both.end(agents)
    names = both.names(agents, last) - set(ABOUT)
    assert len(names) > min(series_min // 10, 5), (agents, names)
    assert both.names(agents, down) == set(ABOUT), (agents, both.names(agents, down))


def check_series(theirs: dict, ours: dict, series_min: int) -> None:
    # The exporter's own requests are a series only once there was one.
    differ = {labels for labels in set(theirs) ^ set(ours) if not name_of(labels).startswith("promhttp_")}
    assert len(theirs) > series_min and not differ, f"{len(differ)} of {len(theirs)} differ: {sorted(differ)[:5]}"


def check_values(theirs: dict, ours: dict, same_min: int) -> None:
    """Those that stayed the same in all scrapes of both, which were made at different moments."""
    same = [labels for labels in theirs if name_of(labels) not in ABOUT and labels in ours
            and len(set(theirs[labels])) == 1 == len(set(ours[labels]))]
    assert len(same) > same_min, f"only {len(same)} of {len(theirs)} series stay the same"
    differ = [labels for labels in same if theirs[labels][0] != ours[labels][0]]
    assert not differ, f"{len(differ)} values differ: {[(one, theirs[one][0], ours[one][0]) for one in differ[:5]]}"


def exported(folder: pathlib.Path, command: list[str], **env: str) -> contextlib.AbstractContextManager[Process]:
    return started(Process(command, folder / "exporter.log", {**os.environ, **env}))


def node(folder: pathlib.Path, target: str) -> contextlib.AbstractContextManager[Process]:
    return exported(folder, ["prometheus-node-exporter", f"--web.listen-address={target}"])


@contextlib.contextmanager
def redis(folder: pathlib.Path, target: str) -> Iterator[Process]:
    port = free_port()
    server = Process(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)],
                     folder / "redis.log")
    with started(server):
        poll_until("redis", lambda: "Ready to accept connections" in server.log(), process=server)
        with exported(folder, ["prometheus-redis-exporter", f"--web.listen-address={target}",
                               f"--redis.addr=redis://127.0.0.1:{port}"]) as exporter:
            yield exporter


@contextlib.contextmanager
def mariadb(folder: pathlib.Path, target: str) -> Iterator[Process]:
    data, socket = folder / "mariadb", folder / "mariadb.sock"
    subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                    "--auth-root-authentication-method=normal"],
                   stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    server = Process(["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking",
                      "--user=root"], folder / "mariadb.log")
    with started(server):
        poll_until("mariadb", lambda: "ready for connections" in server.log(), process=server)
        with exported(folder, ["prometheus-mysqld-exporter", f"--web.listen-address={target}"],
                      DATA_SOURCE_NAME=f"root@unix({socket})/") as exporter:
            yield exporter


@contextlib.contextmanager
def nginx(folder: pathlib.Path, target: str) -> Iterator[Process]:
    with running_nginx(folder, "server { listen PORT; location /stub_status { stub_status; } }") as server:
        with exported(folder, ["prometheus-nginx-exporter", f"-web.listen-address={target}",
                               f"-nginx.scrape-uri=http://127.0.0.1:{server.port}/stub_status"]) as exporter:
            yield exporter


def the_node_exporter_gives_both_the_same() -> None:
    compare(node, 300)


def the_redis_exporter_gives_both_the_same() -> None:
    compare(redis, 100)


def the_mysqld_exporter_gives_both_the_same() -> None:
    compare(mariadb, 500)


def the_nginx_exporter_gives_both_the_same() -> None:
    compare(nginx, 8)


run_checks(the_node_exporter_gives_both_the_same, the_redis_exporter_gives_both_the_same,
           the_mysqld_exporter_gives_both_the_same, the_nginx_exporter_gives_both_the_same)

"""The staged rollout of the kit: its stages, and that it stops itself. The centre is once a
real VictoriaMetrics that gets what ten agents would have sent, and else answers as one would."""
import importlib.util
import time
import urllib.request

from support.agent import temporary_folder
from support.central import PROGRAMS
from support.check import run_checks
from support.process import poll_until
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

specification = importlib.util.spec_from_file_location("rollout", PROGRAMS / "rollout.py")
rollout = importlib.util.module_from_spec(specification)
specification.loader.exec_module(rollout)

OLD, NEW = "0.1.0", "0.2.0"
storage: VictoriaMetrics
count = 0


class Fleet:
    """Ten servers of a customer of their own, whose samples are imported where `is_real`."""

    def __init__(self, is_real: bool = False) -> None:
        global count
        count += 1
        self.customer = f"customer-{count}"
        self.servers = [(self.customer, f"web-{number:02}") for number in range(10)]
        self.version = dict.fromkeys(self.servers, OLD)
        self.silent: set = set()
        self.dropped = dict.fromkeys(self.servers, 0)
        self.behind = dict.fromkeys(self.servers, 0)
        self.upgraded: list = []
        self.said: list[str] = []
        self._sent, self._is_real = 0, is_real
        self.send(-20)
        self.send(0)

    def send(self, seconds: int = 0) -> None:
        """A sample of each series of each server, and waits until they can be queried."""
        if not self._is_real:
            return
        self._sent += 1
        at = int((time.time() + seconds) * 1000)
        lines = [f'sent{{customer_id="{self.customer}"}} {self._sent} {at}']
        for customer, name in set(self.servers) - self.silent:
            labels = f'customer_id="{customer}",server_name="{name}"'
            lines += [f'msp_agent_build_info{{{labels},version="{self.version[customer, name]}"}} 1 {at}',
                      f'msp_agent_samples_dropped_total{{{labels},reason="rejected"}} '
                      f"{self.dropped[customer, name]} {at}",
                      f"msp_agent_buffer_oldest_sample_age_seconds{{{labels}}} {self.behind[customer, name]} {at}"]
        request = urllib.request.Request(f"{storage.base}/api/v1/import/prometheus", "\n".join(lines).encode())
        urllib.request.urlopen(request, timeout=120).close()
        poll_until("it is stored", lambda: any(
            self._sent in series["values"] for series in storage.export(f'{{customer_id="{self.customer}",'
                                                                        '__name__="sent"}')))
        # It remembers for seconds which series there are.
        for version in set(self.version.values()):
            wanted = {name for customer, name in set(self.servers) - self.silent
                      if self.version[customer, name] == version}
            query = f'last_over_time(msp_agent_build_info{{version="{version}"}}[1m])'
            poll_until(f"{version} can be queried", lambda: wanted <= self._found(query))
        poll_until("all can be queried", lambda: len(self._found("last_over_time(msp_agent_build_info[1h])")) == 10)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        if self._is_real:
            return rollout.ask(storage.base)(expression)
        found = [server for server in self.servers if server not in self.silent or "[1h]" in expression]
        if "build_info" in expression:
            found = [server for server in found if f'version="{self.version[server]}"' in expression
                     or "[1h]" in expression or "timestamp(" in expression]
        elif "dropped" in expression:
            found = [server for server in found if self.dropped[server] > 0]
        else:
            found = [server for server in found if "oldest" in expression and self.behind[server] > 300]
        return [({"customer_id": customer, "server_name": name, "version": self.version[customer, name]}, 1.0)
                for customer, name in found]

    def _found(self, query: str) -> set[str]:
        return {labels["server_name"] for labels, _ in storage.query(query)
                if labels.get("customer_id") == self.customer}

    def run(self, upgrade=None) -> bool:
        def do(server) -> int:
            self.upgraded.append(server)
            self.version[server] = NEW
            return upgrade(server) or 0 if upgrade else 0
        # An old version's series is there for an hour: a server counts as upgraded by what it sends now.
        return rollout.Rollout(self.query, NEW, [self.customer], 60).run(
            do, lambda _: self.send(), self.said.append)


def the_stages_are_one_server_five_percent_twenty_and_the_rest() -> None:
    assert rollout.stage_sizes(1) == [1] and rollout.stage_sizes(2) == [1, 2]
    assert rollout.stage_sizes(10) == [1, 2, 3, 10]
    assert rollout.stage_sizes(1000) == [1, 50, 200, 1000]
    names = [("alpha", f"web-{number}") for number in range(100)]
    order = rollout.in_order(names)
    assert order == rollout.in_order(reversed(names)) and order != names
    fewer = [name for name in order if name != order[50]]
    assert rollout.in_order(fewer) == fewer, "a server that goes moves others"


def a_good_version_reaches_all() -> None:
    fleet = Fleet()
    assert fleet.run(), fleet.said
    assert sorted(fleet.upgraded) == fleet.servers and len([s for s in fleet.said if "stage" in s]) == 4, fleet.said


def a_version_that_drops_samples_stops_at_the_canary() -> None:
    fleet = Fleet(is_real=True)

    def upgrade(server) -> None:
        fleet.dropped[server] = 7
    assert not fleet.run(upgrade)
    assert len(fleet.upgraded) == 1 and "drops samples" in fleet.said[-1], fleet.said


def a_version_that_one_server_cannot_run_stops_in_the_middle() -> None:
    fleet = Fleet()

    def upgrade(server) -> None:
        if len(fleet.upgraded) == 3:
            fleet.silent.add(server)
    assert not fleet.run(upgrade)
    assert len(fleet.upgraded) == 3 and "does not send" in fleet.said[-1], fleet.said


def a_command_that_fails_or_a_fleet_in_trouble_stops_at_once() -> None:
    fleet = Fleet()
    assert not fleet.run(lambda server: 5)
    assert len(fleet.upgraded) == 1 and "ended with 5" in fleet.said[-1], fleet.said
    fleet = Fleet()
    fleet.behind[fleet.servers[0]] = 4000
    fleet.send()
    assert not fleet.run() and not fleet.upgraded and "has a backlog" in fleet.said[-1], fleet.said


with temporary_folder() as folder, running_victoria_metrics(folder) as storage:
    run_checks(the_stages_are_one_server_five_percent_twenty_and_the_rest, a_good_version_reaches_all,
               a_version_that_drops_samples_stops_at_the_canary,
               a_version_that_one_server_cannot_run_stops_in_the_middle,
               a_command_that_fails_or_a_fleet_in_trouble_stops_at_once)

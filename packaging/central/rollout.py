#!/usr/bin/env python3
"""Brings a new version to the fleet in stages, and stops itself when the centre sees trouble.

    python3 rollout.py --centre URL --version 0.2.0 [--customer alpha ...] -- COMMAND...
    python3 rollout.py --centre URL --version 0.2.0 --list 1        the servers of the first stages, for Ansible

COMMAND runs once for each server, with {customer_id} and {server_name} in its words replaced, such as

    ssh {server_name} apt-get install -y msp-agent={version}
    ansible-playbook ansible/upgrade.yml --limit {server_name} -e msp_agent_version={version}

The stages are 1 server (the canary), 5 %, 20 %, the rest; a server is always in the same stage, by a hash of its name.
The inventory is what the centre has received from agents (msp_agent_build_info). After each stage --settle seconds pass
(600). Then, of the servers that were upgraded, all must have the version and be there, none may drop samples, restart
again and again, refuse its configuration, or have a backlog that it did not have before; if one does, the rollout ends
with exit code 1 and says which. Nothing is undone: the command that goes back is the operator's.
"""
import argparse
import hashlib
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from typing import Callable, Iterable

STAGES = (0.0, 0.05, 0.20, 1.0)  # shares of the servers, at least one more in each
BACKLOG_SECONDS_MAX = 300
Server = tuple[str, str]  # customer_id, server_name
Query = Callable[[str], list[tuple[dict[str, str], float]]]


def stage_sizes(count: int) -> list[int]:
    """How many servers have the version after each stage."""
    sizes: list[int] = []
    for share in STAGES:
        size = min(count, max(round(share * count), (sizes[-1] if sizes else 0) + 1))
        if not sizes or size > sizes[-1]:
            sizes.append(size)
    return sizes


def in_order(servers: Iterable[Server]) -> list[Server]:
    return sorted(servers, key=lambda server: hashlib.sha256("/".join(server).encode()).digest())


class Rollout:
    def __init__(self, query: Query, version: str, customers: Iterable[str] = (), settle_seconds: float = 600):
        self._query, self._version, self._settle = query, version, int(settle_seconds)
        self._customers = set(customers)

    def versions(self) -> dict[Server, set[str]]:
        found: dict[Server, set[str]] = {}
        for labels, _ in self._query("last_over_time(msp_agent_build_info[1h])"):
            server = labels.get("customer_id", ""), labels.get("server_name", "")
            if not self._customers or server[0] in self._customers:
                found.setdefault(server, set()).add(labels.get("version", ""))
        return found

    def running(self) -> dict[Server, str]:
        """The version of each server's newest sample: an old version's series is there for a while."""
        newest: dict[Server, tuple[float, str]] = {}
        for labels, at in self._query("timestamp(msp_agent_build_info)"):
            server = labels.get("customer_id", ""), labels.get("server_name", "")
            newest[server] = max(newest.get(server, (0.0, "")), (at, labels.get("version", "")))
        return {server: version for server, (_, version) in newest.items()}

    def stages(self) -> list[list[Server]]:
        servers = in_order(self.versions())
        begin, stages = 0, []
        for end in stage_sizes(len(servers)) if servers else ():
            stages.append(servers[begin:end])
            begin = end
        return stages

    def _servers(self, expression: str) -> set[Server]:
        return {(labels.get("customer_id", ""), labels.get("server_name", "")) for labels, _ in self._query(expression)}

    def trouble(self, upgraded: Iterable[Server]) -> list[str]:
        """What is wrong with the upgraded servers now, a sentence for each."""
        window = f"{max(self._settle, 60)}s"
        has_version = self._servers(f'last_over_time(msp_agent_build_info{{version="{self._version}"}}[1m])')
        checks = (
            ("drops samples", self._servers(
                f'sum by (customer_id, server_name) (increase(msp_agent_samples_dropped_total{{reason!="relabel"}}'
                f"[{window}])) > 0")),
            ("restarts again and again", self._servers(f"resets(msp_agent_cpu_seconds_total[{window}]) > 1")),
            ("has refused its configuration", self._servers(
                "last_over_time(msp_agent_config_last_reload_successful[1m]) == 0")),
            ("has a backlog", self._servers(
                f"last_over_time(msp_agent_buffer_oldest_sample_age_seconds[1m]) > {BACKLOG_SECONDS_MAX}")),
        )
        said = []
        for server in upgraded:
            name = "/".join(server)
            if server not in has_version:
                said.append(f"{name} does not send with version {self._version}")
            said += [f"{name} {what}" for what, servers in checks if server in servers]
        return said

    def run(self, upgrade: Callable[[Server], int], wait: Callable[[float], None], say: Callable[[str], None]) -> bool:
        """Stage by stage; false where it stopped itself."""
        stages = self.stages()
        if not stages:
            say("the centre knows no server")
            return False
        upgraded: list[Server] = []
        # What was wrong before is not the new version's fault, but nothing to begin with either.
        if ill := [line for line in self.trouble(in_order(self.versions())) if "does not send" not in line]:
            say("before the first stage: " + "; ".join(ill))
            return False
        for number, stage in enumerate(stages, 1):
            say(f"stage {number} of {len(stages)}: {', '.join('/'.join(server) for server in stage)}")
            for server in stage:
                if self.running().get(server) == self._version:
                    continue
                if code := upgrade(server):
                    say(f"stopped: the command for {'/'.join(server)} ended with {code}")
                    return False
            upgraded += stage
            wait(self._settle)
            if ill := self.trouble(upgraded):
                say("stopped: " + "; ".join(ill))
                return False
        say(f"done: {len(upgraded)} servers have version {self._version}")
        return True


def ask(centre: str) -> Query:
    def query(expression: str) -> list[tuple[dict[str, str], float]]:
        url = f"{centre}/api/v1/query?{urllib.parse.urlencode({'query': expression, 'nocache': 1})}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            results = json.loads(answer.read())["data"]["result"]
        return [(result["metric"], float(result["value"][1])) for result in results]
    return query


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--centre", required=True, help="what answers queries, such as http://127.0.0.1:8428")
    parser.add_argument("--version", required=True)
    parser.add_argument("--customer", action="append", default=[])
    parser.add_argument("--settle", type=float, default=600, help="seconds to wait after each stage")
    parser.add_argument("--list", type=int, metavar="STAGES", help="print the servers of the first stages, and end")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    rollout = Rollout(ask(options.centre.rstrip("/")), options.version, options.customer, options.settle)
    if options.list is not None:
        for stage in rollout.stages()[:options.list]:
            for server in stage:
                print(*server)
        return 0
    if not options.command:
        parser.error("a command is wanted, behind --")

    def upgrade(server: Server) -> int:
        words = {"{customer_id}": server[0], "{server_name}": server[1], "{version}": options.version}
        command = list(options.command)
        for name, value in words.items():
            command = [word.replace(name, value) for word in command]
        return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    return 0 if rollout.run(upgrade, time.sleep, lambda line: print(line, flush=True)) else 1


if __name__ == "__main__":
    sys.exit(main())

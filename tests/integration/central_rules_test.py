"""The rules of the kit for the centre: promtool's tests of each alert, the runbook of each, and the distribution's
vmalert with a real agent that is killed, stopped, and told that its host shuts down."""
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import urllib.request
from typing import Iterator

from support.agent import ROOT, running_agent, temporary_folder, write_config
from support.central import KIT, running_vmalert, shortened
from support.check import run_checks
from support.process import poll_until
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

RULES = sorted((KIT / "rules").glob("*.yaml"))
RUNBOOK = ROOT / "docs/alerts.md"
LABELS = ("customer_id", "server_name", "csp", "region", "environment")


def alerts_in(text: str) -> list[tuple[str, str]]:
    """(name, all that stands below) of each alert."""
    return re.findall(r"(?ms)^  - alert: (\w+)\n(.*?)(?=^  - |^- |\Z)", text)


def promtool_agrees() -> None:
    with temporary_folder() as folder:
        for test in sorted((ROOT / "tests/fixtures/central").glob("*_test.yaml")):
            placed = folder / test.name
            placed.write_text(test.read_text().replace("RULES", str(KIT / "rules")))
            outcome = subprocess.run(["promtool", "test", "rules", str(placed)], capture_output=True, text=True,
                                     timeout=120, check=False)
            said = outcome.stdout + outcome.stderr
            assert outcome.returncode == 0 and "WARNING" not in said, f"{test.name}: {said}"


def every_alert_is_tested_and_has_a_runbook() -> None:
    tests = "".join(test.read_text() for test in (ROOT / "tests/fixtures/central").glob("*_test.yaml"))
    sections = dict(re.findall(r"(?ms)^## (\w+)\n\n(.+?)(?=^## |\Z)", RUNBOOK.read_text()))
    names = [name for rules in RULES for name, _ in alerts_in(rules.read_text())]
    assert len(names) > 20 and len(set(names)) == len(names), names
    for rules in RULES:
        for name, text in alerts_in(rules.read_text()):
            assert name in tests, f"{name} has no test"
            assert name in sections, f"{name} has no section in {RUNBOOK}"
            assert f"alerts.md#{name.lower()}\n" in text, f"{name}: runbook_url"
            assert re.search(r"severity: (critical|warning|info)\b", text), f"{name}: severity"
    missing = set(sections) - set(names)
    assert not missing, f"sections of no alert: {missing}"


class Alerts:
    """What vmalert says is firing."""

    def __init__(self, base: str):
        self._base = base

    def firing(self) -> set[tuple[str, str]]:
        return {(alert["labels"]["alertname"], alert["labels"].get("server_name", "")) for alert in self.all()
                if alert["state"] == "firing"}

    def all(self) -> list[dict]:
        with urllib.request.urlopen(f"{self._base}/api/v1/alerts", timeout=120) as answer:
            return json.loads(answer.read())["data"]["alerts"] or []


@contextlib.contextmanager
def a_centre(folder: pathlib.Path) -> Iterator[tuple[VictoriaMetrics, Alerts]]:
    rules = folder / "servers.yaml"
    rules.write_text(shortened((KIT / "rules/servers.yaml").read_text()))
    with running_victoria_metrics(folder) as storage, running_vmalert(folder, storage.base, [rules]) as (_, base):
        yield storage, Alerts(base)


def vmalert_tells_a_crash_a_stop_and_a_shutdown_apart() -> None:
    with temporary_folder() as folder, a_centre(folder) as (storage, alerts), contextlib.ExitStack() as agents:
        running = {}
        for server in ("live", "killed", "stopped", "shut-down"):
            config = write_config(folder, storage.url, server=server,
                                  more="labels: {csp: aws, region: eu}\nenvironment: prod\n")
            running[server] = agents.enter_context(running_agent(config))
        recorded = 'count(count by (server_name) (last_over_time(msp:server:stop_reason[1d])))'
        poll_until("all are recorded", lambda: storage.query(recorded)[0][1] == 4 if storage.query(recorded) else False)
        poll_until("no other alert", lambda: not alerts.firing() - {("NothingReceived", "")})
        for server, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGTERM), ("shut-down", signal.SIGPWR)):
            running[server].send(number)
        wanted = {("ServerDown", "killed"), ("AgentStopped", "stopped"), ("ServerShutDown", "shut-down")}

        def as_wanted() -> bool:
            assert alerts.firing() == wanted, alerts.firing()
            return True
        poll_until("the three alerts", as_wanted)
        down, = [alert for alert in alerts.all() if alert["labels"]["alertname"] == "ServerDown"]
        assert {name: down["labels"][name] for name in LABELS} == {
            "customer_id": "alpha", "server_name": "killed", "csp": "aws", "region": "eu", "environment": "prod"}, down
        assert down["annotations"]["summary"] == "alpha/killed has sent nothing for more than 3 minutes", down
        with running_agent(folder / "killed.yaml"):
            poll_until("it is back", lambda: ("ServerDown", "killed") not in alerts.firing())


run_checks(promtool_agrees, every_alert_is_tested_and_has_a_runbook, vmalert_tells_a_crash_a_stop_and_a_shutdown_apart)

"""From a killed agent to an action and back: rules in vmalert, the distribution's Alertmanager with the kit's routes
and inhibition, the webhook receiver, its command and its audit log. And what the receiver refuses."""
import importlib.util
import json
import pathlib
import re
import signal
import subprocess

from support.agent import running_agent, temporary_folder, write_config
from support.central import KIT, PROGRAMS, running_vmalert, shortened
from support.check import run_checks
from support.nginx import listens
from support.process import Process, free_port, poll_until, started
from support.victoria_metrics import running_victoria_metrics

ALERTMANAGER = (KIT / "alertmanager/alertmanager.yml").read_text()
specification = importlib.util.spec_from_file_location("automation", PROGRAMS / "automation.py")
automation = importlib.util.module_from_spec(specification)
specification.loader.exec_module(automation)


def amtool(*arguments: str) -> str:
    outcome = subprocess.run(["amtool", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def the_routes_lead_to_whom_they_should() -> None:
    config = str(KIT / "alertmanager/alertmanager.yml")
    amtool("check-config", config)
    for labels, receivers in (
            ("alertname=ServerDown severity=critical customer_id=beta", "automation,operators-pager"),
            ("alertname=ServerDown severity=critical customer_id=alpha", "automation,alpha-mail,operators-pager"),
            ("alertname=CpuHigh severity=warning customer_id=alpha", "automation,operators-mail"),
            ("alertname=ServerRebooted severity=info customer_id=alpha", "nobody"),
            ("alertname=NothingReceived severity=critical", "automation,operators-pager"),
            ("alertname=Foreign", "operators-mail")):
        amtool("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receivers}",
               *labels.split())


def message(status: str = "firing", **labels: str) -> dict:
    return {"alerts": [{"status": status, "labels": {"alertname": "ServerDown", "customer_id": "alpha",
                                                     "server_name": "web-01", **labels}}]}


class Trial:
    """The receiver's decisions, with a clock of the test's own."""

    def __init__(self, folder: pathlib.Path, **action: object):
        self.now = 1e9
        self._log = folder / "audit.log"
        self.ran = folder / "ran"
        settings = {"audit_log": str(self._log), "runs_per_hour": 3, "actions": {"ServerDown": {
            "command": ["sh", "-c", f'echo "$1 $2" >>{self.ran}', "sh", "{server_name}", "{status}"],
            "customers": ["alpha"], "pause_seconds": 600, **action}}}
        self._automation = automation.Automation(settings, lambda: self.now)

    def tell(self, *arguments: str, **labels: str) -> dict:
        """The line of the audit log."""
        self._automation.handle(message(*arguments, **labels))
        return json.loads(self._log.read_text().splitlines()[-1])


def only_what_is_listed_is_run() -> None:
    with temporary_folder() as folder:
        trial = Trial(folder)
        assert trial.tell()["exit_code"] == 0 and trial.ran.read_text() == "web-01 firing\n"
        for labels, reason in (({"alertname": "CpuHigh"}, "alert"), ({"customer_id": "beta"}, "customer"),
                               ({"server_name": "x; rm -r y"}, "plain"), ({"server_name": "--help"}, "plain"),
                               ({"server_name": "$(id)"}, "plain"), ({"server_name": ""}, "plain")):
            said = trial.tell(**labels)
            assert said["run"] is False and reason in said["reason"], said
        assert trial.tell("resolved")["run"] is False
        assert trial.ran.read_text() == "web-01 firing\n"
        slow = Trial(folder, command=["sleep", "60"], timeout_seconds=0.2).tell()
        assert "timed out" in slow["failed"], slow
        assert "No such file" in Trial(folder, command=["/no/such"]).tell()["failed"]


def a_repetition_and_a_flood_run_nothing() -> None:
    with temporary_folder() as folder:
        trial = Trial(folder)
        assert trial.tell()["run"]
        assert "short time ago" in trial.tell()["reason"]
        trial.now += 601
        assert trial.tell()["run"] and trial.tell(server_name="web-02")["run"]
        assert "limit" in trial.tell(server_name="web-03")["reason"]
        trial.now += 3600
        assert trial.tell(server_name="web-03")["run"]


def from_a_killed_agent_to_an_action_and_back() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as storage:
        port, hook_port, ran, audit = free_port(), free_port(), folder / "ran", folder / "audit.log"
        (folder / "automation.token").write_text("a-token\n")
        (folder / "actions.json").write_text(json.dumps({
            "listen": f"127.0.0.1:{hook_port}", "token_file": str(folder / "automation.token"),
            "audit_log": str(audit), "runs_per_hour": 20, "actions": {"ServerDown": {
                "command": ["sh", "-c", f'echo "$@" >>{ran}', "sh", "{customer_id}", "{server_name}", "{status}"],
                "customers": ["alpha"], "when_resolved": True}}}))
        for name, text in (("smtp.password", "x"), ("slack.url", "http://127.0.0.1:1/")):
            (folder / name).write_text(text)
        config = ALERTMANAGER.replace("/etc/msp-central", str(folder)).replace("127.0.0.1:9095",
                                                                             f"127.0.0.1:{hook_port}")
        config = re.sub(r"mail\.example\.com:587", "127.0.0.1:1", config)
        (folder / "alertmanager.yml").write_text(re.sub(r"group_interval: \w+", "group_interval: 1s", config))
        rules = folder / "servers.yaml"
        rules.write_text(shortened((KIT / "rules/servers.yaml").read_text()))
        hook = Process(["python3", str(PROGRAMS / "automation.py"), str(folder / "actions.json")], folder / "hook.log")
        manager = Process(["prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yml'}",
                           f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}",
                           "--cluster.listen-address="], folder / "alertmanager.log")
        base = f"http://127.0.0.1:{port}"
        with started(hook), started(manager), running_vmalert(folder, storage.base, [rules], base):
            poll_until("both listen", lambda: listens(port) and listens(hook_port), process=manager)
            with running_agent(write_config(folder, storage.url, server="live")):
                with running_agent(write_config(folder, storage.url)) as agent:
                    recorded = 'last_over_time(msp:server:stop_reason{server_name="web-01"}[1d])'
                    poll_until("it is recorded", lambda: storage.query(recorded), process=agent)
                    agent.send(signal.SIGKILL)
                    poll_until("the action", lambda: "alpha web-01 firing" in ran.read_text(), process=hook)
                with running_agent(folder / "web-01.yaml"):
                    poll_until("resolved", lambda: "alpha web-01 resolved" in ran.read_text(), process=hook)
                # One command silences a server that is to be removed.
                amtool("silence", "add", "customer_id=alpha", "server_name=web-01", "--duration=25h",
                       "--comment=removed", "--author=test", f"--alertmanager.url={base}")
                poll_until("it is stopped and silenced", lambda: "AgentStopped" in amtool(
                    "alert", "query", "--silenced", "server_name=web-01", f"--alertmanager.url={base}"),
                           process=manager)
                amtool("alert", "add", "alertname=CustomerSilent", "customer_id=beta", f"--alertmanager.url={base}")
                amtool("alert", "add", "alertname=ServerDown", "customer_id=beta", "server_name=b", "severity=critical",
                       f"--alertmanager.url={base}")
                poll_until("it is inhibited", lambda: "ServerDown" in amtool(
                    "alert", "query", "--inhibited", "customer_id=beta", f"--alertmanager.url={base}"), process=manager)
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        # A busy machine that says nothing for seconds is down once more.
        said = [line["status"] for line in lines if line["run"]]
        assert said[:2] == ["firing", "resolved"] and said == ["firing", "resolved"] * (len(said) // 2), lines


run_checks(the_routes_lead_to_whom_they_should, only_what_is_listed_is_run, a_repetition_and_a_flood_run_nothing,
           from_a_killed_agent_to_an_action_and_back)

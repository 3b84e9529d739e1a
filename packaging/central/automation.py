#!/usr/bin/env python3
"""Runs a command for an alert: a receiver for Alertmanager's webhook, as an example, with the standard library only.

    python3 automation.py actions.json

What keeps it harmless: only alerts under "actions" run something, only for the customers that are listed there; the
command is a list of words, never a shell's line, and a label becomes a part of a word only if it is plain; one command
runs at a time, with a timeout; for each alert of a server there is a pause between two runs ("pause_seconds"), and
"runs_per_hour" is the limit of all together. Each decision, also that nothing is run, is a line of JSON in the audit
log. A request without the token is refused. Alertmanager repeats what was not answered with 200.
"""
import collections
import hmac
import http.server
import json
import pathlib
import re
import subprocess
import sys
import time

BODY_BYTES_MAX = 4 << 20
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
HOUR = 3600


class Refusal(Exception):
    """Why nothing is run for an alert."""


class Automation:
    def __init__(self, settings: dict, now=time.time):
        self._settings, self._now = settings, now
        self._last: dict[tuple[str, ...], float] = {}  # when a command ran, by alert, server and status
        self._runs: collections.deque[float] = collections.deque()

    def handle(self, message: dict) -> None:
        """A message of Alertmanager (version 4)."""
        for alert in message.get("alerts", ()):
            try:
                outcome = self._act(alert)
            except Refusal as refusal:
                outcome = {"run": False, "reason": str(refusal)}
            self._audit({"alert": alert.get("labels", {}), "status": alert.get("status"), **outcome})

    def _act(self, alert: dict) -> dict:
        labels = {str(name): str(value) for name, value in alert.get("labels", {}).items()}
        action = self._settings["actions"].get(labels.get("alertname"))
        if action is None:
            raise Refusal("the alert is not listed")
        if labels.get("customer_id") not in action.get("customers", ()):
            raise Refusal("the customer is not listed")
        status = alert.get("status")
        if status not in ("firing", "resolved") or (status == "resolved" and not action.get("when_resolved")):
            raise Refusal(f"nothing is to be done when {status}")
        command = [fill(word, {**labels, "status": status}) for word in action["command"]]
        self._take_turn((labels["alertname"], labels["customer_id"], labels.get("server_name", ""), status),
                        action.get("pause_seconds", HOUR))
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                  errors="replace", timeout=action.get("timeout_seconds", 60))
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"run": True, "command": command, "failed": str(error)}
        return {"run": True, "command": command, "exit_code": done.returncode,
                "said": (done.stdout + done.stderr)[:500]}

    def _take_turn(self, key: tuple[str, ...], pause_seconds: float) -> None:
        now = self._now()
        if now - self._last.get(key, float("-inf")) < pause_seconds:
            raise Refusal("it ran for this alert a short time ago")
        while self._runs and now - self._runs[0] >= HOUR:
            self._runs.popleft()
        if len(self._runs) >= self._settings["runs_per_hour"]:
            raise Refusal("the limit of runs in an hour is reached")
        self._runs.append(now)
        self._last[key] = now

    def _audit(self, entry: dict) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._now()))
        with open(self._settings["audit_log"], "a", encoding="utf-8") as log:
            log.write(json.dumps({"time": stamp, **entry}) + "\n")


def fill(word: str, labels: dict[str, str]) -> str:
    """{label} in the word becomes the label's value."""
    def value(match: re.Match[str]) -> str:
        found = labels.get(match[1], "")
        if not PLAIN.fullmatch(found):
            raise Refusal(f"the label {match[1]} is missing or not plain")
        return found
    return re.sub(r"\{(\w+)\}", value, word)


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 30
    automation: Automation
    token: str

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {self.token}".encode()):
            return self._answer(401)
        if self.path != "/alerts" or not 0 < length <= BODY_BYTES_MAX:
            return self._answer(400)
        try:
            message = json.loads(self.rfile.read(length))
            self.automation.handle(message)
        except (ValueError, TypeError, AttributeError, KeyError):
            return self._answer(400)
        return self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The audit log says what happened."""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: automation.py actions.json")
    settings = json.loads(pathlib.Path(sys.argv[1]).read_text())
    Handler.automation = Automation(settings)
    Handler.token = pathlib.Path(settings["token_file"]).read_text().strip()
    if not Handler.token:
        sys.exit(f"automation.py: {settings['token_file']} is empty")
    host, port = settings["listen"].rsplit(":", 1)
    http.server.HTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()

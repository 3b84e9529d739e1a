"""msp-agent check: what it says of each step to an endpoint and of the host, for people in a hurry and for Ansible.
Real servers on loopback; of each case the words that matter are held, and the exit code."""
import contextlib
import json
import os
import pathlib
from typing import Any, Iterator

from support.agent import run_once, running_agent, temporary_folder, write_config
from support.answers import of_yesterday, status
from support.certificates import Authority, Certificate
from support.check import run_checks
from support.nginx import running_nginx
from support.process import Process, free_port, poll_until, started
from support.proxy import running_proxy
from support.receiver import receiving
from support.victoria_metrics import running_victoria_metrics

ADDRESS = "IP:127.0.0.1"


class Checked:
    """What one run of check said, once as text and once as JSON: both must tell the same."""

    def __init__(self, config: pathlib.Path, *arguments: str):
        text, self.json = (run_once("--config", str(config), *arguments, "check", *form) for form in ((), ("--json",)))
        assert text.returncode == self.json.returncode, (text, self.json)
        self.code, self.text, self.errors = text.returncode, text.stdout, text.stderr
        self.report: dict[str, Any] = json.loads(self.json.stdout)
        assert self.report["ok"] == (self.code == 0), self.report

    def step(self, name: str) -> dict[str, Any]:
        """The one step of that name, of the only endpoint or of the host."""
        steps = [step for part in (*self.report["endpoints"], self.report["host"]) for step in part["steps"]
                 if step["step"] == name]
        assert len(steps) == 1, f"not one step {name}:\n{self.text}"
        return steps[0]

    def has(self, name: str, result: str, *words: str) -> dict[str, Any]:
        step = self.step(name)
        missing = [word for word in words if word not in step["text"]]
        assert step["result"] == result and not missing, f"{name} is {step}; wanted: {result}, {missing}\n{self.text}"
        lines = [line.split() for line in self.text.splitlines()]
        assert [result, name] in [line[:2] for line in lines], f"no line says {result} {name}:\n{self.text}"
        return step

    def fails_at(self, name: str, *words: str) -> dict[str, Any]:
        """This step failed with these words, those before it did not, and nothing after it was told."""
        assert self.code == 1, f"exits {self.code}:\n{self.text}{self.errors}"
        steps = [(step["step"], step["result"]) for step in self.report["endpoints"][0]["steps"]]
        failed = [step for step, result in steps if result == "failed"]
        assert failed == [name], f"failed is {failed}, not {name}:\n{self.text}"
        assert name == "write" or name == "login" or steps[-1][0] == name, f"goes on behind {name}:\n{self.text}"
        return self.has(name, "failed", *words)

    def is_well(self) -> None:
        assert self.code == 0, f"exits {self.code}:\n{self.text}{self.errors}"


def config_of(folder: pathlib.Path, url: str, more: str = "", timeout: str = "30s") -> pathlib.Path:
    return write_config(folder, url, timeout=timeout, more=more)


@contextlib.contextmanager
def tls_front(folder: pathlib.Path, certificate: Certificate) -> Iterator[int]:
    """The port of an nginx that answers 204 to whatever it is sent."""
    with running_nginx(folder, f"""server {{ listen PORT ssl;
  ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};
  location / {{ return 204; }} }}""") as nginx:
        yield nginx.port


def every_step_of_a_good_endpoint_is_told() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        checked = Checked(config_of(folder, url))
        checked.is_well()
        port = url.split(":")[2].split("/")[0]
        assert f"\n{url}\n" in checked.text, checked.text
        dns = checked.has("dns", "ok", "localhost is ", "127.0.0.1", "name servers of /etc/resolv.conf")
        assert "127.0.0.1" in dns["addresses"], dns
        assert checked.has("tcp", "ok", f"connected to 127.0.0.1:{port}")["milliseconds"] >= 0
        write = checked.has("write", "ok", "HTTP 204", "msp_agent_check 1, in ")
        assert write["status"] == 204 and write["milliseconds"] > 0, write
        assert write["protocol"] in ("victoriametrics", "prometheus-1.0"), write
        checked.has("clock", "ok", "agree")
        found = poll_until("the sample", lambda: server.query('msp_agent_check{customer_id="alpha"}'))
    labels, value = found[0]
    assert value == 1 and labels["server_name"] == "web-01" and labels["job"] == "node", found


def a_receiver_of_snappy_alone_is_written_to_as_the_agent_would() -> None:
    with temporary_folder() as folder, receiving([status(415), 204, status(415), 204]) as receiver:
        checked = Checked(config_of(folder, receiver.url))
        checked.is_well()
        checked.has("write", "ok", "prometheus-1.0")
    assert [request.wire.name for request in receiver.requests[:2]] == ["VICTORIAMETRICS", "PROMETHEUS_1_0"]


def a_name_that_does_not_exist_fails_at_dns() -> None:
    with temporary_folder() as folder:
        checked = Checked(config_of(folder, "http://monitor.exmaple.invalid/api/v1/write"))
        checked.fails_at("dns", "monitor.exmaple.invalid", "correct url, or fix this host's DNS", "/etc/resolv.conf")


def a_port_that_nobody_listens_on_fails_at_tcp() -> None:
    with temporary_folder() as folder:
        port = free_port()
        checked = Checked(config_of(folder, f"http://127.0.0.1:{port}/api/v1/write"))
        checked.fails_at("tcp", f"connection refused by 127.0.0.1:{port}")
        checked.has("dns", "ok", "no name server is asked")


def plain_http_and_tls_are_told_from_each_other() -> None:
    with temporary_folder() as folder, receiving() as plain:
        authority = Authority(folder)
        with tls_front(folder, authority.issue("monitor", ADDRESS)) as port:
            checked = Checked(config_of(folder, f"http://127.0.0.1:{port}/api/v1/write"))
            checked.fails_at("write", "it speaks TLS there: the url must begin with https://")
        checked = Checked(config_of(folder, f"https://127.0.0.1:{plain.port}/api/v1/write",
                                    f"  tls: {{ca_file: {authority.ca}}}\n"))
        checked.fails_at("tls", "it does not speak TLS there", "http://")


def a_good_certificate_is_told_with_its_days() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        for days, result, words in ((40.5, "ok", "40 days left"), (5.5, "warning", "5 days left: renew it")):
            with temporary_folder() as inner, \
                    tls_front(inner, authority.issue("monitor", ADDRESS, last_day=days)) as port:
                checked = Checked(config_of(inner, f"https://127.0.0.1:{port}/api/v1/write",
                                            f"  tls: {{ca_file: {authority.ca}}}\n"))
                checked.is_well()
                tls = checked.has("tls", result, "TLSv1.3", "CN = monitor", "issued by CN = own authority", words)
                assert tls["days_left"] == int(days) and tls["milliseconds"] > 0, tls
                assert tls["chain_days_left"] == int(days) and tls["cipher"].startswith("TLS_"), tls


def bad_certificates_fail_at_tls_and_the_setting_is_named() -> None:
    with temporary_folder() as folder:
        authority, other = Authority(folder), Authority(folder, "other authority")
        for certificate, words in (
                (authority.issue("monitor", ADDRESS, -3, -1), ("CN = monitor expired on", "renew it")),
                (other.issue("monitor", ADDRESS), ("issued by CN = other authority", "tls.ca_file")),
                (authority.issue("elsewhere", "DNS:a.example"), ("is for a.example and not for", "tls.server_name"))):
            with temporary_folder() as inner, tls_front(inner, certificate) as port:
                url = f"https://127.0.0.1:{port}/api/v1/write"
                Checked(config_of(inner, url, f"  tls: {{ca_file: {authority.ca}}}\n")).fails_at("tls", *words)
                checked = Checked(config_of(inner, url, "  tls: {insecure_skip_verify: true}\n"))
                checked.is_well()
                checked.has("tls", "warning", "it is not verified")


def a_login_that_is_refused_names_it_and_shows_no_secret() -> None:
    with temporary_folder() as folder, receiving([status(401, "no such user")] * 2) as receiver:
        checked = Checked(config_of(folder, receiver.url, "  basic_auth: {username: carol, password: hunter2}\n"))
        step = checked.fails_at("login", "HTTP 401: no such user", "check basic_auth", "basic_auth as carol")
        assert step["status"] == 401 and "hunter2" not in checked.text + checked.json.stdout + checked.errors
        secret = folder / "no-such-file"
        checked = Checked(config_of(folder, receiver.url,
                                    f"  basic_auth: {{username: carol, password_file: {secret}}}\n"))
        checked.fails_at("login", str(secret))


def a_wrong_path_and_a_server_in_trouble_are_told_apart() -> None:
    with temporary_folder() as folder, receiving([status(404)] * 2 + [status(503, "full")] * 2) as receiver:
        assert Checked(config_of(folder, receiver.url)).fails_at("write", "check the path in url")["status"] == 404
        Checked(config_of(folder, receiver.url)).fails_at("write", "HTTP 503: full", "tries again")


def a_proxy_is_a_step_of_its_own() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        with tls_front(folder, authority.issue("monitor", ADDRESS)) as port, running_proxy("bob:hunter2") as proxy:
            url = f"https://127.0.0.1:{port}/api/v1/write"
            more = f"  tls: {{ca_file: {authority.ca}}}\n  proxy_url: http://bob:SECRET@127.0.0.1:{proxy.port}\n"
            checked = Checked(config_of(folder, url, more.replace("SECRET", "hunter2")))
            checked.is_well()
            checked.has("tcp", "ok", f"connected to the proxy 127.0.0.1:{proxy.port}")
            checked.has("proxy", "ok", f"the proxy 127.0.0.1:{proxy.port} connects to the server")
            assert "hunter2" not in checked.text + checked.json.stdout
            checked = Checked(config_of(folder, url, more.replace("SECRET", "wrong")))
            checked.fails_at("proxy", "answers HTTP 407", "its user and password belong into proxy_url")


def a_clock_that_is_off_is_told() -> None:
    with temporary_folder() as folder, receiving([of_yesterday] * 2) as receiver:
        checked = Checked(config_of(folder, receiver.url))
    checked.is_well()
    clock = checked.has("clock", "warning", "this host's clock is 1 d 0 h ahead of the server's; ")
    assert abs(clock["ahead_seconds"] - 86400) < 60, clock


def a_buffer_that_cannot_be_used_fails() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url, interval="5s")
        checked = Checked(config)
        room = checked.has("room", "ok", "an outage of about 7 days at ", "buffer.max_age")
        assert room["outage_seconds"] == 7 * 86400 and room["samples_per_tick"] > 50, room
        checked.has("buffer", "ok", "will be made", "uid ")
        (folder / "web-01-buffer").write_text("a file")
        checked = Checked(config)
        assert checked.code == 1
        checked.has("buffer", "failed", f"buffer.path {folder}/web-01-buffer", "uid ")


def the_buffer_is_tried_as_the_agents_user_where_root_asks() -> None:
    """In a mount namespace of its own, which has that user and goes when the command ends."""
    with temporary_folder() as folder:
        config = config_of(folder, f"http://127.0.0.1:{free_port()}/api/v1/write")
        passwd, buffer = folder / "passwd", folder / "web-01-buffer"
        passwd.write_text("root:x:0:0::/:/bin/sh\nmsp-agent:x:64999:64999::/:/bin/false\n")
        folder.chmod(0o755)
        buffer.mkdir(0o700)

        def step() -> dict[str, Any]:
            outcome = run_once("--config", str(config), "check", "--json", prefix=(
                "unshare", "--mount", "sh", "-c", f'mount --bind {passwd} /etc/passwd && exec "$@"', "sh"))
            steps = json.loads(outcome.stdout)["host"]["steps"]
            return next(step for step in steps if step["step"] == "buffer")

        refused = step()
        assert refused["result"] == "failed" and refused["user"] == "msp-agent", refused
        assert "Permission denied (asked for msp-agent, uid 64999); run: install -d " in refused["text"], refused
        os.chown(buffer, 64999, 64999)
        assert step()["result"] == "note" and "ReadWritePaths=" in step()["text"], step()


def other_agents_are_named_and_are_no_failure() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = config_of(folder, receiver.url)
        other = Process(["bash", "-c", "exec -a /opt/alloy sleep 60"], folder / "other.log")
        with running_agent(config) as agent, started(other):
            poll_until("the name", lambda: b"alloy" in pathlib.Path(f"/proc/{other.pid}/cmdline").read_bytes())
            poll_until("the lock", (folder / "web-01-buffer/lock").exists)
            checked = Checked(config)
    checked.is_well()
    checked.has("agents", "note", f"msp-agent (process {agent.pid}) uses this buffer", f"alloy (process {other.pid})")


def a_collector_without_data_is_named_with_the_reason() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        for name in ("proc/loadavg", "proc/uptime"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("0.1 0.2 0.3 1/100 5\n")
        config = config_of(folder, receiver.url, "collectors:\n  enabled: [loadavg, meminfo]\n")
        checked = Checked(config, "--path.procfs", str(folder / "proc"))
        checked.is_well()
        step = checked.has("collector", "note", "meminfo has no data here", f"{folder}/proc/meminfo")
        assert step["collector"] == "meminfo", step


def a_bad_configuration_is_shown_with_its_line_and_no_secret() -> None:
    with temporary_folder() as folder:
        config = folder / "msp-agent.yaml"
        config.write_text("customer_id: alpha\ninterval: 0s\nremote_write:\n  url: http://127.0.0.1:9/\n"
                          "  basic_auth:\n    username: carol\n    pasword: hunter2\n")
        for arguments in ((), ("--offline",), ("--json",)):
            outcome = run_once("--config", str(config), "check", *arguments)
            assert outcome.returncode == 78, outcome
            assert f"{config}:2:11: interval: " in outcome.stderr, outcome.stderr
            assert "  2 | interval: 0s\n    |           ^\n" in outcome.stderr, outcome.stderr
            assert "  7 |     pasword: ...\n    |     ^\n" in outcome.stderr, outcome.stderr
            assert "hunter2" not in outcome.stderr + outcome.stdout, outcome
        report = json.loads(outcome.stdout)
        assert not report["ok"] and not report["config"]["ok"], report
        assert [(error["line"], error["column"]) for error in report["config"]["errors"]][:1] == [(2, 11)], report


def offline_asks_nobody() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        config = config_of(folder, receiver.url)
        outcome = run_once("--config", str(config), "check", "--offline")
        assert (outcome.returncode, outcome.stdout) == (0, f"OK: {config}: alpha/web-01\n"), outcome
        report = json.loads(run_once("--config", str(config), "check", "--offline", "--json").stdout)
        assert report["ok"] and report["config"]["customer_id"] == "alpha" and not report["endpoints"], report
        assert not receiver.requests, "it was asked"


run_checks(every_step_of_a_good_endpoint_is_told, a_receiver_of_snappy_alone_is_written_to_as_the_agent_would,
           a_name_that_does_not_exist_fails_at_dns, a_port_that_nobody_listens_on_fails_at_tcp,
           plain_http_and_tls_are_told_from_each_other, a_good_certificate_is_told_with_its_days,
           bad_certificates_fail_at_tls_and_the_setting_is_named, a_login_that_is_refused_names_it_and_shows_no_secret,
           a_wrong_path_and_a_server_in_trouble_are_told_apart, a_proxy_is_a_step_of_its_own,
           a_clock_that_is_off_is_told, a_buffer_that_cannot_be_used_fails,
           the_buffer_is_tried_as_the_agents_user_where_root_asks, other_agents_are_named_and_are_no_failure,
           a_collector_without_data_is_named_with_the_reason, a_bad_configuration_is_shown_with_its_line_and_no_secret,
           offline_asks_nobody)

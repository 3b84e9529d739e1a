"""The twenty most likely mistakes, made for real, and all that a person reads then: in the log of the agent that runs
with the mistake, and from `msp-agent check`. The texts are held by tests/fixtures/messages/: read one as somebody who
has just been woken up. Each names what is wrong and says what to do.

Servers are real and on a loopback of this test's own, whose names are in an /etc/hosts of its own.
"""
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
from typing import Callable, Iterator

from support.agent import BINARY, ROOT, run_once, temporary_folder
from support.answers import of_yesterday
from support.certificates import Authority, Certificate
from support.check import run_checks
from support.container import own_mounts
from support.link import enter_own_network, run
from support.nginx import running_nginx
from support.process import Process, free_port, poll_until, started
from support.receiver import receiving
from support.snapshot import matches_snapshot, normalized
from support.victoria_metrics import running_victoria_metrics

HOST = "monitor.example.com"
ANYBODY = 65534  # a user without rights

# What a text must name, and how it says what to do.
THING = r"\.yaml:\d+:\d+: |https?://\S+|monitor\.\S+:PORT|/FOLDER/\S+|/etc/\S+"
TO_DO = r"\b(accepted|set|check|correct|run|renew|make|stop|must|fix|mend|leave|use|write)\b"


@dataclasses.dataclass
class Server:
    """Where a case finds what it needs."""
    folder: pathlib.Path

    def config(self, url: str, more: str = "", top: str = "") -> pathlib.Path:
        """`more` is inside remote_write, `top` on top of the file. One tick at once, none after it."""
        config = self.folder / "msp-agent.yaml"
        config.write_text(f"customer_id: alpha\nserver_name: web-01\ninterval: 1h\n{top}"
                          f"buffer: {{path: {self.folder}/buffer}}\nremote_write:\n  url: {url}\n{more}")
        return config

    def written(self, text: str) -> pathlib.Path:
        config = self.folder / "msp-agent.yaml"
        config.write_text(text)
        return config


def log_of(config: pathlib.Path, until: str, prefix: tuple[str, ...] = (), binary: str = BINARY) -> str:
    """What the running agent says until a line has those words."""
    process = Process([*prefix, binary, "--config", str(config)], config.with_suffix(".log"))
    with started(process):
        poll_until(f"'{until}' in the log", lambda: until in process.log(), process=process)
        said = process.log()
    return f"$ msp-agent\n{said}"


def refusal_of(config: pathlib.Path, code: int = 78) -> str:
    """What an agent says that does not start."""
    outcome = run_once("--config", str(config))
    assert outcome.returncode == code, f"exits {outcome.returncode}: {outcome.stderr}"
    return f"$ msp-agent\n{outcome.stderr}"


def check_of(config: pathlib.Path, *steps_of_host: str, prefix: tuple[str, ...] = (), binary: str = BINARY) -> str:
    """What `msp-agent check` says of the configuration and its endpoint; of the host, which is another one everywhere,
    these steps only."""
    outcome = subprocess.run([*prefix, binary, "--config", str(config), "check"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    lines, is_host = [], False
    for line in outcome.stdout.splitlines(True):
        is_host = is_host or line == "this host\n"
        words = line.split()
        if not is_host or (line.startswith("  ") and words[1] in steps_of_host):
            lines.append(line)
    return f"$ msp-agent check\n{''.join(lines)}(exit code {outcome.returncode})\n"


@contextlib.contextmanager
def tls_front(folder: pathlib.Path, certificate: Certificate) -> Iterator[str]:
    with running_nginx(folder, f"""server {{ listen PORT ssl;
  ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};
  location / {{ return 204; }} }}""") as nginx:
        yield f"{HOST}:{nginx.port}"


@contextlib.contextmanager
def plain_front(folder: pathlib.Path, location: str) -> Iterator[str]:
    with running_nginx(folder, f"server {{ listen PORT; {location} }}") as nginx:
        yield f"http://{HOST}:{nginx.port}/api/v1/write"


def both(config: pathlib.Path, until: str) -> str:
    return log_of(config, until) + check_of(config)


# ---- the mistakes

def wrong_url_path(server: Server) -> str:
    with running_victoria_metrics(server.folder) as metrics:
        url = metrics.url.replace("127.0.0.1", HOST).replace("/write", "/wirte")
        return both(server.config(url), "samples kept")


def http_to_an_https_port(server: Server) -> str:
    with tls_front(server.folder, Authority(server.folder).issue("monitor", f"DNS:{HOST}")) as place:
        return both(server.config(f"http://{place}/api/v1/write"), "samples kept")


def https_to_an_http_port(server: Server) -> str:
    with plain_front(server.folder, "location / { return 204; }") as url:
        authority = Authority(server.folder)
        return both(server.config(url.replace("http:", "https:"), f"  tls: {{ca_file: {authority.ca}}}\n"),
                    "samples kept")


def expired_certificate(server: Server) -> str:
    authority = Authority(server.folder)
    with tls_front(server.folder, authority.issue(HOST, f"DNS:{HOST}", -3, -1)) as place:
        return both(server.config(f"https://{place}/api/v1/write", f"  tls: {{ca_file: {authority.ca}}}\n"),
                    "samples kept")


def wrong_ca(server: Server) -> str:
    authority, other = Authority(server.folder), Authority(server.folder, "other authority")
    with tls_front(server.folder, other.issue(HOST, f"DNS:{HOST}")) as place:
        return both(server.config(f"https://{place}/api/v1/write", f"  tls: {{ca_file: {authority.ca}}}\n"),
                    "samples kept")


def answer_401(server: Server) -> str:
    (server.folder / "users").write_text("alpha:{PLAIN}right\n")
    with plain_front(server.folder, f"""location / {{ auth_basic "monitor";
  auth_basic_user_file {server.folder}/users; }}""") as url:
        server.folder.chmod(0o755)  # nginx reads that file as another user
        return both(server.config(url, "  basic_auth: {username: alpha, password: wrong}\n"), "samples kept")


def answer_404(server: Server) -> str:
    with plain_front(server.folder, "location = /api/v1/push { return 204; }") as url:
        return both(server.config(url), "samples kept")


def dns_typo(server: Server) -> str:
    return both(server.config("https://monitor.exmaple.com/api/v1/write"), "samples kept")


def proxy_needed(server: Server) -> str:
    port = free_port()
    run("nft", f"add rule inet msp on_input tcp dport {port} drop")
    return both(server.config(f"https://{HOST}:{port}/api/v1/write", "  timeout: 1s\n"), "samples kept")


def nobody_listens(server: Server) -> str:
    return both(server.config(f"http://{HOST}:{free_port()}/api/v1/write"), "samples kept")


def clock_off_by_a_day(server: Server) -> str:
    with receiving([of_yesterday] * 9) as receiver:
        said = both(server.config(receiver.url.replace("127.0.0.1", HOST)), "clock")
    # What this machine's kernel knows of its clock.
    return re.sub(r"(find out which|this host's is (not )?synchronized)[^;\n]*", "(which of the two to correct)", said)


def disk_full(server: Server) -> str:
    buffer = server.folder / "buffer"
    buffer.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=20m", "full", str(buffer))
    try:
        run("fallocate", "-l", "20m", str(buffer / "ballast"))
        config = server.config(f"http://{HOST}:{free_port()}/api/v1/write")
        # Several threads meet the full disk, in any order.
        process = Process([BINARY, "--config", str(config)], config.with_suffix(".log"))
        parts = ("until the disk works again", "make room there", "a crash of the agent", "samples kept",
                 "cannot show what this agent does")
        with started(process):
            poll_until("all of the lines", lambda: all(part in process.log() for part in parts), process=process)
            lines = process.log().splitlines()
        by_words = sorted(lines, key=lambda line: line.split(" ", 1)[1])  # behind the time: info goes before warning
        return "\n".join(["$ msp-agent", *by_words, check_of(config, "room")])
    finally:
        run("umount", "-l", str(buffer))


def second_instance(server: Server) -> str:
    config = server.config(f"http://{HOST}:{free_port()}/api/v1/write")
    first = Process([BINARY, "--config", str(config)], server.folder / "first.log")
    with started(first):
        poll_until("the first has its buffer", lambda: "samples kept" in first.log(), process=first)
        return refusal_of(config, 1)


def unreadable_secret_file(server: Server) -> str:
    """As another user: root reads everything."""
    prefix = ("setpriv", f"--reuid={ANYBODY}", f"--regid={ANYBODY}", "--clear-groups")
    binary = server.folder / "msp-agent"
    shutil.copy(BINARY, binary)
    secret = server.folder / "token"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    server.folder.chmod(0o777)
    with receiving() as receiver:
        config = server.config(receiver.url.replace("127.0.0.1", HOST), f"  bearer_token_file: {secret}\n")
        config.with_suffix(".log").touch()
        return log_of(config, "samples kept", prefix, str(binary)) + check_of(config, prefix=prefix, binary=str(binary))


# ---- mistakes in the file itself

GOOD = f"""customer_id: alpha
remote_write:
  url: https://{HOST}/api/v1/write
"""


def refused(server: Server, text: str) -> str:
    config = server.written(text)
    return refusal_of(config) + check_of(config)


def not_filled_in(server: Server) -> str:
    """As it is shipped."""
    return refused(server, (ROOT / "etc/msp-agent.yaml").read_text())


def empty_customer_id(server: Server) -> str:
    return refused(server, GOOD.replace("alpha", '""'))


def tab_in_yaml(server: Server) -> str:
    return refused(server, GOOD.replace("  url", "\turl"))


def label_name_with_a_dash(server: Server) -> str:
    return refused(server, GOOD + "labels:\n  cost-centre: '4711'\n")


def too_many_labels(server: Server) -> str:
    labels = "".join(f"  label_{number}: x\n" for number in range(30))
    with receiving() as receiver:
        config = server.config(receiver.url.replace("127.0.0.1", HOST), top=f"labels:\n{labels}")
        return log_of(config, "every") + check_of(config)


def interval_below_a_second(server: Server) -> str:
    return refused(server, GOOD + "interval: 500ms\n")


def regex_error(server: Server) -> str:
    return refused(server, GOOD + "collectors:\n  netdev:\n    device_exclude: '^(veth|docker'\n")


def unknown_collector(server: Server) -> str:
    return refused(server, GOOD + "collectors:\n  disabled: [netdev, diskstat]\n")


MISTAKES: tuple[Callable[[Server], str], ...] = (
    wrong_url_path, http_to_an_https_port, https_to_an_http_port, expired_certificate, wrong_ca, answer_401, answer_404,
    dns_typo, proxy_needed, nobody_listens, clock_off_by_a_day, disk_full, second_instance, unreadable_secret_file,
    not_filled_in, empty_customer_id, tab_in_yaml, label_name_with_a_dash, too_many_labels, interval_below_a_second,
    regex_error, unknown_collector)


def text_after(mistake: Callable[[Server], str]) -> str:
    with temporary_folder() as folder:
        return normalized(mistake(Server(folder)), folder)


def held(mistake: Callable[[Server], str], said: concurrent.futures.Future[str]) -> Callable[[], None]:
    def check() -> None:
        text = said.result()
        matches_snapshot(text, f"messages/{mistake.__name__}.txt")
        for part in text.split("$ ")[1:]:
            assert re.search(THING, part), f"nothing is named:\n{part}"
            wrong = [line for line in part.splitlines() if re.match(r" *(error|warning|failed) ", line)]
            assert any(re.search(TO_DO, line) for line in wrong), f"nobody says what to do:\n{part}"
    check.__name__ = f"{mistake.__name__} is told with what to do about it"
    return check


class NameServer:
    """On 127.0.0.1:53: it knows no name."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(512)
            # RFC 1035, section 4.1.1: an answer, NXDOMAIN, and no more records than the question.
            end = question.index(b"\0", 12) + 5
            self._socket.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12:end], asker)


def own_names(folder: pathlib.Path) -> None:
    """/etc/hosts and /etc/resolv.conf of this process and what it starts."""
    for name, text in (("hosts", f"127.0.0.1 localhost {HOST}\n"), ("resolv.conf", "nameserver 127.0.0.1\n")):
        (folder / name).write_text(text)
        run("mount", "--bind", str(folder / name), str(pathlib.Path(f"/etc/{name}").resolve()))
    NameServer()


def main() -> None:
    os.umask(0o022)  # who may read a file is part of what is told
    own_mounts()
    enter_own_network()
    run("nft", "add table inet msp; add chain inet msp on_input { type filter hook input priority 0; }")
    with temporary_folder() as folder:
        own_names(folder)
        with concurrent.futures.ThreadPoolExecutor(6) as workers:
            run_checks(*(held(mistake, workers.submit(text_after, mistake)) for mistake in MISTAKES))


main()

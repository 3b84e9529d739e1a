"""The kit for the centre (etc/central, packaging/central) as installed in a folder of a test's own, and its programs:
paths and ports differ, the rest is what is shipped."""
import contextlib
import pathlib
import re
import secrets
import subprocess
from typing import Iterator

from support.agent import ROOT
from support.certificates import Authority
from support.nginx import listens
from support.process import Process, free_port, poll_until, started

KIT = ROOT / "etc/central"
PROGRAMS = ROOT / "packaging/central"


class Central:
    """The folder that is /etc/msp-central on a real server."""

    def __init__(self, folder: pathlib.Path, storage: str, kind: str = "victoriametrics", login: str = "token"):
        """`storage` is the host:port that samples go to; `kind` and `login` choose storage.conf and login.conf."""
        self.folder = folder
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}/api/v1/{'push' if kind == 'mimir' else 'write'}"
        self._storage = storage
        folder.mkdir(exist_ok=True)
        self.authority = Authority(folder)
        certificate = self.authority.issue("monitor", "IP:127.0.0.1,DNS:localhost")
        for file, name in ((certificate.file, "server.pem"), (certificate.key, "server.key"),
                           (self.authority.ca, "clients-ca.pem")):
            (folder / name).write_bytes(file.read_bytes())
        for source, name in (("write", "write"), (f"login-{login}", "login"), (f"storage-{kind}", "storage")):
            (folder / f"{name}.conf").write_text(self._placed((KIT / f"nginx/{source}.conf").read_text()))
        self._main = folder / "nginx.conf"
        self._main.write_text(self._placed((KIT / "nginx/nginx.conf").read_text()))

    def _placed(self, text: str) -> str:
        """With this folder's paths and ports in place of the server's."""
        temporary = "".join(f"  {kind}_temp_path {self.folder / kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        for pattern, replacement in ((r"/etc/msp-central", str(self.folder)), (r"/var/log/nginx", str(self.folder)),
                                     (r"/run/nginx\.pid", str(self.folder / "pid")), (r"(?m)^user .*\n", ""),
                                     (r"(?m)^error_log .*\n", "error_log stderr;\n"),
                                     (r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                                     (r"(?m)^.*listen \[::\].*\n", ""),
                                     (r"127\.0\.0\.1:8428", self._storage),
                                     (r"(?m)^http \{\n", f"http {{\n{temporary}")):
            text = re.sub(pattern, replacement, text)
        return text

    def customer(self, *arguments: str) -> str:
        """What customer.sh says on stdout; it must end well."""
        outcome = self.try_customer(*arguments)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout

    def try_customer(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", str(PROGRAMS / "customer.sh"), "--folder", str(self.folder), *arguments],
                              capture_output=True, text=True, timeout=120, check=False)

    def token(self, *arguments: str) -> str:
        """The token in what customer.sh prints."""
        return re.search(r"bearer_token: (\S+)", self.customer(*arguments))[1]

    @contextlib.contextmanager
    def nginx(self) -> Iterator[Process]:
        command = ["nginx", "-p", str(self.folder), "-c", str(self._main), "-e", "stderr",
                   "-g", "daemon off; master_process off;"]
        process = Process(command, self.folder / "nginx.log")
        with started(process):
            poll_until("nginx listens", lambda: listens(self.port), process=process)
            yield process


@contextlib.contextmanager
def running_vmauth(folder: pathlib.Path) -> Iterator[tuple[Process, str]]:
    """The distribution's vmauth with the folder's vmauth.yml, and its address."""
    port = free_port()
    process = Process(["vmauth", f"-auth.config={folder / 'vmauth.yml'}", f"-httpListenAddr=127.0.0.1:{port}",
                       *(f"-{page}AuthKey={secrets.token_hex(16)}" for page in ("metrics", "pprof", "reload"))],
                      folder / "vmauth.log")
    with started(process):
        poll_until("vmauth listens", lambda: listens(port), process=process)
        yield process, f"http://127.0.0.1:{port}"


def shortened(rules: str) -> str:
    """Rules whose times are seconds where they were minutes: [3m] is 6 s."""
    for pattern, short in ((r"\[3m\]", "[6s]"), (r"interval: \w+", "interval: 1s"), (r"for: 12m", "for: 2s"),
                           (r"for: 1m", "for: 2s")):
        rules = re.sub(pattern, short, rules)
    return rules


@contextlib.contextmanager
def running_vmalert(folder: pathlib.Path, storage: str, rules: list[pathlib.Path],
                    notifier: str = "http://127.0.0.1:1") -> Iterator[tuple[Process, str]]:
    """The distribution's vmalert with these rules, and its address."""
    port = free_port()
    process = Process(["vmalert", *(f"-rule={path}" for path in rules), f"-datasource.url={storage}",
                       f"-remoteWrite.url={storage}", "-remoteWrite.flushInterval=100ms", f"-notifier.url={notifier}",
                       f"-httpListenAddr=127.0.0.1:{port}"], folder / "vmalert.log")
    with started(process):
        poll_until("vmalert listens", lambda: listens(port), process=process)
        yield process, f"http://127.0.0.1:{port}"

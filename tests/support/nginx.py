"""The distribution's nginx on loopback, one process, all its files in the test's folder."""
import contextlib
import pathlib
import socket
from typing import Iterator

from support.process import Process, free_port, poll_until

FIELDS = ("connection", "status", "request_method", "request_uri", "request_length", "ssl_protocol",
          "http_authorization", "http_x_key", "http_content_encoding", "ssl_client_s_dn")


class Nginx:
    """`servers` is what stands inside http {}, `others` what stands beside it; PORT and PORT_2 in `servers` become two
    free ports."""

    def __init__(self, folder: pathlib.Path, servers: str, others: str = ""):
        self.folder = folder / "nginx"
        self.folder.mkdir()
        self.port, self.port_2 = free_port(), free_port()
        self._config = self.folder / "nginx.conf"
        self._access = self.folder / "access.log"
        self._others = others
        self.start(servers)

    def start(self, servers: str) -> None:
        self._write(servers)
        self.process = Process(["nginx", "-p", str(self.folder), "-c", str(self._config), "-e", "stderr"],
                               self.folder / "nginx.log")
        poll_until("nginx listens", lambda: listens(self.port), process=self.process)

    def _write(self, servers: str) -> None:
        log = "\\t".join(f"${field}" for field in FIELDS)
        temporary = "\n".join(f"  {kind}_temp_path {self.folder / kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self._config.write_text(f"""daemon off;
master_process off;
pid {self.folder / "pid"};
error_log stderr;
{self._others}
events {{}}
http {{
{temporary}
  log_format all "{log}";
  access_log {self._access} all;
  ssl_protocols TLSv1.2 TLSv1.3;
  {servers.replace("PORT_2", f"127.0.0.1:{self.port_2}").replace("PORT", f"127.0.0.1:{self.port}")}
}}
""")

    def restart(self, servers: str) -> None:
        """With another configuration, or other certificates. Without a master process it cannot reload; with one, its
        workers would outlive a test that is killed."""
        self.process.stop()
        self.start(servers)

    def requests(self) -> list[dict[str, str]]:
        """What it has answered, one {field: value} each, '-' for what there was not."""
        lines = self._access.read_text().splitlines() if self._access.exists() else []
        return [dict(zip(FIELDS, line.split("\t"))) for line in lines]

    def statuses(self) -> list[str]:
        return [request["status"] for request in self.requests()]


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running_nginx(folder: pathlib.Path, servers: str) -> Iterator[Nginx]:
    nginx = Nginx(folder, servers)
    try:
        yield nginx
    finally:
        nginx.process.stop()

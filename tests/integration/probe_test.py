"""Probes beside Debian's blackbox_exporter: the same modules against the same servers, the same metrics."""
import contextlib
import pathlib
import signal
import socket
from typing import Iterator

from support.agent import run_once, running_agent, temporary_folder, write_config
from support.authority import OwnAuthority, openssl
from support.blackbox import differences, running_exporter, values
from support.check import run_checks
from support.nginx import Nginx
from support.process import free_port, poll_until
from support.receiver import receiving

EXPORTER = """modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: CA}}}
  http_body: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_matches_regexp: [ell]}}
  http_lacks: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [xyz]}}
  http_codes: {prober: http, http: {preferred_ip_protocol: ip4, valid_status_codes: [404]}}
  http_stays: {prober: http, http: {preferred_ip_protocol: ip4, follow_redirects: false}}
  http_plain: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_not_ssl: true}}
  http_post: {prober: http, http: {preferred_ip_protocol: ip4, method: POST, body: abc}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  tls: {prober: tcp, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {ca_file: CA}}}
"""
OPTIONS = {
    "http": "module: http, tls: {ca_file: CA}",
    "http_body": "module: http, fail_if_body_matches_regexp: [ell]",
    "http_lacks": "module: http, fail_if_body_not_matches_regexp: [xyz]",
    "http_codes": "module: http, valid_status_codes: [404]",
    "http_stays": "module: http, follow_redirects: false",
    "http_plain": "module: http, fail_if_not_ssl: true",
    "http_post": "module: http, method: POST, body: abc",
    "tcp": "module: tcp",
    "tls": "module: tcp, use_tls: true, tls: {ca_file: CA}",
}
SERVERS = """
  server { listen PORT; root WWW; location /away { return 302 http://localhost:$server_port/; }
           location /post { return 200 "$request_method"; } }
  server { listen PORT_2 ssl; server_name localhost; ssl_certificate GOOD.pem; ssl_certificate_key GOOD.key; root WWW; }
  server { listen 127.0.0.1:EXPIRED ssl; ssl_certificate OLD.pem; ssl_certificate_key GOOD.key; root WWW; }
"""


def expired_certificate(folder: pathlib.Path, authority: OwnAuthority) -> pathlib.Path:
    """For localhost, from the authority, over since 2021."""
    out, names = folder / "old.pem", folder / "ca.conf"
    (folder / "index.txt").write_text("")
    names.write_text(f"[ca]\ndefault_ca = one\n[one]\ndatabase = {folder}/index.txt\nnew_certs_dir = {folder}\n"
                     "rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n")
    openssl("ca", "-batch", "-config", str(names), "-in", str(folder / "server.csr"), "-cert", str(authority.ca),
            "-keyfile", str(folder / "ca.key"), "-startdate", "20200101000000Z", "-enddate", "20210101000000Z",
            "-extfile", str(folder / "names"), "-out", str(out), "-notext")
    return out


@contextlib.contextmanager
def world() -> Iterator[tuple[pathlib.Path, Nginx, int, OwnAuthority]]:
    with temporary_folder() as folder:
        authority = OwnAuthority(folder, "localhost")
        old = expired_certificate(folder, authority)
        (folder / "www").mkdir()
        (folder / "www" / "index.html").write_text("hello\n")
        expired = free_port()
        servers = SERVERS
        for name, text in {"WWW": folder / "www", "GOOD.pem": authority.certificate, "GOOD.key": authority.key,
                           "OLD.pem": old, "EXPIRED": expired}.items():
            servers = servers.replace(name, str(text))
        nginx = Nginx(folder, servers)
        try:
            yield folder, nginx, expired, authority
        finally:
            nginx.process.stop()


def cases(nginx: Nginx, expired: int) -> list[tuple[str, str]]:
    plain, tls = f"http://127.0.0.1:{nginx.port}", f"https://localhost:{nginx.port_2}"
    return [("http", f"{plain}/"), ("http", f"{tls}/"), ("http", f"{plain}/away"), ("http", f"{plain}/none"),
            ("http", f"https://127.0.0.1:{nginx.port_2}/"),  # another name than the certificate's
            ("http", f"https://localhost:{expired}/"), ("http", "http://127.0.0.1:1/"),
            ("http", "http://nothing.invalid/"), ("http_body", f"{plain}/"), ("http_lacks", f"{plain}/"),
            ("http_codes", f"{plain}/none"), ("http_stays", f"{plain}/away"), ("http_plain", f"{plain}/"),
            ("http_post", f"{plain}/post"), ("tcp", f"127.0.0.1:{nginx.port}"), ("tcp", "127.0.0.1:1"),
            ("tcp", "nothing.invalid:80"), ("tls", f"localhost:{nginx.port_2}"), ("tls", f"localhost:{expired}")]


def the_exporter_and_the_agent_say_the_same() -> None:
    with world() as (folder, nginx, expired, authority), \
            running_exporter(folder, EXPORTER.replace("CA", str(authority.ca))) as exporter:
        probes = "".join(
            f"  - {{name: p{i}, target: '{target}', job: p{i}, preferred_ip_protocol: ip4, {OPTIONS[module]}}}\n"
            .replace("CA", str(authority.ca)) for i, (module, target) in enumerate(cases(nginx, expired)))
        config = write_config(folder, "http://127.0.0.1:1/w", interval="30s", more="probes:\n" + probes)
        said = run_once("--config", str(config), "--dry-run").stdout
        problems: list[str] = []
        for i, (module, target) in enumerate(cases(nginx, expired)):
            problems += differences(f"{module} {target}", values(said, job=f"p{i}"), exporter.says(module, target))
        assert not problems, "\n".join(problems)


def a_probe_that_hangs_costs_only_itself_and_one_that_fails_is_up() -> None:
    with temporary_folder() as folder, receiving() as receiver, socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        probes = (f"  - {{name: hangs, job: hangs, module: http, target: 'http://127.0.0.1:{port}/?key=hidden', "
                  "timeout: 900ms}\n"
                  f"  - {{name: connects, job: connects, module: tcp, target: '127.0.0.1:{port}'}}\n")
        config = write_config(folder, receiver.url, interval="5s", more="probes:\n" + probes)

        def seen(job: str, name: str) -> list[tuple[int, dict[str, str], float]]:
            return [(at, dict(series.labels), value) for request in receiver.accepted() for series in request.series
                    if series.name == name and dict(series.labels).get("job") == job for at, value in series.samples]

        def check(job: str, success: float) -> None:
            """Wherever the probe said something it was up; where the agent itself came too late, it says nothing."""
            said = {at: value for at, _, value in seen(job, "probe_success")}
            ups = {at: value for at, _, value in seen(job, "up")}
            assert set(said.values()) == {success}, said
            assert {at for at, value in ups.items() if value == 1} == set(said), (ups, said)

        with running_agent(config) as agent:
            poll_until("both are probed", lambda: len(seen("hangs", "probe_success")) >= 2
                       and len(seen("connects", "probe_success")) >= 2, process=agent)
        check("hangs", 0)
        check("connects", 1)
        labels = seen("hangs", "probe_success")[0][1]
        assert labels == {"__name__": "probe_success", "customer_id": "alpha", "server_name": "web-01", "job": "hangs",
                          "instance": f"http://127.0.0.1:{port}/"}, labels
        log = agent.log()
        assert log.count("probe hangs: ") == 1 and "hidden" not in log, log
        assert "no answer from" in log or "probe hangs: the probe was not made in time" in log, log


def a_reload_adds_and_removes_probes() -> None:
    with temporary_folder() as folder, receiving() as receiver, socket.create_server(("127.0.0.1", 0)) as server:
        config = write_config(folder, receiver.url)
        kept = config.read_text()

        def samples() -> list[float]:
            return [value for request in receiver.accepted() for series in request.series
                    if series.name == "probe_success" for _, value in series.samples]

        def has_ended() -> bool:
            return any(series.name == "probe_success" and series.stale
                       for request in receiver.accepted() for series in request.series)

        with running_agent(config) as agent:
            threads = pathlib.Path(f"/proc/{agent.pid}/task")
            poll_until("the first samples", receiver.accepted, process=agent)
            before = len(list(threads.iterdir()))
            config.write_text(f"{kept}probes: {{name: port, module: tcp, "
                              f"target: '127.0.0.1:{server.getsockname()[1]}'}}\n")
            agent.send(signal.SIGHUP)
            poll_until("the probe", samples, process=agent)
            config.write_text(kept)
            agent.send(signal.SIGHUP)
            poll_until("its end", has_ended, process=agent)
            poll_until("no thread for none", lambda: len(list(threads.iterdir())) <= before, process=agent)
        assert set(samples()) == {1}, samples()


def credentials_stay_at_the_target() -> None:
    with world() as (folder, nginx, _, authority):
        port = nginx.port
        probe = (f"  - {{name: away, module: http, target: 'http://127.0.0.1:{port}/away', "
                 "basic_auth: {username: u, password: secret-of-ours}, headers: {X-Key: key-of-ours}}\n")
        config = write_config(folder, "http://127.0.0.1:1/w", interval="30s", more="probes:\n" + probe)
        said = values(run_once("--config", str(config), "--dry-run").stdout)
        assert said["probe_success", ""] == 1 and said["probe_http_redirects", ""] == 1, said
        first, second = nginx.requests()[-2:]
        assert first["http_authorization"] != "-" and first["http_x_key"] == "key-of-ours", first
        assert second["http_authorization"] == second["http_x_key"] == "-", second


run_checks(the_exporter_and_the_agent_say_the_same, a_probe_that_hangs_costs_only_itself_and_one_that_fails_is_up,
           a_reload_adds_and_removes_probes, credentials_stay_at_the_target)

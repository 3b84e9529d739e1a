"""nginx with TLS in front of a real VictoriaMetrics: who may write, what is too large, where a redirect leads, and the
way through a proxy. What arrived is asked of VictoriaMetrics."""
import contextlib
import os
import pathlib
import re
from typing import Iterator

from support.agent import BINARY, run_once, running_agent, temporary_folder, write_config
from support.certificates import Authority, openssl
from support.check import run_checks
from support.nginx import Nginx, running_nginx
from support.process import Process, poll_until, started
from support.proxy import running_proxy
from support.ticks import holes, ticks_in
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

PASSWORD, TOKEN = "correct-horse-battery", "staple-token-4711"


class Site:
    """What the checks of this file share: one VictoriaMetrics, one authority, one certificate."""

    def __init__(self, folder: pathlib.Path, server: VictoriaMetrics):
        self.server, self.authority = server, Authority(folder)
        self.certificate = self.authority.issue("monitor", "IP:127.0.0.1,DNS:localhost")
        self.checks = 0

    def tls(self, inside: str, port: str = "PORT") -> str:
        return (f"server {{ listen {port} ssl; ssl_certificate {self.certificate.file}; "
                f"ssl_certificate_key {self.certificate.key}; {inside} }}\n")

    def write_path(self, inside: str = "") -> str:
        return f"location /api/v1/write {{ {inside} proxy_pass {self.server.base}; }}"

    def ticks(self, name: str) -> list[int]:
        series = self.server.export(f'node_load1{{server_name="{name}"}}')
        return series[0]["timestamps"] if series else []


site: Site
folder: pathlib.Path


@contextlib.contextmanager
def agent_of(url: str, more: str = "", env: dict[str, str] | None = None) -> Iterator[tuple[Process, str]]:
    """Each with a name of its own, by which its samples are found."""
    site.checks += 1
    name = f"web-{site.checks}"
    config = write_config(folder, url, server=name)
    config.write_text(config.read_text() + f"  tls: {{ca_file: {site.authority.ca}}}\n{more}")
    if env is None:
        with running_agent(config) as agent:
            yield agent, name
    else:
        agent = Process([BINARY, "--config", str(config)], config.with_suffix(".log"), {**os.environ, **env})
        with started(agent):
            yield agent, name


def arrives(name: str, agent: Process, count: int = 2) -> None:
    wanted = len(site.ticks(name)) + count
    poll_until(f"{count} more ticks", lambda: len(site.ticks(name)) >= wanted, process=agent)


def says(agent: Process, words: str) -> None:
    poll_until(words, lambda: words in agent.log(), process=agent)


@contextlib.contextmanager
def nginx(servers: str) -> Iterator[Nginx]:
    with temporary_folder() as inner, running_nginx(inner, servers) as running:
        yield running


def https(port: int) -> str:
    return f"https://127.0.0.1:{port}/api/v1/write"


def behind_basic_auth_with_a_systemd_credential_that_is_rotated() -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    secret, users = credentials / "password", folder / "htpasswd"

    def set_password(word: str) -> None:
        users.write_text(f"agent:{openssl('passwd', '-apr1', word)}")
        secret.write_text(f"{word}\n")

    set_password("yesterdays-password")
    login = "  basic_auth: {username: agent, password_file: '${CREDENTIALS_DIRECTORY}/password'}\n"
    guarded = site.tls(site.write_path(f"auth_basic x; auth_basic_user_file {users};"))
    with nginx(guarded) as server:
        with agent_of(https(server.port), login, {"CREDENTIALS_DIRECTORY": str(credentials)}) as (agent, name):
            arrives(name, agent)
            # Between two ticks: a request that came between both files would be tried again after a minute only.
            count = len(server.requests())
            poll_until("a tick", lambda: len(server.requests()) > count, process=agent)
            set_password(PASSWORD)
            arrives(name, agent)
            users.write_text(f"agent:{openssl('passwd', '-apr1', 'tomorrows-password')}")
            says(agent, "HTTP 401")
            log = agent.log()
        statuses = server.statuses()
    assert statuses.count("204") >= 4 and set(statuses) <= {"204", "400", "401"}, statuses
    assert "dropped" not in log and "yesterdays" not in log and PASSWORD not in log, log


def behind_a_bearer_token_and_a_header() -> None:
    guard = f'if ($http_authorization != "Bearer {TOKEN}") {{ return 403; }} if ($http_x_key != k1) {{ return 403; }}'
    (folder / "token").write_text(f"{TOKEN}\n")
    with nginx(site.tls(guard + site.write_path())) as server:
        with agent_of(https(server.port)) as (agent, name):
            says(agent, "HTTP 403")
        with agent_of(https(server.port), f"  bearer_token_file: {folder / 'token'}\n  headers: {{X-Key: k1}}\n") \
                as (agent, name):
            arrives(name, agent)


def what_is_too_large_arrives_in_parts() -> None:
    with nginx(site.tls("client_max_body_size 1k; " + site.write_path())) as server:
        with agent_of(https(server.port)) as (agent, name):
            arrives(name, agent, 3)
            assert "dropped" not in agent.log(), agent.log()
        statuses = server.statuses()
    assert "413" in statuses, statuses


def redirects_307_and_308_keep_the_method_the_body_and_the_login() -> None:
    for status in (307, 308):
        moved = f"location /old {{ return {status} /api/v1/write?moved=1; }}"
        with nginx(site.tls(moved + site.write_path())) as server:
            with agent_of(f"https://127.0.0.1:{server.port}/old", f"  bearer_token: {TOKEN}\n") as (agent, name):
                arrives(name, agent)
            seen = server.requests()
        assert {request["request_method"] for request in seen} == {"POST"}, seen
        assert {request["http_authorization"] for request in seen} == {f"Bearer {TOKEN}"}, seen
        refusals = sum(request["status"] >= "400" for request in seen)  # of zstd: after each a new connection
        connections = {request["connection"] for request in seen}
        assert len(connections) == 1 + refusals, f"not one connection while all goes well: {seen}"


def redirects_301_and_302_are_followed_from_http_to_https_on_the_same_host() -> None:
    for status in (301, 302):
        plain = f"server {{ listen PORT; return {status} https://PORT_2$request_uri; }}\n"
        with nginx(plain + site.tls(site.write_path(), "PORT_2")) as server:
            with agent_of(f"http://127.0.0.1:{server.port}/api/v1/write", f"  bearer_token: {TOKEN}\n") \
                    as (agent, name):
                arrives(name, agent)
            seen = server.requests()
        arrived = [request for request in seen if request["ssl_protocol"] != "-"]
        assert arrived and {request["request_method"] for request in arrived} == {"POST"}, seen
        # Another port may be another server: it is not told who asks.
        assert {request["http_authorization"] for request in arrived} == {"-"}, seen


def other_redirects_are_not_followed_and_the_samples_are_kept() -> None:
    with nginx(f"server {{ listen PORT; return 301 http://localhost:{site.server.base.rsplit(':')[-1]}$request_uri; }}"
               ) as server:
        with agent_of(f"http://127.0.0.1:{server.port}/api/v1/write") as (agent, name):
            says(agent, "HTTP 301")
            says(agent, "http://localhost:")  # where it points, for whoever corrects the url
            assert "dropped" not in agent.log(), agent.log()
        server.restart(f"server {{ listen PORT; {site.write_path()} }}")
        with running_agent(folder / f"{name}.yaml") as agent:
            arrives(name, agent, 4)
        missing = holes(ticks_in(site.server, f'server_name="{name}"'))
    assert len(missing) <= 1, f"more ticks are missing than those between the two agents: {missing}"


def another_host_gets_the_samples_and_no_login() -> None:
    with nginx(f"server {{ listen PORT; {site.write_path()} }}") as other:
        sends_away = f"server {{ listen PORT; return 307 http://localhost:{other.port}$request_uri; }}"
        login = f"  basic_auth: {{username: u, password: {PASSWORD}}}\n  headers: {{X-Key: k1}}\n"
        with nginx(sends_away) as server, agent_of(f"http://127.0.0.1:{server.port}/api/v1/write", login) \
                as (agent, name):
            arrives(name, agent)
            assert {request["http_x_key"] for request in server.requests()} == {"k1"}
        seen = {(request["http_authorization"], request["http_x_key"]) for request in other.requests()}
    assert seen == {("-", "-")}, seen


def through_a_proxy_that_wants_a_password() -> None:
    with nginx(site.tls(site.write_path())) as server, running_proxy(f"agent:{PASSWORD}") as proxy:
        url, by_proxy = https(server.port), f"@127.0.0.1:{proxy.port}\n"
        with agent_of(url, f"  proxy_url: http://agent:wrong-{PASSWORD}{by_proxy}") as (agent, _):
            says(agent, f"the proxy 127.0.0.1:{proxy.port} answers HTTP 407")
            assert PASSWORD not in agent.log(), agent.log()
        with agent_of(url, f"  bearer_token: {TOKEN}\n  proxy_url: http://agent:{PASSWORD}{by_proxy}") as (agent, name):
            arrives(name, agent)
        assert len(set(proxy.asked)) == 1 and not [line for line in proxy.headers if TOKEN in line], proxy.headers
        count = len(proxy.asked)
        with agent_of(url, f"  no_proxy: [127.0.0.0/8]\n  proxy_url: http://agent:{PASSWORD}{by_proxy}") \
                as (agent, name):
            arrives(name, agent)
        with agent_of(url, "", {"https_proxy": f"http://127.0.0.1:{proxy.port}", "ALL_PROXY": "http://x"}) \
                as (agent, name):
            arrives(name, agent)
        assert len(proxy.asked) == count, "it went through the proxy all the same"


def an_old_victoria_metrics_that_knows_no_zstd_gets_everything() -> None:
    with nginx(site.tls(site.write_path())) as server:
        with agent_of(https(server.port)) as (agent, name):
            arrives(name, agent, 4)
        seen = [(request["http_content_encoding"], request["status"]) for request in server.requests()]
    assert seen[0] == ("zstd", "400"), seen
    assert len(seen) >= 5 and set(seen[1:]) == {("snappy", "204")}, seen


def secrets_are_nowhere_but_in_the_requests() -> None:
    """Not in the log, on the command line, in --dry-run, nor left in memory that a core file would show."""
    (folder / "password").write_text(f"{PASSWORD}\n")
    pair = "YWdlbnQ6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"
    login = f"  basic_auth: {{username: agent, password_file: {folder / 'password'}}}\n"
    with nginx(site.tls(site.write_path())) as server:
        with agent_of(https(server.port), login) as (agent, name):
            arrives(name, agent, 4)
            assert f"Basic {pair}" in {request["http_authorization"] for request in server.requests()}
            memory = memory_of(agent.pid)
            for secret in (PASSWORD, pair):
                found = memory.count(secret.encode())
                assert found == 0, f"{secret} is in its memory, {found} times"
            assert b"customer_id" in memory, "that was not its memory"
            command_line = pathlib.Path(f"/proc/{agent.pid}/cmdline").read_text()
            dry = run_once("--config", str(folder / f"{name}.yaml"), "--dry-run")
            for text in (agent.log(), command_line, dry.stdout, dry.stderr):
                assert PASSWORD not in text and pair not in text, text[:2000]


def memory_of(pid: int) -> bytes:
    """All that it may write to: what a core file holds."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if span:
                begin, end = (int(part, 16) for part in span.groups())
                memory.seek(begin)
                with contextlib.suppress(OSError):
                    parts.append(memory.read(end - begin))
    return b"".join(parts)


with temporary_folder() as folder, running_victoria_metrics(folder) as victoria_metrics:
    site = Site(folder, victoria_metrics)
    run_checks(behind_basic_auth_with_a_systemd_credential_that_is_rotated, behind_a_bearer_token_and_a_header,
               what_is_too_large_arrives_in_parts,
               redirects_307_and_308_keep_the_method_the_body_and_the_login,
               redirects_301_and_302_are_followed_from_http_to_https_on_the_same_host,
               other_redirects_are_not_followed_and_the_samples_are_kept, another_host_gets_the_samples_and_no_login,
               through_a_proxy_that_wants_a_password, an_old_victoria_metrics_that_knows_no_zstd_gets_everything,
               secrets_are_nowhere_but_in_the_requests)

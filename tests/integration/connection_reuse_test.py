"""A connection was made with the certificates, keys and passwords of its time: when one of them changes, the next
request uses a new connection. libcurl has reused old ones (CVE-2026-8932, CVE-2026-9079, CVE-2022-27782). Real nginx;
what counts is its number of the connection."""
import contextlib
import os
import pathlib
import signal
from typing import Callable, Iterator

from support.agent import running_agent, temporary_folder, write_config
from support.certificates import Authority, Certificate
from support.check import run_checks
from support.nginx import Nginx, running_nginx
from support.process import Process, poll_until
from support.proxy import running_proxy
from support.receiver import receiving

ADDRESS = "IP:127.0.0.1"
PASSWORD = "correct-horse-battery"


class Scene:
    """nginx that asks for a client certificate, and an agent that shows one and has delivered."""

    def __init__(self, nginx: Nginx, agent: Process, config: pathlib.Path):
        self.nginx, self.agent, self.config = nginx, agent, config

    def connections(self) -> list[str]:
        """Those that requests came over, in order."""
        return list(dict.fromkeys(request["connection"] for request in self.nginx.requests()))

    def reload(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text, f"{old!r} is not in {text}"
        self.config.write_text(text.replace(old, new))
        told = self.agent.log().count("reloaded: ")
        self.agent.send(signal.SIGHUP)
        poll_until("the agent says 'reloaded'", lambda: self.agent.log().count("reloaded: ") > told, process=self.agent)

    def needs_a_new_connection_after(self, change: Callable[[], None]) -> None:
        before = self.connections()
        assert len(before) == 1, f"not one connection for all requests: {before}"
        change()
        poll_until("a request over a new connection", lambda: len(self.connections()) > 1, process=self.agent)
        # The old one is closed, not kept for later.
        count = len(self.nginx.requests())
        poll_until("2 more requests", lambda: len(self.nginx.requests()) >= count + 2, process=self.agent)
        assert self.nginx.requests()[-1]["connection"] not in before, self.nginx.requests()


def replace(target: pathlib.Path, content: str) -> None:
    new = target.with_suffix(".new")
    new.write_text(content)
    os.replace(new, target)


def install(certificate: Certificate, file: pathlib.Path, key: pathlib.Path) -> None:
    replace(key, certificate.key.read_text())
    replace(file, certificate.file.read_text())


@contextlib.contextmanager
def scene(folder: pathlib.Path, authority: Authority, more: str = "") -> Iterator[Scene]:
    install(authority.issue("web-01"), folder / "client.pem", folder / "client.key")
    replace(folder / "trusted.pem", authority.ca.read_text())
    server = authority.issue("monitor", ADDRESS)
    with receiving() as receiver, running_nginx(folder, f"""server {{
  listen PORT ssl;
  ssl_certificate {server.file};
  ssl_certificate_key {server.key};
  ssl_verify_client on;
  ssl_client_certificate {authority.ca};
  location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }}
}}""") as nginx:
        config = write_config(folder, f"https://127.0.0.1:{nginx.port}/api/v1/write")
        config.write_text(f"{config.read_text()}  tls: {{ca_file: {folder}/trusted.pem, "
                          f"cert_file: {folder}/client.pem, key_file: {folder}/client.key}}\n{more}")
        with running_agent(config) as agent:
            poll_until("2 requests", lambda: len(nginx.requests()) >= 2, process=agent)
            yield Scene(nginx, agent, config)


def a_replaced_client_certificate() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        with scene(folder, authority) as it:
            renewed = authority.issue("web-01-renewed")
            it.needs_a_new_connection_after(lambda: install(renewed, folder / "client.pem", folder / "client.key"))
            assert it.nginx.requests()[-1]["ssl_client_s_dn"] == "CN=web-01-renewed", it.nginx.requests()


def a_private_key_file_that_alone_is_replaced() -> None:
    with temporary_folder() as folder, scene(folder, Authority(folder)) as it:
        key = folder / "client.key"
        it.needs_a_new_connection_after(lambda: replace(key, "written anew\n" + key.read_text()))


def another_client_certificate_in_the_configuration() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        with scene(folder, authority) as it:
            other = authority.issue("web-01-other")
            install(other, folder / "other.pem", folder / "other.key")
            it.needs_a_new_connection_after(lambda: it.reload("client.", "other."))
            assert it.nginx.requests()[-1]["ssl_client_s_dn"] == "CN=web-01-other", it.nginx.requests()


def another_private_key_file_in_the_configuration() -> None:
    with temporary_folder() as folder, scene(folder, Authority(folder)) as it:
        replace(folder / "same.key", (folder / "client.key").read_text())
        it.needs_a_new_connection_after(lambda: it.reload("client.key", "same.key"))


def a_ca_file_that_is_replaced() -> None:
    with temporary_folder() as folder:
        authority, more = Authority(folder), Authority(folder, "one more authority")
        both = authority.ca.read_text() + more.ca.read_text()
        with scene(folder, authority) as it:
            it.needs_a_new_connection_after(lambda: replace(folder / "trusted.pem", both))


def another_ca_file_in_the_configuration() -> None:
    """The server that was trusted until now no longer is: neither the old connection nor its TLS session helps."""
    with temporary_folder() as folder:
        authority, other = Authority(folder), Authority(folder, "other authority")
        replace(folder / "other.pem", other.ca.read_text())
        with scene(folder, authority) as it:
            it.reload("trusted.pem", "other.pem")
            count = len(it.nginx.requests())
            poll_until("the reason", lambda: "was issued by CN = own authority" in it.agent.log(), process=it.agent)
            # One that was on its way at the reload may still have arrived.
            assert len(it.nginx.requests()) <= count + 1, it.nginx.requests()[count:]


def another_proxy_password_in_the_configuration() -> None:
    with temporary_folder() as folder, running_proxy(f"agent:{PASSWORD}") as proxy:
        by_proxy = f"  proxy_url: http://agent:{PASSWORD}@127.0.0.1:{proxy.port}\n"
        with scene(folder, Authority(folder), by_proxy) as it:
            assert len(it.connections()) == 1 and len(proxy.asked) == 1, f"{it.connections()}, {proxy.asked}"
            # The proxy does not accept it: whoever still delivers uses the way that the old password opened.
            it.reload(PASSWORD, "no-longer-valid")
            poll_until("the proxy's refusal", lambda: "answers HTTP 407" in it.agent.log(), process=it.agent)
            it.reload("no-longer-valid", PASSWORD)
            poll_until("a request over a new connection", lambda: len(it.connections()) == 2, process=it.agent)


run_checks(a_replaced_client_certificate, a_private_key_file_that_alone_is_replaced,
           another_client_certificate_in_the_configuration, another_private_key_file_in_the_configuration,
           a_ca_file_that_is_replaced, another_ca_file_in_the_configuration,
           another_proxy_password_in_the_configuration)

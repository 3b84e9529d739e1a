"""Certificates: what is accepted, what is not and how the operator learns why, and what changes while the agent runs.
A real nginx in front of a receiver; the agent's own words are what is held."""
import contextlib
import os
import pathlib
import socket
import time
from typing import Iterator

from support.agent import running_agent, temporary_folder, write_config
from support.certificates import Authority, Certificate, self_signed
from support.check import run_checks
from support.nginx import Nginx, running_nginx
from support.process import Process, poll_until
from support.receiver import Receiver, receiving
from support.ticks import holes

ADDRESS = "IP:127.0.0.1"


def tls_server(certificate: Certificate, receiver: Receiver, more: str = "") -> str:
    return f"""server {{
  listen PORT ssl;
  ssl_certificate {certificate.file};
  ssl_certificate_key {certificate.key};
  {more}
  location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }}
}}"""


@contextlib.contextmanager
def front(folder: pathlib.Path, certificate: Certificate, more: str = "") -> Iterator[tuple[Nginx, Receiver]]:
    with receiving() as receiver, running_nginx(folder, tls_server(certificate, receiver, more)) as nginx:
        yield nginx, receiver


@contextlib.contextmanager
def agent_of(folder: pathlib.Path, port: int, tls: str, *, scheme: str = "https", more: str = "",
             timeout: str = "10s") -> Iterator[Process]:
    config = write_config(folder, f"{scheme}://127.0.0.1:{port}/api/v1/write", timeout=timeout)
    config.write_text(config.read_text() + f"  tls: {{{tls}}}\n{more}")
    with running_agent(config) as agent:
        yield agent


def says(agent: Process, *words: str) -> None:
    def said() -> bool:
        log = agent.log()
        missing = [word for word in words if word not in log]
        assert not missing, f"not in the log: {missing}"
        return True
    poll_until("the reason in the log", said, process=agent)


def delivers(receiver: Receiver, agent: Process, count: int = 2) -> None:
    wanted = len(receiver.accepted()) + count
    poll_until(f"{count} more requests", lambda: len(receiver.accepted()) >= wanted, process=agent)


def refused(certificate: Certificate, authority: Authority, *words: str) -> None:
    """The agent does not send a byte to a server with this certificate, and its log has the words."""
    with temporary_folder() as folder, front(folder, certificate) as (nginx, receiver):
        with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
            says(agent, *words)
        assert not receiver.requests, "it was sent samples"


def one_connection_for_all_requests_over_tls_1_3() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        with front(folder, authority.issue("monitor", ADDRESS)) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
                delivers(receiver, agent, 4)
            requests = nginx.requests()
    assert {request["ssl_protocol"] for request in requests} == {"TLSv1.3"}, requests
    assert len({request["connection"] for request in requests}) == 1, "not one connection for all requests"


def tls_1_2_is_enough_and_1_1_is_not() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        certificate = authority.issue("monitor", ADDRESS)
        with front(folder, certificate, "ssl_protocols TLSv1.2;") as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
                delivers(receiver, agent)
            old = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
            nginx.restart(tls_server(certificate, receiver, old))
            count = len(receiver.requests)
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
                says(agent, "does not speak TLS 1.2 or 1.3, which the agent does")
            assert len(receiver.requests) == count, "it was sent samples"


def every_kind_of_key_and_group_that_servers_have_is_enough() -> None:
    """The static binary's OpenSSL has only the algorithms that its recipe leaves in."""
    kinds = {"RSA": ("-newkey", "rsa:2048", "-nodes"), "P-384": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384",
             "-nodes"), "Ed25519": ("-newkey", "ed25519", "-nodes")}
    servers = [(kind, f"ssl_protocols {version};") for kind in kinds for version in ("TLSv1.2", "TLSv1.3")]
    servers += [("RSA", f"ssl_protocols TLSv1.2; ssl_ciphers {cipher};")
                for cipher in ("ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES256-SHA384", "AES128-SHA")]
    servers += [("RSA", f"ssl_ecdh_curve {group};") for group in ("X25519", "prime256v1", "secp384r1", "secp521r1")]
    with temporary_folder() as folder:
        authority = Authority(folder)
        certificates = {kind: authority.issue(kind, ADDRESS, new_key=new_key) for kind, new_key in kinds.items()}
        needed = CLIENT_NEEDED.format(authority.ca)
        with receiving() as receiver, running_nginx(folder, tls_server(certificates["RSA"], receiver)) as nginx:
            for kind, settings in servers:
                own = certificates[kind]
                nginx.restart(tls_server(own, receiver, needed + settings))
                with agent_of(folder, nginx.port,
                              f"ca_file: {authority.ca}, cert_file: {own.file}, key_file: {own.key}") as agent:
                    delivers(receiver, agent, 1)
                assert nginx.requests()[-1]["ssl_client_s_dn"] == f"CN={kind}", (kind, settings, nginx.requests())


def an_expired_certificate_is_named_with_its_last_day() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        expired = authority.issue("monitor", ADDRESS, first_day=-3, last_day=-1)
        yesterday = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
        refused(expired, authority, f"the certificate of CN = monitor expired on {yesterday} ",
                "this host's clock says " + time.strftime("%Y-%m-%d", time.gmtime()))


def a_certificate_of_tomorrow_makes_the_clock_suspect() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
        refused(authority.issue("monitor", ADDRESS, first_day=1, last_day=2), authority,
                f"the certificate of CN = monitor is valid from {tomorrow} ", "is the clock right?")


def a_self_signed_certificate_is_told_and_can_be_trusted() -> None:
    with temporary_folder() as folder:
        authority, own = Authority(folder), self_signed(folder, "appliance")
        refused(own, authority, "the certificate of CN = appliance is self-signed", "tls.ca_file")
        with front(folder, own) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {own.file}") as agent:
                delivers(receiver, agent)


def an_unknown_authority_is_named() -> None:
    with temporary_folder() as folder:
        authority, other = Authority(folder), Authority(folder, "other authority")
        certificate = other.issue("monitor", ADDRESS)
        refused(certificate, authority, "the certificate of CN = monitor was issued by CN = other authority",
                "neither trusted by this host nor sent by the server", "tls.ca_file")
        chain = Certificate(folder, "chain")
        chain.file.write_text(certificate.file.read_text() + other.ca.read_text())
        chain.key = certificate.key
        refused(chain, authority, "vouched for by CN = other authority", "that this host does not trust")


def another_hosts_certificate_is_told_with_the_names_it_has() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        elsewhere = authority.issue("elsewhere", "DNS:a.example,DNS:b.example,IP:127.0.0.9")
        refused(elsewhere, authority, "the certificate is for a.example, b.example, 127.0.0.9 and not for 127.0.0.1",
                "tls.server_name")
        with front(folder, elsewhere) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}, server_name: c.example") as agent:
                says(agent, "and not for c.example")
                assert not receiver.requests, "it was sent samples"
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}, server_name: b.example") as agent:
                delivers(receiver, agent)


def without_verification_it_delivers_whatever_the_certificate() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        expired = authority.issue("elsewhere", "DNS:a.example", first_day=-3, last_day=-1)
        with front(folder, expired) as (nginx, receiver):
            with agent_of(folder, nginx.port, "insecure_skip_verify: true") as agent:
                delivers(receiver, agent)


def without_verification_a_failure_is_not_blamed_on_the_certificate() -> None:
    with temporary_folder() as folder:
        own = self_signed(folder, "appliance")
        closes = f"server {{ listen PORT ssl; ssl_certificate {own.file}; ssl_certificate_key {own.key}; return 444; }}"
        with running_nginx(folder, closes) as nginx:
            with agent_of(folder, nginx.port, "insecure_skip_verify: true") as agent:
                says(agent, f"the connection was closed without an answer by 127.0.0.1:{nginx.port}")


def a_renewed_certificate_is_accepted_and_nothing_is_lost() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        good = authority.issue("monitor", ADDRESS)
        with front(folder, good) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
                delivers(receiver, agent)
                nginx.restart(tls_server(authority.issue("monitor", ADDRESS, -3, -1), receiver))
                says(agent, "the certificate of CN = monitor expired on")
                nginx.restart(tls_server(authority.issue("monitor", ADDRESS), receiver))
                says(agent, "delivered again")
                delivers(receiver, agent, 1)
    assert not holes(receiver.ticks()), f"ticks are missing: {holes(receiver.ticks())}"


def a_replaced_ca_file_is_in_force_at_the_next_request() -> None:
    with temporary_folder() as folder:
        authority, next_authority = Authority(folder), Authority(folder, "next authority")
        trusted = folder / "trusted.pem"
        trusted.write_bytes(authority.ca.read_bytes())
        with front(folder, authority.issue("monitor", ADDRESS)) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {trusted}") as agent:
                delivers(receiver, agent)
                # The connection stands, and its server is no longer trusted.
                trusted.write_bytes(next_authority.ca.read_bytes())
                says(agent, "was issued by CN = own authority")
                nginx.restart(tls_server(next_authority.issue("monitor", ADDRESS), receiver))
                delivers(receiver, agent)


CLIENT_NEEDED = "ssl_verify_client on; ssl_client_certificate {};"


def a_client_certificate_is_shown_and_a_replaced_one_at_the_next_request() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        file, key = folder / "client.pem", folder / "client.key"

        def install(certificate: Certificate) -> None:
            for source, target in ((certificate.key, key), (certificate.file, file)):
                new = target.with_suffix(".new")
                new.write_bytes(source.read_bytes())
                os.replace(new, target)

        install(authority.issue("web-01"))
        needed = CLIENT_NEEDED.format(authority.ca)
        with front(folder, authority.issue("monitor", ADDRESS), needed) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}, cert_file: {file}, key_file: {key}") as agent:
                delivers(receiver, agent)
                install(authority.issue("web-01-renewed"))
                poll_until("a request with the new certificate",
                           lambda: nginx.requests()[-1]["ssl_client_s_dn"] == "CN=web-01-renewed", process=agent)
            names = [request["ssl_client_s_dn"] for request in nginx.requests()]
    assert set(names) == {"CN=web-01", "CN=web-01-renewed"}, names


def a_missing_or_wrong_client_certificate_is_told_and_the_samples_are_kept() -> None:
    with temporary_folder() as folder:
        authority, other = Authority(folder), Authority(folder, "other authority")
        wrong, server = other.issue("web-01"), authority.issue("monitor", ADDRESS)
        needed = CLIENT_NEEDED.format(authority.ca)
        for tls, words in (("", "it asks for a client certificate"),
                           (f", cert_file: {wrong.file}, key_file: {wrong.key}",
                            "it does not accept the client certificate of tls.cert_file"),
                           (f", cert_file: {wrong.file}, key_file: {server.key}", "cannot be used"),
                           (f", cert_file: {folder}/none, key_file: {server.key}", f"{folder}/none")):
            with temporary_folder() as inner, front(inner, server, needed) as (nginx, receiver):
                with agent_of(inner, nginx.port, f"ca_file: {authority.ca}{tls}") as agent:
                    says(agent, words)
                    assert not receiver.requests, "it was sent samples"
                    assert "dropped" not in agent.log(), agent.log()


def plain_http_and_tls_are_told_from_each_other() -> None:
    with temporary_folder() as folder, receiving() as plain:
        authority = Authority(folder)
        with front(folder, authority.issue("monitor", ADDRESS)) as (nginx, receiver):
            with agent_of(folder, nginx.port, "", scheme="http") as agent:
                says(agent, "it speaks TLS there: the url must begin with https://")
            assert not receiver.requests, "it was sent samples"
            nginx.restart(f"server {{ listen PORT; location / {{ proxy_pass http://127.0.0.1:{plain.port}; }} }}")
            with agent_of(folder, nginx.port, f"ca_file: {authority.ca}") as agent:
                says(agent, "it does not speak TLS there; if that is meant, the url must begin with http://")
        assert not plain.requests, "it was sent samples"


def a_server_that_says_nothing_costs_the_timeout() -> None:
    with temporary_folder() as folder, socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with agent_of(folder, port, "insecure_skip_verify: true", timeout="1s") as agent:
            says(agent, f"no TLS connection to 127.0.0.1:{port} within 1 s: does it speak TLS there?")


def a_ca_file_that_cannot_be_used_is_named() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        good = authority.ca.read_text()
        files = {"none.pem": (None, "cannot be read: No such file or directory"),
                 "empty.pem": ("nothing\n", "holds no certificate in PEM form"),
                 "cut.pem": (good + good[:len(good) // 2], "certificate 2 of the CA file"),
                 "changed.pem": (good + good.replace("MII", "MIJ"), "certificate 2 of the CA file")}
        with front(folder, authority.issue("monitor", ADDRESS)) as (nginx, receiver):
            for name, (content, words) in files.items():
                if content is not None:
                    (folder / name).write_text(content)
                with agent_of(folder, nginx.port, f"ca_file: {folder / name}") as agent:
                    says(agent, f"the CA file {folder / name} ", words)
            assert not receiver.requests, "samples were sent to a server that nobody vouched for"


def of_many_authorities_in_a_file_the_right_ones_are_found() -> None:
    """Others before and after it, one with its name and another key, itself twice, keys and words in between."""
    with temporary_folder() as folder:
        authority = Authority(folder)
        others = [Authority(folder / name, name) for name in ("first authority", authority.name, "last authority")]
        first, namesake, last = (other.ca.read_text() for other in others)
        own = authority.ca.read_text()
        server = authority.issue("monitor", ADDRESS)
        bundle = folder / "bundle.pem"
        bundle.write_text(first + "# the next one's\n" + namesake + server.key.read_text() + own + own + last)
        with front(folder, server) as (nginx, receiver):
            with agent_of(folder, nginx.port, f"ca_file: {bundle}") as agent:
                delivers(receiver, agent)


run_checks(one_connection_for_all_requests_over_tls_1_3, tls_1_2_is_enough_and_1_1_is_not,
           every_kind_of_key_and_group_that_servers_have_is_enough,
           an_expired_certificate_is_named_with_its_last_day, a_certificate_of_tomorrow_makes_the_clock_suspect,
           a_self_signed_certificate_is_told_and_can_be_trusted, an_unknown_authority_is_named,
           another_hosts_certificate_is_told_with_the_names_it_has,
           without_verification_it_delivers_whatever_the_certificate,
           without_verification_a_failure_is_not_blamed_on_the_certificate,
           a_renewed_certificate_is_accepted_and_nothing_is_lost, a_replaced_ca_file_is_in_force_at_the_next_request,
           a_client_certificate_is_shown_and_a_replaced_one_at_the_next_request,
           a_missing_or_wrong_client_certificate_is_told_and_the_samples_are_kept,
           plain_http_and_tls_are_told_from_each_other, a_server_that_says_nothing_costs_the_timeout,
           a_ca_file_that_cannot_be_used_is_named, of_many_authorities_in_a_file_the_right_ones_are_found)

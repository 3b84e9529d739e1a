"""Who may ask at `listen`: logins from files, TLS with certificates that are replaced, client certificates; real
clients (the distribution's prometheus, curl, Python's and OpenSSL's TLS)."""
import contextlib
import http.client
import pathlib
import signal
import socket
import ssl
import subprocess
from typing import Iterator

from support.agent import run_once, running_agent, temporary_folder, write_config
from support.certificates import Authority
from support.check import run_checks
from support.process import Process, free_port, poll_until
from support.prometheus import running_prometheus
from support.victoria_metrics import running_victoria_metrics

TOKEN, PASSWORD = "token-of-a-scraper", "pass:of-alpha"
NAMES = "DNS:localhost, IP:127.0.0.1"


@contextlib.contextmanager
def exporter(folder: pathlib.Path, more: str) -> Iterator[tuple[int, Process]]:
    port = free_port()
    config = folder / "exporter.yaml"
    config.write_text(f"listen:\n  address: 127.0.0.1:{port}\n{more}collectors: {{enabled: [loadavg, uname]}}\n")
    with running_agent(config) as agent:
        poll_until("it answers", lambda: "answering at" in agent.log(), process=agent)
        yield port, agent


def get(port: int, context: ssl.SSLContext | None = None, **headers: str) -> int:
    connection = (http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=context) if context else
                  http.client.HTTPConnection("127.0.0.1", port, timeout=120))
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        assert (b"node_load1" in answer.read()) == (answer.status == 200)
        return answer.status


def curl(port: int, *arguments: str) -> str:
    return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments,
                           f"http://127.0.0.1:{port}/metrics"], capture_output=True, text=True, check=True).stdout


def logins(folder: pathlib.Path) -> str:
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "password").write_text(PASSWORD)
    for name in ("token", "password"):
        (folder / name).chmod(0o600)
    return (f"  clients:\n    - bearer_token_file: {folder / 'token'}\n"
            f"    - basic_auth: {{username: alpha, password_file: {folder / 'password'}}}\n")


def only_clients_are_answered_and_a_new_secret_needs_no_restart() -> None:
    with temporary_folder() as folder, exporter(folder, logins(folder)) as (port, agent):
        assert get(port) == 401 and get(port, Authorization="Bearer wrong") == 401
        assert get(port, Authorization=f"Bearer {TOKEN}") == 200
        assert curl(port, "-u", f"alpha:{PASSWORD}") == "200" and curl(port, "-u", "alpha:wrong") == "401"
        assert curl(port, "-u", f"beta:{PASSWORD}") == "401"
        (folder / "token").write_text("another")
        assert get(port, Authorization=f"Bearer {TOKEN}") == 401 and get(port, Authorization="Bearer another") == 200
        (folder / "token").unlink()
        assert get(port, Authorization="Bearer another") == 401 and curl(port, "-u", f"alpha:{PASSWORD}") == "200"
        assert "token cannot be read" in agent.log()
        assert TOKEN not in agent.log() and PASSWORD not in agent.log()
        with socket.create_connection(("127.0.0.1", port), timeout=120) as client:  # nothing is read without a login
            client.sendall(b"POST /metrics HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 401 ") and b"100 Continue" not in answer


def prometheus_scrapes_with_tls_and_each_login() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        own = authority.issue("localhost", NAMES)
        more = logins(folder) + f"  tls: {{cert_file: {own.file}, key_file: {own.key}}}\n"
        server_port = free_port()
        with exporter(folder, more) as (port, agent), running_prometheus(folder, server_port) as server:
            job = (f"    scheme: https\n    tls_config: {{ca_file: {authority.ca}}}\n"
                   f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
            (folder / "prometheus.yml").write_text(
                "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                f"  - job_name: token\n    authorization: {{credentials_file: {folder / 'token'}}}\n{job}"
                f"  - job_name: user\n    basic_auth: {{username: alpha, password: '{PASSWORD}'}}\n{job}"
                f"  - job_name: nobody\n{job}")
            server.process.send(signal.SIGHUP)

            def ups() -> dict[str, str]:
                return {one["metric"]["job"]: one["values"][-1][1] for one in server.series("up", 60)}

            poll_until("all are scraped", lambda: ups() == {"token": "1", "user": "1", "nobody": "0"}, process=agent)
            assert server.series('node_load1{job="token"}', 60)


def a_new_certificate_is_in_force_for_the_next_connection() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        first, second = authority.issue("first", NAMES), authority.issue("second", NAMES)
        pem, key = folder / "in-use.pem", folder / "in-use.key"
        pem.write_bytes(pathlib.Path(first.file).read_bytes())
        key.write_bytes(pathlib.Path(first.key).read_bytes())
        context = ssl.create_default_context(cafile=str(authority.ca))

        def name() -> str:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost") as client:
                return dict(part[0] for part in client.getpeercert()["subject"])["commonName"]

        with exporter(folder, f"  tls: {{cert_file: {pem}, key_file: {key}}}\n") as (port, agent):
            assert name() == "first" and get(port, context) == 200
            pem.write_text("nonsense")
            assert name() == "first"
            assert "cannot be used" in agent.log() and "the one before is used on" in agent.log()
            key.write_bytes(pathlib.Path(second.key).read_bytes())
            pem.write_bytes(pathlib.Path(second.file).read_bytes())
            assert name() == "second" and get(port, context) == 200


def a_client_without_a_certificate_of_the_authority_gets_nothing() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        (folder / "other").mkdir()
        other = Authority(folder / "other", "another authority")
        own, good = authority.issue("localhost", NAMES), authority.issue("scraper")
        bad = other.issue("scraper")
        more = f"  tls: {{cert_file: {own.file}, key_file: {own.key}, client_ca_file: {authority.ca}}}\n"
        with exporter(folder, more) as (port, agent):
            def answered(certificate) -> bool:
                context = ssl.create_default_context(cafile=str(authority.ca))
                if certificate:
                    context.load_cert_chain(certificate.file, certificate.key)
                try:
                    return get(port, context) == 200
                except (ssl.SSLError, ConnectionError, http.client.BadStatusLine):
                    return False

            assert answered(good) and not answered(None) and not answered(bad) and answered(good)


def a_relay_knows_its_sender_by_certificate_and_token() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as centre:
        authority, port = Authority(folder), free_port()
        own, good = authority.issue("localhost", NAMES), authority.issue("sender")
        (folder / "token").write_text(TOKEN + "\n")
        (folder / "token").chmod(0o600)
        relay_config = write_config(folder, centre.url, server="relay-01", more=f"""collectors: {{enabled: [loadavg]}}
listen:
  address: 127.0.0.1:{port}
  receive: true
  clients: [{{name: beta-site, bearer_token_file: {folder / 'token'}, labels: {{customer_id: beta}}}}]
  tls: {{cert_file: {own.file}, key_file: {own.key}, client_ca_file: {authority.ca}}}
""")
        certificate = f", cert_file: {good.file}, key_file: {good.key}"

        def sender(name: str, token: str, more: str) -> pathlib.Path:
            login = (f"  bearer_token: {token}\n  tls: {{ca_file: {authority.ca}{more}}}\n"
                     "collectors: {enabled: [loadavg]}\n")
            return write_config(folder, f"https://localhost:{port}/api/v1/write", server=name, more=login)

        def arrived(name: str) -> set[str]:
            return {series["metric"]["customer_id"] for series in centre.export(f'{{server_name="{name}"}}')}

        with running_agent(relay_config) as relay, running_agent(sender("good", TOKEN, certificate)) as agent, \
                running_agent(sender("stranger", TOKEN, "")) as stranger, \
                running_agent(sender("guesser", "wrong", certificate)) as guesser:
            poll_until("its samples", lambda: arrived("good"), process=agent)
            poll_until("no certificate is told", lambda: "cannot reach" in stranger.log(), process=stranger)
            poll_until("a wrong token is told", lambda: "HTTP 401" in guesser.log(), process=guesser)
            assert arrived("good") == {"beta"} and not arrived("stranger") | arrived("guesser")

            def row() -> list[str]:
                said = run_once("--config", str(relay_config), "status").stdout
                return next((line.split() for line in said.partition("Receiving\n")[2].splitlines()
                             if line.endswith("beta-site")), [])
            poll_until("status names the client, with its samples", lambda: "ago" in row() and int(
                row()[-4].replace(",", "")) > 0, process=relay)


def old_tls_plain_http_and_noise_get_nothing_and_cost_nothing() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        own = authority.issue("localhost", NAMES)
        with exporter(folder, f"  tls: {{cert_file: {own.file}, key_file: {own.key}}}\n") as (port, agent):
            context = ssl.create_default_context(cafile=str(authority.ca))
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context.minimum_version = context.maximum_version = version
                assert get(port, context) == 200, version
            old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1", "-cipher",
                                  "ALL@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            assert old.returncode != 0
            for noise in (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", bytes(range(256)) * 64,
                          b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + b"x" * 16000, b"\x16\x03\x03\xff\xff"):
                with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
                    with contextlib.suppress(OSError):
                        client.sendall(noise)
                        client.shutdown(socket.SHUT_WR)
                        assert b"node_load1" not in b"".join(iter(lambda: client.recv(4096), b""))
            half = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]  # handshakes that do not go on
            assert get(port, context) == 200
            for one in half:
                one.close()
            assert agent.running()


def check_looks_at_the_port_the_certificate_and_the_logins() -> None:
    with temporary_folder() as folder:
        authority = Authority(folder)
        own = authority.issue("localhost", NAMES)
        config = folder / "exporter.yaml"
        text = (f"collectors: {{enabled: [loadavg]}}\nlisten:\n  address: 127.0.0.1:{free_port()}\n{logins(folder)}"
                f"  tls: {{cert_file: {own.file}, key_file: {own.key}}}\n")
        config.write_text(text)
        outcome = run_once("--config", str(config), "check")
        assert outcome.returncode == 0, outcome
        for said in ("can be listened at", "left: renew it before it expires", "2 clients can log in"):
            assert said in outcome.stdout, (said, outcome.stdout)
        assert "buffer" not in outcome.stdout, outcome.stdout
        with running_agent(config) as agent:
            poll_until("it answers", lambda: "answering at" in agent.log(), process=agent)
            assert "if that is the running agent, all is well" in run_once("--config", str(config), "check").stdout
        (folder / "token").unlink()
        config.write_text(text.replace(str(own.key), str(authority.issue("other").key)))
        outcome = run_once("--config", str(config), "check")
        assert outcome.returncode == 1 and outcome.stdout.count("cannot be") == 2, outcome.stdout
        assert "token cannot be read" in outcome.stdout and "key_file" in outcome.stdout, outcome.stdout


def what_cannot_be_served_safely_is_not_served() -> None:
    with temporary_folder() as folder:
        config = folder / "exporter.yaml"
        config.write_text(f"listen:\n  address: 127.0.0.1:{free_port()}\n"
                          f"  tls: {{cert_file: {folder}/none.pem, key_file: {folder}/none.key}}\n")
        outcome = run_once("--config", str(config))
        assert outcome.returncode == 1 and "cert_file" in outcome.stderr and "cannot be used" in outcome.stderr
        config.write_text("listen:\n  address: :9100\n  clients: {bearer_token: abcdefg}\n")
        assert "unencrypted" in run_once("--config", str(config), "check", "--offline").stderr
        for wrong, said in (("clients: {basic_auth: {username: a}}", "neither password nor password_file"),
                            ("clients: [{}]", "no way to log in"),
                            ("clients: {bearer_token: abcd, basic_auth: {username: a, password: bcde}}",
                             "one way to log in"),
                            ("tls: {cert_file: /c}", "no key_file beside it"),
                            ("tls: {client_ca_file: /c}", "no cert_file beside it")):
            config.write_text(f"listen:\n  address: 127.0.0.1:9100\n  {wrong}\n")
            outcome = run_once("--config", str(config), "check", "--offline")
            assert outcome.returncode == 78 and said in outcome.stderr, (wrong, outcome.stderr)


run_checks(only_clients_are_answered_and_a_new_secret_needs_no_restart, prometheus_scrapes_with_tls_and_each_login,
           a_new_certificate_is_in_force_for_the_next_connection,
           a_client_without_a_certificate_of_the_authority_gets_nothing,
           a_relay_knows_its_sender_by_certificate_and_token, check_looks_at_the_port_the_certificate_and_the_logins,
           old_tls_plain_http_and_noise_get_nothing_and_cost_nothing, what_cannot_be_served_safely_is_not_served)

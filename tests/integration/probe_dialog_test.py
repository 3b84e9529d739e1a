"""Probes with query_response beside Debian's blackbox_exporter: real mail servers (nginx's) with STARTTLS, and servers
that say what a script has, also what they should not."""
import contextlib
import pathlib
import re
import socketserver
import threading
from typing import Callable, Iterator

from support.agent import run_once, temporary_folder, write_config
from support.authority import OwnAuthority
from support.blackbox import differences, running_exporter, values
from support.check import run_checks
from support.nginx import Nginx, listens
from support.process import free_port, poll_until

# By name, what stands in both configurations; CA is the authority's file.
SMTP = r"""[{expect: '^220 ([^ ]+) ESMTP'}, {send: "EHLO probe\r"}, {expect: '^250[ -]STARTTLS'},
 {send: "STARTTLS\r"}, {expect: '^220'}, {starttls: true}, {send: "EHLO probe\r"},
 {expect: '^250 '}, {send: "QUIT\r"}]"""
IMAP = r"""[{expect: OK, send: ". STARTTLS\r"}, {expect: OK, starttls: true}, {send: ". capability\r"},
 {expect: 'CAPABILITY .*IMAP4rev1'}]"""
DIALOGS = {
    "smtp": SMTP,
    "imap": IMAP,
    "imap_without_more": r"""[{expect: OK, send: ". STARTTLS\r"}, {expect: OK, starttls: true}]""",
    "pop3s": r"""[{expect: '^\+OK'}, {send: "QUIT\r"}, {expect: '^\+OK'}]""",
    "banner": "[{expect: '^SSH-2.0-'}]",
    "named": "[{expect: '^SSH-(?P<version>[^-]+)-(.*)$', send: 'hello ${version} $2 $$1'},"
             " {expect: 'hello 2.0 own [$]1'}]",
    "says_first": '[{send: "PING"}, {expect: "^PONG$"}]',
}
TLS = {"pop3s"}  # from the first byte
MAIL = """load_module /usr/lib/nginx/modules/ngx_mail_module.so;
mail {
  server_name mail.example; auth_http 127.0.0.1:1/; ssl_certificate GOOD.pem; ssl_certificate_key GOOD.key;
  server { listen 127.0.0.1:SMTP; protocol smtp; starttls on; }
  server { listen 127.0.0.1:IMAP; protocol imap; starttls on; }
  server { listen 127.0.0.1:POP3 ssl; protocol pop3; }
  server { listen 127.0.0.1:PLAIN; protocol smtp; }
}
"""
Script = Callable[[socketserver.StreamRequestHandler], None]


@contextlib.contextmanager
def talking(script: Script) -> Iterator[str]:
    """A server that does to each connection what the script says, at "127.0.0.1:port"."""
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                script(self)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def lines(*texts: bytes) -> Script:
    """Says them, and closes the connection."""
    return lambda connection: connection.wfile.write(b"".join(texts)) and None


def echoes(connection: socketserver.StreamRequestHandler) -> None:
    connection.wfile.write(b"a line before\r\nSSH-2.0-own\r\n")
    connection.wfile.write(connection.rfile.readline())


def pongs(connection: socketserver.StreamRequestHandler) -> None:
    assert connection.rfile.readline() == b"PING\n"
    connection.wfile.write(b"PONG")  # without an end: it is a line when the connection ends


@contextlib.contextmanager
def mail(folder: pathlib.Path, authority: OwnAuthority) -> Iterator[dict[str, int]]:
    ports = {name: free_port() for name in ("SMTP", "IMAP", "POP3", "PLAIN")}
    text = MAIL.replace("GOOD.pem", str(authority.certificate)).replace("GOOD.key", str(authority.key))
    for name, port in ports.items():
        text = text.replace(f":{name}", f":{port}")
    nginx = Nginx(folder, "server { listen PORT; }", text)
    try:
        for port in ports.values():
            poll_until("nginx listens", lambda port=port: listens(port), process=nginx.process)
        yield ports
    finally:
        nginx.process.stop()


def both(folder: pathlib.Path, ca: pathlib.Path, cases: list[tuple[str, str]]) -> list[dict]:
    """What the agent says of each dialog with its target; fails where the exporter says something else."""
    def options(name: str, flag: str) -> str:
        return f"query_response: {DIALOGS[name]}".replace("\n", "") + (f", {flag}: true" if name in TLS else "")

    exporter = "modules:\n" + "".join(
        f"  {name}: {{prober: tcp, timeout: 60s, tcp: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca}}}, "
        f"{options(name, 'tls')}}}}}\n" for name in DIALOGS)
    probes = "".join(
        f"  - {{name: p{i}, job: p{i}, module: tcp, target: '{target}', preferred_ip_protocol: ip4, "
        + (f"tls: {{ca_file: {ca}}}, " if name in TLS or "starttls" in DIALOGS[name] else "")
        + f"{options(name, 'use_tls')}}}\n" for i, (name, target) in enumerate(cases))
    config = write_config(folder, "http://127.0.0.1:1/w", interval="60s", more="probes:\n" + probes)
    said = run_once("--config", str(config), "--dry-run").stdout
    found = [values(said, job=f"p{i}") for i in range(len(cases))]
    with running_exporter(folder, exporter) as peer:
        problems: list[str] = []
        for ours, (name, target) in zip(found, cases):
            problems += differences(f"{name} {target}", ours, peer.says(name, target))
        assert not problems, "\n".join(problems)
    return found


def the_exporter_and_the_agent_say_the_same_of_mail_servers() -> None:
    with temporary_folder() as folder:
        authority = OwnAuthority(folder, "localhost")
        with mail(folder, authority) as ports:
            cases = [("smtp", f"localhost:{ports['SMTP']}"), ("imap", f"localhost:{ports['IMAP']}"),
                     ("imap_without_more", f"localhost:{ports['IMAP']}"), ("pop3s", f"localhost:{ports['POP3']}"),
                     ("smtp", f"127.0.0.1:{ports['SMTP']}"),  # another name than the certificate's
                     ("pop3s", f"localhost:{ports['IMAP']}")]  # no TLS from the first byte
            found = both(folder, authority.ca, cases)
        success = [one["probe_success", ""] for one in found]
        assert success == [1, 1, 1, 1, 0, 0], success
        assert all(any(key[0] == "probe_ssl_earliest_cert_expiry" for key in one) for one in found[:4]), found


def the_exporter_and_the_agent_say_the_same_of_scripts() -> None:
    scripts: dict[str, tuple[str, Script, int, int]] = {  # the dialog, what the server does, success, by expression
        "a banner": ("banner", lines(b"SSH-2.0-OpenSSH_9.2\r\n"), 1, 0),
        "behind others": ("banner", lines(b"welcome\r\nto this\nSSH-2.0-x\nmore\n"), 1, 0),
        "without an end": ("banner", lines(b"SSH-2.0-x"), 1, 0),
        "another": ("banner", lines(b"220 mail ESMTP\r\n"), 0, 1),
        "nothing": ("banner", lines(b""), 0, 1),
        "too long": ("banner", lines(b"x" * 100_000, b"\nSSH-2.0-x\n"), 0, 0),
        "groups": ("named", echoes, 1, 0),
        "groups, other": ("named", lines(b"SSH-2.0-own\n", b"hello 2.0\n"), 0, 1),
        "says first": ("says_first", pongs, 1, 0),
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        authority = OwnAuthority(folder, "localhost")
        cases = [(dialog, stack.enter_context(talking(script))) for dialog, script, _, _ in scripts.values()]
        cases.append(("banner", "127.0.0.1:1"))
        found = both(folder, authority.ca, cases)
        for name, ours in zip(scripts, found):
            wanted = scripts[name][2:]
            assert (ours["probe_success", ""], ours["probe_failed_due_to_regex", ""]) == wanted, (name, ours)


def labels_are_found_in_the_line_that_matches() -> None:
    with temporary_folder() as folder, talking(lines(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")) as target:
        config = write_config(folder, "http://127.0.0.1:1/w", interval="60s", more=(
            f"probes:\n  - name: ssh\n    module: tcp\n    target: '{target}'\n    query_response:\n"
            "      - expect: '^SSH-2.0-([^ ]+)( (.*))?$'\n        labels:\n"
            "          - {name: ssh_version, value: '$1'}\n          - {name: ssh_comments, value: '${3}!'}\n"))
        said = run_once("--config", str(config), "--dry-run").stdout
        line = next(line for line in said.splitlines() if line.startswith("probe_expect_info"))
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        assert line.endswith(" 1"), line
        assert (labels["ssh_version"], labels["ssh_comments"]) == ("OpenSSH_9.2p1", "Debian-2!"), labels


def a_server_that_does_wrong_costs_its_probe_alone() -> None:
    def for_ever(connection: socketserver.StreamRequestHandler) -> None:
        while True:
            connection.wfile.write(b"a line\r\n" * 1000)

    def silent(connection: socketserver.StreamRequestHandler) -> None:
        connection.rfile.read()

    def no_tls(connection: socketserver.StreamRequestHandler) -> None:
        connection.wfile.write(b"* OK\r\n")
        connection.rfile.readline()
        connection.wfile.write(b". OK\r\n")
        connection.rfile.read(1)  # of a handshake
        connection.wfile.write(b"this is no TLS\r\n")
        connection.rfile.read()

    def breaks_off(connection: socketserver.StreamRequestHandler) -> None:
        connection.wfile.write(b"* OK\r\n")
        connection.rfile.readline()
        connection.wfile.write(b". OK\r\n")

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        servers = {"for_ever": (for_ever, "banner", "more than 1 MiB"),
                   "silent": (silent, "banner", "no answer within"),
                   "no_tls": (no_tls, "imap", "no TLS connection: "),
                   "breaks_off": (breaks_off, "imap", "no TLS connection: "),
                   "good": (lines(b"SSH-2.0-x\r\n"), "banner", "")}
        probes = ""
        for name, (script, dialog, _) in servers.items():
            target = stack.enter_context(talking(script))
            # The one that is waited for in vain; the others have as long as they need.
            timeout = "1s" if name == "silent" else "55s"
            probes += (f"  - {{name: {name}, job: {name}, module: tcp, target: '{target}', timeout: {timeout}, "
                       f"query_response: {DIALOGS[dialog]}}}\n".replace("\n {", " {"))
        config = write_config(folder, "http://127.0.0.1:1/w", interval="60s", more="probes:\n" + probes)
        outcome = run_once("--config", str(config), "check")
        said = run_once("--config", str(config), "--dry-run").stdout
        for name, (_, _, words) in servers.items():
            found = values(said, job=name)
            assert found["probe_success", ""] == (0 if words else 1), (name, found)
            assert found["probe_failed_due_to_regex", ""] == 0, (name, found)
            assert not any(key[0].startswith("probe_ssl") for key in found), (name, found)
            told = outcome.stdout.split(f"probe {name}\n")[1].splitlines()[0]
            assert (words or "success") in told, outcome.stdout


run_checks(the_exporter_and_the_agent_say_the_same_of_mail_servers, the_exporter_and_the_agent_say_the_same_of_scripts,
           labels_are_found_in_the_line_that_matches, a_server_that_does_wrong_costs_its_probe_alone)

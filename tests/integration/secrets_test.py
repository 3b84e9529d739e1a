"""No credential in any output. Canaries stand in every key that may hold a secret; servers and a proxy repeat what they
were shown in every form that is likely, with bytes that a terminal would obey; then the log, status.json and what each
command prints is searched for any part of a canary, and for any byte that is not printable.

Answers are chosen by chance: MSP_SEED=n repeats a run, and the seed is a part of every failure."""
import base64
import contextlib
import html
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import string
import subprocess
import threading
import unicodedata
import urllib.parse
from typing import Iterator

from support.agent import BINARY, ROOT, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started

SEED = int(os.environ.get("MSP_SEED", random.SystemRandom().randrange(1 << 30)))
# What may be left of one: shorter pieces are hidden nowhere.
PART_CHARACTERS = 8
STATUSES = (200, 302, 307, 400, 401, 403, 404, 409, 422, 500, 503)
UNPRINTABLE = b"\x1b[31m \x9b \xc2\x9b31m \xff\xfe \xe2\x80\xae \x00\x07\r\n"


class Canaries:
    """Secrets that nothing else can contain, and how to find them."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        self.all: dict[str, str] = {}

    def new(self, name: str, also: str = "") -> str:
        """`also` are characters that must be in it, beside letters and digits."""
        letters = self._random.choices(string.ascii_letters + string.digits, k=24)
        for character in also:
            letters.insert(self._random.randrange(4, 20), character)
        self.all[name] = "".join(letters)
        return self.all[name]

    def found_in(self, text: str) -> list[str]:
        return [f"{name}: {part}" for name, secret in self.all.items() for form in forms_of(secret)
                for part in parts_of(form) if part in text]


def forms_of(secret: str) -> set[str]:
    data = secret.encode()
    # Of base64 the digits that the secret alone decides, whatever stands before it.
    encoded = {base64.b64encode(b"x" * before + data).decode()[2 if before else 0:-4] for before in range(3)}
    return {secret, urllib.parse.unquote(secret), urllib.parse.quote(secret, safe=""), html.escape(secret),
            json.dumps(secret)[1:-1], *encoded}


def parts_of(form: str) -> Iterator[str]:
    for at in range(len(form) - PART_CHARACTERS + 1):
        yield form[at:at + PART_CHARACTERS]


def is_printable(character: str) -> bool:
    return character == "\n" or (unicodedata.category(character) not in ("Cc", "Zl", "Zp")
                                 and character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Echo:
    """Answers with what it was shown. The last part of a path is the status; as a proxy it is asked for whole URLs."""

    def __init__(self, seed: int):
        chance = random.Random(seed)
        lock = threading.Lock()
        echo = self
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            _body = b""

            def do_POST(self) -> None:
                self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def do_CONNECT(self) -> None:
                self._answer(407)

            def _answer(self, status: int = 0) -> None:
                with lock:
                    echo.requests += 1
                    body, location, is_html = self._words(chance)
                is_proxy = self.headers.get("Proxy-Authorization") is not None
                code = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1]
                self.send_response(status or (407 if is_proxy else int(code) if code.isdigit() else 404))
                self.send_header("Location", location)
                self.send_header("Content-Type", "text/html" if is_html else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def _shown(self) -> list[str]:
                shown = [self.path, *self.headers.values()]
                if self._body.startswith(b"key="):  # of a probe, not a request of remote write
                    shown.append(self._body.decode()[4:])
                for value in self.headers.values():
                    kind, _, credential = value.partition(" ")
                    if kind in ("Basic", "Bearer"):
                        shown.append(credential)
                    if kind == "Basic":
                        shown += [base64.b64decode(credential).decode(), base64.b64decode(credential).decode()[6:]]
                for _, values in urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).items():
                    shown += values
                return [text for text in shown if not re.fullmatch(r"[\w./:-]{0,12}", text)]

            def _words(self, chance: random.Random) -> tuple[bytes, str, bool]:
                encodings = (lambda text: text, lambda text: text, html.escape, json.dumps,
                             lambda text: urllib.parse.quote(text, safe=""), urllib.parse.quote,
                             lambda text: base64.b64encode(text.encode()).decode(),
                             lambda text: base64.b64encode(("x" * chance.randrange(3) + text).encode()).decode(),
                             lambda text: base64.urlsafe_b64encode(text.encode()).decode())
                shown = self._shown()
                pieces = [chance.choice(encodings)(chance.choice(shown)).encode()
                          for _ in range(chance.randrange(1, 5))]
                is_html = chance.random() < 0.3
                body = chance.choice((b" ", b", ", b"\"", UNPRINTABLE)).join(pieces)
                # The agent reads the beginning of a body: a canary may lie across its end.
                body = b"x" * chance.choice((0, 0, 0, chance.randrange(400, 512))) + b" " + body
                body = b"<html><b>" + body + b"</b></html>" if is_html else body
                path = urllib.parse.quote(chance.choice(shown), safe=chance.choice(("", "/=?&")))
                location = chance.choice((f"/{path}/404", f"http://127.0.0.1:9/{path}",
                                          f"https://u:{path}@h/{path}?{path}"))
                return body, location, is_html

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def echoing() -> Iterator[Echo]:
    echo = Echo(SEED)
    try:
        yield echo
    finally:
        echo.close()


def in_file(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def secret_keys() -> set[str]:
    """Those of the table of keys, as the page that is made from it marks them."""
    page = (ROOT / "docs/configuration.md").read_text()
    return {key for key, facts in re.findall(r"(?ms)^### `([\w.]+)`$.*?^(Type: .*?)\n\n", page)
            if "ecret" in facts}


def logins(folder: pathlib.Path, canaries: Canaries, proxy_port: int) -> dict[str, str]:
    """Each key that may hold a secret, as YAML below an endpoint."""
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"
    odd = "&<\"+/%?"
    proxy = urllib.parse.quote(canaries.new("proxy_url", "@/&"), safe="")
    twice = canaries.new("password in the user name")
    return {
        "password": f"basic_auth: {{username: carol, password: {quoted(canaries.new('password', odd))}}}",
        "password_file": "basic_auth: {username: carol, password_file: "
                         f"{in_file(folder, 'password', canaries.new('password_file', odd))}}}",
        "user": f"basic_auth: {{username: carol-{twice}, password: {twice}}}",
        "token": f"bearer_token: {quoted(canaries.new('bearer_token', '+/='))}",
        "token_file": f"bearer_token_file: {in_file(folder, 'token', canaries.new('bearer_token_file', '+/='))}",
        "header": f"headers: {{X-Api-Key: {quoted(canaries.new('header', odd))}, X-Scope-OrgID: alpha}}",
        "proxy": f"proxy_url: http://carol:{proxy}@127.0.0.1:{proxy_port}",
    }


def configs_of(folder: pathlib.Path, canaries: Canaries, echo: Echo) -> list[pathlib.Path]:
    """As many as the limit on endpoints makes necessary."""
    token = canaries.new("query of url")
    encoded = urllib.parse.quote(canaries.new("second of url", "&/ "), safe="")
    endpoints = [f"- url: http://127.0.0.1:{echo.port}/{name}/{status}?token={token}&key={encoded}\n  timeout: 5s\n"
                 f"  {keys}\n"
                 for name, keys in logins(folder, canaries, echo.port).items() for status in STATUSES]
    # And one that asks the proxy for a connection.
    endpoints.append(f"- url: https://127.0.0.1:9/tunnel?token={token}\n"
                     f"  proxy_url: http://carol:{canaries.new('tunnel')}@127.0.0.1:{echo.port}\n")
    targets = "".join(f"- job: {name}-{status}\n  timeout: 1s\n  {keys}\n"
                      f"  targets: ['http://127.0.0.1:{echo.port}/{name}/{status}?token={token}&key={encoded}']\n"
                      for name, keys in logins(folder, canaries, echo.port).items() if "proxy_url" not in keys
                      for status in (200, 302, 401, 500))
    body = canaries.new("body of a probe", "&/ ")
    probes = "".join(f"- name: {name}-{status}\n  timeout: 1s\n  method: POST\n  body: 'key={body}'\n  {keys}\n"
                     "  fail_if_body_matches_regexp: [nothing has this]\n"
                     f"  target: 'http://127.0.0.1:{echo.port}/{name}/{status}?token={token}&key={encoded}'\n"
                     for name, keys in logins(folder, canaries, echo.port).items() if "proxy_url" not in keys
                     for status in (200, 302, 401, 500))
    configs = []
    for begin in range(0, len(endpoints), ENDPOINTS_MAX):
        config = folder / f"msp-agent-{begin}.yaml"
        config.write_text(f"customer_id: alpha\nserver_name: web-01\ninterval: 1s\nlog: {{level: debug}}\n"
                          "collectors: {enabled: [loadavg, uname]}\n"
                          f"buffer: {{path: {folder}/buffer-{begin}}}\n"
                          f"remote_write:\n{''.join(endpoints[begin:begin + ENDPOINTS_MAX])}"
                          f"scrape:\n{targets}probes:\n{probes}")
        configs.append(config)
    return configs


ENDPOINTS_MAX = 16  # of a configuration


class Outputs:
    """All that was said, by who said it."""

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}

    def add(self, name: str, text: bytes | str) -> None:
        self.said[name] = self.said.get(name, b"") + (text if isinstance(text, bytes) else text.encode())

    def run(self, config: pathlib.Path, *arguments: str, env: dict[str, str] | None = None) -> int:
        """In bytes, for what is not UTF-8 must be seen."""
        outcome = subprocess.run([BINARY, "--config", str(config), *arguments], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False, env=env)
        self.add(" ".join(arguments) or "run", outcome.stdout)
        return outcome.returncode

    def hold_nothing_of(self, canaries: Canaries) -> None:
        for name, data in self.said.items():
            text = data.decode()  # raises where it is not UTF-8
            found = canaries.found_in(text)
            assert not found, f"seed {SEED}: {name} shows {found[0]}:\n{lines_with(text, found[0].split(': ', 1)[1])}"
            odd = sorted({character for character in text if not is_printable(character)})
            assert not odd, f"seed {SEED}: {name} has {odd!r}: {lines_with(text, odd[0])!r}"


def lines_with(text: str, part: str) -> str:
    return "\n".join(line[:2000] for line in text.splitlines() if part in line)[:4000]


def outputs_of(config: pathlib.Path, run: pathlib.Path, outputs: Outputs) -> None:
    status = run / "status.json"
    env = {**os.environ, "RUNTIME_DIRECTORY": str(run)}

    def each_has_an_answer() -> bool:
        endpoints = json.loads(status.read_text() or "{}").get("endpoints") if status.exists() else None
        return bool(endpoints) and all(endpoint["requests"] > 0 or endpoint["last_error"] for endpoint in endpoints)

    process = Process([BINARY, "--config", str(config)], run / "log", env)
    with started(process):
        poll_until("an answer of each endpoint", each_has_an_answer, process=process)
        for arguments in (("status",), ("status", "--json"), ("check",), ("check", "--json"), ("--dry-run",),
                          ("--dry-run", "--diff"), ("check",), ("check",)):
            outputs.run(config, *arguments, env=env)
        outputs.add("status.json", status.read_bytes())
    outputs.add("log", (run / "log").read_bytes())


def every_secret_of_the_configuration_is_tried() -> None:
    tried = {"remote_write.url", "scrape.targets", "probes.target", "probes.body"}  # in configs_of()
    with temporary_folder() as folder:
        for keys in logins(folder, Canaries(SEED), 9).values():
            names = re.findall(r"\b(\w+):(?= )", keys.split("http://")[0])
            tried |= {f"{section}.{'.'.join((names[0], name) if name != names[0] else (name,))}" for name in names
                      for section in ("remote_write", "scrape", "probes", "listen.clients")
                      if section == "remote_write" or names[0] != "proxy_url"}
    keys = secret_keys()
    assert len(keys) > 5 and keys <= tried, f"secrets without a canary: {sorted(keys - tried)}"


def whatever_a_server_repeats_no_output_shows_a_secret() -> None:
    canaries, outputs = Canaries(SEED), Outputs()
    with temporary_folder() as folder, echoing() as echo:
        configs = configs_of(folder, canaries, echo)
        endpoints = sum(config.read_text().count("- url: ") for config in configs)
        for config in configs:
            run = folder / f"run-{config.stem}"
            run.mkdir()
            outputs_of(config, run, outputs)
    assert echo.requests >= endpoints, f"{echo.requests} requests for {endpoints} endpoints"
    for name in ("log", "status", "status --json", "check", "check --json", "status.json"):
        text = outputs.said[name].decode(errors="replace")
        assert "***" in text, f"seed {SEED}: {name} repeats nothing of a server, this proves nothing\n{text[:3000]}"
    outputs.hold_nothing_of(canaries)


def a_server_shows_no_login_of_its_clients() -> None:
    """Right ones and wrong ones are tried, and one whose file is gone."""
    outputs, canaries, port = Outputs(), Canaries(SEED), free_port()
    with temporary_folder() as folder:
        clients = [keys for keys in logins(folder, canaries, 9).values() if keys.startswith(("basic_auth", "bearer"))]
        config = folder / "exporter.yaml"
        config.write_text(f"log: {{level: debug}}\ncollectors: {{enabled: [loadavg]}}\nlisten:\n"
                          f"  address: 127.0.0.1:{port}\n  clients:\n"
                          + "".join(f"    - {keys}\n" for keys in clients))
        outputs.run(config, "check")
        process = Process([BINARY, "--config", str(config)], folder / "log")
        with started(process):
            poll_until("it answers", lambda: b"answering" in (folder / "log").read_bytes(), process=process)
            answers = []
            for gone in (False, True):
                if gone:
                    (folder / "token").unlink()
                for secret in canaries.all.values():
                    for line in (f"Bearer {secret}", "Basic " + base64.b64encode(f"carol:{secret}".encode()).decode()):
                        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                        connection.request("GET", "/metrics", headers={"Authorization": line})
                        answer = connection.getresponse()
                        outputs.add("an answer", answer.read())
                        answers.append(answer.status)
                        connection.close()
        outputs.add("log", (folder / "log").read_bytes())
    assert answers.count(200) == 7, answers  # four, and three of them once a file is gone; a user name is another's
    outputs.hold_nothing_of(canaries)


def an_error_in_the_configuration_shows_no_secret() -> None:
    """Each secret beside an error, in an error, and where it does not belong."""
    outputs, canaries = Outputs(), Canaries(SEED)
    good = "customer_id: alpha\nserver_name: web-01\nremote_write:\n  url: http://127.0.0.1:9/w\n"
    with temporary_folder() as folder:
        keys = [*logins(folder, canaries, 9).values()]
        odd = canaries.new("where it does not belong", "&/+")
        wrong = [
            *(f"{good}  {key}\n  protocol: nonsense\n" for key in keys),
            *(f"{good}  {key}\n  {key}\n" for key in keys),
            *(f"{good}  {key}\n  tls: [\n" for key in keys),
            f"{good}  basic_auth: {{username: 'u:{odd}', password: x}}\n",
            f"{good}  basic_auth:\n    username: u:{odd}\n    password: x\n",
            f"{good}  basic_auth: u:{odd}\n",
            f"{good}  basic_auth: [{odd}]\n",
            f"{good}  bearer_token: [{odd}]\n",
            f"{good}  bearer_token: {{a: {odd}}}\n",
            f"{good}  bearer_token: \"{odd}\\n\"\n",
            f"{good}  bearer_token: {odd}${{\n",
            f"{good}  bearer_token_file: {odd}\n",
            f"{good}  tls: {{ca_file: {odd}}}\n",
            f"{good}  headers: {{'Authorization: Bearer {odd}': x}}\n",
            f"{good}  headers: {{Authorization: Bearer {odd}}}\n",
            f"{good}  headers: {odd}\n",
            f"{good}  proxy_url: http://u:{odd}@h h\n",
            f"{good}  proxy_url: u:{odd}@h:3128\n",
            f"{good}  no_proxy: ['http://u:{odd.replace('/', '')}@proxy']\n",
            good.replace("http://", f"http://u:{odd}@"),
            good.replace("/w", f"/w ?token={odd}"),
            f"{good}bearer_token: {odd}\n",
            f"{good}  bearer-token: {odd}\n",
        ]
        for number, text in enumerate(wrong):
            config = folder / "msp-agent.yaml"
            config.write_text(text)
            for arguments in ((), ("check",), ("check", "--json"), ("--dry-run",)):
                code = outputs.run(config, *arguments)
                assert code == 78, f"case {number} is no error, exit {code}: {text}"
                said = outputs.said[" ".join(arguments) or "run"].decode()
                assert not canaries.found_in(said), f"{arguments} of\n{text}\nsays\n{said[-900:]}"
    outputs.hold_nothing_of(canaries)


run_checks(every_secret_of_the_configuration_is_tried, whatever_a_server_repeats_no_output_shows_a_secret,
           a_server_shows_no_login_of_its_clients, an_error_in_the_configuration_shows_no_secret)

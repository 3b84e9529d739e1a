"""The closed write path of the kit for the centre, with the distribution's nginx, vmauth and victoria-metrics: the
login decides customer_id whatever a client sends, all but writing is closed, logins rotate, and an agent delivers."""
import base64
import contextlib
import http.client
import http.server
import pathlib
import re
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse
from typing import Iterator

from support.agent import BINARY, ROOT, running_agent, temporary_folder
from support.central import KIT, Central, running_vmauth
from support.check import run_checks
from support.nginx import running_nginx
from support.process import poll_until
from support.remote_write import HEADERS, Wire
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

WRITE = "/api/v1/write"
server: VictoriaMetrics
folder: pathlib.Path
count = 0


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def request(*labels: tuple[str, str]) -> bytes:
    """A request of remote write 1.0 with one sample of now; the same label may be there twice. Snappy without
    compression: literals only."""
    pairs = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels)
    sample = b"\x09" + struct.pack("<d", 1) + b"\x10" + varint(int(time.time() * 1000))
    message = field(1, pairs + field(2, sample))
    return varint(len(message)) + b"\xf4" + struct.pack("<H", len(message) - 1) + message


def ask(url: str, method: str = "POST", body: bytes = b"", headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None, more: tuple[tuple[str, str], ...] = ()) -> tuple[int, dict[str, str]]:
    """The answer's status and headers. `more` are headers that may repeat one."""
    parts = urllib.parse.urlsplit(url)
    connection = (http.client.HTTPSConnection(parts.netloc, timeout=120, context=context) if parts.scheme == "https"
                  else http.client.HTTPConnection(parts.netloc, timeout=120))
    with contextlib.closing(connection):
        connection.putrequest(method, parts.path + (f"?{parts.query}" if parts.query else ""))
        for name, value in (*(headers or {}).items(), *more, ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())


def trusting(central: Central, certificate=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(central.authority.ca))
    if certificate is not None:
        context.load_cert_chain(certificate.file, certificate.key)
    return context


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def a_centre(storage: str = "", kind: str = "victoriametrics", login: str = "token") -> Iterator[Central]:
    global count
    count += 1
    yield Central(folder / f"centre-{count}", storage or server.base.removeprefix("http://"), kind, login)


def customers_of(metric: str, seconds_max: float = 10) -> set[str]:
    """The customers under which the metric is stored."""
    found = poll_until(f"{metric} is stored", lambda: server.export(f"{{__name__=\"{metric}\"}}"), seconds_max)
    return {series["metric"].get("customer_id", "") for series in found}


def forgeries(url: str, login: dict[str, str], context: ssl.SSLContext | None, prefix: str) -> None:
    """Whatever alpha sends is stored as alpha, or not at all."""
    wire = {**HEADERS[Wire.PROMETHEUS_1_0], **login}
    name = ("__name__", "")
    stored: list[str] = []

    def sent(number: int, *labels: tuple[str, str], query: str = "", more=()) -> None:
        metric = f"{prefix}_{number}"
        labels = tuple((key, metric if key == "__name__" else value) for key, value in labels)
        status, _ = ask(url + query, body=request(*labels), headers=wire, context=context, more=more)
        assert status == 204 or (more and status in (400, 401)), f"forgery {number}: {status}"
        if status == 204:
            stored.append(metric)
    beta, alpha = ("customer_id", "beta"), ("customer_id", "alpha")
    sent(1, name, alpha)
    sent(2, name)
    sent(3, name, beta)
    sent(4, name, beta, alpha)
    sent(5, name, alpha, beta)
    sent(6, ("customer_id", "beta"), name, ("customer_id", "beta"))
    for number, query in enumerate(("?extra_label=customer_id=beta", "?extra_label=customer_id%3Dbeta",
                                    "?extra_label=customer_id=alpha&extra_label=customer_id=beta",
                                    "?x=1&extra_label=customer_id=beta", "?extra_label[]=customer_id=beta",
                                    "?extra_filters[]={customer_id=\"beta\"}"), 7):
        sent(number, name, beta, query=query.replace("{", "%7B").replace("}", "%7D").replace('"', "%22"))
    sent(20, name, beta, more=(("Authorization", "Bearer " + "0" * 64),))
    sent(21, name, beta, more=(("X-Scope-OrgID", "beta"), ("AccountID", "7"), ("ProjectID", "7")))
    for metric in stored:  # after all were sent: VictoriaMetrics shows a sample after a second
        assert customers_of(metric) == {"alpha"}, f"{metric}: {customers_of(metric)}"
    assert len(stored) >= 12, stored


def closed(url: str, login: dict[str, str], context: ssl.SSLContext | None) -> None:
    """With a good login, too, nothing but writing is there."""
    base = url.removesuffix(WRITE)
    for path in ("/", "/api/v1/import", "/api/v1/import/prometheus", "/api/v1/import/csv", "/api/v1/query?query=up",
                 "/api/v1/export", "/api/v1/admin/tsdb/delete_series", "/api/v1/series", "/write", "/metrics", "/vmui/",
                 "/api/v1/write/", "/api/v1/write/../query", "/api/v1/write%2f..%2fquery", "//api/v1/query",
                 "/internal/force_merge", "/snapshot/create", "/insert/0/prometheus/api/v1/write", "/opentsdb/api/put"):
        for method in ("GET", "POST"):
            status, _ = ask(base + path, method, b"x 1\n", login, context)
            assert status in (400, 401, 404), f"{method} {path}: {status}"


def nginx_writes_what_the_login_says_and_nothing_else() -> None:
    with a_centre() as central:
        token = central.token("add", "alpha", "--url", central.url)
        central.token("add", "beta")
        with central.nginx():
            context = trusting(central)
            for number, login in enumerate((f"Bearer {token}", basic("alpha", token))):
                forgeries(central.url, {"Authorization": login}, context, f"nginx_{number}")
                closed(central.url, {"Authorization": login}, context)
            assert ask(central.url, "GET", headers={"Authorization": f"Bearer {token}"}, context=context)[0] == 405


def nginx_refuses_every_other_login() -> None:
    with a_centre() as central:
        token = central.token("add", "alpha")
        with central.nginx():
            for login in ("", "Bearer", "Bearer ", f"Bearer {token[:-1]}", f"Bearer {token}0", f"Bearer  {token}",
                          token, f"Basic {token}", basic("beta", token), basic("alpha", ""), basic("", token),
                          "Bearer ~.*", "Bearer default"):
                headers = {"Authorization": login} if login else {}
                status, _ = ask(central.url, body=request(("__name__", "refused")), headers=headers,
                                context=trusting(central))
                assert status == 401, f"{login!r}: {status}"
            said = (central.folder / "write.log").read_text()
        assert " 401 POST" in said and token not in said, said
    assert not server.export('{__name__="refused"}')


def bodies_that_no_agent_sends_are_refused() -> None:
    with a_centre() as central:
        login = {"Authorization": f"Bearer {central.token('add', 'alpha')}"}
        with central.nginx():
            assert ask(central.url, body=b"x" * 3_000_000, headers=login, context=trusting(central))[0] == 413


def vmauth_writes_what_the_login_says_and_nothing_else() -> None:
    with a_centre() as central:
        token = central.token("add", "alpha", "--storage", f"single:{server.base}")
        central.token("add", "beta")
        with running_vmauth(central.folder) as (_, base):
            for number, login in enumerate((f"Bearer {token}", basic("alpha", token))):
                forgeries(base + WRITE, {"Authorization": login}, None, f"vmauth_{number}")
                closed(base + WRITE, {"Authorization": login}, None)
            for login in ("Bearer x", basic("alpha", "x"), basic("beta", token)):
                status, _ = ask(base + WRITE, body=request(("__name__", "refused_2")), headers={"Authorization": login})
                assert status in (400, 401), f"{login}: {status}"  # 1.79.5 answers 400
    assert not server.export('{__name__="refused_2"}')


def a_client_certificate_decides_as_well() -> None:
    with a_centre(login="certificate") as central:
        central.token("add", "alpha")
        central.token("add", "gamma")
        central.customer("revoke", "gamma")
        good, revoked = central.authority.issue("alpha"), central.authority.issue("gamma")
        unknown, odd = central.authority.issue("beta"), central.authority.issue("x,CN=alpha")
        with central.nginx():
            forgeries(central.url, {}, trusting(central, good), "certificate")
            for certificate in (revoked, unknown, odd, None):
                status, _ = ask(central.url, body=request(("__name__", "refused_3")),
                                context=trusting(central, certificate))
                assert status == 401, status
    assert not server.export('{__name__="refused_3"}')


class Recorder:
    """A storage that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                recorder.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


FORGED = {"X-Scope-OrgID": "beta", "AccountID": "9", "ProjectID": "9", "X-Forwarded-For": "1.2.3.4"}


def a_cluster_gets_each_customer_as_a_tenant() -> None:
    storage = Recorder()
    with a_centre(storage.address, "victoriametrics-cluster") as central:
        central.token("add", "alpha", "--tenant", "17", "--storage", f"cluster:http://{storage.address}")
        token = central.token("add", "beta")
        login = {"Authorization": f"Bearer {token}", **FORGED}
        with central.nginx():
            assert ask(f"{central.url}?extra_label=customer_id=alpha", headers=login, body=b"x",
                       context=trusting(central))[0] == 204
        with running_vmauth(central.folder) as (_, base):
            assert ask(f"{base}{WRITE}?extra_label=customer_id=alpha", headers=login, body=b"x")[0] == 204
    paths = [urllib.parse.unquote(path) for path, _ in storage.asked]
    assert paths == ["/insert/18/prometheus/api/v1/write?extra_label=customer_id=beta"] * 2, paths
    headers = storage.asked[0][1]
    assert not {"authorization", "accountid", "projectid", "x-scope-orgid"} & set(headers), headers


def mimir_gets_each_customer_as_a_tenant() -> None:
    storage = Recorder()
    with a_centre(storage.address, "mimir") as central:
        login = {"Authorization": f"Bearer {central.token('add', 'alpha')}", **FORGED, **HEADERS[Wire.PROMETHEUS_2_0]}
        with central.nginx():
            assert ask(central.url + "?a=b", headers=login, body=b"x", context=trusting(central))[0] == 204
            assert ask(central.url.replace("push", "write"), headers=login, context=trusting(central))[0] == 404
    (path, headers), = storage.asked
    assert path == "/api/v1/push" and headers["x-scope-orgid"] == "alpha", storage.asked
    assert headers["content-type"] == HEADERS[Wire.PROMETHEUS_2_0]["Content-Type"], headers
    assert headers["x-prometheus-remote-write-version"] == "2.0.0", headers


def a_rotation_has_two_valid_logins_and_a_revocation_none() -> None:
    with a_centre() as central:
        first = central.token("add", "alpha")
        second = central.token("rotate", "alpha")

        def accepted(*tokens: str) -> list[bool]:
            with central.nginx():
                return [ask(central.url, body=request(("__name__", "rotated")), context=trusting(central), headers={
                    **HEADERS[Wire.PROMETHEUS_1_0], "Authorization": f"Bearer {token}"})[0] == 204 for token in tokens]
        assert accepted(first, second) == [True, True]
        third = central.token("rotate", "alpha")
        assert accepted(first, second, third) == [False, True, True]
        central.customer("revoke", "alpha", "--old")
        assert accepted(second, third) == [False, True]
        central.customer("revoke", "alpha")
        assert accepted(third) == [False]
        assert central.customer("list").startswith("alpha tenant 1 0 logins")
        central.token("add", "beta")
        again = central.token("add", "alpha")
        assert re.findall(r"(\w+) tenant (\d)", central.customer("list")) == [("beta", "2"), ("alpha", "1")]
        assert accepted(again) == [True]


def customer_sh_refuses_what_would_get_into_the_files() -> None:
    with a_centre() as central:
        central.token("add", "alpha")
        before = (central.folder / "customers.map").read_text()
        for arguments in (("add", "alpha"), ("add", 'x" beta;'), ("add", "a b"), ("add", ""), ("add", "-a"),
                          ("add", "a-"), ("add", "ALPHA"), ("add", "a.b"),
                          ("add", "a" * 64), ("rotate", "beta"), ("revoke", "beta"), ("add", "b", "--tenant", "1"),
                          ("add", "b", "--tenant", "x"), ("add", "b", "--url", 'http://x" y'), ("frob", "a"),
                          ("list", "a"), ("add", "b", "--storage", "other:http://x"), ("add",), ()):
            outcome = central.try_customer(*arguments)
            assert outcome.returncode in (1, 2) and outcome.stderr, f"{arguments}: {outcome.returncode}"
        assert (central.folder / "customers.map").read_text() == before
        central.token("add", "Old_Customer")  # as the agent continues it
        alike = central.try_customer("add", "old_customer")
        assert alike.returncode == 1 and "Old_Customer differs in upper and lower case only" in alike.stderr, alike
        modes = {path.name: path.stat().st_mode & 0o777 for path in central.folder.iterdir() if path.is_file()}
        assert {modes[name] for name in ("customers", "customers.map", "vmauth.yml")} == {0o640}, modes


def an_agent_delivers_with_what_customer_sh_prints() -> None:
    """Through a relay in the customer's network as well."""
    with a_centre() as central:
        lines = central.customer("add", "alpha", "--url", central.url)
        relay = (KIT / "nginx/relay.conf").read_text().replace("monitor.example.com:443", f"127.0.0.1:{central.port}")
        relay = relay.replace("monitor.example.com", "localhost").replace("listen 9999", "listen PORT")
        relay = relay.replace("/etc/ssl/certs/ca-certificates.crt", str(central.authority.ca))
        with central.nginx(), running_nginx(central.folder / "..", relay) as relay_nginx:
            for name, url in (("web-01", central.url), ("web-02", f"http://127.0.0.1:{relay_nginx.port}{WRITE}"),
                              ("web-03", f"http://127.0.0.1:{relay_nginx.port}/api/v1/metrics/write")):
                config = central.folder / f"{name}.yaml"
                config.write_text(lines.replace(central.url, url) + f"  tls: {{ca_file: {central.authority.ca}}}\n"
                                  f"server_name: {name}\ninterval: 1s\nbuffer: {{path: {central.folder / name}}}\n")
                selector = f'node_load1{{customer_id="alpha",server_name="{name}"}}'
                with running_agent(config) as agent:
                    poll_until("samples", lambda: server.export(selector), process=agent)
                    poll_until("a second tick",
                               lambda: len(server.export(selector)[0]["values"]) >= 2, process=agent)


def an_agent_is_told_of_its_login_where_vmauth_answers_400() -> None:
    """1.79.5 does, to a login that it does not know; nothing is dropped."""
    with contextlib.ExitStack() as stack:
        central = stack.enter_context(a_centre())
        central.token("add", "alpha", "--storage", f"single:{server.base}")
        _, base = stack.enter_context(running_vmauth(central.folder))
        config = central.folder / "msp-agent.yaml"
        config.write_text("customer_id: alpha\nserver_name: web-01\ninterval: 1s\n"
                          f"buffer: {{path: {central.folder}/b}}\n"
                          f"remote_write: {{url: {base}{WRITE}, bearer_token: {'0' * 64}}}\n")
        checked = subprocess.run([BINARY, "check", "--config", str(config)], capture_output=True, text=True, timeout=60,
                                 check=False)
        assert checked.returncode == 1, checked.stdout
        assert "the login was: bearer_token" in checked.stdout, checked.stdout
        with running_agent(config) as agent:
            told = re.compile(r"HTTP 40[01].*(the login|bearer_token)")
            poll_until("the advice", lambda: told.search(agent.log()), 30, agent)
            assert "samples kept" in agent.log() and "refuses samples" not in agent.log(), agent.log()


def the_distributions_nginx_accepts_each_file_as_it_is() -> None:
    """Every login with every storage; a setting that does not exist would be an error."""
    for login in ("token", "certificate"):
        for kind in ("victoriametrics", "victoriametrics-cluster", "mimir"):
            with a_centre(kind=kind, login=login) as central:
                central.token("add", "alpha")
                outcome = subprocess.run(["nginx", "-t", "-p", str(central.folder), "-c",
                                          str(central.folder / "nginx.conf"), "-e", "stderr"], capture_output=True,
                                         text=True, timeout=120, check=False)
                assert outcome.returncode == 0, outcome.stderr
                assert "[warn]" not in outcome.stderr, outcome.stderr


with temporary_folder() as folder, running_victoria_metrics(folder) as server:
    run_checks(nginx_writes_what_the_login_says_and_nothing_else, nginx_refuses_every_other_login,
               bodies_that_no_agent_sends_are_refused, vmauth_writes_what_the_login_says_and_nothing_else,
               a_client_certificate_decides_as_well, a_cluster_gets_each_customer_as_a_tenant,
               mimir_gets_each_customer_as_a_tenant, a_rotation_has_two_valid_logins_and_a_revocation_none,
               customer_sh_refuses_what_would_get_into_the_files, an_agent_delivers_with_what_customer_sh_prints,
               an_agent_is_told_of_its_login_where_vmauth_answers_400,
               the_distributions_nginx_accepts_each_file_as_it_is)

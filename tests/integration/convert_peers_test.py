"""convert-alloy beside the agents that it replaces: a real Prometheus and a real vmagent scrape a node_exporter's page
and write it; msp-agent runs with what the converter made of their configuration. A label of ours is never other than
theirs, and one of theirs that we do not send is named. The rules are made at random, always the same ones."""
import http.server
import pathlib
import random
import re
import subprocess
import threading

from support.agent import BINARY, run_once, temporary_folder
from support.check import run_checks
from support.process import Process, free_port, poll_until, started
from support.receiver import Receiver

PAGE = b"""# TYPE node_load1 gauge
node_load1 0.5
# TYPE node_filesystem_size_bytes gauge
node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 1
"""
RULES = 40
SEED = 20
ALWAYS_OURS = {"customer_id", "server_name"}
READS_INSTANCE = "reads the label 'instance', which was"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


def random_rule(source: random.Random) -> dict[str, str]:
    names = ["job", "instance", "team", "c", "x", "rack", "nobody_has_this"]
    action = source.choice(["replace"] * 12 + ["labelmap", "labeldrop", "lowercase", "hashmod", "keep", "drop",
                                               "keepequal", "dropequal"])
    rule = {"action": action}
    sources = f"[{', '.join(source.sample(names, source.choice([1, 1, 1, 2])))}]"
    target = source.choice(["team", "c", "x", "rack", "job"])
    if action == "labelmap":
        return rule | {"regex": source.choice(["(t.*)", "(c)", "(x|c)", "r(.+)"]),
                       "replacement": source.choice(["$1", "x", "my_$1", "${1}_y"])}
    if action == "labeldrop":
        return rule | {"regex": source.choice(["c", "team|x", "nobody", "r.+"])}
    if action in ("keep", "drop"):
        return rule | {"source_labels": sources,
                       "regex": source.choice([".*", ".+", "", "node", "infra.*", "no.*|infra;.*"])}
    if action in ("keepequal", "dropequal"):
        return rule | {"source_labels": sources, "target_label": target}
    rule |= {"source_labels": sources, "target_label": target}
    if action == "hashmod":
        return rule | {"modulus": "7"}
    if action == "lowercase":
        return rule
    if source.random() < 0.3:
        rule.pop("source_labels")
    if source.random() < 0.6:
        rule["regex"] = source.choice([".*", "(.*)", "(.+)", ".+", "", "node", "in(.*)", "(.).*", "(.*);(.*)"])
    if source.random() < 0.6:
        rule["replacement"] = source.choice(["$1", "$0", "fixed", "", "a-$1", "$2"])
    return rule


def yaml(rules: list[dict[str, str]]) -> str:
    """One rule a line."""
    def scalar(value: str) -> str:
        return value if value.startswith("[") or value.isdigit() else repr(value)
    lines = (", ".join(f"{key}: {scalar(value)}" for key, value in rule.items()) for rule in rules)
    return "".join(f"      - {{{line}}}\n" for line in lines)


def configuration(page: int, job: str, remote_write: str) -> str:
    return ("global: {scrape_interval: 1s, external_labels: {customer_id: alpha, job: other, site: seoul, "
            "rack: external}}\n"
            "scrape_configs:\n"
            f"  - {{job_name: node, {job}static_configs: [{{targets: ['localhost:{page}'],\n"
            "      labels: {team: infra, device: d, X: Y}}],\n"
            "      relabel_configs: [{source_labels: [__address__], target_label: where},\n"
            "        {source_labels: [job, team], separator: '', regex: 'node(.*)', target_label: computed},\n"
            "        {source_labels: [__name__], regex: '.+', target_label: named, replacement: n},\n"
            "        {source_labels: [instance], target_label: early},\n"
            "        {source_labels: [missing], regex: '', target_label: filled, replacement: f}],\n"
            "      metric_relabel_configs: [{source_labels: [instance], target_label: late},\n"
            "        {source_labels: [computed], target_label: copied}]}\n"
            f"remote_write:\n{remote_write}")


def labels_of(receiver: Receiver, name: str) -> dict[str, str] | None:
    for request in receiver.accepted():
        for series in request.series:
            if series.name == name:
                return {key: value for key, value in series.labels if key != "__name__"}
    return None


def converted(folder: pathlib.Path, text: str) -> tuple[str, str]:
    """The result and the notes; no result where nothing would be delivered."""
    path = folder / "convert.yml"
    path.write_text(text)
    outcome = subprocess.run([BINARY, "convert-alloy", "--from", "prometheus", str(path)], capture_output=True,
                             text=True, timeout=120, check=False)
    assert outcome.returncode in (0, 1), outcome.stderr
    return outcome.stdout, outcome.stderr


def rules_at_the_top(result: str) -> str:
    """The endpoint's rules follow those at the top of the file, and a dry run knows only these."""
    rules = re.findall(r"^    - (\{action: .*)$", result, re.MULTILINE)
    if not rules:
        return result
    without = re.sub(r"^  relabel:\n(    - \{action: .*\n)+", "", result, flags=re.MULTILINE)
    own = re.findall(r"^relabel:\n((?:  - .*\n)+)", without, re.MULTILINE)
    without = re.sub(r"^relabel:\n(?:  - .*\n)+", "", without, flags=re.MULTILINE)
    return without + "relabel:\n" + "".join(own) + "".join(f"  - {rule}\n" for rule in rules)


def labels_of_result(folder: pathlib.Path, result: str) -> dict[str, str] | None:
    """None: the rules drop the sample."""
    config = folder / "msp-agent.yaml"
    config.write_text(rules_at_the_top(result))
    ran = run_once("--config", str(config), "--dry-run")
    assert ran.returncode == 0, f"{ran.stderr}\n{result}"
    line = next((line for line in ran.stdout.splitlines() if line.startswith("node_load1{")), None)
    return None if line is None else dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line))


def compare(theirs: dict[str, str], ours: dict[str, str], notes: str) -> list[str]:
    """What is untrue."""
    wrong: list[str] = []
    if READS_INSTANCE in notes:
        return wrong
    for name, value in ours.items():
        if name in ALWAYS_OURS and name not in theirs:
            continue
        is_told = name in ("instance", "job") and f"'{name}'" in notes
        if theirs.get(name) != value and not is_told:
            wrong.append(f"{name} is {value!r} in the result and {theirs.get(name)!r} there")
    for name, value in theirs.items():
        if name not in ours and f"'{name}'" not in notes:
            wrong.append(f"{name} is {value!r} there, and neither sent nor named")
    return wrong


def labels_are_those_of_prometheus() -> None:
    source = random.Random(SEED)
    pipelines = [[random_rule(source) for _ in range(source.randint(1, 5))] for _ in range(RULES)]
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    receivers = [Receiver() for _ in range(RULES + 1)]
    try:
        with temporary_folder() as folder:
            def remote_write(index: int) -> str:
                rules = yaml(pipelines[index]) if index < RULES else ""
                return (f"  - url: {receivers[index].url}\n    metadata_config: {{send: false}}\n"
                        "    queue_config: {min_shards: 1, max_shards: 1, batch_send_deadline: 1s}\n"
                        + (f"    write_relabel_configs:\n{rules}" if rules else ""))

            (folder / "prometheus.yml").write_text(
                configuration(page.server_port, "", "".join(remote_write(i) for i in range(RULES + 1))))
            agent = Process(["prometheus", "--enable-feature=agent", f"--config.file={folder / 'prometheus.yml'}",
                             f"--storage.agent.path={folder / 'data'}",
                             f"--web.listen-address=127.0.0.1:{free_port()}"], folder / "prometheus.log")
            with started(agent):
                poll_until("Prometheus writes", lambda: len(receivers[RULES].accepted()) >= 3, process=agent)
                outcomes = [converted(folder, configuration(page.server_port, "", remote_write(i)))
                            for i in range(RULES + 1)]
                ours = [labels_of_result(folder, result) if result else None for result, _ in outcomes]
                # What is named may decide a filter otherwise.
                delivered = [i for i, (_, notes) in enumerate(outcomes)
                             if ours[i] is not None and READS_INSTANCE not in notes
                             and "whether it applies is known only" not in notes]

                def missing() -> list[str]:
                    return [yaml(pipelines[i]) + outcomes[i][1] for i in delivered
                            if labels_of(receivers[i], "node_load1") is None]
                try:
                    poll_until("Prometheus writes to all that we write to", lambda: not missing(), process=agent)
                except AssertionError as late:
                    raise AssertionError("Prometheus does not write, and we do:\n" + "\n".join(missing()[:3])) from late
            wrong = []
            for i, (result, notes) in enumerate(outcomes):
                theirs = labels_of(receivers[i], "node_load1")
                rules = yaml(pipelines[i]) if i < RULES else ""
                if not result:
                    if theirs is not None:
                        wrong.append(f"Prometheus delivers, and there is no result:\n{rules}{notes}")
                    continue
                if theirs is None:
                    continue
                if (mine := ours[i]) is None:
                    if READS_INSTANCE not in notes:
                        wrong.append(f"Prometheus delivers, and a rule of the result drops it:\n{rules}{notes}")
                    continue
                untrue = compare(theirs, mine, notes)
                if untrue:
                    wrong.append("\n".join(untrue) + f"\n{rules}{theirs}\n{notes}")
            assert not wrong, f"{len(wrong)} of {RULES}:\n" + "\n\n".join(wrong[:3])
            assert 5 <= len(delivered) <= RULES - 3, f"{len(delivered)} of {RULES} deliver: the rules are no test"
            own = labels_of(receivers[RULES], "node_filesystem_size_bytes")
            assert own and (own["device"], own["exported_device"]) == ("d", "/dev/sda1"), own
            assert "the label 'device'" in outcomes[RULES][1], outcomes[RULES][1]
    finally:
        for receiver in receivers:
            receiver.close()
        page.shutdown()
        page.server_close()


def labels_are_those_of_vmagent() -> None:
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    receiver = Receiver()
    try:
        with temporary_folder() as folder:
            text = configuration(page.server_port, "stream_parse: true, ", f"  - url: {receiver.url}\n")
            (folder / "vmagent.yml").write_text(text)
            agent = Process(["vmagent", f"-promscrape.config={folder / 'vmagent.yml'}",
                             "-promscrape.config.strictParse=false", f"-remoteWrite.url={receiver.url}",
                             "-remoteWrite.flushInterval=1s", f"-remoteWrite.tmpDataPath={folder / 'queue'}",
                             f"-httpListenAddr=127.0.0.1:{free_port()}"], folder / "vmagent.log")
            with started(agent):
                poll_until("vmagent writes", lambda: labels_of(receiver, "node_load1"), process=agent)
            theirs = labels_of(receiver, "node_load1") or {}
            result, notes = converted(folder, text)
            # In vmagent 1.79, which distributions have, the samples' own job wins; in later ones the external one.
            untrue = compare(theirs, labels_of_result(folder, result) or {}, notes + "'exported_job'")
            assert not untrue, "\n".join(untrue) + f"\n{theirs}\n{notes}"
            assert "which it calls exported_job" in notes and "1.79" in notes, notes
    finally:
        receiver.close()
        page.shutdown()
        page.server_close()


JOB_PAGE = b"""# TYPE app_requests_total counter
app_requests_total{path="/a",job="inner",team="own"} 3
app_requests_total{path="/b"} 4
go_goroutines 7
"""


def jobs_configuration(port: int, url: str) -> str:
    """Two jobs beside this host's, with rules before and behind the scrape, and on the way out."""
    return ("global: {scrape_interval: 1s, external_labels: {customer_id: alpha, site: seoul}}\n"
            "scrape_configs:\n"
            f"- {{job_name: app, static_configs: [{{targets: ['localhost:{port}'],\n"
            "    labels: {team: web, shard: kr-7}}],\n"
            "  relabel_configs: [{source_labels: [shard], regex: '(..)-(.)', target_label: zone, replacement: '$1'},\n"
            "    {source_labels: [__address__], target_label: address}, {regex: shard, action: labeldrop}],\n"
            "  metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop},\n"
            "    {source_labels: [path, team], separator: '-', target_label: where},\n"
            "    {regex: 'exported_(.*)', replacement: 'inner_$1', action: labelmap}]}\n"
            f"- {{job_name: honest, honor_labels: true, params: {{a: [x y, z]}}, metrics_path: /other,\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: box}}}}]}}\n"
            "remote_write:\n"
            f"- {{url: '{url}', metadata_config: {{send: false}},\n"
            "  queue_config: {min_shards: 1, max_shards: 1, batch_send_deadline: 1s},\n"
            "  write_relabel_configs: [{source_labels: [job], regex: 'app|inner|honest', action: keep},\n"
            "    {source_labels: [zone], regex: '(.+)', target_label: region, replacement: 'r-$1'},\n"
            "    {target_label: sent, replacement: 'yes'}]}\n")


class JobPage(Page):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(JOB_PAGE)))
        self.end_headers()
        self.wfile.write(JOB_PAGE)


def series_of(receiver: Receiver) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted((key, value) for key, value in series.labels if key != "server_name"))
            for request in receiver.accepted() for series in request.series
            if not series.name.startswith(("node_", "msp_agent_"))}


def scraped_series_are_those_of_prometheus() -> None:
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), JobPage)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    theirs, ours = Receiver(), Receiver()
    try:
        with temporary_folder() as folder:
            (folder / "prometheus.yml").write_text(jobs_configuration(page.server_port, theirs.url))
            peer = Process(["prometheus", "--enable-feature=agent", f"--config.file={folder / 'prometheus.yml'}",
                            f"--storage.agent.path={folder / 'data'}",
                            f"--web.listen-address=127.0.0.1:{free_port()}"], folder / "prometheus.log")
            result, notes = converted(folder, jobs_configuration(page.server_port, ours.url))
            assert result, notes
            config = folder / "msp-agent.yaml"
            config.write_text(result + f"buffer: {{path: {folder / 'buffer'}, min_free: 0}}\n")
            checked = run_once("--config", str(config), "check", "--offline")
            assert checked.returncode == 0, checked
            agent = Process([BINARY, "--config", str(config)], folder / "agent.log")
            with started(peer), started(agent):
                expected = 2 * (5 + 2) + 1  # up and its like, the two samples, go_goroutines of one job
                poll_until("Prometheus writes all", lambda: len(series_of(theirs)) >= expected, process=peer)
                poll_until("the agent writes all", lambda: len(series_of(ours)) >= expected, process=agent)
            missing, further = series_of(theirs) - series_of(ours), series_of(ours) - series_of(theirs)
            assert not missing and not further, f"missing: {missing}\nfurther: {further}\n{result}"
    finally:
        for receiver in (theirs, ours):
            receiver.close()
        page.shutdown()
        page.server_close()


# versions cannot be a probe: blackbox_exporter is scraped for it, as before.
MODULES = """modules:
  web: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4, valid_status_codes: [200, 204],
        fail_if_body_not_matches_regexp: ['^# TYPE app']}}
  wrong: {prober: http, http: {preferred_ip_protocol: ip4, valid_status_codes: [404]}}
  port: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  ssh_banner: {prober: tcp, timeout: 1s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: '^SSH'}]}}
  versions: {prober: http, http: {preferred_ip_protocol: ip4, valid_http_versions: [HTTP/1.0, HTTP/1.1]}}
"""


def probes_configuration(exporter: int, url: str) -> str:
    """Targets of blackbox_exporter by the usual rules, half of them from a file."""
    def job(name: str, targets: str) -> str:
        return (f"- {{job_name: {name}, metrics_path: /probe, params: {{module: [{name}]}}, {targets},\n"
                "  relabel_configs: [{source_labels: [__address__], target_label: __param_target},\n"
                "    {source_labels: [__param_target], target_label: instance},\n"
                "    {source_labels: [__param_module], target_label: module},\n"
                f"    {{target_label: __address__, replacement: 'localhost:{exporter}'}}]}}\n")
    return ("global: {scrape_interval: 1s, external_labels: {customer_id: alpha, site: seoul}}\nscrape_configs:\n"
            + job("web", "static_configs: [{targets: [URL], labels: {service: shop}}]")
            + job("wrong", "file_sd_configs: [{files: [FILE]}]")
            + job("port", "static_configs: [{targets: [PLACE]}]")
            + job("ssh_banner", "static_configs: [{targets: [PLACE]}]")
            + job("versions", "static_configs: [{targets: [URL]}]")
            + f"remote_write:\n- {{url: '{url}', metadata_config: {{send: false}},\n"
            "  queue_config: {min_shards: 1, max_shards: 1, batch_send_deadline: 1s}}\n")


def newest(receiver: Receiver) -> dict[tuple[tuple[str, str], ...], float]:
    """The last value of each series but the host's."""
    values = {}
    for request in receiver.accepted():
        for series in request.series:
            if series.samples and not series.name.startswith(("node_", "msp_agent_")):
                labels = tuple(sorted((key, value) for key, value in series.labels if key != "server_name"))
                if ("job", "node") in labels:
                    continue
                values[labels] = series.samples[-1][1]
    return values


def probed_series_are_those_of_prometheus() -> None:
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), JobPage)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    theirs, ours = Receiver(), Receiver()
    try:
        with temporary_folder() as folder:
            modules, targets, exporter_port = folder / "blackbox.yml", folder / "targets.json", free_port()
            place = f"127.0.0.1:{page.server_port}"
            modules.write_text(MODULES)
            targets.write_text(f'[{{"targets": ["http://{place}/"], "labels": {{"tier": "data"}}}}]')

            def configured(url: str) -> str:
                return (probes_configuration(exporter_port, url).replace("URL", f"'http://{place}/'")
                        .replace("FILE", f"'{folder}/*.json'").replace("PLACE", f"'{place}'"))

            exporter = Process(["prometheus-blackbox-exporter", f"--config.file={modules}",
                                f"--web.listen-address=127.0.0.1:{exporter_port}"], folder / "exporter.log")
            (folder / "prometheus.yml").write_text(configured(theirs.url))
            peer = Process(["prometheus", "--enable-feature=agent", f"--config.file={folder / 'prometheus.yml'}",
                            f"--storage.agent.path={folder / 'data'}",
                            f"--web.listen-address=127.0.0.1:{free_port()}"], folder / "prometheus.log")
            (folder / "convert.yml").write_text(configured(ours.url))
            outcome = subprocess.run([BINARY, "convert-alloy", "--from", "prometheus", str(folder / "convert.yml"),
                                      str(modules), str(targets)], capture_output=True, text=True, timeout=120,
                                     check=False)
            assert outcome.returncode == 0, outcome.stderr
            assert "no valid_http_versions; blackbox_exporter is scraped for it" in outcome.stderr, outcome.stderr
            config = folder / "msp-agent.yaml"
            config.write_text(outcome.stdout + f"buffer: {{path: {folder / 'buffer'}, min_free: 0}}\n")
            agent = Process([BINARY, "--config", str(config)], folder / "agent.log")

            def jobs_of(receiver: Receiver) -> set[str]:
                return {dict(labels)["job"] for labels in newest(receiver) if ("__name__", "probe_success") in labels}

            with started(exporter), started(peer), started(agent):
                for name, receiver, program in (("Prometheus", theirs, peer), ("the agent", ours, agent)):
                    poll_until(f"{name} writes all", lambda receiver=receiver: len(jobs_of(receiver)) == 5,
                               process=program)
            missing = set(newest(theirs)) - set(newest(ours))
            further = set(newest(ours)) - set(newest(theirs))
            assert not missing and not further, f"missing: {missing}\nfurther: {further}\n{outcome.stdout}"
            for labels, value in newest(theirs).items():
                if ("__name__", "probe_success") in labels:
                    assert newest(ours)[labels] == value, f"{labels}: {newest(ours)[labels]}, {value} there"
    finally:
        for receiver in (theirs, ours):
            receiver.close()
        page.shutdown()
        page.server_close()


run_checks(probed_series_are_those_of_prometheus, scraped_series_are_those_of_prometheus,
           labels_are_those_of_prometheus, labels_are_those_of_vmagent)

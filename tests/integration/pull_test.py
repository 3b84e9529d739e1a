"""GET /metrics: the distribution's prometheus scrapes node_exporter and msp-agent side by side and gets the same
series; what a scraper, an operator and somebody who means no good ask is answered as node_exporter would, or refused.
"""
import concurrent.futures
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from support.agent import BINARY, ROOT, run_once, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.exposition import parse_exposition
from support.link import enter_own_network
from support.process import Process, free_port, poll_until, started
from support.prometheus import running_prometheus
from support.receiver import receiving

# Those that both have and whose series do not come and go, with the agent's devices and mounts.
COLLECTORS = ("cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netdev", "netstat", "sockstat", "stat",
              "time", "uname", "vmstat")
FLAGS = ("--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS),
         "--collector.netdev.device-exclude=^(veth[0-9a-f]{7,8}|cali[0-9a-f]{11}|lxc([0-9a-f]{5,12}|_health))$",
         r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
         "--collector.filesystem.mount-points-exclude="
         "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
         "--collector.filesystem.fs-types-exclude="
         "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs"
         "|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$")
# real_peer_test.py says why each is there.
OURS_ONLY = (r"msp_agent_build_info|node_filesystem_(mount_info|purgeable_bytes)|node_uptime_seconds"
             r"|node_netstat_TcpExt_(TCPOFOQueue|TCPRcvQDrop)")
THEIRS_ONLY = (r"go_.*|promhttp_.*|node_exporter_build_info|node_memory_(KReclaimable|FileHugePages|FilePmdMapped"
               r"|Hugetlb|SecPageTables|Balloon|Unaccepted|GPUActive|GPUReclaim|LowTotal|LowFree|HighTotal|HighFree"
               r"|Quicklists|EasyFree)_bytes")
LATER_LABELS = {("node_disk_info", "rotational")}  # node_exporter has it since 1.9.0


def write_exporter(folder: pathlib.Path, port: int, more: str = "") -> pathlib.Path:
    """A configuration without remote_write."""
    config = folder / "exporter.yaml"
    config.write_text(f"listen: {{address: '127.0.0.1:{port}'}}\n"
                      f"collectors: {{enabled: [{', '.join(COLLECTORS)}]}}\n{more}")
    return config


def get(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def exporter_is_up(port: int, agent: Process) -> None:
    poll_until("the agent answers", lambda: get(port, "/")[0] == 200, process=agent)


def a_prometheus_gets_the_same_series_of_both() -> None:
    ours, theirs = free_port(), free_port()
    with temporary_folder() as folder:
        exporter = Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{theirs}", *FLAGS],
                           folder / "node-exporter.log")
        server_port = free_port()
        with running_agent(write_exporter(folder, ours)) as agent, started(exporter), \
                running_prometheus(folder, server_port) as server:
            exporter_is_up(ours, agent)
            (folder / "prometheus.yml").write_text(
                "global: {scrape_interval: 3s, scrape_timeout: 3s}\nscrape_configs:\n"
                f"  - job_name: node\n    static_configs:\n"
                f"      - {{targets: ['127.0.0.1:{ours}'], labels: {{of: agent}}}}\n"
                f"      - {{targets: ['127.0.0.1:{theirs}'], labels: {{of: peer}}}}\n")
            server.process.send(signal.SIGHUP)

            def found(whose: str) -> set[tuple]:
                return {tuple(sorted((name, value) for name, value in one["metric"].items()
                                     if name not in ("of", "instance")
                                     and (one["metric"]["__name__"], name) not in LATER_LABELS))
                        for one in server.series(f'{{of="{whose}",__name__!~"up|scrape_.*"}}', 60)}

            poll_until("both are scraped twice",
                       lambda: {one["metric"]["of"] for one in server.series("up") if len(one["values"]) >= 2 and
                        one["values"][-1][1] == "1"} == {"agent", "peer"}, process=agent)
            mine, peers = found("agent"), found("peer")
            more = sorted(one for one in mine - peers if not re.fullmatch(OURS_ONLY, dict(one)["__name__"]))
            less = sorted(one for one in peers - mine if not re.fullmatch(THEIRS_ONLY, dict(one)["__name__"]))
            assert len(mine) > 200, len(mine)
            assert not more and not less, f"only the agent's: {more[:9]}\nonly node_exporter's: {less[:9]}"
            # The time zone of the samples, the labels and the job are Prometheus' own: none of the agent's.
            assert not any("customer_id" in dict(one) or "exported_job" in dict(one) for one in mine)


def promtool_has_nothing_to_say_that_it_does_not_say_of_node_exporter() -> None:
    ours, theirs = free_port(), free_port()
    with temporary_folder() as folder:
        exporter = Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{theirs}", *FLAGS],
                           folder / "node-exporter.log")
        with running_agent(write_exporter(folder, ours)) as agent, started(exporter):
            exporter_is_up(ours, agent)
            poll_until("node_exporter answers", lambda: get(theirs)[0] == 200, process=exporter)
            said = {}
            for whose, port in (("ours", ours), ("theirs", theirs)):
                outcome = subprocess.run(["promtool", "check", "metrics"], input=get(port)[2], capture_output=True,
                                         check=False)
                said[whose] = set((outcome.stdout + outcome.stderr).decode().splitlines())
            # Of a counter of the kernel that the agent has as later versions do, the lint is the same.
            more = {line for line in said["ours"] - said["theirs"] if not line.startswith("node_netstat_")}
            assert not more, more


def the_answer_is_what_a_scraper_expects() -> None:
    port = free_port()
    with temporary_folder() as folder, running_agent(write_exporter(folder, port)) as agent:
        exporter_is_up(port, agent)
        status, headers, body = get(port)
        assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers
        assert "Date" in headers and "Server" not in headers and "Content-Encoding" not in headers
        names = {name for name, _ in parse_exposition(body.decode()).samples}
        assert {"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_virtual_memory_bytes",
                "process_virtual_memory_max_bytes", "process_resident_memory_bytes", "process_start_time_seconds",
                "msp_agent_build_info", "node_load1", "node_scrape_collector_success"} <= names
        assert "up" not in names
        status, headers, packed = get(port, Accept_Encoding="deflate, gzip;q=0.5")
        assert headers["Content-Encoding"] == "gzip" and len(packed) < len(body) / 3
        assert {name for name, _ in parse_exposition(gzip.decompress(packed).decode()).samples} == names
        assert "Content-Encoding" not in get(port, Accept_Encoding="gzip;q=0")[1]
        status, headers, nothing = get(port, method="HEAD")
        assert status == 200 and nothing == b"" and int(headers["Content-Length"]) > 1000
        assert get(port, method="POST")[0] == 405 and get(port, "/metricsx")[0] == 404
        status, headers, page = get(port, "/")
        assert headers["Content-Type"].startswith("text/html") and b'href="/metrics"' in page


def collectors_are_chosen_as_with_node_exporter() -> None:
    port = free_port()
    with temporary_folder() as folder, running_agent(write_exporter(folder, port)) as agent:
        exporter_is_up(port, agent)

        def ran(query: str) -> set[str]:
            status, _, body = get(port, f"/metrics?{query}")
            assert status == 200, body
            return {dict(labels)["collector"] for name, labels in parse_exposition(body.decode()).samples
                    if name == "node_scrape_collector_success"}

        assert ran("collect[]=cpu&collect[]=loadavg") == {"cpu", "loadavg"}
        assert ran("collect%5B%5D=uname&other=1") == {"uname"}
        assert ran("exclude[]=cpu&exclude[]=loadavg") == set(COLLECTORS) - {"cpu", "loadavg"}
        assert ran("") == set(COLLECTORS)
        for query, said in (("collect[]=cpu&exclude[]=loadavg", b"Combined collect and exclude queries"),
                            ("collect[]=nonsense", b"missing collector: 'nonsense'"),
                            ("collect[]=zfs", b"disabled collector: 'zfs'")):
            status, _, body = get(port, f"/metrics?{query}")
            assert status == 400 and said in body, (status, body)
        for number in range(20):  # more choices than are remembered
            assert len(ran("&".join(f"collect[]={name}" for name in COLLECTORS[:number % 13 + 1]))) == number % 13 + 1


def two_scrapers_at_once_read_the_host_once() -> None:
    port = free_port()
    with temporary_folder() as folder, running_agent(write_exporter(folder, port)) as agent:
        exporter_is_up(port, agent)

        def times(_: int) -> tuple[float, ...]:
            samples = parse_exposition(get(port)[2].decode()).samples
            return tuple(value for (name, _), value in samples.items() if name in ("node_time_seconds", "node_load1"))

        # node_time_seconds is another one whenever the host is read. A busy machine may need more than one try.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            first = poll_until("all get one page",
                               lambda: len(pages := set(pool.map(times, range(8)))) == 1 and pages, process=agent)
        poll_until("a later page is another", lambda: times(0) not in first, process=agent)


def a_sender_listens_as_well_and_its_ticks_go_on() -> None:
    port = free_port()
    with temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url, more=f"listen: {{address: '127.0.0.1:{port}'}}\n")
        with running_agent(config) as agent:
            exporter_is_up(port, agent)
            assert b"node_load1" in get(port)[2]
            # Without the label of its customer, which the Prometheus that scrapes it knows.
            assert b"customer_id" not in get(port)[2]
            config.write_text(config.read_text().replace(f"127.0.0.1:{port}", f"127.0.0.1:{(other := free_port())}"))
            agent.send(signal.SIGHUP)
            exporter_is_up(other, agent)

            def is_closed(which: int) -> bool:
                try:
                    get(which, "/")
                except OSError:
                    return True
                return False

            poll_until("the old port is closed", lambda: is_closed(port), process=agent)

            def threads() -> int:
                return len(list(pathlib.Path(f"/proc/{agent.pid}/task").iterdir()))

            listening = threads()
            config.write_text(re.sub("listen:.*\n", "", config.read_text()))
            agent.send(signal.SIGHUP)
            poll_until("the port is closed", lambda: is_closed(other), process=agent)
            poll_until("its thread is gone", lambda: threads() < listening, process=agent)


def a_port_in_use_ends_an_exporter_and_no_sender() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, temporary_folder() as folder, receiving() as receiver:
        port = taken.getsockname()[1]
        outcome = run_once("--config", str(write_exporter(folder, port)))
        assert outcome.returncode == 1 and "another program listens there" in outcome.stderr, outcome.stderr
        config = write_config(folder, receiver.url, more=f"listen: {{address: '127.0.0.1:{port}'}}\n")
        with running_agent(config) as agent:
            poll_until("samples arrive all the same", lambda: receiver.requests, process=agent)
            assert "another program listens there" in agent.log()
            taken.close()
            exporter_is_up(port, agent)


def a_crowd_of_connections_costs_the_scraper_nothing() -> None:
    port = free_port()
    with temporary_folder() as folder, running_agent(write_exporter(folder, port)) as agent:
        exporter_is_up(port, agent)
        crowd = []
        try:
            for _ in range(300):  # from one address: most are closed at once
                one = socket.create_connection(("127.0.0.1", port), timeout=120)
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: ")
                crowd.append(one)
            # The 127.0.0.1 of the crowd is full, another address is not.
            with socket.create_connection(("127.0.0.1", port), timeout=120, source_address=("127.0.0.2", 0)) as scraper:
                scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: scraper.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK") and b"node_load1" in answer
        finally:
            for one in crowd:
                one.close()
        resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{agent.pid}/status").read_text())[1])
        assert resident < 64 * 1024, resident


def a_socket_is_scraped_too() -> None:
    with temporary_folder() as folder:
        config = folder / "exporter.yaml"
        config.write_text(f"listen: {{address: 'unix:{folder}/metrics.sock'}}\n")
        with running_agent(config) as agent:
            poll_until("the socket is there", (folder / "metrics.sock").exists, process=agent)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(folder / "metrics.sock"))
                client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            assert b"\nnode_load1 " in answer
        assert not (folder / "metrics.sock").exists()


def status_shows_who_asks() -> None:
    port = free_port()
    with temporary_folder() as folder:
        config, run = write_exporter(folder, port), folder / "run"
        run.mkdir()
        env = {**os.environ, "RUNTIME_DIRECTORY": str(run)}
        agent = Process([BINARY, "--config", str(config)], folder / "log", env)
        with started(agent):
            exporter_is_up(port, agent)
            assert get(port)[0] == 200 and get(port, "/nothing")[0] == 404

            def listening() -> dict | None:
                outcome = run_once("--config", str(config), "status", "--json", env=env)
                found = json.loads(outcome.stdout)
                return found["listen"] if found["well"] and found["listen"]["requests"] >= 3 else None

            found = poll_until("the requests are in the status", listening, process=agent)
            assert found["address"] == f"127.0.0.1:{port}" and found["listening"] and found["refused"] == 1, found
            text = run_once("--config", str(config), "status", env=env).stdout
            assert text.startswith("all is well\n  an exporter, ") and "\nListening\n" in text, text
            assert "Endpoints" not in text
        outcome = run_once("--config", str(config), "status", env=env)
        assert outcome.returncode == 1 and "was stopped" in outcome.stdout, outcome
        assert {path.name for path in folder.iterdir()} == {"exporter.yaml", "run", "log"}  # no buffer
    with socket.create_server(("127.0.0.1", 0)) as taken, temporary_folder() as folder, receiving() as receiver:
        config = write_config(folder, receiver.url,
                              more=f"listen: {{address: '127.0.0.1:{taken.getsockname()[1]}'}}\n")
        with running_agent(config) as agent:
            poll_until("the port is missed", lambda: "cannot listen at" in run_once(
                "--config", str(config), "status").stdout, process=agent)


def check_and_the_log_warn_of_a_port_that_is_open_to_others() -> None:
    with temporary_folder() as folder:
        config = folder / "exporter.yaml"
        config.write_text("listen: {address: ':9100'}\n")
        outcome = run_once("--config", str(config), "check", "--offline")
        assert outcome.returncode == 0 and "can read this host's metrics without a login" in outcome.stderr, outcome
        assert "an exporter at :9100" in outcome.stdout
        config.write_text("listen: {address: '127.0.0.1:9100'}\n")
        assert run_once("--config", str(config), "check", "--offline").stderr == ""


def a_prometheus_with_the_file_that_it_had_for_node_exporter() -> None:
    """Nothing of it is changed: names, ports, service discovery, relabelling, rules."""
    enter_own_network()
    with temporary_folder() as folder:
        config = folder / "exporter.yaml"
        config.write_text("listen: {address: '127.0.0.1:9100'}\n")
        with running_agent(config) as agent, running_prometheus(folder) as server:
            exporter_is_up(9100, agent)
            shutil.copytree(ROOT / "tests/fixtures/pull", folder, dirs_exist_ok=True)
            checked = subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], capture_output=True,
                                     text=True, check=False)
            assert checked.returncode == 0, checked
            server.process.send(signal.SIGHUP)

            def labels(selector: str) -> list[dict[str, str]]:
                return [one["metric"] for one in server.series(selector)]

            def ups() -> dict[str, str]:
                return {one["metric"]["job"]: one["values"][-1][1] for one in server.series("up")
                        if len(one["values"]) >= 3}
            poll_until("all jobs are up", lambda: ups() == dict.fromkeys(("node", "node-from-files", "node-some"), "1"),
                       process=agent)
            poll_until("the rule has a value of each", lambda: {one["job"] for one in labels(
                "instance:node_cpu_utilisation:rate1m")} == set(ups()), process=agent)
            found = {one["job"]: one for one in labels("node_uname_info")}
            assert found["node"]["customer_id"] == "alpha" and found["node"]["server_name"] == "web-01", found
            assert found["node"]["environment"] == "production" and found["node"]["instance"] == "localhost:9100", found
            assert found["node-from-files"]["instance"] == "localhost", found
            assert found["node-from-files"]["customer_id"] == "beta", found
            dropped = labels('node_scrape_collector_success{job="node-from-files"}')
            assert not dropped and labels('node_scrape_collector_success{job="node"}'), dropped
            names = {one["__name__"] for one in labels('{job="node-some",__name__=~"node_.*"}')}
            assert "node_load1" in names and "node_memory_MemTotal_bytes" not in names, names
            assert not labels("ALERTS"), labels("ALERTS")


run_checks(a_prometheus_gets_the_same_series_of_both,
           promtool_has_nothing_to_say_that_it_does_not_say_of_node_exporter, the_answer_is_what_a_scraper_expects,
           collectors_are_chosen_as_with_node_exporter, two_scrapers_at_once_read_the_host_once,
           a_sender_listens_as_well_and_its_ticks_go_on, a_port_in_use_ends_an_exporter_and_no_sender,
           a_crowd_of_connections_costs_the_scraper_nothing, a_socket_is_scraped_too, status_shows_who_asks,
           check_and_the_log_warn_of_a_port_that_is_open_to_others,
           a_prometheus_with_the_file_that_it_had_for_node_exporter)

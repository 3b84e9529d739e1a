"""End to end: this host's metrics in a real VictoriaMetrics, and the queries that dashboards and alerts make."""
import os

from support.agent import CUSTOMER, SERVER, running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import Process, poll_until
from support.ticks import holes, ticks_in
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

MINE = f'customer_id="{CUSTOMER}",server_name="{SERVER}"'
PER_SERVER = "by (customer_id, server_name)"

# What the operators' manual promises.
MANUAL = (
    "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes", "node_filesystem_size_bytes", "node_filesystem_avail_bytes",
    "node_network_receive_bytes_total", "node_network_transmit_bytes_total", "node_load1", "node_load5",
    "node_uptime_seconds", "node_uname_info",
)
# What today's dashboards query besides, and the agent's word on itself.
ALSO = ("node_disk_read_bytes_total", "node_disk_written_bytes_total", "node_boot_time_seconds", "up",
        "node_scrape_collector_success", "node_scrape_collector_duration_seconds", "msp_agent_build_info",
        "msp_agent_ticks_skipped_total", "msp_agent_samples_sent_total", "msp_agent_samples_dropped_total",
        "msp_agent_retries_total", "msp_agent_buffer_samples", "msp_agent_resident_memory_bytes",
        "msp_agent_cpu_seconds_total")


def uptime_of_kernel() -> float:
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def memory_total() -> float:
    with open("/proc/meminfo", encoding="ascii") as file:
        return float(file.readline().split()[1]) * 1024


def disk_used_percent() -> float:
    root = os.statvfs("/")
    return (1 - root.f_bavail / root.f_blocks) * 100


# (what an operator asks, the query, the smallest and the largest sane answer, of what changes at that moment)
QUERIES = (
    ("CPU use in percent",
     f'(1 - avg {PER_SERVER}(rate(node_cpu_seconds_total{{mode="idle"}}[1m]))) * 100', 0, 100),
    ("memory use in percent",
     "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100", 0.1, 100),
    ("memory in bytes", "node_memory_MemTotal_bytes", memory_total() * 0.99, memory_total() * 1.01),
    ("disk use of / in percent",
     '(1 - node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes{mountpoint="/"}) * 100',
     lambda: disk_used_percent() - 2, lambda: disk_used_percent() + 2),
    ("network receive rate in bytes per second",
     f"sum {PER_SERVER}(rate(node_network_receive_bytes_total[1m]))", 1, 1e11),
    ("servers per customer", "count(count by (customer_id)(node_uname_info))", 1, 1),
    ("seconds since boot", "time() - node_boot_time_seconds", lambda: uptime_of_kernel() - 60,
     lambda: uptime_of_kernel() + 60),
    ("uptime in seconds", "node_uptime_seconds", lambda: uptime_of_kernel() - 60, uptime_of_kernel),
    ("up", "up", 1, 1),
)


def metrics_of_the_manual_are_there(server: VictoriaMetrics, agent: Process) -> None:
    for name in MANUAL + ALSO:
        found = poll_until(name, lambda: server.query(name), process=agent)
        for labels, _ in found:
            assert (labels.get("customer_id"), labels.get("server_name")) == (CUSTOMER, SERVER), f"{name}: {labels}"


def each_query_gives_one_sane_value(server: VictoriaMetrics, agent: Process) -> None:
    for question, query, least, most in QUERIES:
        def sane() -> bool:
            answer = server.query(query)
            assert len(answer) == 1, f"{query}: {len(answer)} results, not one: {answer}"
            low, high = (bound() if callable(bound) else bound for bound in (least, most))
            assert low <= answer[0][1] <= high, f"{query}: {answer[0][1]}, not within {low} and {high}"
            return True
        poll_until(question, sane, process=agent)


def ticks_are_whole_and_a_second_apart(server: VictoriaMetrics, agent: Process) -> None:
    def ticks(selector: str) -> list[list[int]]:
        return [series["timestamps"] for series in server.export(selector)]

    poll_until("6 ticks", lambda: len((ticks(f"node_load1{{{MINE}}}") or [[]])[0]) >= 6, process=agent)
    loads = ticks(f"node_load1{{{MINE}}}")[0]
    assert not holes(ticks_in(server, MINE)), f"not a tick a second: {loads}"
    # Ticks that arrived after the first answer was read do not count against it.
    for name in ("node_memory_MemTotal_bytes", "node_uname_info", "up", "msp_agent_build_info"):
        others = [tick for tick in ticks(f"{name}{{{MINE}}}")[0] if tick <= loads[-1]]
        assert others == loads, f"{name} has other timestamps than node_load1: {others} and {loads}"


def one_request_per_tick(server: VictoriaMetrics, agent: Process) -> None:
    def requests() -> float:
        return server.metric('vm_http_requests_total{path="/api/v1/write"')

    def ticks() -> int:
        return len(server.export(f"node_load1{{{MINE}}}")[0]["timestamps"])

    first_ticks, first_requests = ticks(), requests()
    poll_until("four more ticks", lambda: ticks() >= first_ticks + 4, process=agent)
    made = requests() - first_requests
    # Ticks are counted before requests at first and after them in the end: there may be more of them, and one request
    # was on its way.
    assert 1 <= made <= ticks() - first_ticks + 1, f"{made} requests for {ticks() - first_ticks} ticks"


def with_server(check):
    """The check with an agent that delivers to a server; one pair for all checks of the file."""
    def run() -> None:
        check(server, agent)
    run.__name__ = check.__name__
    return run


with temporary_folder() as folder, running_victoria_metrics(folder) as server:
    with running_agent(write_config(folder, server.url)) as agent:
        run_checks(with_server(metrics_of_the_manual_are_there), with_server(each_query_gives_one_sane_value),
                   with_server(ticks_are_whole_and_a_second_apart), with_server(one_request_per_tick))

"""Side by side with the distribution's node_exporter (Debian: 1.5.0): the same series both ways, the same TYPE and
HELP, the same values within what reads a moment apart allow. Each difference is a named line here, or a failure.
"""
import re
import urllib.request

from support.agent import dry_run, temporary_folder, write_config
from support.check import run_checks
from support.exposition import Exposition, SeriesKey, parse_exposition
from support.process import Process, free_port, poll_until, started

# Those of 1.5.0, on by default or not. Later ones are kernel_hung (1.11.0), softirqs (1.6.0), watchdog (1.8.0).
COLLECTORS = (
    "arp", "bonding", "btrfs", "buddyinfo", "cgroups", "conntrack", "cpu", "cpufreq", "diskstats", "dmi", "edac",
    "entropy", "fibrechannel", "filefd", "filesystem", "hwmon", "infiniband", "interrupts", "ipvs", "ksmd", "loadavg",
    "mdadm", "meminfo", "meminfo_numa", "netclass", "netdev", "netstat", "nfs", "nfsd", "nvme", "os",
    "powersupplyclass", "pressure", "processes", "rapl", "schedstat", "selinux", "slabinfo", "sockstat", "softnet",
    "stat", "tapestats", "tcpstat", "textfile", "thermal_zone", "time", "timex", "udp_queues", "uname", "vmstat", "xfs",
    "zfs", "zoneinfo",
)

# The agent's defaults, which are node_exporter 1.12's where 1.5.0 has others (netdev: the agent's own).
FLAGS = (
    "--web.disable-exporter-metrics", "--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS),
    "--collector.netdev.device-exclude=^(veth[0-9a-f]{7,8}|cali[0-9a-f]{11}|lxc([0-9a-f]{5,12}|_health))$",
    r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "--collector.filesystem.mount-points-exclude="
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "--collector.filesystem.fs-types-exclude="
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay"
    "|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
)

# What both read from one folder. A label job would be exported_job with the agent, and le="1" is le="1.0", as with
# Prometheus when it scrapes node_exporter.
FILES = {
    "backup.prom": "# HELP backup_bytes Size of the last \\\\ backup.\n# TYPE backup_bytes gauge\n"
                   'backup_bytes{to="a \\"b\\" \\\\ c\\nd"} 1.5e+09\nbackup_bytes{to="nas",at=""} -1\n',
    "empty.prom": "",
    "kinds.prom": "# TYPE runs_total counter\nruns_total 12345678901\nwithout_type +Inf\n"
                  "# HELP run_seconds How long a run took.\n# TYPE run_seconds histogram\n"
                  'run_seconds_bucket{le="0.5"} 2\nrun_seconds_bucket{le="+Inf"} 3\nrun_seconds_sum 4.5\n'
                  "run_seconds_count 3\n# TYPE wait_seconds summary\n"
                  'wait_seconds{quantile="0.9"} 7\nwait_seconds_sum 9\nwait_seconds_count 2\n',
    "later.prom": "# HELP other Another file.\nother{a=\"1\"}\t1\n# a comment\n\nother 2\n",
    "not_read.prom.4711": "not_read 1\n",
}

# Metrics that only one of the two has: a pattern for the whole name, and why that is right.
OURS_ONLY = {
    r"node_filesystem_mount_info": "node_exporter has it since 1.9.0 (its pull request 2970)",
    r"node_filesystem_purgeable_bytes": "node_exporter has it since 1.9.0 (its pull request 3206)",
    r"node_softnet_(backlog_len|cpu_collision_total|flow_limit_count_total|received_rps_total)":
        "node_exporter has it since 1.6.0 (its pull request 2592)",
    r"node_netstat_TcpExt_TCPOFOQueue": "node_exporter has it since 1.8.0 (its pull request 2867)",
    r"node_netstat_TcpExt_TCPRcvQDrop": "node_exporter has it since 1.9.0 (its pull request 3021)",
    r"node_uptime_seconds": "our own: the operators' manual promises it",
    r"up": "what Prometheus adds to a scrape",
    r"msp_agent_.*": "the agent on itself",
}
STATE = "a state is there while a process is in it"
# What a kernel or a host need not have: there is nothing to find wherever the tests run.
OURS_ONLY_SOMEWHERE = {
    r"node_pressure_irq_stalled_seconds_total": "node_exporter has it since 1.9.0 (its pull request 3048)",
    r"node_processes_(threads_)?state": STATE,
    r"node_tcp_connection_states": "a state that no socket is in is 0, and not left out",
}
THEIRS_ONLY = {
    r"node_processes_(threads_)?state": STATE,
    r"node_exporter_build_info|promhttp_.*": "the exporter on itself",
    # Since 1.9.0 (its pull request 3049) node_exporter sends the keys it knows, no longer every line of the file.
    r"node_memory_(KReclaimable|FileHugePages|FilePmdMapped|Hugetlb|SecPageTables|Balloon|Unaccepted|GPUActive"
    r"|GPUReclaim|LowTotal|LowFree|HighTotal|HighFree|Quicklists|EasyFree)_bytes": "a key that 1.12 does not send",
}
# Labels that 1.5.0 does not have yet: (metric, label).
NEW_LABELS = {
    ("node_disk_info", "rotational"),     # since 1.9.0 (its pull request 3022)
    ("node_network_info", "adminstate"),  # since 1.6.0 (its pull request 2492)
}
# Collectors that succeed at node_exporter where the host has nothing for them. The agent says, as node_exporter does
# for all others, that there is no data.
NO_DATA = {"cpufreq", "edac", "thermal_zone", "xfs"}

TARGET_LABELS = {"customer_id", "server_name", "instance", "job"}

# How far a value may lie outside the two reads of the agent around it: (metrics, distance). The first match counts;
# None: a value that is not to be compared. Where nothing matches: not at all.
SLACK: tuple[tuple[str, float | None], ...] = (
    (r"node_scrape_collector_duration_seconds", None),
    (r"node_cpu_seconds_total", 0.02),  # the kernel's idle and iowait may go back a little; both clamp on their own
    (r"node_boot_time_seconds", 1),     # computed by the kernel at each read
    (r"node_procs_(running|blocked)", 8),
    (r"node_disk_io_now", 64),
    # A --dry-run that runs is itself part of what it reads.
    (r"node_memory_(Mapped|MemFree|MemAvailable|AnonPages|(Active|Inactive)(_anon)?|Committed_AS)_bytes", 16 << 20),
    (r"node_memory_\w+_bytes", 2 << 20),
    (r"node_filesystem_(free|avail)_bytes", 16 << 20),
    (r"node_filesystem_files_free", 64),
    (r"node_processes_(?!max_)\w+", None),  # each of the two is a process of its own, in states that change
    # Connections and descriptors of the two themselves.
    (r"node_netstat_Tcp_CurrEstab|node_sockstat_\w+_(alloc|inuse|orphan|tw|mem)|node_sockstat_sockets_used", 16),
    (r"node_sockstat_\w+_(memory|mem_bytes)|node_udp_queues", 16 * 4096),
    (r"node_(arp|nf_conntrack)_entries", 16),
    (r"node_filefd_allocated", 512),
    (r"node_memory_numa_(?!HugePages)\w+(?<!_total)", 16 << 20),
    (r"node_slabinfo_(active_)?objects", 65536),
    # Unlike netlink, /proc does not say how many connections may wait for a listening socket.
    (r"node_tcp_connection_states", None),
    (r"node_zoneinfo_\w+_pages|node_buddyinfo_blocks", 4096),
    (r"node_timex_\w+_seconds", 0.01),  # an error grows from tick to tick
)
ROUNDS_MAX = 20  # a busy host moves between two reads; in one of the rounds each series has to agree


def comparable(exposition: Exposition) -> dict[SeriesKey, float]:
    """The samples without what the target adds, and without empty labels, which are no labels."""
    return {(name, tuple((label, value) for label, value in labels
                         if value and label not in TARGET_LABELS and (name, label) not in NEW_LABELS)): sample
            for (name, labels), sample in exposition.samples.items()}


def justified(name: str, reasons: dict[str, str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in reasons)


class Pair:
    """A running node_exporter, and the agent asked beside it."""

    def __init__(self, folder, url: str):
        (folder / "textfile").mkdir()
        for name, text in FILES.items():
            (folder / "textfile" / name).write_text(text)
        self._config = write_config(
            folder, "http://127.0.0.1:9/api/v1/write", more=f"collectors: {{enabled: [{', '.join(COLLECTORS)}], "
            f"netclass: {{full: true}}, textfile: {{directories: [{folder / 'textfile'}]}}}}\n")
        self._url = url

    def ours(self) -> Exposition:
        return parse_exposition(dry_run(self._config))

    def theirs(self) -> Exposition:
        with urllib.request.urlopen(self._url, timeout=120) as answer:
            return parse_exposition(answer.read().decode())


def the_same_series_both_ways() -> None:
    ours, theirs = comparable(PAIR.ours()), comparable(PAIR.theirs())
    assert len(theirs) > 100, f"only {len(theirs)} series of node_exporter: nothing to compare with"
    more = sorted(key for key in ours.keys() - theirs.keys() if not justified(key[0], OURS_ONLY | OURS_ONLY_SOMEWHERE))
    less = sorted(key for key in theirs.keys() - ours.keys() if not justified(key[0], THEIRS_ONLY))
    assert not more and not less, "\n".join(
        [f"only msp-agent: {key}" for key in more] + [f"only node_exporter: {key}" for key in less])


def what_differs_by_design_is_really_there() -> None:
    ours = {name for name, _ in PAIR.ours().samples}
    for pattern in OURS_ONLY:
        assert any(re.fullmatch(pattern, name) for name in ours), f"no metric of the agent is called {pattern}"


def the_same_type_and_help() -> None:
    ours, theirs = PAIR.ours(), PAIR.theirs()
    common = ours.types.keys() & theirs.types.keys()
    assert len(common) > 50, f"only {len(common)} metrics in common"
    for what, mine, peer in (("TYPE", ours.types, theirs.types), ("HELP", ours.helps, theirs.helps)):
        different = [f"{name}: '{mine[name]}', node_exporter has '{peer[name]}'" for name in sorted(common)
                     if mine[name] != peer[name]]
        assert not different, f"{what} differs:\n" + "\n".join(different)


def slack_of(name: str) -> float | None:
    return next((distance for pattern, distance in SLACK if re.fullmatch(pattern, name)), 0)


def disagreements(before: dict, peer: dict, after: dict) -> dict[SeriesKey, str]:
    """Series that both have and whose value at the peer lies outside what the agent read before and after."""
    wrong = {}
    for key in before.keys() & peer.keys() & after.keys():
        slack = slack_of(key[0])
        least, most = sorted((before[key], after[key]))
        if key[0] == "node_scrape_collector_success" and dict(key[1])["collector"] in NO_DATA and most == 0:
            continue
        if slack is not None and not least - slack <= peer[key] <= most + slack:
            wrong[key] = f"node_exporter has {peer[key]}, the agent {before[key]} before and {after[key]} after it"
    return wrong


def the_same_values() -> None:
    never_agreed: dict[SeriesKey, str] | None = None
    for _ in range(ROUNDS_MAX):
        before, peer, after = comparable(PAIR.ours()), comparable(PAIR.theirs()), comparable(PAIR.ours())
        wrong = disagreements(before, peer, after)
        never_agreed = wrong if never_agreed is None else {key: wrong[key] for key in never_agreed if key in wrong}
        if not never_agreed:
            return
    assert not never_agreed, f"in none of {ROUNDS_MAX} rounds:\n" + "\n".join(
        f"{key}: {text}" for key, text in sorted(never_agreed.items()))


def a_wrong_value_would_be_noticed() -> None:
    """The comparison itself: a counter, a gauge and a label that are off are found."""
    key = ("node_forks_total", ())
    assert disagreements({key: 10.0}, {key: 9.0}, {key: 12.0}), "a counter that is too small"
    assert not disagreements({key: 10.0}, {key: 11.0}, {key: 12.0})
    memory = ("node_memory_MemFree_bytes", ())
    assert disagreements({memory: 1e9}, {memory: 1e9 / 1024}, {memory: 1e9}), "kilobytes for bytes"
    assert not justified("node_memory_MemFree_bytes", THEIRS_ONLY) and not justified("node_load1", OURS_ONLY)


with temporary_folder() as FOLDER:
    PORT = free_port()
    PAIR = Pair(FOLDER, f"http://127.0.0.1:{PORT}/metrics")
    EXPORTER = Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{PORT}", *FLAGS,
                        f"--collector.textfile.directory={FOLDER / 'textfile'}"],
                       FOLDER / "node-exporter.log")
    with started(EXPORTER):
        poll_until("node_exporter answers", PAIR.theirs, process=EXPORTER)
        run_checks(the_same_series_both_ways, what_differs_by_design_is_really_there, the_same_type_and_help,
                   the_same_values, a_wrong_value_would_be_noticed)

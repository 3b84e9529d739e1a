"""--dry-run: text that promtool accepts, with the labels that would be sent, from a process without a network."""
import os
import pathlib
import re
import socket
import subprocess
import unicodedata

from support.agent import BINARY, CUSTOMER, ROOT, SERVER, dry_run, run_once, temporary_folder, write_config
from support.check import run_checks
from support.exposition import parse_exposition
from support.terminal import Terminal

NOWHERE = "http://127.0.0.1:9/api/v1/write"

# What promtool's linter says of names that are node_exporter's and cAdvisor's, and so ours: the metrics, the complaint.
# Of containers only where there are some: other tests boot them.
KNOWN_COMPLAINTS = (
    # The keys of /proc/meminfo as the kernel writes them: node_memory_MemTotal_bytes.
    (r"node_memory_[A-Z]\w*", "metric names should be written in 'snake_case' not 'camelCase'"),
    # Those of /proc/net/netstat and its like: node_netstat_Tcp_InSegs.
    (r"node_netstat_[A-Z]\w*", "metric names should be written in 'snake_case' not 'camelCase'"),
    (r"container_memory_failcnt", 'counter metrics should have "_total" suffix'),
    (r"node_entropy_\w+_bits", 'use base unit "bytes" instead of "bits"'),
)


def promtool_accepts_it() -> None:
    with temporary_folder() as folder:
        text = dry_run(write_config(folder, NOWHERE))
    outcome = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=120,
                             check=False)
    # Exit codes: 0 fine, 3 the linter complains, anything else: not the format.
    assert outcome.returncode in (0, 3), f"promtool cannot read it: {outcome.stdout}{outcome.stderr}"
    unknown = [line for line in (outcome.stdout + outcome.stderr).splitlines() if line.strip()
               and not any(re.fullmatch(f"{metrics} {complaint}", line) for metrics, complaint in KNOWN_COMPLAINTS)]
    assert not unknown, "promtool complains:\n" + "\n".join(unknown)


def every_sample_carries_the_labels_of_its_server() -> None:
    with temporary_folder() as folder:
        exposition = parse_exposition(dry_run(write_config(
            folder, NOWHERE, more="environment: production\nlabels: {csp: aws, region: ap-northeast-2}\n")))
    wanted = {"customer_id": CUSTOMER, "server_name": SERVER, "environment": "production", "csp": "aws",
              "region": "ap-northeast-2", "instance": socket.gethostname(), "job": "node"}
    assert exposition.samples, "nothing was collected"
    for name, labels in exposition.samples:
        missing = wanted.items() - dict(labels).items()
        assert not missing, f"{name} lacks {dict(missing)}: {labels}"


def every_family_has_help_and_type_and_every_collector_succeeds() -> None:
    with temporary_folder() as folder:
        text = dry_run(write_config(folder, NOWHERE))
    exposition = parse_exposition(text)
    for name, _ in exposition.samples:
        assert exposition.types.get(name) in ("counter", "gauge", "untyped"), f"{name} has no TYPE"
        assert exposition.helps.get(name), f"{name} has no HELP"
    successes = {dict(labels)["collector"]: value for (name, labels), value in exposition.samples.items()
                 if name == "node_scrape_collector_success"}
    default_set = {"arp", "bonding", "btrfs", "conntrack", "containers", "cpu", "cpufreq", "diskstats", "dmi", "edac",
                   "entropy", "fibrechannel", "filefd", "filesystem", "hwmon", "infiniband", "ipvs", "kernel_hung",
                   "loadavg",
                   "mdadm", "meminfo", "netclass", "netdev", "netstat", "nfs", "nfsd", "nvme", "os", "powersupplyclass",
                   "pressure", "rapl", "schedstat", "selinux", "sockstat", "softnet", "stat", "tapestats",
                   "textfile", "thermal_zone", "time", "timex", "udp_queues", "uname", "vmstat", "watchdog", "xfs",
                   "zfs"}
    assert set(successes) == default_set, f"collectors that ran: {sorted(successes)}"
    may_be_missing = {"bonding", "btrfs", "conntrack", "containers", "cpufreq", "dmi", "edac", "fibrechannel", "hwmon",
                      "infiniband", "ipvs", "kernel_hung", "mdadm", "nfs", "nfsd", "nvme", "powersupplyclass",
                      "pressure", "rapl", "schedstat", "tapestats", "textfile", "thermal_zone", "timex", "watchdog",
                      "xfs", "zfs"}  # in a kernel, a container or the hardware
    assert len([name for name, _ in exposition.samples if name == "up"]) == 1, "up is there once"
    for name, success in successes.items():
        is_told = f"\n# {name}: no data here: " in text
        assert success == (0.0 if is_told and name in may_be_missing else 1.0), f"{name} failed: {text[-1000:]}"


def it_needs_no_network() -> None:
    unshare = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-rn")
    with temporary_folder() as folder:
        outcome = run_once("--config", str(write_config(folder, NOWHERE)), "--dry-run", prefix=unshare)
    assert (outcome.returncode, outcome.stderr) == (0, ""), f"exit {outcome.returncode}: {outcome.stderr}"
    assert "node_load1{" in outcome.stdout, outcome.stdout[:500]


def it_reads_the_host_where_it_is_told_to() -> None:
    with temporary_folder() as folder:
        text = dry_run(write_config(folder, NOWHERE, more="collectors: {enabled: [loadavg]}\n"),
                       "--path.procfs", str(ROOT / "tests/fixtures/loadavg/server/proc"))
    loads = {name: value for (name, _), value in parse_exposition(text).samples.items()
             if name.startswith("node_load")}
    assert loads == {"node_load1": 0.2, "node_load5": 0.18, "node_load15": 12.5}, loads


def it_shows_chosen_collectors_only() -> None:
    with temporary_folder() as folder:
        config = write_config(folder, NOWHERE)
        text = dry_run(config, "--collectors", "loadavg,stat")
        wrong = run_once("--config", str(config), "--dry-run", "--collectors", "loadavgg")
    ran = {dict(labels)["collector"] for name, labels in parse_exposition(text).samples
           if name == "node_scrape_collector_success"}
    assert ran == {"loadavg", "stat"}, ran
    assert wrong.returncode == 2 and "did you mean loadavg?" in wrong.stderr, wrong.stderr
    assert wrong.stdout == "", wrong.stdout


def diff_shows_what_changed_between_two_passes() -> None:
    with temporary_folder() as folder:
        config = write_config(folder, NOWHERE)
        text = dry_run(config, "--diff", "--collectors", "stat,time,uname")
        alone = run_once("--config", str(config), "--diff")
    lines = text.splitlines()
    uptime = [line for line in lines if line.startswith("  node_uptime_seconds{")]
    assert len(uptime) == 1 and re.search(r" [\d.]+ -> [\d.]+$", uptime[0]), lines
    switches = [line for line in lines if line.startswith("  node_context_switches_total{")]
    assert len(switches) == 1 and switches[0].endswith(" per second)"), lines
    assert not any("node_uname_info" in line for line in lines), "what did not change is shown"
    assert re.fullmatch(r"# \d+ changed in [\d.]+ s, \d+ stayed the same", lines[-1]), lines[-1]
    assert alone.returncode == 2 and "--dry-run" in alone.stderr, alone.stderr


def comments_of(text: str) -> list[str]:
    """Those that are neither HELP nor TYPE; what has them must be the text format as before."""
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=120,
                             check=False)
    assert checked.returncode in (0, 3), f"promtool cannot read it: {checked.stdout}{checked.stderr}"
    return [line for line in text.splitlines() if re.match(r"# (?!HELP |TYPE )", line)]


def what_is_not_there_is_told_in_comments() -> None:
    with temporary_folder() as folder:
        proc = folder / "proc"
        (proc / "net").mkdir(parents=True)
        (proc / "loadavg").write_text("garbage\n")
        columns = " 1" * 16
        (proc / "net/dev").write_text("Inter-|\n face |\n" + "".join(
            f"{name}:{columns}\n" for name in ["eth0", *(f"veth{number:07x}" for number in range(12))]))
        config = write_config(folder, NOWHERE, more="collectors: {enabled: [loadavg, meminfo, netdev]}\n")
        outcome = run_once("--config", str(config), "--dry-run", "--path.procfs", str(proc))
        diff = run_once("--config", str(config), "--dry-run", "--diff", "--path.procfs", str(proc))
    assert outcome.returncode == 0 and f"loadavg: {proc}/loadavg: expected 3 numbers" in outcome.stderr, outcome
    wanted = [f"# loadavg: failed: {proc}/loadavg: expected 3 numbers, got 'garbage'",
              f"# meminfo: no data here: cannot open {proc}/meminfo: No such file or directory",
              "# left out by collectors.netdev.device_*: " + ", ".join(f"veth{number:07x}" for number in range(10))
              + " and 2 more"]
    assert comments_of(outcome.stdout) == wanted, comments_of(outcome.stdout)
    assert diff.stdout.splitlines()[-3:] == wanted, diff.stdout[-2000:]


HOSTILE = b"/mnt/\x1b[2J\xc2\x9b31m\xe2\x80\xae"  # as a user may name a mount point of FUSE


def hostile_host(folder: pathlib.Path) -> pathlib.Path:
    """A /proc with a mount point that talks to terminals, and a file that does."""
    proc = folder / "proc"
    (proc / "1").mkdir(parents=True)
    line = b"31 1 0:30 / %s rw - %s /dev/fuse rw\n"
    mounts = line % (HOSTILE, b"fuse") + line % (b"/run/" + HOSTILE[5:], b"tmpfs")
    (proc / "1/mountinfo").write_bytes(mounts)
    (proc / "1/mounts").write_bytes(b"/dev/fuse %s fuse rw 0 0\n" % HOSTILE)
    (proc / "loadavg").write_bytes(b"\x1b[2J \xff\xc2\x9b " + bytes(30_000) + b"\n")
    return proc


def unprintable_in(text: str) -> list[str]:
    return sorted({character for character in text if character != "\n" and (
        unicodedata.category(character) == "Cc" or character in "\u2028\u2029\u202e")})


def what_a_user_named_goes_as_it_is_into_a_file_and_escaped_to_a_person() -> None:
    with temporary_folder() as folder:
        proc = hostile_host(folder)
        config = write_config(folder, NOWHERE, more="collectors: {enabled: [loadavg, filesystem], "
                                                    "filesystem: {mount_points_exclude: '^/run'}}\n")
        arguments = ("--config", str(config), "--dry-run", "--path.procfs", str(proc))
        piped = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                               check=False)
        diff = run_once(*arguments, "--diff")
        terminal = Terminal(*arguments)
        terminal.end()
    text = piped.stdout.decode()
    samples = "\n".join(line for line in text.split("\n") if not line.startswith("# "))
    assert f'mountpoint="{HOSTILE.decode()}"' in samples, f"not as it is sent: {text!r}"
    comments = comments_of(text)
    escaped = "\\x1b[2J\\u009b31m\\u202e"
    assert any("left out by collectors.filesystem.mount_points" in line and escaped in line
               for line in comments), comments
    assert any(line.startswith("# loadavg: failed: ") and "\\x00" in line for line in comments), comments
    for name, said in (("comments", "\n".join(comments)), ("stderr", piped.stderr.decode()), ("diff", diff.stdout),
                       # The log's own colours are no part of what it quotes.
                       ("a terminal", re.sub(r"\x1b\[[\d;]*m", "", terminal.said.replace("\r\n", "\n")))):
        assert not unprintable_in(said), f"{name}: {unprintable_in(said)}: {said!r}"
        assert max(map(len, said.splitlines()), default=0) < 9_000, f"{name}: a line without end"
    assert f'mountpoint="/mnt/{escaped}"' in terminal.said, terminal.said


def more_than_the_buffer_keeps_is_told() -> None:
    """Its labels are the larger part of a scrape: here 40 kB a series."""
    with temporary_folder() as folder:
        (folder / "proc/net").mkdir(parents=True)
        (folder / "proc/net/dev").write_text("Inter-|\n face |\n" + "".join(
            f"eth{number}:{' 1' * 16}\n" for number in range(60)))
        labels = "".join(f"  label_{number}: {'x' * 1000}\n" for number in range(40))
        config = write_config(folder, NOWHERE, more=f"collectors: {{enabled: [netdev]}}\nlabels:\n{labels}")
        outcome = run_once("--config", str(config), "--dry-run", "--path.procfs", str(folder / "proc"))
    assert outcome.returncode == 0, outcome.stderr
    last = outcome.stdout.splitlines()[-1]
    assert re.match(r"# dropped where it cannot be sent at once: all [\d,]+ samples of host: .* more than ", last), last


def a_collector_over_the_limit_of_series_is_left_out_and_says_so() -> None:
    with temporary_folder() as folder:
        devices = "".join(f"  tap{i}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n" for i in range(100))
        (folder / "proc/net").mkdir(parents=True)
        (folder / "proc/net/dev").write_text("Inter-| Receive | Transmit\n face |bytes |bytes\n" + devices)
        (folder / "proc/loadavg").write_text("0.20 0.18 0.12 1/80 11206\n")
        more = "series_max: 1000\ncollectors: {enabled: [loadavg, netdev]}\n"
        outcome = run_once("--config", str(write_config(folder, NOWHERE, more=more)), f"--path.procfs={folder}/proc",
                           "--dry-run")
    assert outcome.returncode == 0, outcome.stderr
    said = ("netdev: over the limit of 1,000 series (series_max): none of its samples is sent; leave out devices or "
            "mount points under collectors.netdev, or raise series_max")
    assert said in outcome.stderr, outcome.stderr
    assert "# netdev: failed: over the limit of 1,000 series" in outcome.stdout, outcome.stdout[-1000:]
    assert "node_network_" not in outcome.stdout, "samples of a collector that is left out"
    successes = {dict(labels)["collector"]: value
                 for (name, labels), value in parse_exposition(outcome.stdout).samples.items()
                 if name == "node_scrape_collector_success"}
    assert successes == {"loadavg": 1.0, "netdev": 0.0}, successes


run_checks(promtool_accepts_it, every_sample_carries_the_labels_of_its_server,
           every_family_has_help_and_type_and_every_collector_succeeds, it_needs_no_network,
           it_reads_the_host_where_it_is_told_to, it_shows_chosen_collectors_only,
           what_a_user_named_goes_as_it_is_into_a_file_and_escaped_to_a_person,
           diff_shows_what_changed_between_two_passes, what_is_not_there_is_told_in_comments,
           more_than_the_buffer_keeps_is_told, a_collector_over_the_limit_of_series_is_left_out_and_says_so)

"""The service under a real systemd: it starts, says how it is, and comes back from whatever ends it, with nothing lost.

BOOT_SUITE names another Debian than bookworm.
"""
import os
import re
import signal
import time
from typing import Iterable

from scratch import needs_root
from support.agent import temporary_folder
from support.check import run_checks
from support.container import Container, own_mounts
from support.exposition import parse_exposition
from support.process import free_port, poll_until
from support.receiver import Receiver, Request, receiving
from support.remote_write import Labels, Wire
from support.service import (configure, machine_with_agent, main_pid, messages, override, signal_main, start,
                             systemd_version, wait_until_restarted, wait_until_status)
from support.ticks import holes
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics
from support.write_message import post, series_1_0, snappy

BUFFER = "var/lib/msp-agent/buffer"
SUITE = os.environ.get("BOOT_SUITE", "bookworm")


def ticks_until(receiver: Receiver, count: int) -> list[int]:
    """Timestamps that arrived, once each, in order; at least `count` of them."""
    return poll_until(f"{count} ticks", lambda: (ticks := sorted(set(receiver.timestamps())))[count - 1:] and ticks)


def missing_ticks(machine: Container, receiver: Receiver, oldest_before: int) -> list[tuple[int, int]]:
    """Between which ticks some are missing, when nothing waits any more. A backlog comes behind the newest ticks, and
    after a random wait."""
    poll_until(f"ticks from before {oldest_before}", lambda: min(receiver.timestamps(), default=oldest_before) <
               oldest_before, 300)
    wait_until_status(machine, ", 0 behind")
    return holes(receiver.ticks())


def an_installed_and_configured_agent_delivers_to_victoria_metrics() -> None:
    with temporary_folder() as folder, running_victoria_metrics(folder) as server, machine_with_agent(SUITE) as machine:
        assert machine.property("ActiveState") == "inactive", "the agent runs before it was configured"
        configure(machine, server.url)
        start(machine)
        poll_until("samples", lambda: server.query('node_uname_info{server_name="web-01"}'))
        wait_until_status(machine, f'Status: "delivering to {server.url}, 0 behind"')
        status = machine.must("systemctl status --no-pager msp-agent")
        assert "Active: active (running)" in status and "enabled" in status, status
        said = messages(machine)
        wanted = r"msp-agent \S+: alpha/web-01: every 1 s \d+ collectors to " + re.escape(server.url)
        assert re.fullmatch(wanted, said[0]), said
        # This VictoriaMetrics is too old for zstd.
        assert all("gets prometheus-1.0 from now on" in line for line in said[1:]), f"a good start is one line: {said}"
        pid = main_pid(machine)
        process = machine.must(f"cat /proc/{pid}/status; stat -c '%U:%G %a' /var/lib/msp-agent /run/msp-agent")
        for wanted in ("CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "msp-agent:msp-agent 750"):
            assert wanted in process, f"{wanted} is not in: {process}"
        assert machine.must(f"ps -o user= -p {pid} 2>/dev/null || stat -c %U /proc/{pid}") == "msp-agent"
        it_becomes_a_relay_with_the_drop_in(machine, server)


def it_becomes_a_relay_with_the_drop_in(machine: Container, server: VictoriaMetrics) -> None:
    families = machine.property("RestrictAddressFamilies")
    port = free_port()
    configure(machine, server.url, more=f"listen: {{address: '127.0.0.1:{port}', receive: true, metrics: false}}\n")
    machine.must("mkdir -p /etc/systemd/system/msp-agent.service.d && "
                 "ln -s /usr/share/msp-agent/relay.conf /etc/systemd/system/msp-agent.service.d/ && "
                 "systemctl daemon-reload")
    # docs/relay.md: this port and no other.
    bind = ("SocketBindAllow=tcp:" + str(port), "SocketBindDeny=any") if systemd_version(machine) >= 249 else ()
    override(machine, *bind)
    # One before 249 cannot be asked in a container: it fails to determine the controllers.
    if systemd_version(machine) >= 249:
        said = machine.run("systemd-analyze verify --man=no msp-agent.service")
        assert said.returncode == 0 and not said.stdout + said.stderr, said
    machine.must("systemctl restart msp-agent")
    for name, value in (("MemoryMax", str(128 << 20)), ("LimitNOFILE", "16384"), ("CPUQuotaPerSecUSec", "1s"),
                        ("RestrictAddressFamilies", families)):
        assert machine.property(name) == value, f"{name}: {machine.property(name)}, not {value}"
    process = machine.must(f"cat /proc/{main_pid(machine)}/status /proc/{main_pid(machine)}/limits")
    for wanted in ("CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert wanted in process, f"{wanted} is not in: {process}"
    assert re.search(r"(?m)^Max open files +16384 +16384 ", process), process
    body = snappy(series_1_0([("__name__", "through_the_relay")], [(int(time.time() * 1000), 7)]))

    def taken() -> bool:  # refused until the port is open
        return post(port, Wire.PROMETHEUS_1_0, body)[0] == 204
    poll_until("a sender's samples are taken", taken)
    poll_until("what was relayed", lambda: server.query("through_the_relay"))


def killed_in_an_outage_it_comes_back_with_nothing_lost() -> None:
    port = free_port()
    with machine_with_agent(SUITE) as machine:
        override(machine, "RestartSec=1")
        configure(machine, f"http://127.0.0.1:{port}/api/v1/write")
        start(machine)  # although nobody listens
        wait_until_status(machine, f"cannot reach http://127.0.0.1:{port}/api/v1/write: ")
        first = int(time.time() * 1000)
        poll_until("samples on the disk, beside those in memory", lambda: list((machine.root / BUFFER).glob("*.seg")))
        before = main_pid(machine)
        killed = int(time.time() * 1000)
        signal_main(machine, signal.SIGKILL)
        gone = int(time.time() * 1000)
        wait_until_restarted(machine, before)
        assert machine.property("NRestarts") == "1", machine.journal()
        assert any("samples of an earlier run are kept" in line for line in messages(machine)), machine.journal()
        with receiving(port=port) as receiver:
            missing = missing_ticks(machine, receiver, first)
        assert all(a <= gone and killed <= b for a, b in missing), f"killed from {killed} to {gone}, missing: {missing}"


def a_process_that_stands_still_is_ended_by_the_watchdog_and_comes_back() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        override(machine, "WatchdogSec=10", "RestartSec=1")
        configure(machine, receiver.url, interval="1h")  # life between two ticks, too
        start(machine)
        pid = main_pid(machine)
        seen: set[str] = set()
        poll_until("three signs of life", lambda: seen.add(machine.property("WatchdogTimestampMonotonic")) or
                   len(seen) >= 3)
        assert main_pid(machine) == pid and machine.property("NRestarts") == "0", machine.journal()
        signal_main(machine, signal.SIGSTOP)
        wait_until_restarted(machine, pid)
        assert "Watchdog timeout" in machine.journal() and machine.property("NRestarts") == "1", machine.journal()
        wait_until_status(machine, ", 0 behind")


def a_reboot_and_no_network_at_boot_lose_nothing() -> None:
    port = free_port()
    with machine_with_agent(SUITE) as machine:
        configure(machine, f"http://127.0.0.1:{port}/api/v1/write")
        start(machine)
        wait_until_status(machine, "cannot reach")  # with a tick to be kept
        down = int(time.time() * 1000)
        machine.power_off()
        machine.boot("--private-network")  # nothing but a loopback where nobody listens
        wait_until_status(machine, "cannot reach")
        assert machine.property("ActiveState") == "active"
        machine.power_off()
        with receiving(port=port) as receiver:
            machine.boot()
            missing = missing_ticks(machine, receiver, down)
        assert len(missing) <= 2, f"more is missing than two reboots: {missing}"


def a_reload_tells_what_is_wrong_and_the_agent_goes_on() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        configure(machine, receiver.url)
        start(machine)
        pid = main_pid(machine)
        machine.must("systemctl reload msp-agent")
        config = machine.root / "etc/msp-agent.yaml"
        config.write_text(config.read_text().replace("customer_id", "customer_di"))
        outcome = machine.run("systemctl reload msp-agent")
        assert outcome.returncode != 0, "a bad configuration is reloaded"
        assert "/etc/msp-agent.yaml:1:1: customer_di: unknown key" in machine.journal(), machine.journal()
        assert machine.property("ActiveState") == "active" and main_pid(machine) == pid
        seen = len(receiver.timestamps())
        ticks_until(receiver, seen + 2)


def filesystem_series(samples: Iterable[tuple[str, Labels, float]]) -> dict[tuple[str, Labels], float]:
    """Values by name and labels, without the target's own labels; an empty label is none."""
    own = ("device", "mountpoint", "fstype", "device_error", "major", "minor")
    return {(name, tuple(pair for pair in labels if pair[0] in own and pair[1])): value
            for name, labels, value in samples if name.startswith("node_filesystem_")}


def with_filesystems(receiver: Receiver) -> Request | None:
    """The first one may hold the scrape of another source alone."""
    for request in list(receiver.requests):
        if any(series.name.startswith("node_filesystem_") for series in request.series):
            return request
    return None


def filesystems_read_in_the_unit_as_they_do_outside() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        # Whatever is mounted, wherever. Only what is below /dev, /proc and /run/credentials, which nobody reports,
        # systemd hides from a service.
        configure(machine, receiver.url, interval="1h", more="collectors:\n  filesystem:\n"
                  "    mount_points_exclude: '^/(dev|proc/|run/credentials/)'\n    fs_types_exclude: ''\n")
        for place, size in (("home/customer", "3m"), ("tmp/inside", "5m"), ("var/tmp/inside", "7m"), ("srv/a b", "9m")):
            machine.must(f"mkdir -p '/{place}' && mount -t tmpfs -o size={size} t '/{place}'")
        machine.must("mount -o remount,ro '/srv/a b'")
        start(machine)
        request = poll_until("a request with filesystems", lambda: with_filesystems(receiver))
        inside = filesystem_series((series.name, series.labels, series.samples[0][1])
                                   for series in request.series if series.samples)
        text = machine.must("setpriv --reuid msp-agent --regid msp-agent --clear-groups msp-agent --dry-run")
        outside = filesystem_series((name, labels, value)
                                    for (name, labels), value in parse_exposition(text).samples.items())
        assert len(outside) > 50, f"only {len(outside)} series"
        moving = {"node_filesystem_free_bytes", "node_filesystem_avail_bytes", "node_filesystem_files_free"}
        assert sorted(inside) == sorted(outside), f"not the same series: {set(inside) ^ set(outside)}"
        for key, value in outside.items():
            # Of others the whole host makes free and uses; into these four nobody writes.
            if key[0] not in moving or ("device", "t") in key[1]:
                assert inside[key] == value, f"{key}: {inside[key]} inside, {value} outside"
        for place, read_only in (("/srv/a b", 1), ("/home/customer", 0), ("/tmp/inside", 0)):
            key = "node_filesystem_readonly", (("device", "t"), ("fstype", "tmpfs"), ("mountpoint", place))
            assert inside[key] == read_only, f"{key}: {inside[key]}"


def a_mount_that_a_drop_in_hides_has_no_numbers() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        override(machine, "PrivateTmp=yes", "TemporaryFileSystem=/opt")
        configure(machine, receiver.url, interval="1h", more="collectors:\n  filesystem:\n"
                  "    mount_points_exclude: '^/(proc|run/credentials)/'\n    fs_types_exclude: ''\n")
        for place in ("tmp/inside", "opt/inside", "srv/inside"):
            machine.must(f"mkdir -p /{place} && mount -t tmpfs -o size=5m t /{place}")
        start(machine)
        request = poll_until("a request with filesystems", lambda: with_filesystems(receiver))
        inside = filesystem_series((series.name, series.labels, series.samples[0][1])
                                   for series in request.series if series.samples)
        text = machine.must("setpriv --reuid msp-agent --regid msp-agent --clear-groups msp-agent --dry-run")
        outside = filesystem_series((name, labels, value)
                                    for (name, labels), value in parse_exposition(text).samples.items())
        for name in ("node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly"):
            for key in (key for key in inside if key[0] == name and "device_error" not in dict(key[1])):
                assert inside[key] == outside[key], f"{key}: {inside[key]} inside, {outside[key]} outside"
        hidden = {dict(labels)["mountpoint"] for (name, labels), value in inside.items()
                  if name == "node_filesystem_device_error" and value == 1 and "hidden" in str(labels)}
        assert hidden == {"/dev", "/tmp/inside", "/opt/inside"}, hidden


def what_keeps_failing_is_tried_again_with_growing_pauses() -> None:
    with machine_with_agent(SUITE) as machine:
        configure(machine, "http://127.0.0.1:9/api/v1/write")
        machine.must("ln -sf /bin/false /usr/bin/msp-agent.new && mv -T /usr/bin/msp-agent.new /usr/bin/msp-agent")
        override(machine, "RestartSec=1")
        machine.run("systemctl enable --now msp-agent")
        poll_until("three more starts", lambda: int(machine.property("NRestarts")) >= 3)
        assert machine.property("ActiveState") in ("activating", "deactivating"), machine.journal()  # not given up
        if systemd_version(machine) >= 254:
            shown = machine.must("systemctl show -p RestartSteps -p RestartMaxDelayUSec msp-agent")
            assert shown.splitlines() == ["RestartSteps=6", "RestartMaxDelayUSec=5min"], shown
        warnings = machine.says("journalctl --no-pager -b -o cat _PID=1 | grep -F msp-agent.service:")
        assert "Unknown" not in warnings, warnings


def a_renamed_host_is_one_server_with_a_new_nodename() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        configure(machine, receiver.url)
        start(machine)
        ticks_until(receiver, 2)
        machine.must("hostname renamed-host")

        def renamed() -> dict[str, str] | None:
            for request in receiver.accepted():
                for series in request.series:
                    labels = dict(series.labels)
                    if series.name == "node_uname_info" and labels["nodename"] == "renamed-host" and series.samples:
                        return labels
            return None
        labels = poll_until("the new name in node_uname_info", renamed)
        assert labels["server_name"] == "web-01", f"another server: {labels}"


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (an_installed_and_configured_agent_delivers_to_victoria_metrics,
                                 killed_in_an_outage_it_comes_back_with_nothing_lost,
                                 a_process_that_stands_still_is_ended_by_the_watchdog_and_comes_back,
                                 a_reboot_and_no_network_at_boot_lose_nothing,
                                 a_reload_tells_what_is_wrong_and_the_agent_goes_on,
                                 filesystems_read_in_the_unit_as_they_do_outside,
                                 a_mount_that_a_drop_in_hides_has_no_numbers,
                                 what_keeps_failing_is_tried_again_with_growing_pauses,
                                 a_renamed_host_is_one_server_with_a_new_nodename)))

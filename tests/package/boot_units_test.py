"""The collector systemd under a real systemd: a unit that fails is seen, a restart is counted, a service has its CPU
and memory; a system bus that is absent, hangs or talks nonsense costs this collector, and no tick."""
import contextlib
import os
import socket
import threading
import time
from typing import Iterator

from scratch import needs_root
from support.check import run_checks
from support.container import Container, own_mounts
from support.process import poll_until
from support.receiver import Receiver, receiving
from support.service import configure, machine_with_agent, messages, start
from support.ticks import holes

SUITE = os.environ.get("BOOT_SUITE", "bookworm")
COLLECTOR = r"""collectors:
  enabled: [loadavg, systemd]
  systemd:
    units_include: '^(web|flaky)\.service$'
    query_interval: 5s
"""
UNITS = {
    "web": "[Service]\nType=exec\nExecStart=/bin/sh -c 'while :; do :; done'\nCPUQuota=5%\nMemoryAccounting=yes\n",
    "flaky": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=500ms\n",
    "broken": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
}
SOCKET = "run/dbus/system_bus_socket"


@contextlib.contextmanager
def machine_that_asks(url: str, bus: bool = True) -> Iterator[Container]:
    with machine_with_agent(SUITE) as machine:
        for name, unit in UNITS.items():
            (machine.root / f"etc/systemd/system/{name}.service").write_text(unit)
        machine.must("mkdir -p /etc/systemd/system/msp-agent.service.d && "
                     "ln -s /usr/share/msp-agent/unix-sockets.conf /etc/systemd/system/msp-agent.service.d/ && "
                     "systemctl daemon-reload")
        if not bus:
            machine.must("systemctl stop dbus.socket dbus.service")
        configure(machine, url, more=COLLECTOR)
        yield machine


def newest(receiver: Receiver, metric: str, /, **labels: str) -> float | None:
    """The newest value of the series with these labels; none where there is none, or it has ended."""
    found: dict[int, float | None] = {}
    for request in receiver.accepted():
        for series in request.series:
            if series.name == metric and labels.items() <= dict(series.labels).items():
                found |= dict(series.samples) | dict.fromkeys(series.stale)
    return found[max(found)] if found else None


def until(receiver: Receiver, wanted: float | None, metric: str, /, **labels: str) -> None:
    poll_until(f"{metric}{labels} {wanted}", lambda: newest(receiver, metric, **labels) == wanted)


def no_tick_is_missing(receiver: Receiver, since_ms: float) -> None:
    def ticks() -> dict[int, float]:
        return {at: skipped for at, skipped in receiver.ticks().items() if at >= since_ms}
    poll_until("six ticks", lambda: len(ticks()) > 5)
    assert not holes(ticks()), f"ticks are missing: {holes(ticks())} of {sorted(ticks())}"


def failed_units_restarts_and_what_services_use_are_seen() -> None:
    with receiving() as receiver, machine_that_asks(receiver.url) as machine:
        machine.must("systemctl start web flaky")
        machine.run("systemctl start broken")
        start(machine)
        until(receiver, 1, "node_systemd_unit_state", name="broken.service", state="failed", type="oneshot")
        until(receiver, 0, "node_systemd_unit_state", name="broken.service", state="active")
        until(receiver, 1, "node_systemd_unit_state", name="web.service", state="active", type="exec")
        until(receiver, 0, "node_systemd_system_running")
        assert newest(receiver, "node_systemd_units", state="failed") == \
            len(machine.must("systemctl --failed --no-legend --plain").splitlines())
        version = machine.must("systemctl --version").split("(")[1].split(")")[0]
        assert newest(receiver, "node_systemd_version", version=version) == float(version.split("-")[0]), version
        assert newest(receiver, "node_systemd_service_restart_total", name="web.service") == 0
        before = newest(receiver, "node_systemd_service_restart_total", name="flaky.service")
        poll_until("another restart", lambda: (newest(receiver, "node_systemd_service_restart_total",
                                                      name="flaky.service") or 0) > before)
        assert newest(receiver, "node_systemd_service_restart_total", name="flaky.service") <= \
            int(machine.property("NRestarts", "flaky"))
        used = poll_until("some CPU", lambda: newest(receiver, "msp_agent_unit_cpu_seconds_total", name="web.service"))
        poll_until("more CPU", lambda: (newest(receiver, "msp_agent_unit_cpu_seconds_total", name="web.service")
                                        or 0) > used)
        # A host whose memory controller belongs to control groups of version 1 accounts for none in the container.
        has_memory = machine.run("test -e /sys/fs/cgroup/system.slice/web.service/memory.current").returncode == 0

        def memory_is_sane() -> bool:
            memory, working_set = (newest(receiver, f"msp_agent_unit_memory_{name}_bytes", name="web.service")
                                   for name in ("usage", "working_set"))
            if has_memory:
                assert memory and working_set and 0 < working_set <= memory < 100 << 20, (working_set, memory)
            else:
                assert memory is None and working_set is None, (working_set, memory)
            return True
        poll_until("memory", memory_is_sane)
        # What has recovered and is not wanted otherwise ends.
        machine.must("systemctl stop flaky && systemctl reset-failed broken")
        until(receiver, None, "node_systemd_unit_state", name="broken.service", state="failed")
        until(receiver, 1, "node_scrape_collector_success", collector="systemd")
        # On a busy machine an answer may come after the tick that it is for.
        # A bus that is late on a busy machine is told once, and so is that it has answered again.
        said = [line for line in messages(machine) if "systemd has not answered yet" not in line]
        late = ["no answer within" in line for line in said[1:]]
        assert late == [True, False] * (len(late) // 2), said
        assert all(is_late or "systemd: works again" in line for is_late, line in zip(late, said[1:])), said


def without_the_drop_in_the_log_says_what_is_missing() -> None:
    with receiving() as receiver, machine_that_asks(receiver.url) as machine:
        machine.must("rm /etc/systemd/system/msp-agent.service.d/unix-sockets.conf && systemctl daemon-reload")
        start(machine)
        until(receiver, 0, "node_scrape_collector_success", collector="systemd")
        until(receiver, 1, "node_scrape_collector_success", collector="loadavg")
        said = [line for line in messages(machine) if "systemd" in line and "has not answered yet" not in line]
        assert len(said) == 1 and "the agent's unit allows it no unix sockets; docs/systemd.md" in said[0], said


def a_bus_that_is_absent_costs_only_this_collector() -> None:
    with receiving() as receiver, machine_that_asks(receiver.url, bus=False) as machine:
        began = time.time() * 1000
        start(machine)
        until(receiver, 0, "node_scrape_collector_success", collector="systemd")
        until(receiver, 1, "node_scrape_collector_success", collector="loadavg")
        machine.must("systemctl start dbus.socket")
        until(receiver, 1, "node_scrape_collector_success", collector="systemd")
        no_tick_is_missing(receiver, began + 1000)


class BadBus:
    """In the place of the container's bus: says `said` to each client, then nothing, until it is closed."""

    def __init__(self, machine: Container, said: bytes):
        self._path = f"/proc/{machine.leader()}/root/{SOCKET}"  # the container's /run is a mount of its own
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._path)
        os.chmod(self._path, 0o666)
        self._listener.listen(8)
        self._said = said
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                with contextlib.suppress(OSError):  # one that is gone already
                    client.sendall(self._said)

    @property
    def clients(self) -> int:
        return len(self._clients)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for client in self._clients:
            client.close()
        self._listener.close()
        os.unlink(self._path)


def a_bus_in_bad_hands_costs_only_this_collector() -> None:
    for said, wanted in ((b"", "no answer within 2000 ms"),
                         (b"\x00\xff" * 600, "sends a line that does not end"),
                         (b"DATA\r\nOK 1234\r\n" + b"\xff" * 64, "sends bytes that are no D-Bus message")):
        with receiving() as receiver, machine_that_asks(receiver.url, bus=False) as machine:
            bad = BadBus(machine, said)
            try:
                began = time.time() * 1000
                start(machine)
                poll_until("three questions", lambda: bad.clients >= 3)
                until(receiver, 0, "node_scrape_collector_success", collector="systemd")
                until(receiver, 1, "node_scrape_collector_success", collector="loadavg")
                no_tick_is_missing(receiver, began + 1000)
                poll_until(f"'{wanted}' in the journal", lambda: any(wanted in line for line in messages(machine)))
                threads = machine.must("ls /proc/$(systemctl show -P MainPID msp-agent)/task | wc -l")
                assert int(threads) <= 5, f"{threads} threads"
            finally:
                bad.close()
            machine.must("systemctl start dbus.socket")
            until(receiver, 1, "node_scrape_collector_success", collector="systemd")


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (failed_units_restarts_and_what_services_use_are_seen,
                                 without_the_drop_in_the_log_says_what_is_missing,
                                 a_bus_that_is_absent_costs_only_this_collector,
                                 a_bus_in_bad_hands_costs_only_this_collector)))

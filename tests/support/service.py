"""The agent as a service of a booted container: installed, configured, looked at."""
import contextlib
import os
import pathlib
import shutil
import signal
from typing import Iterator

from support.agent import BINARY, CUSTOMER, ROOT
from support.container import Container, container
from support.process import poll_until

CONFIG = "etc/msp-agent.yaml"
BACKOFF_SINCE = 254  # the systemd that knows RestartSteps


def install(machine: Container) -> None:
    """From the build tree, as the packages do it. The machine may be booted or not."""
    unit_folder = machine.root / "usr/lib/systemd/system"
    copy(BINARY, machine.root / "usr/bin/msp-agent", 0o755)
    copy(ROOT / "systemd/msp-agent.service", unit_folder / "msp-agent.service")
    copy(ROOT / "systemd/msp-agent.sysusers", machine.root / "usr/lib/sysusers.d/msp-agent.conf")
    for name in ("raw-sockets.conf", "relay.conf", "restart-backoff.conf", "unix-sockets.conf",
                 "without-namespaces.conf"):
        copy(ROOT / "systemd" / name, machine.root / "usr/share/msp-agent" / name)
    if systemd_version(machine) >= BACKOFF_SINCE:
        link = unit_folder / "msp-agent.service.d/restart-backoff.conf"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to("/usr/share/msp-agent/restart-backoff.conf")
    if not (machine.root / CONFIG).exists():
        copy(ROOT / "etc/msp-agent.yaml", machine.root / CONFIG, 0o640)


def copy(source: pathlib.Path | str, target: pathlib.Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")  # a program that runs cannot be written over
    shutil.copy(source, new)
    new.chmod(mode)
    new.rename(target)


def systemd_version(machine: Container) -> int:
    library = next((machine.root / "usr/lib/systemd").glob("libsystemd-shared-*.so"), None)
    library = library or next(machine.root.glob("usr/lib/*/systemd/libsystemd-shared-*.so"))
    return int(library.stem.removeprefix("libsystemd-shared-").split(".")[0])


def configure(machine: Container, url: str, interval: str = "1s", server: str = "web-01", more: str = "") -> None:
    """The operator's edit: the rest of the file stays as it was shipped."""
    (machine.root / CONFIG).write_text(f"""customer_id: {CUSTOMER}
server_name: {server}
interval: {interval}
{more}remote_write:
  url: {url}
""")


@contextlib.contextmanager
def machine_with_agent(suite: str, *options: str) -> Iterator[Container]:
    """A booted machine with the agent installed, and neither configured nor started."""
    with container(suite) as machine:
        install(machine)
        machine.boot(*options)
        machine.must("systemd-sysusers && chgrp msp-agent /etc/msp-agent.yaml && systemctl daemon-reload")
        yield machine


def override(machine: Container, *lines: str) -> None:
    """Settings of [Service] that differ in this test."""
    drop_in = machine.root / "etc/systemd/system/msp-agent.service.d/test.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("\n".join(("[Service]",) + lines) + "\n")
    machine.must("systemctl daemon-reload")


def start(machine: Container) -> None:
    machine.must("systemctl enable --quiet --now msp-agent")


def main_pid(machine: Container) -> int:
    return int(machine.property("MainPID"))


def signal_main(machine: Container, number: signal.Signals) -> None:
    os.kill(machine.pid_outside(main_pid(machine)), number)


def wait_until_status(machine: Container, text: str) -> None:
    """Until `systemctl status` has a Status: line with `text`."""
    def there() -> bool:
        lines = machine.says("systemctl status --no-pager msp-agent").splitlines()
        status = [line.strip() for line in lines if line.strip().startswith("Status:")]
        assert any(text in line for line in status), f"status says {status}"
        return True
    poll_until(f"status '{text}'", there)


def wait_until_restarted(machine: Container, before: int) -> None:
    """Until another process than `before` is the service, and ready."""
    def there() -> bool:
        assert machine.property("ActiveState") == "active", machine.property("ActiveState")
        return main_pid(machine) not in (0, before)
    poll_until("the service comes back", there)


def messages(machine: Container) -> list[str]:
    """What the agent itself said, a line each, without time and host."""
    machine.must("journalctl --sync")
    return machine.says("journalctl --no-pager -o cat _SYSTEMD_UNIT=msp-agent.service").splitlines()

"""The .deb in a booted machine, by real apt from the signed repository: installed, upgraded and downgraded while it
delivers and while it cannot, removed, purged.
"""
import contextlib
import os
import shutil
import time
from typing import Iterator

from scratch import must, needs_root, packages, repository
from support.check import run_checks
from support.container import Container, container, own_mounts
from support.process import free_port, poll_until
from support.receiver import receiving
from support.service import CONFIG, configure, main_pid, start, wait_until_status
from support.ticks import holes

SUITE = os.environ.get("BOOT_SUITE", "bookworm")
NEWER = "0.2.0"
BUFFER = "var/lib/msp-agent/buffer"
LEFT = "find / -xdev -name '*msp*agent*' -not -path '/srv/*' -not -path '/var/lib/apt/*' -not -path '/var/cache/*' " \
       "-not -path '/usr/share/keyrings/*' -not -path '/proc/*' -not -path '/sys/*'"


@contextlib.contextmanager
def machine_with_repository() -> Iterator[Container]:
    """A booted machine whose apt knows the signed repository and no other."""
    with repository(packages("*.deb")) as repo, container(SUITE) as machine:
        outcome = repo.publish(packages("*.deb", "newer"))
        assert outcome.returncode == 0, outcome.stdout
        shutil.copytree(repo.path, machine.root / "srv/repository")
        shutil.copy(repo.path / "msp-agent.asc", machine.root / "usr/share/keyrings/msp-agent.asc")
        for path in (machine.root / "etc/apt/sources.list.d").glob("*"):
            path.unlink()
        (machine.root / "etc/apt/sources.list").write_text(
            "deb [signed-by=/usr/share/keyrings/msp-agent.asc] file:/srv/repository/apt stable main\n")
        machine.boot()
        machine.must("apt-get -q update")
        yield machine


def apt(machine: Container, what: str) -> None:
    machine.must("apt-get -q -y --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confdef "
                 f"-o Dpkg::Options::=--force-confold {what}", 600)


def version() -> str:
    return must("dpkg-deb", "--field", str(packages("*.deb")), "Version").strip()


def upgrades_and_downgrades_lose_no_sample_and_keep_the_configuration() -> None:
    port = free_port()
    with machine_with_repository() as machine:
        apt(machine, f"install msp-agent={version()}")
        assert machine.property("ActiveState") == "inactive" and machine.property("UnitFileState") == "disabled"
        configure(machine, f"http://127.0.0.1:{port}/api/v1/write")
        edited = (machine.root / CONFIG).read_text()
        start(machine)
        changes = []
        # While nobody listens, what was collected before each change has to live through all of them.
        for wanted in (NEWER, version()):
            poll_until("samples on the disk", lambda: list((machine.root / BUFFER).glob("*.seg")))
            before = main_pid(machine)
            began = time.time() * 1000
            apt(machine, f"install msp-agent={wanted}")
            changes.append((began, time.time() * 1000))
            poll_until("the other version runs", lambda: main_pid(machine) not in (0, before))
            assert (machine.root / CONFIG).read_text() == edited, "the configuration was replaced"
        assert machine.property("UnitFileState") == "enabled"
        with receiving(port=port) as receiver:
            wait_until_status(machine, ", 0 behind")
            # And while it delivers.
            before = main_pid(machine)
            began = time.time() * 1000
            apt(machine, f"install msp-agent={NEWER}")
            changes.append((began, time.time() * 1000))
            poll_until("the newer version runs", lambda: main_pid(machine) not in (0, before))
            end = time.time() * 1000 + 2000
            poll_until("ticks after it", lambda: max(receiver.timestamps()) > end)
            ticks = receiver.ticks()
        assert min(ticks) < changes[0][0], "what was collected before the first upgrade is gone"
        missing = holes(ticks)
        for a, b in missing:
            assert any(a < ended and began < b for began, ended in changes), \
                f"ticks are missing from {a} to {b}, where nothing was changed: {changes}"
        assert len(missing) <= len(changes), f"{missing} are more gaps than {changes}"


def removed_it_is_stopped_and_purged_it_leaves_nothing() -> None:
    with receiving() as receiver, machine_with_repository() as machine:
        before = machine.must(LEFT)
        apt(machine, "install msp-agent")
        configure(machine, receiver.url)
        # A host that cannot make the sandbox has a drop-in from the unit.
        machine.must("mount -t tmpfs -o ro t /tmp")
        machine.run("systemctl enable --now msp-agent")
        poll_until("a request", lambda: receiver.requests)
        machine.must("umount /tmp && test -L /run/systemd/system/msp-agent.service.d/without-namespaces.conf")
        pid = main_pid(machine)
        apt(machine, "remove msp-agent")
        assert machine.run("ls /run/systemd/system/msp-agent.service.d").returncode != 0, "the drop-in is still there"
        assert machine.run(f"test -e /proc/{pid}").returncode != 0, "it still runs"
        assert (machine.root / CONFIG).exists(), "the configuration went with a mere removal"
        assert machine.run("test -d /var/lib/msp-agent/buffer").returncode == 0, "the buffer went with a mere removal"
        apt(machine, "purge msp-agent")
        assert machine.must(LEFT) == before, machine.must(LEFT)
        assert machine.run("getent passwd msp-agent || getent group msp-agent").returncode != 0
        assert machine.property("LoadState") == "not-found"
        assert "msp-agent" not in machine.must("systemctl --failed --all --no-pager")


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (upgrades_and_downgrades_lose_no_sample_and_keep_the_configuration,
                                 removed_it_is_stopped_and_purged_it_leaves_nothing)))

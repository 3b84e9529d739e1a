"""The package msp-agent-textfile in a booted Debian: installed from the .deb, its timers and hardened units run apt for
real, and the agent delivers what comes of it; removed, it leaves nothing."""
import os
import re
import shutil

from scratch import needs_root, packages
from support.check import run_checks
from support.container import Container, own_mounts
from support.process import poll_until
from support.receiver import receiving
from support.service import configure, machine_with_agent, start

SUITE = os.environ.get("BOOT_SUITE", "bookworm")
FILES = "/var/lib/msp-agent-textfile"
PRODUCERS = ("containers", "smart", "updates")
# A newer base-files than the installed one, which "fixes security".
RELEASE = """Origin: Debian-Security
Label: Debian-Security
Suite: stable-security
Codename: bookworm-security
Version: 12
"""


def install(machine: Container) -> None:
    deb = packages("msp-agent-textfile*.deb")
    shutil.copy(deb, machine.root / "root" / deb.name)
    machine.must(f"dpkg --install /root/{deb.name}")


def series_of(machine: Container, producer: str) -> dict[str, float]:
    text = (machine.root / f"{FILES.lstrip('/')}/{producer}.prom").read_text()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def offer_an_update(machine: Container) -> None:
    """A repository in the machine's own files, with one package that is newer."""
    folder = machine.root / "srv/security"
    folder.mkdir(parents=True)
    (machine.root / "root/update/DEBIAN").mkdir(parents=True)
    (machine.root / "root/update/DEBIAN/control").write_text(
        "Package: base-files\nVersion: 99\nArchitecture: all\nMaintainer: a\nEssential: yes\nDescription: newer\n")
    machine.must("dpkg-deb --build /root/update /srv/security/base-files_99_all.deb")
    size = (folder / "base-files_99_all.deb").stat().st_size
    sums = machine.must("cd /srv/security && sha256sum *.deb").split()[0]
    index = (f"Package: base-files\nVersion: 99\nArchitecture: all\nMaintainer: a\nEssential: yes\n"
             f"Filename: ./base-files_99_all.deb\nSize: {size}\nSHA256: {sums}\nDescription: newer\n\n")
    (folder / "Packages").write_text(index)
    packages_sum = machine.must("sha256sum /srv/security/Packages").split()[0]
    (folder / "Release").write_text(f"{RELEASE}SHA256:\n {packages_sum} {len(index)} Packages\n")
    for path in (machine.root / "etc/apt/sources.list.d").glob("*"):
        path.unlink()
    (machine.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/security ./\n")
    machine.must("apt-get -q update")


def installed_it_starts_nothing_and_enabled_it_tells_the_updates() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        install(machine)
        assert not list((machine.root / FILES.lstrip("/")).iterdir())
        for name in PRODUCERS:
            assert machine.property("UnitFileState", f"msp-agent-textfile-{name}.timer") == "disabled"
        machine.must("systemctl start msp-agent-textfile-updates")
        before = series_of(machine, "updates")
        assert before['msp_agent_updates_security_pending{manager="apt"}'] == 0, before
        offer_an_update(machine)
        machine.must("systemctl enable --quiet --now msp-agent-textfile-updates.timer && "
                     "systemctl start msp-agent-textfile-updates")
        after = series_of(machine, "updates")
        assert after['msp_agent_updates_pending{manager="apt"}'] == 1, after
        assert after['msp_agent_updates_security_pending{manager="apt"}'] == 1, after
        machine.must("touch /run/reboot-required && systemctl start msp-agent-textfile-updates")
        assert series_of(machine, "updates")["msp_agent_reboot_required"] == 1
        # A run that fails leaves the file, and systemd says why.
        written = (machine.root / f"{FILES.lstrip('/')}/updates.prom").stat().st_mtime_ns
        machine.must("mv /var/lib/dpkg/status /var/lib/dpkg/status.away")
        machine.run("printf 'garbage\\n' >/var/lib/dpkg/status")
        assert machine.run("systemctl start msp-agent-textfile-updates").returncode != 0
        machine.must("mv /var/lib/dpkg/status.away /var/lib/dpkg/status")
        assert (machine.root / f"{FILES.lstrip('/')}/updates.prom").stat().st_mtime_ns == written
        assert "updates: apt-get -s dist-upgrade: " in machine.journal("msp-agent-textfile-updates")

        configure(machine, receiver.url)
        start(machine)
        poll_until("the updates at the centre", lambda: any(
            series.name == "msp_agent_updates_security_pending" and dict(series.labels)["server_name"] == "web-01"
            and series.samples[-1][1] == 1 for request in receiver.accepted() for series in request.series
            if series.samples))


def what_a_host_does_not_have_makes_no_file_and_no_failed_unit() -> None:
    with machine_with_agent(SUITE) as machine:
        install(machine)
        machine.must("systemctl start msp-agent-textfile-containers msp-agent-textfile-smart")
        assert not list((machine.root / FILES.lstrip("/")).iterdir())
        assert not machine.must("systemctl --failed --no-legend --plain")


def systemd_understands_every_line_of_the_units() -> None:
    with machine_with_agent(SUITE) as machine:
        install(machine)
        units = " ".join(f"/usr/lib/systemd/system/msp-agent-textfile-{name}.{kind}" for name in PRODUCERS
                         for kind in ("service", "timer"))
        outcome = machine.run(f"systemd-analyze verify --man=no {units}")
        assert outcome.returncode == 0 and not (outcome.stdout + outcome.stderr), outcome
        shown = machine.must("systemd-analyze security --no-pager " +
                             " ".join(f"msp-agent-textfile-{name}.service" for name in ("updates",)) + " | tail -1")
        exposure = float(re.search(r"([\d.]+) [A-Z]+", shown)[1])
        print(f"msp-agent-textfile-updates: {exposure}")
        assert exposure < 5, shown


def removed_it_leaves_nothing() -> None:
    with machine_with_agent(SUITE) as machine:
        looked = "find / -xdev -name '*msp-agent-textfile*' -not -path '/root/*' -not -path '/proc/*' | sort"
        before = machine.must(looked)
        install(machine)
        machine.must("systemctl enable --quiet --now msp-agent-textfile-updates.timer && "
                     "systemctl start msp-agent-textfile-updates")
        machine.must("dpkg --purge msp-agent-textfile")
        assert machine.must(looked) == before, machine.must(looked)
        assert "msp-agent-textfile" not in machine.must("systemctl list-units --all --no-pager --plain")


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (installed_it_starts_nothing_and_enabled_it_tells_the_updates,
                                 what_a_host_does_not_have_makes_no_file_and_no_failed_unit,
                                 systemd_understands_every_line_of_the_units,
                                 removed_it_leaves_nothing)))

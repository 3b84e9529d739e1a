"""The tasks of apt and of dnf in the kit's Ansible role, for real: from a signed repository, on a root that is this
host's, with all that is written lying above it. Ansible enters it where it would use ssh. No service runs there:
tests/integration/central_role_test.py has agents that run."""
import pathlib
import re
import shutil

from scratch import ScratchRoot, must, needs_root, packages, repository, root_for_rpm, scratch_root
from support.agent import ROOT, temporary_folder
from support.check import run_checks

PLAYBOOK = str(ROOT / "etc/central/ansible/upgrade.yml")
NEWER = "0.2.0"
ENTER = """#!/bin/sh
while [ $# -gt 2 ]; do shift; done
exec {shell} sh -c "$2"
"""


class Host:
    """`manager` is the one that the role finds."""

    def __init__(self, root: ScratchRoot, folder: pathlib.Path, manager: str):
        self._root, self._manager = root, manager
        enter = folder / "ssh"
        enter.write_text(ENTER.replace("{shell}", root.shell()))
        enter.chmod(0o700)
        self._inventory = folder / "inventory"
        self._inventory.write_text(f"host ansible_ssh_executable={enter} ansible_python_interpreter=/usr/bin/python3\n")

    def take(self, version: str) -> int:
        """How many tasks have changed something."""
        said = must("ansible-playbook", "-i", str(self._inventory), "--tags", "package",
                    "-e", f"msp_agent_version={version}", "-e", "msp_agent_become=false",
                    "-e", f"ansible_pkg_mgr={self._manager}", PLAYBOOK,
                    env={"ANSIBLE_PIPELINING": "1", "ANSIBLE_HOST_KEY_CHECKING": "0", "LC_ALL": "C.UTF-8",
                         "ANSIBLE_NOCOLOR": "1"})
        return int(re.search(r"changed=(\d+)", said)[1])


def rolls_out_and_back(root: ScratchRoot, host: Host, old: str, installed, upgrade: tuple[str, ...]) -> None:
    assert host.take(old) > 0 and installed() == old
    assert host.take(old) == 0, "the same version again changes something"
    root.must(*upgrade)
    assert installed() == old, "an upgrade of the host brings another version"
    for wanted in (NEWER, old):
        host.take(wanted)
        assert installed() == wanted
        root.must(*upgrade)
        assert installed() == wanted, "it is not held"


@needs_root
def apt_takes_the_version_and_is_held_there() -> None:
    with repository(packages("*.deb"), packages("*.deb", "newer")) as repo, temporary_folder() as folder, \
            scratch_root(pathlib.Path("/")) as root:
        shutil.copytree(repo.path, root.upper / "srv/repository", dirs_exist_ok=True)
        root.must("sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d && dpkg --purge msp-agent")
        root.put("usr/share/keyrings/msp-agent.asc", (repo.path / "msp-agent.asc").read_text())
        root.put("etc/apt/sources.list",
                 "deb [signed-by=/usr/share/keyrings/msp-agent.asc] file:/srv/repository/apt stable main\n")
        old = must("dpkg-deb", "--field", str(packages("*.deb")), "Version").strip()
        rolls_out_and_back(root, Host(root, folder, "apt"), old,
                           lambda: root.must("dpkg-query", "-W", "-f", "${Version}", "msp-agent"),
                           ("apt-get", "-q", "-y", "upgrade"))


@needs_root
def dnf_takes_the_version_and_is_held_there() -> None:
    with repository(packages("*.rpm"), packages("*.rpm", "newer")) as repo, temporary_folder() as folder, \
            scratch_root(pathlib.Path("/")) as root:
        root_for_rpm(root)
        shutil.copytree(repo.path, root.upper / "srv/repository", dirs_exist_ok=True)
        root.put("etc/dnf/dnf.conf", "[main]\ngpgcheck=1\ninstall_weak_deps=0\n")
        root.put("etc/dnf/vars/releasever", "9\n")
        root.put("etc/yum.repos.d/msp-agent.repo", """[msp-agent]
name=msp-agent
baseurl=file:///srv/repository/yum/$basearch
gpgkey=file:///srv/repository/msp-agent.asc
gpgcheck=1
repo_gpgcheck=1
metadata_expire=0
""")
        old = must("rpm", "-qp", "--nosignature", "--queryformat", "%{VERSION}", str(packages("*.rpm"))).strip()
        rolls_out_and_back(root, Host(root, folder, "dnf"), old,
                           lambda: root.must("rpm", "-q", "--queryformat", "%{VERSION}", "msp-agent"),
                           ("dnf", "-y", "upgrade"))


if shutil.which("ansible-playbook") is None:
    print("ansible-playbook is not installed (apt-get install ansible-core): not looked at")
else:
    run_checks(apt_takes_the_version_and_is_held_there, dnf_takes_the_version_and_is_held_there)

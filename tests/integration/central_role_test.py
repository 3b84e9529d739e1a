"""The Ansible role of the kit, in a rollout to ten hosts with a bad version in the middle: each host is a mount
namespace with an agent of its own, the centre is a real VictoriaMetrics, and Ansible enters the namespaces where it
would use ssh. Packages and services are not changed there: tests/package/role_test.py has the tasks of apt and dnf, and
those of services are checked for their syntax."""
import contextlib
import importlib.util
import os
import pathlib
import shutil
import stat
import subprocess

from support.agent import BINARY, temporary_folder
from support.central import KIT, PROGRAMS
from support.check import run_checks
from support.process import Process, poll_until
from support.victoria_metrics import VictoriaMetrics, running_victoria_metrics

specification = importlib.util.spec_from_file_location("rollout", PROGRAMS / "rollout.py")
rollout = importlib.util.module_from_spec(specification)
specification.loader.exec_module(rollout)

PLAYBOOK = str(KIT / "ansible/upgrade.yml")
OLD, NEW = "0.1.0", "0.2.0"
HOSTS = 10
# Each host's folder is its /mnt.
ENTER = """#!/bin/sh
while [ $# -gt 2 ]; do shift; done
PATH=/mnt:$PATH exec nsenter --mount --target "$(cat {folder}/$1/pid)" -- sh -c "$2"
"""
WRAPPER = """#!/bin/sh
exec /mnt/agent --config /mnt/msp-agent.yaml "$@"
"""


def write_program(path: pathlib.Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP)
    fresh.rename(path)


def programs() -> dict[str, bytes]:
    old = pathlib.Path(BINARY).read_bytes()
    assert OLD.encode() in old
    return {OLD: old, NEW: old.replace(OLD.encode(), NEW.encode()),
            "bad": b"#!/bin/sh\necho 'no such instruction' >&2\nexit 1\n"}


class Host:
    def __init__(self, folder: pathlib.Path, name: str, storage: VictoriaMetrics):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        (self.folder / "msp-agent.yaml").write_text(
            f"customer_id: alpha\nserver_name: {name}\ninterval: 1s\nlabels: {{instance: {name}}}\n"
            f"buffer: {{path: /mnt/buffer}}\nremote_write: {{url: {storage.url}}}\n")
        write_program(self.folder / "msp-agent", WRAPPER.encode())
        # Keeps the namespace while the agent is replaced.
        self._namespace = Process(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                   'mount --bind "$1" /mnt && exec sleep 900', "sh", str(self.folder)],
                                  self.folder / "namespace.log")
        self._agent: Process | None = None
        poll_until(f"{name} has its /mnt",
                   pathlib.Path(f"/proc/{self._namespace.pid}/root/mnt/msp-agent").exists, 20, self._namespace)
        (self.folder / "pid").write_text(str(self._namespace.pid))

    def install(self, program: bytes) -> None:
        """What the package does: another program, and a restart."""
        if self._agent is not None:
            self._agent.stop()
        write_program(self.folder / "agent", program)
        self._agent = Process(["nsenter", "--mount", "--target", str(self._namespace.pid), "/mnt/msp-agent", "run"],
                              self.folder / "log")

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.stop()
        self._namespace.stop()


def playbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_HOST_KEY_CHECKING": "0", "LC_ALL": "C.UTF-8",
                   "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(["ansible-playbook", *arguments, PLAYBOOK], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)


def the_playbook_is_one_that_ansible_takes() -> None:
    outcome = playbook("--syntax-check", "-i", "localhost,")
    assert outcome.returncode == 0, outcome.stdout
    # With no version it changes nothing.
    outcome = playbook("-i", "localhost,", "--connection", "local", "-e", "msp_agent_become=false", "--check")
    assert outcome.returncode != 0 and "say which version" in outcome.stdout, outcome.stdout


def a_rollout_with_the_role_stops_at_the_host_that_the_version_breaks() -> None:
    if os.geteuid() != 0:
        return print("not root: no namespaces, not looked at")
    with temporary_folder() as folder, running_victoria_metrics(folder) as storage, contextlib.ExitStack() as stack:
        program = programs()
        hosts = {}
        for number in range(HOSTS):
            host = Host(folder, f"web-{number:02}", storage)
            stack.callback(host.stop)
            host.install(program[OLD])
            hosts[host.name] = host
        write_program(folder / "ssh", ENTER.replace("{folder}", str(folder)).encode())
        inventory = folder / "inventory"
        inventory.write_text("".join(f"{name}\n" for name in hosts) + "[all:vars]\nansible_ssh_executable="
                             f"{folder}/ssh\nansible_python_interpreter=/usr/bin/python3\n")

        centre = rollout.ask(storage.base)

        def versions() -> dict[str, str]:
            running = rollout.Rollout(centre, NEW).running()
            return {name: version for (_, name), version in running.items()}
        poll_until("all hosts send", lambda: versions() == dict.fromkeys(hosts, OLD), 60)

        order = [name for _, name in rollout.in_order(("alpha", name) for name in hosts)]
        bad, tried, said = order[5], [], []
        installed: dict[str, str] = {}

        def upgrade(server: tuple[str, str], is_good: bool) -> int:
            name = server[1]
            tried.append(name)
            hosts[name].install(program["bad" if name == bad and not is_good else NEW])
            outcome = playbook("-i", str(inventory), "--limit", name, "--skip-tags", "package,service",
                               "-e", f"msp_agent_version={NEW}", "-e", "msp_agent_wait_seconds=20",
                               "-e", "msp_agent_become=false")
            said.append(outcome.stdout)
            installed.update({name: NEW} if outcome.returncode == 0 else {})
            return outcome.returncode

        def settle(_: float) -> None:
            poll_until("upgraded hosts send", lambda: installed.items() <= versions().items(), 60)

        def roll_out(is_good: bool) -> bool:
            return rollout.Rollout(centre, NEW, ["alpha"], 60).run(
                lambda server: upgrade(server, is_good), settle, said.append)
        assert not roll_out(False), said
        assert tried == order[:6] and said[-1].startswith(f"stopped: the command for alpha/{bad} ended with"), said
        assert "FAILED" in said[-2] and "The agent delivers" in said[-2], said[-2]
        running = versions()
        assert all(running[name] == NEW for name in order[:5]), running
        assert all(running[name] == OLD for name in order[6:]), running
        # A corrected version goes on where it stopped.
        tried.clear()
        assert roll_out(True), said
        assert tried == order[5:] and versions() == dict.fromkeys(hosts, NEW), (tried, versions())


if shutil.which("ansible-playbook") is None:
    print("ansible-playbook is not installed (apt-get install ansible-core): not looked at")
else:
    run_checks(the_playbook_is_one_that_ansible_takes,
               a_rollout_with_the_role_stops_at_the_host_that_the_version_breaks)

"""The service in bad hands: each mistake is one clear line in the journal, and nothing is lost that need not be."""
import os
import signal

from scratch import needs_root
from support.agent import ROOT
from support.check import run_checks
from support.container import Container, own_mounts
from support.process import free_port, poll_until
from support.receiver import receiving
from support.service import (CONFIG, configure, machine_with_agent, main_pid, messages, override, signal_main, start,
                             wait_until_restarted, wait_until_status)
from support.ticks import holes

SUITE = os.environ.get("BOOT_SUITE", "bookworm")


def fails_for_good(machine: Container, *lines: str) -> None:
    """systemctl says that it failed, the journal why, in these lines and no other, `status` the last of them; nobody
    tries it again."""
    outcome = machine.run("systemctl enable --now msp-agent")
    assert outcome.returncode != 0, "systemctl start says that it has started"
    assert machine.property("ActiveState") == "failed", machine.journal()
    assert machine.property("ExecMainStatus") == "78", machine.journal()
    said = messages(machine)
    assert len(said) == len(lines), f"{len(lines)} lines would do: {said}"
    for line, wanted in zip(said, lines):
        assert wanted in line, f"'{wanted}' is not in '{line}'"
    status = machine.says("msp-agent status")  # messages() has waited for the journal
    assert f"The journal's last error: {said[-1]}" in status, status
    # What is to be restarted waits for that as "auto-restart".
    assert machine.property("SubState") == "failed" and machine.property("NRestarts") == "0", machine.journal()


def bad_configuration_is_told_once_and_not_tried_again() -> None:
    with machine_with_agent(SUITE) as machine:
        override(machine, "RestartSec=1")
        # As shipped.
        fails_for_good(machine, "remote_write.url are not filled in: write them there, or run: msp-agent init")


def a_missing_configuration_is_told_once() -> None:
    with machine_with_agent(SUITE) as machine:
        override(machine, "RestartSec=1")
        (machine.root / CONFIG).unlink()
        fails_for_good(machine, "/etc/msp-agent.yaml: there is no such file; make it from")


def a_configuration_that_the_service_may_not_read_is_told_once() -> None:
    with machine_with_agent(SUITE) as machine:
        override(machine, "RestartSec=1")
        configure(machine, "http://127.0.0.1:9/api/v1/write")
        machine.must("chown root:root /etc/msp-agent.yaml && chmod 600 /etc/msp-agent.yaml")
        advice = "chgrp msp-agent /etc/msp-agent.yaml && chmod 640 /etc/msp-agent.yaml"
        fails_for_good(machine, "/etc/msp-agent.yaml: cannot read the file: Permission denied; "
                       f"the agent's user must be able to: {advice}")
        machine.must(f"{advice} && systemctl start msp-agent")


def a_state_directory_on_a_full_disk_costs_no_start_and_no_delivery() -> None:
    port = free_port()
    with machine_with_agent(SUITE) as machine:
        configure(machine, f"http://127.0.0.1:{port}/api/v1/write")
        machine.must("mkdir -p /var/lib/msp-agent && mount -t tmpfs -o size=256k,mode=755 full /var/lib/msp-agent && "
                     "{ cat /dev/zero >/var/lib/msp-agent/ballast || true; } 2>/dev/null")
        start(machine)
        wait_until_status(machine, "the buffer's disk is nearly full")
        with receiving(port=port) as receiver:
            def all_came() -> bool:
                ticks = receiver.ticks()
                assert len(ticks) > 5 and not holes(ticks), f"there are {sorted(ticks)}"
                return True
            poll_until("what was kept, behind the newest ticks", all_came)
        # Room again, and it is used again without a restart.
        machine.must("umount -l /var/lib/msp-agent || true")


def a_host_that_cannot_make_the_sandbox_runs_the_agent_without_its_namespaces() -> None:
    """Like a container that allows none; here, systemd 252 needs a /tmp it can write to for PrivateDevices=."""
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        configure(machine, receiver.url)
        machine.must("mount -t tmpfs -o ro t /tmp")
        assert machine.run("systemctl enable --now msp-agent").returncode != 0, "PrivateDevices= does without /tmp"
        poll_until("the second start", lambda: machine.property("ActiveState") == "active")
        told = [line for line in messages(machine) if "sandbox" in line]
        assert told == ["this host cannot make the sandbox of the unit (status 226): it is started without "
                        "namespaces"], told
        poll_until("two ticks", lambda: len(set(receiver.timestamps())) >= 2)
        # All that needs no namespace is as it was.
        process = machine.must(f"cat /proc/{main_pid(machine)}/status")
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"):
            assert f"{line}\n" in process, process
        assert "Uid:\t0" not in process, process
        # The next boot tries again.
        machine.power_off()
        machine.boot()
        state = [machine.property(name) for name in ("ActiveState", "NRestarts", "PrivateDevices")]
        assert state == ["active", "0", "yes"], f"{state}: {machine.journal()}"


def a_step_to_no_namespaces_that_was_cut_short_is_completed() -> None:
    """On a slow host the time for what follows a stop may end when the drop-in is there and not yet loaded."""
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        configure(machine, receiver.url)
        start(machine)
        machine.must("mkdir -p /run/systemd/system/msp-agent.service.d && ln -s "
                     "/usr/share/msp-agent/without-namespaces.conf /run/systemd/system/msp-agent.service.d/ && "
                     "mount -t tmpfs -o ro t /tmp")
        machine.run("systemctl restart msp-agent")  # it fails where the stop in it has not come to the step either
        poll_until("the start without namespaces", lambda: machine.property("PrivateDevices") == "no" and
                   machine.property("ActiveState") == "active")


def an_agent_that_exits_as_if_it_had_no_sandbox_keeps_it() -> None:
    """Whoever has got into the agent can choose its exit status, and is not to get rid of the sandbox by it."""
    with machine_with_agent(SUITE) as machine:
        override(machine, "RestartSec=1")
        for status in (226, 217):
            machine.must(f"printf '#!/bin/sh\\nexit {status}\\n' >/usr/bin/msp-agent.new && "
                         "chmod 755 /usr/bin/msp-agent.new && mv /usr/bin/msp-agent.new /usr/bin/msp-agent")
            assert machine.run("systemctl start msp-agent").returncode != 0
            poll_until("two more starts", lambda: int(machine.property("NRestarts")) >= 2)
            machine.must("systemctl stop msp-agent")
            said = machine.journal()
            assert f"code=exited, status={status}" in said and "sandbox" not in said, said
            assert machine.property("PrivateDevices") == "yes", machine.journal()
            machine.must("test ! -e /run/systemd/system/msp-agent.service.d/without-namespaces.conf")


def a_secret_that_only_root_may_read_reaches_the_agent() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        (machine.root / "etc/msp-agent.token").write_text("s3cret")
        (machine.root / "etc/msp-agent.token").chmod(0o600)
        configure(machine, receiver.url)
        with open(machine.root / CONFIG, "a", encoding="ascii") as config:
            config.write("  bearer_token_file: ${CREDENTIALS_DIRECTORY}/token\n")
        override(machine, "LoadCredential=token:/etc/msp-agent.token")
        start(machine)
        poll_until("a request", lambda: receiver.requests)


def a_second_agent_is_told_whose_buffer_it_is_and_tried_again() -> None:
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        configure(machine, receiver.url)
        start(machine)
        pid = main_pid(machine)
        machine.must("sed s/RuntimeDirectory=msp-agent/RuntimeDirectory=second/ "
                     "/usr/lib/systemd/system/msp-agent.service >/etc/systemd/system/second.service && "
                     "systemctl daemon-reload")
        assert machine.run("systemctl start second").returncode != 0
        assert f"{pid}" in machine.journal("second"), machine.journal("second")
        assert machine.property("ActiveState", "second") in ("activating", "deactivating"), "it is not tried again"
        signal_main(machine, signal.SIGTERM)
        poll_until("the second takes over", lambda: machine.property("ActiveState", "second") == "active")


def status_of_an_agent_that_does_not_run_tells_the_journals_last_error() -> None:
    with machine_with_agent(SUITE) as machine:
        def status() -> str:
            machine.must("journalctl --sync")
            outcome = machine.run("msp-agent status")
            assert outcome.returncode == 1, f"exits {outcome.returncode}: {outcome.stdout}{outcome.stderr}"
            assert outcome.stdout.startswith("msp-agent is not running"), outcome.stdout
            return outcome.stdout
        assert "journal's last error" not in status(), "an error before there was a start"
        machine.run("systemctl enable --now msp-agent")  # as shipped: it does not start
        shipped = (ROOT / CONFIG).read_text().splitlines()
        line = next(number for number, text in enumerate(shipped, 1) if text.startswith("customer_id:"))
        wanted = f"\n  The journal's last error: /etc/msp-agent.yaml:{line}:14: customer_id and, in line "
        assert wanted in status(), status()
        # A service that ran, and was ended by somebody: what it said last is told as well.
        port = free_port()
        configure(machine, f"http://127.0.0.1:{port}/api/v1/write")
        with open(machine.root / CONFIG, "a", encoding="ascii") as config:
            config.write("  bearer_token_file: /etc/no-such-token\n")
        start(machine)
        wait_until_status(machine, "cannot deliver to")
        machine.must("systemctl stop msp-agent")
        wanted = f"\n  The journal's last error: cannot deliver to http://127.0.0.1:{port}/api/v1/write: bearer_token"
        assert wanted in status(), status()


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (bad_configuration_is_told_once_and_not_tried_again,
                                 a_missing_configuration_is_told_once,
                                 a_configuration_that_the_service_may_not_read_is_told_once,
                                 a_state_directory_on_a_full_disk_costs_no_start_and_no_delivery,
                                 a_host_that_cannot_make_the_sandbox_runs_the_agent_without_its_namespaces,
                                 a_step_to_no_namespaces_that_was_cut_short_is_completed,
                                 an_agent_that_exits_as_if_it_had_no_sandbox_keeps_it,
                                 a_secret_that_only_root_may_read_reaches_the_agent,
                                 a_second_agent_is_told_whose_buffer_it_is_and_tried_again,
                                 status_of_an_agent_that_does_not_run_tells_the_journals_last_error)))

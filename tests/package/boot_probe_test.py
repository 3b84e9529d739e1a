"""Probes of module icmp under the real unit: where the kernel gives the agent no socket, that is said, and the drop-in
of the packages gives it the capability for a raw one; so does the sysctl without the drop-in."""
import os

from scratch import needs_root
from support.check import run_checks
from support.container import own_mounts
from support.link import enter_own_network, run
from support.process import poll_until
from support.receiver import Receiver, receiving
from support.service import configure, machine_with_agent, messages, start

SUITE = os.environ.get("BOOT_SUITE", "bookworm")
PROBE = "probes: {name: here, module: icmp, target: 127.0.0.1}\n"
DROP_IN = "/etc/systemd/system/msp-agent.service.d/raw-sockets.conf"


def newest(receiver: Receiver, name: str) -> float | None:
    found = {time: value for request in receiver.accepted() for series in request.series
             if series.name == name and dict(series.labels).get("job") == "blackbox" for time, value in series.samples}
    return found[max(found)] if found else None


def allow(groups: str) -> None:
    """In this test's network, which the machine shares."""
    run("sysctl", "-q", "-w", f"net.ipv4.ping_group_range={groups}")


def each_of_the_two_ways_out_gives_the_socket() -> None:
    enter_own_network()
    with receiving() as receiver, machine_with_agent(SUITE) as machine:
        allow("1 0")
        configure(machine, receiver.url, more=PROBE)
        start(machine)
        poll_until("no socket", lambda: newest(receiver, "up") == 0)
        assert any("socket for ICMP" in message for message in messages(machine)), messages(machine)
        machine.must(f"mkdir -p $(dirname {DROP_IN}) && ln -s /usr/share/msp-agent/raw-sockets.conf {DROP_IN} && "
                     "systemctl daemon-reload && systemctl restart msp-agent")
        poll_until("a raw socket", lambda: newest(receiver, "probe_success") == 1)
        machine.must(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart msp-agent")
        poll_until("none again", lambda: newest(receiver, "up") == 0)
        allow("0 2147483647")
        poll_until("a datagram socket", lambda: newest(receiver, "up") == 1)
        assert newest(receiver, "probe_success") == 1


if __name__ == "__main__":
    own_mounts()
    run_checks(needs_root(each_of_the_two_ways_out_gives_the_socket))

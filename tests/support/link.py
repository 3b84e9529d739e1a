"""A real network of two hosts: this process is one, an agent on the far side the other.

Two network namespaces and a veth pair between them. This process moves into one of its own, so that what it starts
(a server, say) listens there and nowhere else. The other is held by a process that does nothing. Both are gone with
their processes: nothing has a name, nothing is mounted, nothing of the host's network is touched.

Needs root, iproute2, nftables and util-linux.
"""
import contextlib
import ctypes
import os
import pathlib
import subprocess
from typing import Iterator

from support.process import Process, poll_until, started

HERE = "10.77.0.1"
THERE = "10.77.0.2"
CLONE_NEWNET = 0x40000000  # unshare(2)


class Link:
    def __init__(self, holder: Process):
        self._enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]

    def there(self, *command: str) -> list[str]:
        """The command as it runs on the far side."""
        return [*self._enter, *command]

    def cut(self) -> None:
        run("ip", "link", "set", "msp-here", "down")

    def drop(self, percent: int) -> None:
        """Loses that share of all packets, in both directions, without a word to anybody."""
        run("nft", "add table inet lossy")
        for hook, side in (("input", "iifname"), ("output", "oifname")):
            run("nft", f"add chain inet lossy on_{hook} {{ type filter hook {hook} priority 0; }}")
            run("nft", f"add rule inet lossy on_{hook} {side} msp-here numgen random mod 100 >= {100 - percent} drop")

    def slow_down(self, rate: str) -> None:
        """What comes from the far side queues up in front of a line of that rate ("100kbit")."""
        run(*self.there("tc", "qdisc", "replace", "dev", "msp-there", "root", "tbf", "rate", rate, "burst", "4kb",
                        "latency", "2s"))

    def mend(self) -> None:
        """As it was: nothing cut, nothing lost, nothing slow."""
        run("ip", "link", "set", "msp-here", "up")
        run("nft", "flush", "ruleset")
        subprocess.run(self.there("tc", "qdisc", "del", "dev", "msp-there", "root"), capture_output=True, check=False)


def run(*command: str) -> None:
    outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, f"{' '.join(command)}: {outcome.stderr.strip()}"


def enter_own_network() -> None:
    """Once per process, before it has threads."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace (needs root)")
    run("ip", "link", "set", "lo", "up")


@contextlib.contextmanager
def linked(folder: pathlib.Path) -> Iterator[Link]:
    """The far side, and the wire to it, for the length of the block. The caller has entered its own network."""
    holder = Process(["unshare", "--net", "sleep", "infinity"], folder / "far-side.log")
    with started(holder):
        mine = os.readlink("/proc/self/ns/net")
        poll_until("a network of its own", lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != mine, process=holder)
        link = Link(holder)
        run("ip", "link", "add", "msp-here", "type", "veth", "peer", "name", "msp-there", "netns", str(holder.pid))
        run("ip", "address", "add", f"{HERE}/24", "dev", "msp-here")
        run("ip", "link", "set", "msp-here", "up")
        for command in (("link", "set", "lo", "up"), ("address", "add", f"{THERE}/24", "dev", "msp-there"),
                        ("link", "set", "msp-there", "up")):
            run(*link.there("ip", *command))
        try:
            yield link
        finally:
            run("nft", "flush", "ruleset")
            run("ip", "link", "del", "msp-here")

#!/usr/bin/env python3
"""A fleet to try the kit with: five customers and fourteen servers, each a real msp-agent on a host that is made up.

    python3 fleet.py --agent PROGRAM --url URL [--url URL] --folder DIR [--seconds N] [--interval N]

Each server has a /proc and a file system of its own, in DIR: loads, memory and disks have the characters below, and
change from second to second. Needs root, for a mount namespace and a small tmpfs for each server. Ends after N seconds,
or with SIGINT or SIGTERM, and ends its agents first.
"""
import argparse
import ctypes
import dataclasses
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

TICKS = 100  # USER_HZ, the unit of /proc/stat
MEMORY_KB = 8 << 20
DISK_KB = 1024
STEP_SECONDS = 0.1  # a counter that stands still for long makes rates between two ticks wrong
PDEATHSIG = 1  # PR_SET_PDEATHSIG


@dataclasses.dataclass
class Server:
    customer: str
    name: str
    csp: str
    cpu: float              # used, 0 to 1
    memory: float = 0.4
    disk: float = 0.4
    network: float = 2e6    # bytes a second, in each direction
    cpus: int = 2


FLEET = (
    Server("alpha", "web-01", "aws", 0.35), Server("alpha", "web-02", "aws", 0.30),
    Server("alpha", "db-01", "aws", 0.45, memory=0.8, disk=0.6),
    Server("beta", "app-01", "gcp", 0.89, memory=0.7), Server("beta", "app-02", "gcp", 0.93, memory=0.75),
    Server("gamma", "web-01", "azure", 0.25), Server("gamma", "web-02", "azure", 0.20),
    Server("gamma", "db-01", "azure", 0.30, memory=0.85), Server("gamma", "batch-01", "azure", 0.6, disk=0.93),
    Server("delta", "small-01", "ncp", 0.15, cpus=1), Server("delta", "small-02", "ncp", 0.10, cpus=1),
    Server("epsilon", "idle-01", "kt", 0.01, memory=0.1, network=2e3),
    Server("epsilon", "idle-02", "kt", 0.01, memory=0.1, network=2e3),
    Server("epsilon", "idle-03", "kt", 0.02, memory=0.1, network=2e3),
)
# In the server's own mount namespace: a small file system, filled, and a mountinfo that has its device number.
START = """mount -t tmpfs -o size=$1k fleet "$3/root" || exit 1
head -c "$2"k /dev/zero >"$3/root/used"
printf '21 1 %s / / rw,relatime - ext4 /dev/vda1 rw\\n' "$(sed -n 's|^[0-9]* [0-9]* \\([0-9:]*\\) .* fleet .*|\\1|p' \\
  /proc/self/mountinfo | tail -n 1)" >"$3/proc/1/mountinfo"
exec "$4" --config "$3/msp-agent.yaml" --path.procfs "$3/proc" --path.sysfs "$3/sys" --path.rootfs "$3/root"
"""


class Host:
    """A server's folder: its files are written in place, for the agent keeps them open."""

    def __init__(self, server: Server, folder: pathlib.Path, number: int):
        self.server, self.folder, self._phase = server, folder / server.customer / server.name, number
        self._booted = int(time.time()) - 86400 * (number + 1)
        self._cpu = dict.fromkeys(("user", "system", "idle", "iowait"), 1000.0)
        self._counters = dict.fromkeys(("received", "sent", "read", "written"), 1e9)
        for name in ("proc/1", "proc/net", "proc/1/net", "sys", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._last = time.time()
        self.advance()

    def advance(self) -> None:
        now = time.time()
        passed, self._last = now - self._last, now
        server = self.server
        used = min(0.99, max(0.0, server.cpu * (1 + 0.08 * math.sin(now / 40 + self._phase))))
        for mode, share in (("user", used * 0.8), ("system", used * 0.2), ("iowait", (1 - used) / 100),
                            ("idle", (1 - used) * 0.99)):
            self._cpu[mode] += share * passed * TICKS
        for name, rate in (("received", server.network), ("sent", server.network / 2),
                           ("read", server.network / 4), ("written", server.network / 3)):
            self._counters[name] += rate * passed * (1 + 0.3 * math.sin(now / 25 + self._phase))
        user, system, idle, iowait = (int(self._cpu[mode]) for mode in ("user", "system", "idle", "iowait"))
        times = f"{user} 0 {system} {idle} {iowait} 0 0 0 0 0"
        lines = "".join(f"cpu{cpu} {times}\n" for cpu in range(server.cpus))
        self._write("proc/stat", f"cpu  {times}\n{lines}intr 5 0\nctxt {int(self._cpu['user'] * 900)}\n"
                    f"btime {self._booted}\nprocesses {int(self._cpu['system'])}\nprocs_running 1\nprocs_blocked 0\n")
        available = int(MEMORY_KB * (1 - server.memory))
        self._write("proc/meminfo", f"MemTotal: {MEMORY_KB} kB\nMemFree: {available // 2} kB\n"
                    f"MemAvailable: {available} kB\nBuffers: 1000 kB\nCached: {available // 3} kB\n"
                    "SwapTotal: 1048576 kB\nSwapFree: 1048576 kB\n")
        load = used * server.cpus
        self._write("proc/loadavg", f"{load:.2f} {load * 0.95:.2f} {load * 0.9:.2f} 1/120 4711\n")
        count = {name: int(value) for name, value in self._counters.items()}
        devices = ("Inter-|   Receive                                                |  Transmit\n"
                   " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
                   "colls carrier compressed\n"
                   f"  eth0: {count['received']} {count['received'] // 900} 0 0 0 0 0 0 "
                   f"{count['sent']} {count['sent'] // 900} 0 0 0 0 0 0\n")
        self._write("proc/net/dev", devices)
        self._write("proc/1/net/dev", devices)
        self._write("proc/diskstats", f" 253 0 vda {count['read'] // 8192} 0 {count['read'] // 512} 100 "
                    f"{count['written'] // 8192} 0 {count['written'] // 512} 200 0 300 300\n")
        self._write("proc/vmstat", "pgpgin 1\npgpgout 1\npswpin 0\npswpout 0\npgfault 10\npgmajfault 1\noom_kill 0\n")

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, text.encode(), 0)
            os.ftruncate(descriptor, len(text))
        finally:
            os.close(descriptor)

    def start(self, agent: str, urls: list[str], interval: int) -> subprocess.Popen:
        server = self.server
        (self.folder / "msp-agent.yaml").write_text(f"""customer_id: {server.customer}
server_name: {server.name}
environment: demo
labels: {{csp: {server.csp}, region: {server.csp}-1, instance: {server.name}}}
interval: {interval}s
buffer: {{path: {self.folder / "buffer"}}}
remote_write: [{", ".join(f"{{url: {url}}}" for url in urls)}]
""")
        libc = ctypes.CDLL(None)
        # The agents end with this program, however that ends.
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", START, "sh", str(DISK_KB), str(int(DISK_KB * server.disk)),
             str(self.folder), agent], stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=open(self.folder / "log", "ab"), stderr=subprocess.STDOUT,
            preexec_fn=lambda: libc.prctl(PDEATHSIG, signal.SIGTERM))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--url", required=True, action="append")
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--interval", type=int, default=15)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("fleet.py: each server gets a mount namespace of its own: run this as root", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end = time.monotonic() + options.seconds
    folder = options.folder.resolve()
    hosts = [Host(server, folder, number) for number, server in enumerate(FLEET)]
    agents = [host.start(str(pathlib.Path(options.agent).resolve()), options.url, options.interval) for host in hosts]
    code = 0
    try:
        while time.monotonic() < end:
            for host, agent in zip(hosts, agents):
                host.advance()
                if agent.poll() is not None:
                    print(f"fleet.py: the agent of {host.server.customer}/{host.server.name} ended; "
                          f"{host.folder / 'log'} says why", file=sys.stderr)
                    code = 1
                    end = 0
            time.sleep(min(STEP_SECONDS, max(0, end - time.monotonic())))
    except KeyboardInterrupt:
        pass
    for agent in agents:
        agent.terminate()
    for agent in agents:
        agent.wait()
    return code


if __name__ == "__main__":
    sys.exit(main())

"""What packaged agents cost under their unit, in a booted Debian 12, while they deliver every 15 s: memory at the end,
CPU from the first minute on. Over plain HTTP, over TLS with one CA certificate as ca_file, with the whole bundle.
Several packages are measured side by side in one run. As root, after packaging/packages.sh:

    PYTHONPATH=tests python3 tests/bench/service_cost.py [--minutes 10] [--nine] build/packages/msp-agent_*_amd64.deb

--nine: with the collectors that the first agent had, whatever a package has switched on by itself.
"""
import argparse
import contextlib
import pathlib
import shutil
import time

from support.agent import temporary_folder
from support.certificates import Authority
from support.container import container, own_mounts
from support.cost import cpu_seconds
from support.memory import host_bundle, memory_of
from support.nginx import running_nginx
from support.process import poll_until
from support.service import CONFIG, configure, main_pid, start

NINE = "collectors: {enabled: [cpu, diskstats, filesystem, loadavg, meminfo, netdev, stat, time, uname]}\n"


parser = argparse.ArgumentParser()
parser.add_argument("packages", nargs="+", type=pathlib.Path)
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--nine", action="store_true")
arguments = parser.parse_args()
own_mounts()
with contextlib.ExitStack() as stack:
    folder = stack.enter_context(temporary_folder())
    authority = Authority(folder)
    certificate = authority.issue("monitor", "IP:127.0.0.1")
    machines = []
    ways = (("plain HTTP", None), ("one CA certificate", ""), ("the host's bundle", host_bundle()))
    for number, (package, (way, certificates)) in enumerate((p, w) for p in arguments.packages for w in ways):
        inner = folder / str(number)
        inner.mkdir()
        nginx = stack.enter_context(running_nginx(inner, f"""
  ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};
  server {{ listen PORT{"" if certificates is None else " ssl"}; return 204; }}"""))
        machine = stack.enter_context(container("bookworm"))
        shutil.copy(package, machine.root / "root/agent.deb")
        machine.boot()
        machine.must("dpkg -i /root/agent.deb")
        place = f"127.0.0.1:{nginx.port}/api/v1/write"
        more = NINE if arguments.nine else ""
        if certificates is None:
            configure(machine, f"http://{place}", "15s", more=more)
        else:
            (machine.root / "etc/ca.pem").write_text(certificates + authority.ca.read_text())
            configure(machine, f"https://{place}\n  tls: {{ca_file: /etc/ca.pem}}", "15s", more=more)
        machine.must(f"chgrp msp-agent /{CONFIG} && chmod 640 /{CONFIG}")
        start(machine)
        machines.append((f"{package}, {way}", nginx, machine.pid_outside(main_pid(machine))))
    time.sleep(60)
    begun = {pid: (time.monotonic(), cpu_seconds(pid)) for _, _, pid in machines}
    time.sleep(arguments.minutes * 60 - 60)
    for name, nginx, pid in machines:
        count = len(nginx.requests())
        poll_until("one more request", lambda: len(nginx.requests()) > count, 20)
        time.sleep(2)  # it is over: what it needed has been given back
        began, used = begun[pid]
        per_hour = (cpu_seconds(pid) - used) / (time.monotonic() - began) * 3600
        print(f"{name}: {len(nginx.requests())} requests: {memory_of(pid)}, CPU {per_hour:.2f} s/h", flush=True)

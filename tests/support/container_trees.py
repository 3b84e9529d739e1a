"""Writes the hosts of tests/fixtures/containers: control groups as each runtime names them, with what the kernel
shows in them. Run it again after a change, then collector_tests with MSP_UPDATE_GOLDEN=1 for the expected texts.

    python3 tests/support/container_trees.py
"""
import pathlib
import shutil

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures/containers"
UID = "0f3c1b7e-8a52-4f0e-9d4c-5b6a7c8d9e0f"


def identity(seed: str) -> str:
    """An id of 64 hexadecimal digits."""
    return (seed * 64)[:64]


class Host:
    """A host of version 2 unless it says otherwise."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.pid = 4700
        self.groups = "sys/fs/cgroup"
        if self.folder.exists():
            for part in self.folder.iterdir():
                if part.name != "expected.prom":
                    shutil.rmtree(part) if part.is_dir() else part.unlink()
        self.write("proc/stat", "cpu  300 0 200 9000 10 0 5 0 0 0\nbtime 1700000000\n")
        self.write("proc/1/net/dev", DEV_NAMES + "  eth0: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def unified(self) -> "Host":
        self.write(f"{self.groups}/cgroup.controllers", "cpuset cpu io memory pids\n")
        return self

    def process(self, command: str = "app", parent: int = 1, network: str = "", arguments: str = "") -> int:
        """Its number; in the host's network unless it has one of its own."""
        self.pid += 1
        self.write(f"proc/{self.pid}/stat", f"{self.pid} ({command}) S {parent} 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 "
                   f"1 0 {self.pid} 9 9\n")
        if arguments:
            self.write(f"proc/{self.pid}/cmdline", arguments.replace(" ", "\0") + "\0")
        dev = self.folder / f"proc/{self.pid}/net/dev"
        if network:
            self.write(f"proc/{self.pid}/net/dev", DEV_NAMES + network)
        else:
            dev.parent.mkdir(parents=True)
            dev.symlink_to("../../1/net/dev")
        return self.pid

    def group(self, path: str, *pids: int, **files: str) -> None:
        """A control group of version 2 with processes and some files: memory_current=".." is memory.current."""
        self.write(f"{self.groups}/{path}/cgroup.procs", "".join(f"{pid}\n" for pid in pids))
        for name, text in files.items():
            self.write(f"{self.groups}/{path}/{name.replace('_', '.', 1)}", text + "\n")

    def small(self, path: str, command: str = "app", **process: object) -> int:
        """A container of which only the memory is there."""
        pid = self.process(command, **process)
        self.group(path, pid, memory_current=str(self.pid * 4096))
        return pid


def host_of(name: str) -> Host:
    return Host(FIXTURES / name)


DEV_NAMES = ("Inter-|   Receive                                                |  Transmit\n"
             " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
             "carrier compressed\n")
ETH0 = "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 94304459 2269 1 2 0 0 0 0 96407 1060 3 4 0 0 0 0\n"

MEMORY_STAT = "anon 5242880\nfile 8388608\nkernel 409600\nfile_mapped 1310720\ninactive_anon 4096\n" \
              "inactive_file 6291456\nactive_file 2097152\npgfault 1203\npgmajfault 4\n"


def full_unified(host: Host, path: str, pid: int) -> None:
    files = {
        "cgroup.procs": f"{pid}\n{pid + 1}\n",
        "cpu.stat": "usage_usec 1842000\nuser_usec 1200000\nsystem_usec 642000\nnr_periods 120\nnr_throttled 7\n"
                    "throttled_usec 350000\nnr_bursts 0\nburst_usec 0\n",
        "cpu.max": "150000 100000\n",
        "cpu.weight": "79\n",
        "memory.current": "14680064\n",
        "memory.peak": "20971520\n",
        "memory.stat": MEMORY_STAT,
        "memory.swap.current": "65536\n",
        "memory.events": "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n",
        "memory.max": "268435456\n",
        "memory.swap.max": "max\n",
        "memory.min": "0\n",
        "io.stat": "8:0 rbytes=90112 wbytes=4096 rios=7 wios=1 dbytes=0 dios=0\n"
                   "253:0 rbytes=8192 wbytes=0 rios=2 wios=0 dbytes=0 dios=0\n",
        "pids.current": "9\n",
        "pids.max": "max\n",
    }
    for name, text in files.items():
        host.write(f"sys/fs/cgroup/{path}/{name}", text)
    host.write("sys/dev/block/8:0/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n")
    host.write("sys/dev/block/253:0/uevent", "MAJOR=253\nMINOR=0\nDEVNAME=dm-0\nDEVTYPE=disk\n")


def names_file(host: Host, *lines: tuple[str, str, str]) -> None:
    text = "# HELP msp_agent_container_info Name and image of a container that runs.\n" \
           "# TYPE msp_agent_container_info gauge\n"
    for container, name, image in lines:
        text += f'msp_agent_container_info{{engine="docker",id="{container}",name="{name}",image="{image}",' \
                'compose_project="shop",compose_service="web"} 1\n'
    host.write("root/var/lib/msp-agent-textfile/containers.prom", text)


def docker() -> None:
    host = host_of("docker").unified()
    pid = host.process("nginx", network=ETH0)
    host.process("nginx")
    full_unified(host, f"system.slice/docker-{identity('01')}.scope", pid)
    names_file(host, (identity("01"), "web_1", "registry.example.com/web:1.2"))
    host.small(f"system.slice/docker-{identity('02')}.scope")  # its name is not known yet
    # What is no container.
    for other in ("docker.service", f"var-lib-docker-containers-{identity('01')}-mounts-shm.mount",
                  "ssh.service"):
        host.group(f"system.slice/{other}", memory_current="1")
    host.group("init.scope", 1, memory_current="1")


def drivers() -> None:
    """The rows of the driver systemd, one after the other."""
    host = host_of("systemd_driver").unified()
    user = "user.slice/user-1000.slice/user@1000.service"
    host.small(f"{user}/user.slice/docker-{identity('a1')}.scope")  # rootless Docker
    conmon = host.process("conmon", arguments=f"/usr/bin/conmon --api-version 1 -c {identity('a2')} -u "
                          f"{identity('a2')} -r /usr/bin/crun -n db --exit-dir /run/libpod/exits")
    host.group(f"machine.slice/libpod-conmon-{identity('a2')}.scope", conmon)
    inner = host.process("postgres", parent=conmon)
    host.group(f"machine.slice/libpod-{identity('a2')}.scope", memory_current="8192", memory_max="max")
    host.group(f"machine.slice/libpod-{identity('a2')}.scope/container", inner, memory_current="4096",
               memory_max="209715200")
    host.small(f"machine.slice/machine-libpod_pod_{identity('a3')}.slice/libpod-{identity('a4')}.scope", "catatonit")
    host.small(f"{user}/user.slice/libpod-{identity('a5')}.scope")
    host.group("system.slice/web.service/runtime", host.process("conmon"))
    host.small(f"system.slice/web.service/libpod-payload-{identity('a6')}")
    host.small(f"{user}/app.slice/mail.service/libpod-payload-{identity('a7')}")
    host.small(f"system.slice/nerdctl-{identity('a8')}.scope")
    host.small("lxc.payload.mail", network=ETH0)
    host.group("lxc.monitor.mail", host.process("lxc-start"), memory_current="1")
    host.small("lxc.payload.shop_front")
    host.group("machine.slice/systemd-nspawn@build\\x2dbox.service", memory_current="8192")
    host.group("machine.slice/systemd-nspawn@build\\x2dbox.service/supervisor", host.process("systemd-nspawn"))
    init = host.process("systemd", network="  host0: 5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\n")
    host.group("machine.slice/systemd-nspawn@build\\x2dbox.service/payload/init.scope", init)
    host.small("machine.slice/machine-dev.scope")
    host.small("machine.slice/machine-qemu\\x2d3\\x2dwin\\x2dsrv.scope", "qemu-system-x86")
    host.small("qemu.slice/105.scope", "kvm")


def cgroupfs() -> None:
    """The rows of the driver cgroupfs."""
    host = host_of("cgroupfs_driver").unified()
    host.small(f"docker/{identity('b1')}")
    host.small(f"libpod_parent/libpod-{identity('b2')}")
    host.small(f"default/{identity('b3')}")
    host.small("lxc/old")
    host.small("lxc/101")
    host.small(f"ecs/{'9' * 32}/{identity('b4')}")


def kubernetes() -> None:
    host = host_of("kubernetes").unified()
    uid = UID.replace("-", "_")
    pod = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"
    pause = host.process("pause", network=ETH0)
    host.group(f"{pod}/cri-containerd-{identity('d9')}.scope", pause, memory_current="4096")
    app = host.process("app")
    network = host.folder / f"proc/{app}/net/dev"
    network.unlink()
    network.symlink_to(f"../../{pause}/net/dev")
    host.group(f"{pod}/cri-containerd-{identity('c1')}.scope", app, memory_current="8192")
    host.group("kubepods.slice/kubepods-burstable.slice", memory_current="99999")
    logs = host.folder / "root/var/log/containers"
    logs.mkdir(parents=True)
    (logs / f"web-5d9c_shop_app-{identity('c1')}.log").symlink_to("/var/log/pods/x")
    host.write(f"root/var/log/pods/shop_web-5d9c_{UID}/app/0.log", "")
    # A guaranteed pod has no level of its own; of CRI-O, whose monitor has a group beside it.
    guaranteed = "kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice"
    host.small(f"{guaranteed}/crio-{identity('c2')}.scope")
    host.group(f"{guaranteed}/crio-conmon-{identity('c2')}.scope", host.process("conmon"), memory_current="1")
    host.small(f"{guaranteed}/docker-{identity('c3')}.scope")  # cri-dockerd
    # The driver cgroupfs.
    host.small(f"kubepods/besteffort/pod{UID}/{identity('c4')}")
    host.small(f"kubepods/besteffort/pod{UID}/crio-{identity('c5')}")
    host.small(f"kubepods-besteffort-pod{uid}.slice:cri-containerd:{identity('c6')}")
    # kind: a node is a container, whose pods are below it.
    node = f"system.slice/docker-{identity('e1')}.scope"
    host.small(node, "systemd")
    host.small(f"{node}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
               f"kubelet-kubepods-burstable-pod{uid}.slice/cri-containerd-{identity('e2')}.scope")


def version_1(name: str, is_hybrid: bool) -> None:
    host = host_of(name)
    path = f"docker/{identity('f1')}"
    pid = host.process("nginx", network=ETH0)
    files = {
        "cpu,cpuacct/cpuacct.usage": "1842000000\n",
        "cpu,cpuacct/cpuacct.stat": "user 120\nsystem 64\n",
        "cpu,cpuacct/cpu.stat": "nr_periods 120\nnr_throttled 7\nthrottled_time 350000000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
        "cpu,cpuacct/cpu.shares": "2048\n",
        "memory/cgroup.procs": f"{pid}\n",
        "memory/memory.usage_in_bytes": "14680064\n",
        "memory/memory.max_usage_in_bytes": "20971520\n",
        "memory/memory.failcnt": "12\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.memsw.limit_in_bytes": "536870912\n",
        "memory/memory.soft_limit_in_bytes": "9223372036854771712\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        "memory/memory.stat": "cache 1\nrss 2\ninactive_file 3\ntotal_cache 8388608\ntotal_rss 5242880\n"
                              "total_mapped_file 1310720\ntotal_swap 65536\ntotal_inactive_file 6291456\n",
        "blkio/blkio.throttle.io_service_bytes": "8:0 Read 90112\n8:0 Write 4096\n8:0 Sync 94208\n8:0 Total 94208\n"
                                                 "Total 94208\n",
        "blkio/blkio.throttle.io_serviced": "8:0 Read 7\n8:0 Write 1\n8:0 Total 8\nTotal 8\n",
        "pids/pids.current": "9\n",
        "pids/pids.max": "100\n",
    }
    for file, text in files.items():
        controller, _, base = file.partition("/")
        host.write(f"sys/fs/cgroup/{controller}/{path}/{base}", text)
    for controller in ("cpu", "cpuacct"):
        (host.folder / f"sys/fs/cgroup/{controller}").symlink_to("cpu,cpuacct")
    host.write("sys/dev/block/8:0/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\n")
    if is_hybrid:
        host.write("sys/fs/cgroup/unified/cgroup.controllers", "\n")
        host.write(f"sys/fs/cgroup/unified/{path}/cgroup.procs", f"{pid}\n")


def odd_kernel() -> None:
    """An old kernel has fewer fields and files; a new one has more, and lines of io.stat without values."""
    host = host_of("odd_kernel").unified()
    path = f"system.slice/docker-{identity('01')}.scope"
    full_unified(host, path, host.process("old", network=ETH0))
    for file in ("memory.peak", "memory.swap.current", "memory.swap.max", "cpu.max"):
        (host.folder / f"sys/fs/cgroup/{path}/{file}").unlink()
    host.write(f"sys/fs/cgroup/{path}/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n")
    host.write(f"sys/fs/cgroup/{path}/io.stat", "8:0 253:0 rbytes=8192 wbytes=0 rios=2 wios=0\n8:16 \n")
    path = f"system.slice/docker-{identity('02')}.scope"
    full_unified(host, path, host.process("new"))
    host.write(f"sys/fs/cgroup/{path}/cpu.stat", "usage_usec 2\nuser_usec 1\nsystem_usec 1\nnice_usec 0\n"
               "core_sched.force_idle_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n")
    host.write(f"sys/fs/cgroup/{path}/memory.stat", "zswap 1\n" + MEMORY_STAT + "hugetlb 0\n")
    host.write(f"sys/fs/cgroup/{path}/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=5\n"
               "7:0 rbytes=1 wbytes=2 rios=3 wios=4\n")  # no name


def garbage() -> None:
    host = host_of("garbage").unified()
    path = f"system.slice/docker-{identity('01')}.scope"
    pid = host.process("x", network="  eth0: 1 x 3\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nno device\n")
    full_unified(host, path, pid)
    for name, text in {
            "cpu.stat": "usage_usec -1\nuser_usec (null)\nsystem_usec 5\n", "cpu.max": "x 100000\n",
            "memory.stat": "anon\ninactive_file 99999999999\n", "memory.events": "", "memory.max": "-1\n",
            "io.stat": "8:0 rbytes=x wbytes=1\nfoo rbytes=1\n8:0 rbytes=1\n", "pids.current": "\0\0\n",
            "cgroup.procs": "4711x\n"}.items():
        host.write(f"sys/fs/cgroup/{path}/{name}", text)


def ends() -> None:
    """A container ends, another one begins; one starts anew under the same name."""
    host = host_of("ends")
    for part in ("sys", "proc"):
        shutil.rmtree(host.folder / part, ignore_errors=True)
    for tick, names in enumerate((("01", "02"), ("02", "03"), (), ()), 1):
        host.groups = f"{tick}/sys/fs/cgroup"
        host.unified()
        host.group("system.slice/ssh.service", memory_current="1")
        for name in names:
            host.group(f"system.slice/docker-{identity(name)}.scope", memory_current=f"{tick}000")


def main() -> None:
    docker()
    drivers()
    cgroupfs()
    kubernetes()
    version_1("version_1", False)
    version_1("hybrid", True)
    odd_kernel()
    garbage()
    ends()
    host_of("none").unified().group("system.slice/ssh.service", memory_current="1")


if __name__ == "__main__":
    main()

"""The service under a kernel of its own, with cgroup v2 and a clock that begins in 1970: its limits are in force and
never touched, its file system metrics are the machine's, and a clock that is set later stops nothing.
"""
import functools

from scratch import needs_root
from support.check import run_checks
from support.container import container, own_mounts
from support.exposition import parse_exposition
from support.service import configure, install
from support.virtual_machine import run_in_virtual_machine

GROUP = "/sys/fs/cgroup/system.slice/msp-agent.service"
# Answers 204 and counts in /run/requests. perl is all that a minimal Debian has.
RECEIVER = r"""use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:9009", Listen => 9, ReuseAddr => 1) or die;
my $count = 0;
while (my $peer = $server->accept) {
  while (defined(my $line = <$peer>)) {
    $size = $1 if $line =~ /^content-length: *(\d+)/i;
    next unless $line =~ /^\r?\n$/;
    read $peer, my $body, $size;
    print $peer "HTTP/1.1 204 No Content\r\n\r\n"; $peer->flush;
    open my $out, ">", "/run/requests.new"; print $out ++$count; close $out;
    rename "/run/requests.new", "/run/requests";
  }
}
"""
SCRIPT = rf"""
say() {{ echo "=== $1"; }}
text() {{ systemctl show -P StatusText msp-agent; }}
status() {{ echo "$(systemctl show -P ActiveState msp-agent) $(text)"; }}
# until a question has an answer, ten minutes at most
until_true() {{ n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 600 ] || break; sleep 1; done; }}
fails() {{ text | grep -q 'cannot reach'; }}
delivers() {{ text | grep -q 'delivering.* 0 behind'; }}
requests() {{ cat /run/requests; }}
systemd-sysusers; chgrp msp-agent /etc/msp-agent.yaml
date -s @600 >/dev/null
systemctl start msp-agent; until_true fails
say in-1970; date +%s; status
perl /root/receiver >/dev/null 2>&1 &
until_true delivers
say delivered-in-1970; status
date -s '2026-11-21 12:00:00 UTC' >/dev/null
before=$(requests); until_true '[ $(requests) -ge $((before + 4)) ]'
say today; status; echo "$before $(requests)"; systemctl show -P NRestarts msp-agent
date -s @600 >/dev/null
before=$(requests); until_true '[ $(requests) -ge $((before + 4)) ]'
say and-back; status; echo "$before $(requests)"; systemctl show -P NRestarts msp-agent
date -s '2026-11-21 12:01:00 UTC' >/dev/null
say limits
for file in memory.max memory.peak cpu.max pids.max; do echo "$file $(cat {GROUP}/$file)"; done
cat {GROUP}/memory.events
pid=$(systemctl show -P MainPID msp-agent)
echo "oom_score_adj $(cat /proc/$pid/oom_score_adj)"
grep VmHWM /proc/$pid/status
say inside
nsenter -t $pid -m setpriv --reuid msp-agent --regid msp-agent --clear-groups \
  msp-agent --dry-run | grep ^node_filesystem
say outside
setpriv --reuid msp-agent --regid msp-agent --clear-groups msp-agent --dry-run | grep ^node_filesystem
say df
df -B1 --output=size / | tail -1
echo 0 >/proc/sys/user/max_user_namespaces
systemctl restart msp-agent; until_true 'systemctl --quiet is-active msp-agent'
say no-user-namespaces; status; systemctl show -P PrivateUsers msp-agent; journalctl -o cat -u msp-agent -t sh
"""


@functools.cache
def parts() -> dict[str, str]:
    """What the one run of the script printed, by "=== name"."""
    with container("bookworm") as machine:
        install(machine)
        configure(machine, "http://127.0.0.1:9009/api/v1/write")
        (machine.root / "root/receiver").write_text(RECEIVER)
        said = run_in_virtual_machine(machine.root, SCRIPT, "-rtc", "base=1970-01-01T00:10:00")
    result = {}
    for part in said.split("=== ")[1:]:
        name, _, text = part.partition("\n")
        result[name] = text
    return result


def limit(name: str) -> str:
    return next(line.removeprefix(name + " ") for line in parts()["limits"].splitlines() if line.startswith(name + " "))


def memory_is_limited_and_the_limit_is_never_touched() -> None:
    text = parts()["limits"]
    assert limit("memory.max") == str(64 << 20), text
    assert limit("cpu.max") == "20000 100000" and limit("pids.max") == "64" and limit("oom_score_adj") == "500", text
    assert int(limit("memory.peak")) < 32 << 20, text
    for event in ("high", "max", "oom", "oom_kill"):
        assert limit(event) == "0", text
    print(f"memory.peak of the service's cgroup: {int(limit('memory.peak')) >> 10} KiB")


def a_clock_in_1970_that_is_set_later_stops_nothing() -> None:
    seconds, status = parts()["in-1970"].splitlines()[:2]
    assert int(seconds) < 10_000, f"the clock is at {seconds}"
    assert status.startswith("active cannot reach http://127.0.0.1:9009/api/v1/write"), status
    assert parts()["delivered-in-1970"].startswith("active delivering"), parts()["delivered-in-1970"]
    for name in ("today", "and-back"):
        status, counts, restarts = parts()[name].splitlines()[:3]
        before, after = map(int, counts.split())
        assert status.startswith("active delivering") and after >= before + 4, f"{name}: {status} {counts}"
        assert restarts == "0", f"{name}: {restarts} restarts"


def filesystem_metrics_are_the_machines() -> None:
    inside, outside = (parse_exposition(parts()[name]).samples for name in ("inside", "outside"))
    assert len(outside) >= 8 and set(inside) == set(outside), f"{len(outside)} series, {set(inside) ^ set(outside)}"
    for key, value in outside.items():
        slack = 1 << 20 if "free" in key[0] or "avail" in key[0] else 0
        assert abs(inside[key] - value) <= slack, f"{key}: {inside[key]} inside, {value} outside"
    sizes = [value for (name, labels), value in inside.items()
             if name == "node_filesystem_size_bytes" and ("mountpoint", "/") in labels]
    assert sizes == [float(parts()["df"].split()[0])], f"{sizes}, df says {parts()['df']}"


def a_host_without_user_namespaces_is_watched_all_the_same() -> None:
    status, private_users, told = parts()["no-user-namespaces"].splitlines()[:3]
    assert status.startswith("active") and private_users == "no", parts()["no-user-namespaces"]
    assert "cannot make the sandbox of the unit (status 217)" in told, told


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (memory_is_limited_and_the_limit_is_never_touched,
                                 a_clock_in_1970_that_is_set_later_stops_nothing,
                                 filesystem_metrics_are_the_machines,
                                 a_host_without_user_namespaces_is_watched_all_the_same)))

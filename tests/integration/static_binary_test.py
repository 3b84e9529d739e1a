"""The binary that is shipped needs nothing of the host: no library, no file but its own, no new system call."""
import contextlib
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import Iterator

from support.agent import BINARY, ROOT, running_agent, temporary_folder, write_config
from support.authority import OwnAuthority, receiving_tls
from support.check import run_checks
from support.memory import host_bundle
from support.process import Process, poll_until, started
from support.receiver import Receiver, receiving

BYTES_MAX = 6_500_000  # tests/budget.json holds it to the last 2 %
TLS_KB_MAX = 230
NAME = "monitor.test"  # resolved by nobody but the chroot's own /etc/hosts
# What a kernel of 2013 (3.10) does not have, of all that the agent or a library in it might try.
YOUNG_CALLS = ("getrandom", "statx", "clone3", "membarrier", "rseq", "faccessat2", "openat2", "close_range", "preadv2",
               "pwritev2", "copy_file_range", "epoll_pwait2", "futex_waitv", "pidfd_open", "pidfd_getfd",
               "pidfd_send_signal", "memfd_create", "renameat2", "execveat", "mlock2", "io_uring_setup")
OLD_KERNEL = "3.10.0-1160.el7.x86_64"


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout


def it_is_static_and_small() -> None:
    assert "INTERP" not in run("readelf", "--wide", "--program-headers", BINARY), "it asks for a dynamic loader"
    assert "NEEDED" not in run("readelf", "--wide", "--dynamic", BINARY), "it needs shared libraries"
    assert "DYN (" in run("readelf", "--wide", "--file-header", BINARY), "its addresses are not random"
    assert ".symtab" not in run("readelf", "--wide", "--section-headers", BINARY), "it is not stripped"
    size = os.path.getsize(BINARY)
    assert size <= BYTES_MAX, f"{size:,} bytes; {BYTES_MAX:,} is the limit"
    print(f"size of the stripped binary: {size:,} bytes")


def it_is_built_from_the_sources_that_are_pinned() -> None:
    release = platform.freedesktop_os_release()
    pinned = (ROOT / "packaging/static_dependencies.lock").read_text()
    if f"distribution {release['ID']} {release.get('VERSION_ID', 'unstable')}\n" not in pinned:
        print("the pinned sources are those of another distribution: not looked at")
        return
    where = run("sh", str(ROOT / "packaging/static_dependencies.sh"), "--where").strip()
    # What is for the other architecture's sysroot alone has no part in this binary.
    built, pinned = (re.sub(r"(?m)^(#.*|\S+:arm64 .*)\n", "", text)
                     for text in ((pathlib.Path(where) / "lock").read_text(), pinned))
    assert built == pinned, "the distribution has other sources than are pinned: run sh " \
        "packaging/static_dependencies.sh --update"


def it_says_what_was_compiled_for_it() -> None:
    """Each library with its upstream version and the distribution's patches, of which none is left out."""
    where = pathlib.Path(run("sh", str(ROOT / "packaging/static_dependencies.sh"), "--where").strip())
    locked = dict(line.split()[:2] for line in (where / "lock").read_text().splitlines()
                  if re.match(r"(openssl|c-ares|curl|libzstd|re2|yaml-cpp) ", line))
    said = run(BINARY, "--version").splitlines()[1:]
    parts = [re.fullmatch(r"(\S+) (\S+) \+ (\d+) \w+ patches \((.+)\)", line) for line in said]
    assert all(parts), said
    assert {part[1]: part[4] for part in parts} == \
        {name.removeprefix("lib"): version for name, version in locked.items()}, said
    patches = [line.split()[0].removeprefix("lib") for line in (where / "patches").read_text().splitlines()]
    assert {part[1]: int(part[3]) for part in parts} == {part[1]: patches.count(part[1]) for part in parts}, said
    header = (where / "include/openssl/opensslv.h").read_text()
    assert re.search(r'OPENSSL_VERSION_STR "(.+)"', header)[1] == parts[0][2], f"{said[0]}, and it is another"
    print("; ".join(said))


def tls_costs_little_memory_beside_plain_http() -> None:
    """As under its unit, with all the authorities that a host trusts. OpenSSL's error texts alone would be 70 kB: they
    are loaded when something fails."""
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    with open(BINARY, "rb") as binary:
        os.fsync(binary.fileno())  # until they are on the disk, pages of a new file count as dirty

    def private_kb(agent: Process) -> int:
        said = re.search(r"Private_Dirty: +(\d+) kB", pathlib.Path(f"/proc/{agent.pid}/smaps_rollup").read_text())
        return int(said[1]) if said else 0

    def at_rest(folder: pathlib.Path, receiver: Receiver, tls: str) -> int:
        config = write_config(folder, receiver.url)
        config.write_text(config.read_text() + tls)
        seen = []
        with started(Process([BINARY, "--config", str(config)], folder / "agent.log", env=environment)) as agent:
            poll_until("2 requests", lambda: len(receiver.accepted()) >= 2, process=agent)
            poll_until("2 more, and what it holds between them",
                       lambda: seen.append(private_kb(agent)) or len(receiver.accepted()) >= 4, process=agent)
        return min(seen)

    with temporary_folder() as folder, receiving() as receiver:
        plain = at_rest(folder, receiver, "")
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, authority):
        bundle = folder / "bundle.pem"
        bundle.write_text(host_bundle() + authority.ca.read_text())
        assert bundle.read_text().count("BEGIN CERTIFICATE") > 100, "this host has no bundle: install ca-certificates"
        more = at_rest(folder, receiver, f"  tls: {{server_name: {NAME}, ca_file: {bundle}}}\n") - plain
    print(f"private dirty memory over TLS: {more} kB more")
    assert more <= TLS_KB_MAX, f"{more} kB more than over plain HTTP; {TLS_KB_MAX} kB is the limit"


@contextlib.contextmanager
def agent_in_empty_root(folder: pathlib.Path, url: str, ca: pathlib.Path | None) -> Iterator[Process]:
    """The agent where there is nothing but itself, its configuration, /etc/hosts and, where given, a CA file. Root
    changes the root itself, everybody else in a user namespace of its own."""
    root = folder / "root"
    (root / "etc").mkdir(parents=True)
    shutil.copy(BINARY, root / "msp-agent")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
    config = write_config(root, url)
    if ca is not None:
        shutil.copy(ca, root / "ca.pem")
        config.write_text(config.read_text() + "  tls: {ca_file: /ca.pem}\n")
    change_root = ["chroot"] if os.getuid() == 0 else ["unshare", "--map-root-user", "chroot"]
    process = Process([*change_root, str(root), "/msp-agent", "--config", f"/{config.name}"], folder / "agent.log")
    with started(process):
        yield process


def an_empty_root_is_enough_to_deliver_over_https_by_name() -> None:
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, authority):
        url = f"https://{NAME}:{receiver.port}/api/v1/write"
        with agent_in_empty_root(folder, url, authority.ca) as agent:
            poll_until("2 requests over TLS", lambda: len(receiver.accepted()) >= 2, process=agent)
    assert len({request.connection for request in receiver.requests}) == 1, "not one connection for all requests"


def a_name_that_does_not_exist_is_told() -> None:
    with temporary_folder() as folder:
        with agent_in_empty_root(folder, "http://nowhere.test/api/v1/write", None) as agent:
            poll_until("the error", lambda: "the host name does not resolve" in agent.log(), process=agent)


@contextlib.contextmanager
def name_server(address: str) -> Iterator[None]:
    """Answers every question with 127.0.0.1 (RFC 1035, section 4)."""
    def serve() -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                question, client = listener.recvfrom(512)
                name_and_type = question[12:question.index(b"\0", 12) + 5]
                is_a = name_and_type[-4:-2] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_a else b""
                header = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
                listener.sendto(header + name_and_type + record, client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address, 53))
        threading.Thread(target=serve, daemon=True).start()
        yield


def a_network_that_comes_later_is_noticed() -> None:
    if os.getuid() != 0:
        print("only root can listen on port 53: not looked at")
        return
    address = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 | 2}"
    with temporary_folder() as folder, receiving() as receiver, name_server(address):
        url = f"http://later.test:{receiver.port}/api/v1/write"
        with agent_in_empty_root(folder, url, None) as agent:
            poll_until("the error", lambda: "the host name does not resolve" in agent.log(), process=agent)
            assert not receiver.requests, "it delivered before there was a name server"
            (folder / "root/etc/resolv.conf").write_text(f"nameserver {address}\n")
            poll_until("a request", receiver.accepted, process=agent)


def a_host_without_ca_certificates_is_told_what_to_do() -> None:
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, _):
        with agent_in_empty_root(folder, f"https://{NAME}:{receiver.port}/api/v1/write", None) as agent:
            poll_until("the error", lambda: "no CA certificates to verify the server with" in agent.log(),
                       process=agent)
            said = agent.log()
        assert "/etc/ssl/certs/ca-certificates.crt" in said and "tls.ca_file" in said, said
        assert not receiver.requests, "it delivered to a server that it could not verify"


def a_certificate_of_another_authority_is_refused() -> None:
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, _):
        (other := folder / "other").mkdir()
        url = f"https://{NAME}:{receiver.port}/api/v1/write"
        with agent_in_empty_root(folder, url, OwnAuthority(other, NAME).ca) as agent:
            poll_until("the error", lambda: "certificate" in agent.log(), process=agent)
        assert not receiver.requests, "it delivered to a server that it could not verify"


def old_utsname() -> str:
    """struct utsname up to the release, in hex: OpenSSL believes a kernel from 4.8 on to have getrandom."""
    return "".join(field.encode().ljust(65, b"\0").hex() for field in ("Linux", os.uname().nodename, OLD_KERNEL))


@contextlib.contextmanager
def traced_agent(config: pathlib.Path, trace: pathlib.Path, *options: str) -> Iterator[Process]:
    # --daemonize: the agent is the process that is started, and ended; strace goes with it.
    process = Process(["strace", "--daemonize", "--follow-forks", "--output", str(trace), *options,
                       BINARY, "--config", str(config)], config.parent / "agent.log")
    try:
        with started(process):
            yield process
    finally:
        end_tracers(trace)


def agent_on_old_kernel(config: pathlib.Path, trace: pathlib.Path) -> contextlib.AbstractContextManager[Process]:
    young = ",".join(YOUNG_CALLS)
    return traced_agent(config, trace, "--trace", f"{young},uname", "--inject", f"{young}:error=ENOSYS",
                        "--inject", f"uname:poke_exit=@arg1={old_utsname()}")


def end_tracers(trace: pathlib.Path) -> None:
    """strace ends with what it traces; now and then a process of its own stays, and waits for nobody."""
    def left() -> list[int]:
        found = []
        for arguments in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(trace).encode() in arguments.read_bytes().split(b"\0"):
                    found.append(int(arguments.parent.name))
        return found

    for _ in range(40):
        if not left():
            break
        time.sleep(0.05)
    for pid in left():
        os.kill(pid, signal.SIGKILL)


def a_kernel_that_lacks_young_system_calls_is_enough() -> None:
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, authority):
        config, trace = write_config(folder, receiver.url), folder / "strace.log"
        config.write_text(config.read_text() + f"  tls: {{server_name: {NAME}, ca_file: {authority.ca}}}\n")
        with agent_on_old_kernel(config, trace) as agent:
            poll_until("2 requests", lambda: len(receiver.accepted()) >= 2, process=agent)
        seen = trace.read_text()
        names = {value for request in receiver.accepted() for series in request.series
                 for value in [dict(series.labels).get("release")] if value}
    for name in ("getrandom", "clone3"):
        assert any(f"{name}(" in line and "ENOSYS" in line for line in seen.splitlines()), f"{name} was not refused"
    assert names == {OLD_KERNEL}, f"it saw the kernel {names}, not {OLD_KERNEL}"


def an_old_kernel_is_enough_to_buffer_on_disk() -> None:
    with temporary_folder() as folder, receiving([503] * 1000) as receiver:
        with agent_on_old_kernel(write_config(folder, receiver.url), folder / "strace.log") as agent:
            poll_until("a segment on disk", lambda: list(folder.glob("*-buffer/*.seg")), process=agent)
            assert not receiver.accepted(), "it was delivered after all"
            receiver.answer_from_now_on(())
            # The back-off is up to a minute by now; a stop and a start do not wait for it.
            agent.stop()
        refused = {sample for request in receiver.requests for sample in request.samples()}
        with agent_on_old_kernel(folder / "web-01.yaml", folder / "strace.log") as agent:
            poll_until("what was buffered", lambda: refused <= {
                sample for request in receiver.accepted() for sample in request.samples()}, process=agent)
        ticks = receiver.timestamps()
    assert len(ticks) >= 4 and len(ticks) == len(set(ticks)), f"ticks delivered: {ticks}"


def a_disk_that_is_slow_to_sync_costs_nothing_at_a_stop() -> None:
    with temporary_folder() as folder, receiving([503] * 1000) as receiver:
        config, trace = write_config(folder, receiver.url), folder / "strace.log"
        with traced_agent(config, trace, "--trace", "fdatasync", "--inject", "fdatasync:delay_enter=1500000") as agent:
            poll_until("a refused tick", lambda: receiver.requests, process=agent)
            agent.send(signal.SIGTERM)
            code = agent.wait()
        assert code == 0, f"exit code {code}: {agent.log()}"
        assert "DELAYED" in trace.read_text(), "nothing was synced"
        assert "kept for the next start" in agent.log(), agent.log()
        refused = {sample for request in receiver.requests for sample in request.samples()}
        receiver.answer_from_now_on(())
        with running_agent(config) as agent:
            poll_until("what was buffered", lambda: refused <= {
                sample for request in receiver.accepted() for sample in request.samples()}, process=agent)


run_checks(it_is_static_and_small, it_is_built_from_the_sources_that_are_pinned, it_says_what_was_compiled_for_it,
           tls_costs_little_memory_beside_plain_http, an_empty_root_is_enough_to_deliver_over_https_by_name,
           a_name_that_does_not_exist_is_told, a_network_that_comes_later_is_noticed,
           a_host_without_ca_certificates_is_told_what_to_do, a_certificate_of_another_authority_is_refused,
           a_kernel_that_lacks_young_system_calls_is_enough, an_old_kernel_is_enough_to_buffer_on_disk,
           a_disk_that_is_slow_to_sync_costs_nothing_at_a_stop)

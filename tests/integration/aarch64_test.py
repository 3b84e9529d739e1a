"""The cross-built binary for 64-bit ARM, run by qemu: it is static, fits every kernel's pages, and does what the
binary for x86-64 does."""
import contextlib
import os
import pathlib
import re
import subprocess
from typing import Iterator

from support.agent import BINARY, ROOT, run_once, temporary_folder, write_config
from support.authority import receiving_tls
from support.check import run_checks
from support.exposition import Exposition, parse_exposition
from support.process import Process, poll_until, started
from support.receiver import receiving

ARM_BINARY = ROOT / "build/release-arm64/msp-agent"
ON_ARM = ("qemu-aarch64-static", str(ARM_BINARY))
BYTES_MAX = 6 * 1024 * 1024
PAGE_BYTES_MAX = 65536
NOWHERE = "http://127.0.0.1:9/api/v1/write"
NAME = "monitor.test"
FIXTURES = ROOT / "tests/fixtures"
# What two runs on one host differ in; of the last ones, the host's own disk, the values only.
CHANGES = re.compile("node_scrape_collector_duration_seconds|node_time_seconds|container_last_seen|"
                     "msp_agent_(?!build_info).*")
CHANGING_VALUES = re.compile(r"node_filesystem_(avail|free)_bytes|node_filesystem_files_free")


def readelf(*options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options, str(ARM_BINARY)], capture_output=True, text=True, check=True,
                          timeout=120).stdout


def on_arm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ON_ARM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          check=False)


def it_is_static_and_small() -> None:
    header = readelf("--file-header")
    assert "AArch64" in header and "DYN (" in header, f"not a position-independent binary for ARM:\n{header}"
    assert "INTERP" not in readelf("--program-headers"), "it asks for a dynamic loader"
    assert "NEEDED" not in readelf("--dynamic"), "it needs shared libraries"
    assert ".symtab" not in readelf("--section-headers"), "it is not stripped"
    size = os.path.getsize(ARM_BINARY)
    assert size <= BYTES_MAX, f"{size:,} bytes; {BYTES_MAX:,} is the limit"
    print(f"size of the stripped binary for 64-bit ARM: {size:,} bytes")


def it_can_be_mapped_where_pages_are_64_kib() -> None:
    loads = [line.split() for line in readelf("--program-headers").splitlines() if line.split()[:1] == ["LOAD"]]
    assert loads, "no segment is loaded"
    pages: dict[int, set[str]] = {}
    for load in loads:
        offset, address, size, flags, alignment = (int(load[1], 16), int(load[2], 16), int(load[5], 16),
                                                   "".join(load[6:-1]), int(load[-1], 16))
        assert alignment >= PAGE_BYTES_MAX, f"a segment is aligned to {alignment:#x} bytes"
        assert offset % PAGE_BYTES_MAX == address % PAGE_BYTES_MAX, f"{address:#x} cannot be mapped from {offset:#x}"
        for page in range(address // PAGE_BYTES_MAX, (address + size - 1) // PAGE_BYTES_MAX + 1):
            pages.setdefault(page, set()).add(flags)
    shared = {hex(page * PAGE_BYTES_MAX): flags for page, flags in pages.items() if len(flags) > 1}
    assert not shared, f"pages with two protections: {shared}"


def its_c_library_is_the_one_that_is_pinned() -> None:
    """The cross compiler brings another, without security fixes: the linker is asked which it takes."""
    folder = ARM_BINARY.parent
    commands = subprocess.run(["ninja", "-C", str(folder), "-t", "commands", "msp-agent"], capture_output=True,
                              text=True, check=True, timeout=120).stdout
    with temporary_folder() as scratch:
        link = commands.splitlines()[-1].replace(" -o msp-agent ", f" -Wl,--trace -o {scratch}/msp-agent ")
        trace = subprocess.run(["sh", "-c", link], cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    taken = {match for match in re.findall(r"(?m)^\(?([^\s()]+/(?:libc\.a|rcrt1\.o|libm\.a))", trace.stdout)}
    assert any(path.endswith("/libc.a") for path in taken) and any(path.endswith("/rcrt1.o") for path in taken), \
        f"the linker's trace names no C library: {trace.stdout[:500]}"
    assert all("/sysroot/usr/lib/aarch64-linux-gnu/" in path for path in taken), f"it is linked with {taken}"


def it_says_the_version_of_the_other() -> None:
    arm, here = on_arm("--version"), run_once("--version")
    assert (arm.returncode, arm.stdout, arm.stderr) == (0, here.stdout, ""), f"{arm} instead of {here}"


def dry_run_of(command: tuple[str, ...], config: pathlib.Path, case: pathlib.Path, nothing: pathlib.Path) -> str:
    roots = [word for option, name in (("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root"))
             for word in (f"--path.{option}", str(case / name if (case / name).is_dir() else nothing))]
    outcome = subprocess.run([*command, "--config", str(config), "--dry-run", *roots], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, errors="surrogateescape", timeout=120, check=False)
    return f"exit {outcome.returncode}\n{outcome.stdout}" if outcome.returncode else outcome.stdout


def comparable(text: str) -> Exposition | str:
    if text.startswith("exit "):
        return text
    exposition = parse_exposition(text)
    # As text: a NaN is no other one.
    exposition.samples = {(name, labels): "0" if CHANGING_VALUES.fullmatch(name) else repr(value)
                          for (name, labels), value in exposition.samples.items() if not CHANGES.fullmatch(name)}
    return exposition


def it_reads_every_fixture_as_the_other_does() -> None:
    compared = 0
    with temporary_folder() as folder:
        (nothing := folder / "nothing").mkdir()
        for collector in sorted(path.name for path in FIXTURES.iterdir()):
            if collector == "uname":
                continue  # the machine is another one: below
            config = write_config(folder, NOWHERE, more=f"collectors: {{enabled: [{collector}]}}\n")
            for case in sorted(FIXTURES.joinpath(collector).glob("*/")):
                if not any((case / name).is_dir() for name in ("proc", "sys", "root")):
                    continue
                here, arm = (comparable(dry_run_of(command, config, case, nothing))
                             for command in ((BINARY,), ON_ARM))
                assert arm == here, f"{collector}/{case.name}: {differences(arm, here)}"
                compared += 1
    assert compared >= 40, f"only {compared} fixtures were found"
    print(f"fixtures read the same by both: {compared}")


def differences(arm: Exposition | str, here: Exposition | str) -> str:
    if isinstance(arm, str) or isinstance(here, str):
        return f"on ARM {str(arm)[:300]}, here {str(here)[:300]}"
    changed = {key for key in arm.samples.keys() | here.samples.keys()
               if arm.samples.get(key) != here.samples.get(key)}
    return "; ".join(f"{key}: on ARM {arm.samples.get(key)}, here {here.samples.get(key)}"
                     for key in sorted(changed)[:3])


def it_names_its_machine() -> None:
    with temporary_folder() as folder:
        outcome = on_arm("--config", str(write_config(folder, NOWHERE)), "--dry-run")
    assert outcome.returncode == 0, outcome.stderr
    samples = parse_exposition(outcome.stdout).samples
    machines = {dict(labels)["machine"] for name, labels in samples if name == "node_uname_info"}
    assert machines == {"aarch64"}, machines
    failed = [dict(labels)["collector"] for (name, labels), value in samples.items()
              if name == "node_scrape_collector_success" and value != 1]
    failed = [name for name in failed if f"# {name}: no data here: " not in outcome.stdout]
    assert not failed, f"collectors that fail: {failed}"


@contextlib.contextmanager
def agent_on_arm(config: pathlib.Path) -> Iterator[Process]:
    process = Process([*ON_ARM, "--config", str(config)], config.with_suffix(".log"))
    with started(process):
        yield process


def it_delivers_and_stops_when_asked() -> None:
    with temporary_folder() as folder, receiving() as receiver:
        with agent_on_arm(write_config(folder, receiver.url)) as agent:
            poll_until("3 requests", lambda: len(receiver.accepted()) >= 3, process=agent)
            agent.stop()
            assert agent.wait(0) == 0, agent.log()
    assert receiver.accepted()[0].samples(), "a request without samples"


def it_delivers_over_https() -> None:
    with temporary_folder() as folder, receiving_tls(folder, NAME) as (receiver, authority):
        config = write_config(folder, receiver.url)
        config.write_text(config.read_text() + f"  tls: {{server_name: {NAME}, ca_file: {authority.ca}}}\n")
        with agent_on_arm(config) as agent:
            poll_until("2 requests over TLS", lambda: len(receiver.accepted()) >= 2, process=agent)


def it_keeps_on_disk_what_the_other_can_deliver() -> None:
    """The buffer's format is the same on both: a disk may move, and so may this test's."""
    with temporary_folder() as folder, receiving([503] * 1000) as receiver:
        config = write_config(folder, receiver.url)
        with agent_on_arm(config) as agent:
            poll_until("a segment on disk", lambda: list(folder.glob("*-buffer/*.seg")), process=agent)
            agent.stop()
        receiver.answer_from_now_on(())
        refused = {sample for request in receiver.requests for sample in request.samples()}
        with started(Process([BINARY, "--config", str(config)], folder / "here.log")) as here:
            poll_until("what was buffered", lambda: refused <= {
                sample for request in receiver.accepted() for sample in request.samples()}, process=here)


run_checks(it_is_static_and_small, it_can_be_mapped_where_pages_are_64_kib, its_c_library_is_the_one_that_is_pinned,
           it_says_the_version_of_the_other, it_reads_every_fixture_as_the_other_does, it_names_its_machine,
           it_delivers_and_stops_when_asked, it_delivers_over_https, it_keeps_on_disk_what_the_other_can_deliver)

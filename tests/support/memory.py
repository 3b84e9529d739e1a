"""What a process holds in memory, as the kernel counts it."""
import pathlib
import re

BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def kilobytes(pid: int, file: str, key: str) -> int:
    match = re.search(rf"(?m)^{key}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/{file}").read_text())
    assert match, f"{file} has no {key}"
    return int(match[1])


def resident_kilobytes(pid: int) -> int:
    return kilobytes(pid, "status", "VmRSS")


def private_kilobytes(pid: int) -> int:
    return kilobytes(pid, "smaps_rollup", "Private_Dirty")


def memory_of(pid: int) -> str:
    return (f"resident {resident_kilobytes(pid)} kB, most {kilobytes(pid, 'status', 'VmHWM')} kB, "
            f"proportional {kilobytes(pid, 'smaps_rollup', 'Pss')} kB, private dirty {private_kilobytes(pid)} kB")


def host_bundle() -> str:
    """All CA certificates that this host trusts; empty: it has no such file."""
    return next((pathlib.Path(name).read_text() for name in BUNDLES if pathlib.Path(name).exists()), "")

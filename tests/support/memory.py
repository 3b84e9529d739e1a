"""What a process holds in memory, as the kernel counts it."""
import pathlib
import re

BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def memory_of(pid: int) -> str:
    def kilobytes(file: str, key: str) -> str:
        match = re.search(rf"(?m)^{key}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/{file}").read_text())
        return f"{match[1] if match else '?'} kB"
    return (f"resident {kilobytes('status', 'VmRSS')}, most {kilobytes('status', 'VmHWM')}, "
            f"proportional {kilobytes('smaps_rollup', 'Pss')}, "
            f"private dirty {kilobytes('smaps_rollup', 'Private_Dirty')}")


def host_bundle() -> str:
    """All CA certificates that this host trusts; empty: it has no such file."""
    return next((pathlib.Path(name).read_text() for name in BUNDLES if pathlib.Path(name).exists()), "")

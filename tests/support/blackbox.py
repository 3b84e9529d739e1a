"""What probes say, and Debian's blackbox_exporter to compare it with."""
import contextlib
import pathlib
import re
import urllib.parse
import urllib.request
from typing import Iterator

from support.nginx import listens
from support.process import Process, free_port, poll_until

# The cipher came later than the exporter of Debian 12; the labels of the other change with every certificate.
NOT_COMPARED = {"probe_tls_cipher_info", "probe_ssl_last_chain_info"}
Found = dict[tuple[str, str], float]  # by name and phase or version


def values(text: str, **wanted: str) -> Found:
    """Of the series that have these labels."""
    found: Found = {}
    for name, labels, value in re.findall(r"(?m)^(probe_\w+)(?:\{(.*)\})? (\S+)$", text):
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if wanted.items() <= of.items():
            found[name, of.get("phase") or of.get("version") or ""] = float(value)
    return found


class Exporter:
    def __init__(self, port: int):
        self._port = port

    def says(self, module: str, target: str) -> Found:
        query = urllib.parse.urlencode({"module": module, "target": target})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/probe?{query}", timeout=120) as answer:
            return values(answer.read().decode())


@contextlib.contextmanager
def running_exporter(folder: pathlib.Path, config: str) -> Iterator[Exporter]:
    config_file, port = folder / "blackbox.yml", free_port()
    config_file.write_text(config)
    process = Process(["prometheus-blackbox-exporter", f"--config.file={config_file}",
                       f"--web.listen-address=127.0.0.1:{port}"], folder / "exporter.log")
    try:
        poll_until("the exporter listens", lambda: listens(port), process=process)
        yield Exporter(port)
    finally:
        process.stop()


def differences(what: str, ours: Found, theirs: Found) -> list[str]:
    return [f"{what}: {key}: ours {ours.get(key)}, theirs {theirs.get(key)}"
            for key in sorted(ours.keys() | theirs.keys())
            if key[0] not in NOT_COMPARED and not _is_alike(key[0], ours.get(key), theirs.get(key))]


def _is_alike(name: str, ours: float | None, theirs: float | None) -> bool:
    """Of what is measured, both must have it."""
    is_measured = name.endswith("_seconds") and not name.endswith("timestamp_seconds")
    return ours == theirs or (is_measured and ours is not None and theirs is not None)

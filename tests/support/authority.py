"""A certificate authority of a test's own, and a receiver whose certificate is from there."""
import contextlib
import pathlib
import ssl
import subprocess
from typing import Iterator

from support.receiver import Receiver, receiving


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)


class OwnAuthority:
    """A CA of its own, and a certificate for `name`."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.ca, self.certificate, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        ca_key, request, names = folder / "ca.key", folder / "server.csr", folder / "names"
        names.write_text(f"subjectAltName=DNS:{name}\n")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *new_key, "-keyout", str(ca_key), "-out", str(self.ca), "-days", "2",
                "-subj", "/CN=own authority")
        openssl("req", *new_key, "-keyout", str(self.key), "-out", str(request), "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(ca_key),
                "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out", str(self.certificate))


@contextlib.contextmanager
def receiving_tls(folder: pathlib.Path, name: str) -> Iterator[tuple[Receiver, OwnAuthority]]:
    authority = OwnAuthority(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    with receiving(tls=context) as receiver:
        yield receiver, authority

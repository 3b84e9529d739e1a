"""Certificates for tests: an authority of their own and what it signs, good, expired or for somebody else."""
import pathlib
import subprocess
import time

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
DAY = 86400


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def stamp(days_from_now: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days_from_now * DAY))


class Certificate:
    def __init__(self, folder: pathlib.Path, stem: str):
        self.file, self.key = folder / f"{stem}.pem", folder / f"{stem}.key"


class Authority:
    """`name` is what errors call it."""

    def __init__(self, folder: pathlib.Path, name: str = "own authority"):
        stem = name.replace(" ", "-")
        self.name = name
        self.folder = folder / stem
        self.folder.mkdir(parents=True)
        self.ca, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        self._count = 0
        openssl("req", "-x509", *NEW_KEY, "-keyout", str(self._key), "-out", str(self.ca), "-days", "2",
                "-subj", f"/CN={name}")
        (self.folder / "index").touch()
        (self.folder / "ca.cnf").write_text(f"""[ca]
default_ca = own
[own]
database = {self.folder / "index"}
new_certs_dir = {self.folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
""")

    def issue(self, common_name: str, alternative_names: str = "", first_day: float = -1,
              last_day: float = 1, new_key: tuple[str, ...] = NEW_KEY) -> Certificate:
        """`alternative_names` are OpenSSL's: "DNS:a.test,IP:127.0.0.1". Days count from now. `new_key` is for openssl
        req."""
        self._count += 1
        certificate = Certificate(self.folder, f"{self._count}")
        request, extensions = self.folder / "request", self.folder / "extensions"
        openssl("req", *new_key, "-keyout", str(certificate.key), "-out", str(request), "-subj", f"/CN={common_name}")
        names = f"subjectAltName={alternative_names}\n" if alternative_names else ""
        extensions.write_text(f"authorityKeyIdentifier=keyid\n{names}")
        openssl("ca", "-batch", "-notext", "-config", str(self.folder / "ca.cnf"), "-cert", str(self.ca), "-keyfile",
                str(self._key), "-in", str(request), "-out", str(certificate.file), "-extfile", str(extensions),
                "-startdate", stamp(first_day), "-enddate", stamp(last_day))
        return certificate


def self_signed(folder: pathlib.Path, common_name: str) -> Certificate:
    certificate = Certificate(folder, "self-signed")
    openssl("req", "-x509", *NEW_KEY, "-keyout", str(certificate.key), "-out", str(certificate.file), "-days", "2",
            "-subj", f"/CN={common_name}", "-addext", "subjectAltName=IP:127.0.0.1")
    return certificate

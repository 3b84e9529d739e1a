"""CA certificates are found where each distribution has them: the static binary in an empty root, laid out like one."""
import contextlib
import os
import pathlib
import shutil
from typing import Iterator

from support.agent import BINARY, temporary_folder, write_config
from support.certificates import Authority, openssl
from support.check import run_checks
from support.nginx import running_nginx
from support.process import Process, poll_until, started
from support.receiver import receiving

FILES = {
    "Debian, Ubuntu and Alpine": "etc/ssl/certs/ca-certificates.crt",
    "RHEL, Fedora and Amazon Linux": "etc/pki/tls/certs/ca-bundle.crt",
    "SUSE": "etc/ssl/ca-bundle.pem",
    "the rest": "etc/ssl/cert.pem",
}
FOLDERS = ("etc/ssl/certs", "etc/pki/ca-trust/extracted/pem/directory-hash")


@contextlib.contextmanager
def agent_in(root: pathlib.Path, url: str) -> Iterator[Process]:
    """Root changes the root itself, everybody else in a user namespace of its own."""
    shutil.copy(BINARY, root / "msp-agent")
    config = write_config(root, url)
    change_root = ["chroot"] if os.getuid() == 0 else ["unshare", "--map-root-user", "chroot"]
    process = Process([*change_root, str(root), "/msp-agent", "--config", f"/{config.name}"], root / "agent.log")
    with started(process):
        yield process


def delivers_with(files: dict[str, bytes], authority: Authority) -> None:
    certificate = authority.issue("monitor", "IP:127.0.0.1")
    with temporary_folder() as folder, receiving() as receiver:
        server = (f"server {{ listen PORT ssl; ssl_certificate {certificate.file}; ssl_certificate_key "
                  f"{certificate.key}; location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }} }}")
        root = folder / "root"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        with running_nginx(folder, server) as nginx:
            with agent_in(root, f"https://127.0.0.1:{nginx.port}/api/v1/write") as agent:
                poll_until("2 requests", lambda: len(receiver.accepted()) >= 2, process=agent)


def bundle_of(distribution: str):
    def check() -> None:
        with temporary_folder() as folder:
            other, own = Authority(folder, "other authority"), Authority(folder)
            delivers_with({FILES[distribution]: other.ca.read_bytes() + own.ca.read_bytes()}, own)
    check.__name__ = f"a bundle where {distribution} has it"
    return check


def hashed_names_without_a_bundle(place: str):
    def check() -> None:
        with temporary_folder() as folder:
            own = Authority(folder)
            name = openssl("x509", "-in", str(own.ca), "-noout", "-subject_hash").strip()
            others = {f"{place}/{i:08x}.0": b"" for i in range(1, 40)}
            delivers_with({**others, f"{place}/{name}.0": own.ca.read_bytes()}, own)
    check.__name__ = f"hashed names in {place} without a bundle"
    return check


def a_few_hashed_names_do_not_hide_the_bundle() -> None:
    with temporary_folder() as folder:
        own = Authority(folder)
        delivers_with({"etc/ssl/certs/00000001.0": b"", FILES["SUSE"]: own.ca.read_bytes()}, own)


def an_authority_that_the_host_no_longer_trusts_is_not_trusted_by_the_agent() -> None:
    """Neither over the connection that stands nor by its TLS session."""
    with temporary_folder() as folder, receiving() as receiver:
        own, other = Authority(folder), Authority(folder, "other authority")
        certificate = own.issue("monitor", "IP:127.0.0.1")
        server = (f"server {{ listen PORT ssl; ssl_certificate {certificate.file}; ssl_certificate_key "
                  f"{certificate.key}; location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }} }}")
        bundle = folder / "root/etc/ssl/cert.pem"
        bundle.parent.mkdir(parents=True)
        bundle.write_bytes(own.ca.read_bytes())
        with running_nginx(folder, server) as nginx:
            with agent_in(folder / "root", f"https://127.0.0.1:{nginx.port}/api/v1/write") as agent:
                poll_until("2 requests", lambda: len(receiver.accepted()) >= 2, process=agent)
                (new := bundle.with_suffix(".new")).write_bytes(other.ca.read_bytes())
                os.replace(new, bundle)  # as update-ca-certificates does
                poll_until("the reason", lambda: "was issued by CN = own authority" in agent.log(), process=agent)


run_checks(*(bundle_of(distribution) for distribution in FILES),
           *(hashed_names_without_a_bundle(place) for place in FOLDERS), a_few_hashed_names_do_not_hide_the_bundle,
           an_authority_that_the_host_no_longer_trusts_is_not_trusted_by_the_agent)

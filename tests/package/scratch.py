"""Scratch roots to install into: a Debian tree, unpacked once and kept under build/, with everything that is written
lying in a folder above it. Mounts exist only while a command runs, in a mount namespace of its own: a test that dies
leaves none. Needs root; a check under @needs_root is not looked at without.
"""
import contextlib
import functools
import os
import pathlib
import shlex
import subprocess
from typing import Callable, Iterator

from support.agent import ROOT, temporary_folder
from support.container import tree

PACKAGES = ROOT / "build/tests/packages"  # made by tests/run.sh before these tests
SUITE = "bookworm"
BACKOFF = "/usr/lib/systemd/system/msp-agent.service.d/restart-backoff.conf"
SYSTEM_SPEC = """Name: the-system
Version: 1
Release: 1
Summary: What the tree has already
License: none
BuildArch: noarch
Provides: /bin/sh /usr/sbin/useradd
%description
What the tree has already.
%files
"""


def needs_root(check: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(check)
    def looked_at() -> None:
        if os.getuid() == 0:
            check()
        else:
            print("only root can install into a scratch root: not looked at")
    return looked_at


def run(*command: str, env: dict[str, str] | None = None, seconds_max: float = 600) -> subprocess.CompletedProcess[str]:
    """stdout and stderr together, in its stdout."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds_max, check=False, env={**os.environ, "LC_ALL": "C", **(env or {})})


def must(*command: str, env: dict[str, str] | None = None, seconds_max: float = 600) -> str:
    outcome = run(*command, env=env, seconds_max=seconds_max)
    assert outcome.returncode == 0, f"{' '.join(command)} ends with {outcome.returncode}:\n{outcome.stdout}"
    return outcome.stdout


def packages(pattern: str, folder: str = "") -> pathlib.Path:
    """The one package of build/tests/packages that has such a name; msp-agent-textfile only where that is asked for."""
    found = [path for path in (PACKAGES / folder).glob(pattern)
             if path.name.startswith("msp-agent-textfile") == pattern.startswith("msp-agent-textfile")]
    assert len(found) == 1, f"{pattern} in {PACKAGES / folder}: {found}; tests/run.sh package makes it"
    return found[0]


class ScratchRoot:
    """A root of its own over the Debian tree, or over another. Files are put into it by path while no command runs."""

    def __init__(self, folder: pathlib.Path, lower: pathlib.Path | None = None):
        self.upper, self._work, self.merged = folder / "upper", folder / "work", folder / "root"
        for path in (self.upper, self._work, self.merged):
            path.mkdir(parents=True)
        layers = f"lowerdir={lower or tree(SUITE)},upperdir={self.upper},workdir={self._work}"
        devices = f"mount --rbind /dev '{self.merged}/dev' && " if lower else ""
        mount = (f"mount -t overlay overlay -o '{layers}' '{self.merged}' && {devices}"
                 f"mount -t proc proc '{self.merged}/proc' && exec \"$@\"")
        # Whatever a command leaves behind, such as a gpg-agent of dnf, ends with it.
        self._around = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
                        "sh", "-c", mount, "sh"]
        self._inside = ["chroot", str(self.merged), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                        "DEBIAN_FRONTEND=noninteractive"]

    def around(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the host while the root is mounted at .merged."""
        return run(*self._around, *command)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.around(*self._inside, *command)

    def shell(self) -> str:
        """The words of a shell that is inside, for another shell: a program and its arguments may follow."""
        return shlex.join([*self._around, *self._inside])

    def must(self, *command: str) -> str:
        outcome = self.inside(*command)
        assert outcome.returncode == 0, f"{' '.join(command)} ends with {outcome.returncode}:\n{outcome.stdout}"
        return outcome.stdout

    def put(self, path: str, content: str) -> None:
        (self.upper / path).parent.mkdir(parents=True, exist_ok=True)
        (self.upper / path).write_text(content)

    def pretend_systemd(self, version: str) -> None:
        """For what asks systemctl for its version."""
        self.put("usr/sbin/systemctl", f'''#!/bin/sh
[ "$1" != --version ] || exec echo "systemd {version}"
exec /usr/bin/systemctl "$@"
''')
        (self.upper / "usr/sbin/systemctl").chmod(0o755)

    def what_is_there(self) -> set[str]:
        """Every path but what the system writes by itself, with owner and mode of each."""
        skipped = [word for path in ("/proc", "/srv", "/tmp", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/log")
                   for word in ("-path", path, "-o")]
        listed = self.must("find", "/", "-xdev", "(", *skipped, "-name", "*-", ")", "-prune", "-o",
                           "-printf", "%p %u:%g %m\\n")
        return set(listed.splitlines())


@contextlib.contextmanager
def scratch_root(lower: pathlib.Path | None = None) -> Iterator[ScratchRoot]:
    with temporary_folder() as folder:
        yield ScratchRoot(folder, lower)


def system_package(folder: pathlib.Path) -> pathlib.Path:
    (folder / "the-system.spec").write_text(SYSTEM_SPEC)
    must("rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}", str(folder / "the-system.spec"))
    return folder / "RPMS/noarch/the-system-1-1.noarch.rpm"


def root_for_rpm(root: ScratchRoot) -> None:
    """What rpm misses in a Debian tree, a package of nothing provides."""
    with temporary_folder() as folder:
        outcome = root.around("rpm", "--root", str(root.merged), "--nosignature", "-i", str(system_package(folder)))
    assert outcome.returncode == 0, outcome.stdout


class Repository:
    """A signed repository of some packages, made by packaging/repository.sh with a key of its own."""

    def __init__(self, folder: pathlib.Path):
        self.path = folder / "repository"
        self._home = {"GNUPGHOME": str(folder / "gnupg")}
        (folder / "gnupg").mkdir(mode=0o700, parents=True)
        must("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "test", "rsa2048", "sign", "never",
             env=self._home)
        listed = must("gpg", "--list-keys", "--with-colons", env=self._home)
        self._key = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def publish(self, *packages_to_add: pathlib.Path) -> subprocess.CompletedProcess[str]:
        return run("sh", str(ROOT / "packaging/repository.sh"), "--key", self._key, "--out", str(self.path),
                   *map(str, packages_to_add), env=self._home)

    def sign(self, index: pathlib.Path) -> None:
        must("gpg", "--batch", "--yes", "--armor", "--local-user", self._key, "--detach-sign", "--output",
             f"{index}.asc", str(index), env=self._home)

    def verify(self, file: pathlib.Path) -> None:
        must("gpg", "--batch", "--verify", f"{file}.asc", str(file), env=self._home)

    def stop(self) -> None:
        run("gpgconf", "--kill", "all", env=self._home)


@contextlib.contextmanager
def repository(*first: pathlib.Path) -> Iterator[Repository]:
    with temporary_folder() as folder:
        made = Repository(folder)
        try:
            outcome = made.publish(*first)
            assert outcome.returncode == 0, outcome.stdout
            yield made
        finally:
            made.stop()

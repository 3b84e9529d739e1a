"""packaging/security_update.sh: what it does in which order, and that a step that fails stops it. The steps themselves
are fakes here: each writes down that it was called. The real ones have tests of their own."""
import pathlib
import shutil
import subprocess

from scratch import must, run
from support.agent import ROOT, temporary_folder
from support.check import run_checks

UPDATE = """echo "$0 $*" >>calls
echo 'openssl 2 x.dsc 00 trixie openssl' >packaging/static_dependencies.lock
echo 'x86_64, aarch64: openssl 1 -> 2'
"""
STEP = 'echo "$0 $*" >>calls\n'
PACKAGES = STEP + 'mkdir -p build/packages/0.1.1\ntouch build/packages/0.1.1/a.deb build/packages/0.1.1/a.rpm\n' \
    'touch build/packages/0.1.1/a.provenance.json\n'


class Checkout:
    def __init__(self, folder: pathlib.Path, **steps: str):
        self.folder = folder / "checkout"
        (self.folder / "packaging").mkdir(parents=True)
        (self.folder / "tests").mkdir()
        shutil.copy(ROOT / "packaging/security_update.sh", self.folder / "packaging")
        for name, file, text in (("update", "packaging/static_dependencies.sh", UPDATE), ("test", "tests/run.sh", STEP),
                                 ("packages", "packaging/packages.sh", PACKAGES),
                                 ("repository", "packaging/repository.sh", STEP)):
            (self.folder / file).write_text(steps.get(name, text))
        (self.folder / "packaging/static_dependencies.lock").write_text("openssl 1 x.dsc 00 trixie openssl\n")
        (self.folder / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (2026-01-01)\n- All of it.\n")
        (self.folder / ".gitignore").write_text("/build/\n/calls\n/tracker.json\n")
        (self.folder / "tracker.json").write_text("{}")
        for command in (("init", "--quiet"), ("config", "user.name", "x"), ("config", "user.email", "x@example.com"),
                        ("add", "."), ("commit", "--quiet", "--message", "first")):
            self.git(*command)

    def git(self, *arguments: str) -> str:
        return must("git", "-C", str(self.folder), "-c", "safe.directory=*", *arguments)

    def update(self, version: str = "0.1.1") -> subprocess.CompletedProcess[str]:
        return run("sh", str(self.folder / "packaging/security_update.sh"), "--version", version, "--tracker",
                   str(self.folder / "tracker.json"), "--key", "KEY", "--out", str(self.folder / "build/out"))

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return [line.removeprefix(f"{self.folder}/") for line in file.read_text().splitlines()] if file.exists() else []

    def commits(self) -> list[str]:
        return self.git("log", "--format=%s").splitlines()


def one_command_goes_from_the_fix_to_the_repositories() -> None:
    with temporary_folder() as folder:
        checkout = Checkout(folder)
        outcome = checkout.update()
        assert outcome.returncode == 0, outcome.stdout
        here, packages = checkout.folder, "build/packages/0.1.1"
        assert checkout.calls() == [
            f"packaging/static_dependencies.sh --update {here}/tracker.json", "tests/run.sh ",
            f"packaging/packages.sh --out {packages}",
            f"packaging/packages.sh --preset release-arm64 --out {packages}",
            f"packaging/repository.sh --key KEY --out {here}/build/out {packages}/a.deb {packages}/a.rpm "
            f"{packages}/a.provenance.json"], checkout.calls()
        assert checkout.commits() == ["Security update: 0.1.1", "first"], checkout.commits()
        assert checkout.git("status", "--porcelain") == "", "not all of it is committed"
        changelog = (here / "CHANGELOG.md").read_text().splitlines()
    assert changelog[2].startswith("## 0.1.1 (2"), changelog
    assert changelog[3] == "- Security update of the libraries in the binary: openssl 1 -> 2.", changelog
    assert changelog[5] == "## 0.1.0 (2026-01-01)", changelog


def nothing_is_published_when(what: str, words: str, calls: int, **steps: str):
    def check() -> None:
        with temporary_folder() as folder:
            checkout = Checkout(folder, **steps)
            outcome = checkout.update()
            assert outcome.returncode != 0 and words in outcome.stdout, outcome.stdout
            assert checkout.commits() == ["first"] and len(checkout.calls()) == calls, checkout.calls()
    check.__name__ = f"nothing is committed or published when {what}"
    return check


def a_version_that_is_not_newer_is_refused() -> None:
    with temporary_folder() as folder:
        checkout = Checkout(folder)
        for version in ("0.1.0", "0.0.9"):
            outcome = checkout.update(version)
            assert outcome.returncode == 1 and "does not come after 0.1.0" in outcome.stdout, outcome.stdout
        assert not checkout.calls(), checkout.calls()


run_checks(one_command_goes_from_the_fix_to_the_repositories,
           nothing_is_published_when("tests fail", "tests fail", 2, test=STEP + "exit 1\n"),
           nothing_is_published_when("there is no fix", "there is nothing to take in", 1, update=STEP),
           nothing_is_published_when("the tracker's file is no good", "not that file", 1,
                                     update=STEP + "echo 'not that file' >&2; exit 1\n"),
           nothing_is_published_when("the host's own libraries are behind", "upgrade them", 1,
                                     update=UPDATE + "echo 'x86_64: a 1 is installed: apt-get install "
                                                     "--only-upgrade a'\n"),
           a_version_that_is_not_newer_is_refused)

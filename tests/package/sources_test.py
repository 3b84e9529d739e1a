"""What the static binary may be built from: complete source packages alone, with every patch of the distribution; and
which CVEs are open in them, by a file of Debian's security tracker (tests/fixtures/security_tracker, in its form)."""
import pathlib
import shutil
import sys

from scratch import must, run
from support.agent import ROOT, temporary_folder
from support.check import run_checks

LOCK = ROOT / "packaging/static_dependencies.lock"
TRACKER = ROOT / "tests/fixtures/security_tracker/data.json"
LIBRARIES = ("openssl", "c-ares", "curl", "libzstd", "re2", "yaml-cpp")


def lines_of(package: str) -> list[list[str]]:
    return [line.split() for line in LOCK.read_text().splitlines() if line.startswith(f"{package} ")]


def the_lock_has_the_patches_of_every_library() -> None:
    for package in LIBRARIES:
        files = [line[2] for line in lines_of(package)]
        for part in (".dsc", ".orig.tar.", ".debian.tar."):
            assert any(part in file for file in files), f"{package} has no {part} in the lock: {files}"


def openssl_is_of_a_line_that_upstream_supports() -> None:
    """3.5 until 2030-04-08; 3.0 ended on 2026-09-07."""
    assert lines_of("openssl")[0][1].startswith("3.5."), lines_of("openssl")


class Checkout:
    """A copy of packaging/ in which openssl is a source package made here; nothing is fetched."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.sources = folder / "checkout", folder / "checkout/build/static-deps/sources"
        shutil.copytree(ROOT / "packaging", self.folder / "packaging")
        self.sources.mkdir(parents=True)

    def add_source(self, series: str, patches: tuple[str, ...]) -> None:
        """Of the form 3.0 (native), of which dpkg-source applies no patch."""
        source = self.sources / "openssl-1"
        (source / "debian/patches").mkdir(parents=True)
        (source / "debian/source").mkdir()
        (source / "debian/source/format").write_text("3.0 (native)\n")
        (source / "debian/control").write_text("Source: openssl\nMaintainer: x <x@example.com>\n\n"
                                               "Package: openssl\nArchitecture: any\nDescription: x\n")
        (source / "debian/changelog").write_text("openssl (1) stable; urgency=low\n\n  * x\n\n"
                                                 " -- x <x@example.com>  Thu, 01 Jan 2026 00:00:00 +0000\n")
        (source / "debian/patches/series").write_text(series)
        for patch in patches:
            (source / "debian/patches" / patch).write_text("--- a/x\n+++ b/x\n")
        must("sh", "-c", f"cd '{self.sources}' && dpkg-source -b openssl-1")
        shutil.rmtree(source)

    def refused(self) -> str:
        """What is said when it is built with openssl of all files that are there."""
        lines = [line for line in LOCK.read_text().splitlines() if line.startswith(("#", "distribution "))]
        for file in sorted(self.sources.iterdir()):
            lines.append(f"openssl 1 {file.name} {must('sha256sum', str(file)).split()[0]} trixie openssl")
        (self.folder / "packaging/static_dependencies.lock").write_text("\n".join(lines) + "\n")
        outcome = run("sh", str(self.folder / "packaging/static_dependencies.sh"))
        assert outcome.returncode == 1, outcome.stdout
        assert run("sh", str(self.folder / "packaging/static_dependencies.sh"), "--where").returncode == 1
        return outcome.stdout


def an_archive_without_the_distributions_patches_is_refused() -> None:
    with temporary_folder() as folder:
        checkout = Checkout(folder)
        (checkout.sources / "openssl_1.orig.tar.gz").write_bytes(b"upstream's archive")
        said = checkout.refused()
    assert "names upstream's archive of openssl 1 without the distribution's patches" in said, said
    assert "static_dependencies.sh --update" in said, said


def patches_that_were_not_applied_are_refused() -> None:
    with temporary_folder() as folder:
        checkout = Checkout(folder)
        checkout.add_source("fix.patch\n", ("fix.patch",))
        said = checkout.refused()
    assert "debian/patches/series names patches that dpkg-source did not apply" in said, said


def a_fix_that_the_series_leaves_out_is_refused() -> None:
    with temporary_folder() as folder:
        checkout = Checkout(folder)
        checkout.add_source("# none\n", ("CVE-2026-0001.patch",))
        said = checkout.refused()
    assert "CVE-2026-0001.patch is a security fix that debian/patches/series leaves out" in said, said


def edit(text: str, script: str) -> tuple[int, str, str]:
    with temporary_folder() as folder:
        (file := folder / "x.c").write_text(text)
        outcome = run("sh", "-c", '. "$1/packaging/static_recipes.sh"; edit "$2" "$3"', "sh", str(ROOT), str(file),
                      script)
        return outcome.returncode, outcome.stdout, file.read_text()


def an_edit_that_matches_nothing_is_an_error() -> None:
    assert edit("#define A 16\n", "s/^(#define A) .*/\\1 4/") == (0, "", "#define A 4\n")
    code, said, text = edit("#define B 16\n", "s/^(#define A) .*/\\1 4/")
    assert code == 1 and "matches nothing in x.c" in said and text == "#define B 16\n", (code, said, text)


def open_cves(lock: str) -> tuple[int, str]:
    with temporary_folder() as folder:
        (file := folder / "lock").write_text(f"# package ...\ndistribution debian 12\n{lock}")
        outcome = run(sys.executable, str(ROOT / "packaging/open_cves.py"), str(TRACKER), str(file))
        return outcome.returncode, outcome.stdout


OPENSSL = "openssl {0} openssl_{0}.dsc 00 {1} openssl\nopenssl {0} openssl_{0}.debian.tar.xz 00 {1} openssl\n"


def an_open_cve_is_named_and_a_fixed_one_is_not() -> None:
    code, said = open_cves(OPENSSL.format("3.5.7-1~deb13u2", "trixie"))
    assert code == 1, said
    lines = said.splitlines()
    assert [line.split(": ")[2] for line in lines if line.startswith("open: ")] == \
        ["CVE-2026-0001", "CVE-2026-0003", "CVE-2026-0006"], said
    assert "CVE-2026-0001: fixed in 3.5.7-1~deb13u3: a fault that a newer version" in said, said
    assert "not affected: openssl 3.5.7-1~deb13u2: CVE-2026-35191: not compiled in (no-quic)" in lines, said
    assert lines[-1].startswith("3 open in "), said


def a_newer_version_has_fewer() -> None:
    code, said = open_cves(OPENSSL.format("3.5.7-1~deb13u3", "trixie"))
    assert code == 1 and "CVE-2026-0001" not in said and "2 open in " in said, said


def a_rebuilt_binary_package_is_of_its_sources_version() -> None:
    code, said = open_cves("libc6-dev:arm64 2.36-9+deb12u14+b1 x.deb 00 bookworm glibc\n"
                           "libre2-dev:arm64 20220601+dfsg-1+b1 y.deb 00 bookworm re2\n")
    assert code == 0 and said.startswith("0 open in "), said


def what_the_file_does_not_speak_of_is_an_error() -> None:
    for lock, words in (("libopenssl 1 x.dsc 00 trixie libopenssl\n", "knows no source package libopenssl"),
                        (OPENSSL.format("3.5.7-1", "forky"), "says nothing of openssl in forky"),
                        ("openssl 3.5.7-1 x.dsc 00\n", "has not 6 fields")):
        code, said = open_cves(lock)
        assert code == 2 and words in said, (code, said)


run_checks(the_lock_has_the_patches_of_every_library, openssl_is_of_a_line_that_upstream_supports,
           an_archive_without_the_distributions_patches_is_refused, patches_that_were_not_applied_are_refused,
           a_fix_that_the_series_leaves_out_is_refused, an_edit_that_matches_nothing_is_an_error,
           an_open_cve_is_named_and_a_fixed_one_is_not, a_newer_version_has_fewer,
           a_rebuilt_binary_package_is_of_its_sources_version, what_the_file_does_not_speak_of_is_an_error)

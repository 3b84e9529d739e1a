"""The producer of package updates with a real dnf: packages of which one has an update that fixes security."""
import os
import pathlib
import shutil

from scratch import must, needs_root, run
from support.agent import ROOT, temporary_folder
from support.check import run_checks

SPEC = """Name: {name}
Version: {version}
Release: 1
Summary: A package
License: none
BuildArch: noarch
%description
A package.
%files
"""
LONG = "a-package-whose-name-is-longer-than-the-column-it-stands-in"
ADVISORY = """<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="a@example.com" status="final" type="security" version="1">
    <id>EXAMPLE-2026:1</id><title>alpha</title><issued date="2026-01-01 00:00:00"/><severity>Important</severity>
    <description>A hole.</description>
    <pkglist><collection short="x"><name>x</name>
      <package name="alpha" version="2" release="1" epoch="0" arch="noarch">
        <filename>alpha-2-1.noarch.rpm</filename></package>
    </collection></pkglist>
  </update>
</updates>
"""


def build(folder: pathlib.Path, name: str, version: str) -> None:
    spec = folder / f"{name}.spec"
    spec.write_text(SPEC.format(name=name, version=version))
    must("rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}", str(spec))


def updates_and_security_updates_are_counted_as_dnf_has_them() -> None:
    with temporary_folder() as folder:
        (folder / "rpms").mkdir()
        for name in ("alpha", "beta", LONG):
            for version in ("1", "2"):
                build(folder / "rpms", name, version)
        repository = folder / "rpms/RPMS/noarch"
        must("createrepo_c", "--quiet", str(repository))
        (folder / "updateinfo.xml").write_text(ADVISORY)
        must("modifyrepo_c", str(folder / "updateinfo.xml"), str(repository / "repodata"))
        (folder / "dnf.conf").write_text(f"[main]\ngpgcheck=0\nplugins=0\nreposdir=\ncachedir={folder}/cache\n"
                                         f"persistdir={folder}/persist\nlogdir={folder}\n[test]\nname=test\n"
                                         f"baseurl=file://{repository}\n")
        tools = folder / "bin"
        tools.mkdir()
        (tools / "dnf").write_text("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
                                   f"exec {shutil.which('dnf')} --config={folder}/dnf.conf "
                                   f"--installroot={folder}/root --releasever=9 \"$@\"\n")
        (tools / "dnf").chmod(0o755)
        for name in ("awk", "cat", "date", "grep", "head", "ls", "mktemp", "mv", "rm", "sed", "sh", "sort", "stat",
                     "tail", "tr", "uname", "wc"):
            (tools / name).symlink_to(shutil.which(name))
        (folder / "root").mkdir()
        must(str(tools / "dnf"), "-y", "install", "alpha-1", "beta-1", f"{LONG}-1")
        out = folder / "out"
        out.mkdir()
        environment = {"PATH": str(tools), "MSP_TEXTFILE_DIRECTORY": str(out),
                       "MSP_TEXTFILE_LIBRARY": str(ROOT / "packaging/textfile"), "MSP_TEXTFILE_ROOT": str(folder)}
        outcome = run(str(ROOT / "packaging/textfile/updates"), env=environment)
        assert outcome.returncode == 0, outcome.stdout
        written = (out / "updates.prom").read_text()
        assert 'msp_agent_updates_pending{manager="dnf"} 3\n' in written, written
        assert 'msp_agent_updates_security_pending{manager="dnf"} 1\n' in written, written
        # Nothing tells whether this root needs a reboot.
        assert "msp_agent_reboot_required" not in written, written
        must(str(tools / "dnf"), "-y", "upgrade")
        assert run(str(ROOT / "packaging/textfile/updates"), env=environment).returncode == 0
        assert 'msp_agent_updates_pending{manager="dnf"} 0\n' in (out / "updates.prom").read_text()


if __name__ == "__main__":
    os.umask(0o022)
    run_checks(needs_root(updates_and_security_updates_are_counted_as_dnf_has_them))

"""What is in the packages of both architectures: files, owners, modes, versions, licences, bills of materials; lintian,
rpmlint."""
import functools
import gzip
import json
import os
import pathlib
import re
import shlex
from typing import Callable

from scratch import must, packages, repository, run
from support.agent import BINARY, ROOT
from support.check import run_checks

# Folder of the packages: what the architecture is called in a .deb and in an .rpm.
ARCHITECTURES = {"": ("amd64", "x86_64"), "arm64": ("arm64", "aarch64")}
BYTES_MAX = int(2.5 * 1024 * 1024)
COMMON = {
    "/etc/msp-agent.yaml": "-rw-r-----",
    "/usr/bin/msp-agent": "-rwxr-xr-x",
    "/usr/lib/systemd/system/msp-agent.service": "-rw-r--r--",
    "/usr/lib/sysusers.d/msp-agent.conf": "-rw-r--r--",
    "/usr/share/bash-completion/completions/msp-agent": "-rw-r--r--",
    "/usr/share/doc/msp-agent/README.ko.md": "-rw-r--r--",
    "/usr/share/doc/msp-agent/README.md": "-rw-r--r--",
    "/usr/share/doc/msp-agent/copyright": "-rw-r--r--",
    **{f"/usr/share/doc/msp-agent/docs/{page.name}": "-rw-r--r--" for page in (ROOT / "docs").glob("*.md")},
    **{f"/usr/share/doc/msp-agent/docs/pictures/{picture.name}": "-rw-r--r--"
       for picture in (ROOT / "docs/pictures").glob("*.svg")},
    **{f"/usr/share/doc/msp-agent/examples/central/{path.relative_to(kit)}": "-rw-r--r--"
       for kit in (ROOT / "etc/central", ROOT / "packaging/central") for path in kit.rglob("*")
       if path.is_file() and "__pycache__" not in path.parts},
    "/usr/share/doc/msp-agent/msp-agent.cdx.json": "-rw-r--r--",
    "/usr/share/fish/vendor_completions.d/msp-agent.fish": "-rw-r--r--",
    "/usr/share/msp-agent/raw-sockets.conf": "-rw-r--r--",
    "/usr/share/msp-agent/relay.conf": "-rw-r--r--",
    "/usr/share/msp-agent/restart-backoff.conf": "-rw-r--r--",
    "/usr/share/msp-agent/unix-sockets.conf": "-rw-r--r--",
    "/usr/share/msp-agent/without-namespaces.conf": "-rw-r--r--",
    "/usr/share/man/man5/msp-agent.yaml.5.gz": "-rw-r--r--",
    "/usr/share/man/man8/msp-agent.8.gz": "-rw-r--r--",
    "/var/lib/msp-agent": "drwxr-x---",
}
DEB = {
    **COMMON,
    "/usr/share/doc/msp-agent/changelog.gz": "-rw-r--r--",
    "/usr/share/lintian/overrides/msp-agent": "-rw-r--r--",
    "/usr/share/zsh/vendor-completions/_msp-agent": "-rw-r--r--",
}
RPM = {
    **COMMON,
    "/usr/share/licenses/msp-agent/LGPL-2.1": "-rw-r--r--",
    "/usr/share/licenses/msp-agent/LICENSE": "-rw-r--r--",
    "/usr/share/zsh/site-functions/_msp-agent": "-rw-r--r--",
}
TEXTFILE = {
    **{f"/usr/lib/msp-agent-textfile/{name}": "-rwxr-xr-x" for name in ("containers", "smart", "updates")},
    "/usr/lib/msp-agent-textfile/producer.sh": "-rw-r--r--",
    **{f"/usr/lib/systemd/system/msp-agent-textfile-{name}.{kind}": "-rw-r--r--"
       for name in ("containers", "smart", "updates") for kind in ("service", "timer")},
    "/usr/share/doc/msp-agent-textfile/copyright": "-rw-r--r--",
    "/usr/share/doc/msp-agent-textfile/textfile.md": "-rw-r--r--",
    "/var/lib/msp-agent-textfile": "drwxr-xr-x",
}
# What is found in the build and is no library: the C library's headers of the kernel, the compiler's own.
NO_LIBRARY = {"linux-libc-dev"}
LIBRARY_OF = {"libboost1.74-dev": "boost", "libgcc-dev": "libstdc++", "libstdc++-dev": "libstdc++",
              "libc6-dev": "glibc", "libcrypto": "openssl", "libssl": "openssl", "zlib1g-dev": "zlib"}


def version() -> str:
    return re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())[1]


def sbom(folder: str = "") -> dict:
    return json.loads(from_deb("usr/share/doc/msp-agent/msp-agent.cdx.json", folder))


def from_deb(path: str, folder: str = "") -> str:
    deb = shlex.quote(str(packages("*.deb", folder)))
    return must("sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./{path}")


def of_rpm(tag: str, folder: str = "") -> str:
    return must("rpm", "-qp", "--nosignature", "--queryformat", tag, str(packages("*.rpm", folder)))


def for_both(check: Callable[[str], None]) -> Callable[[], None]:
    @functools.wraps(check)
    def looked_at() -> None:
        for folder in ARCHITECTURES:
            check(folder)
    return looked_at


@for_both
def packages_are_small(folder: str) -> None:
    for pattern in ("*.deb", "*.rpm"):
        size = packages(pattern, folder).stat().st_size
        print(f"{packages(pattern, folder).name}: {size:,} bytes")
        assert size <= BYTES_MAX, f"{size:,} bytes; {BYTES_MAX:,} is the limit"
    tarball = packages("*.tar.gz", folder)
    print(f"{tarball.name}: {tarball.stat().st_size:,} bytes")


@for_both
def the_architecture_is_the_binarys(folder: str) -> None:
    deb, rpm = ARCHITECTURES[folder]
    field = must("dpkg-deb", "--field", str(packages("*.deb", folder)), "Architecture", "Depends").splitlines()
    assert field == [f"Architecture: {deb}", "Depends: passwd"], field
    assert of_rpm("%{ARCH}", folder) == rpm
    # The rest is rpm's own.
    needs = {name for name in of_rpm("[%{REQUIRENAME}\n]", folder).split() if not name.startswith(("rpmlib", "config"))}
    assert needs == {"/bin/sh", "/usr/sbin/useradd"}, needs
    tarball = packages("*.tar.gz", folder)
    assert tarball.name.endswith(f"-linux-{deb}.tar.gz"), tarball.name
    machine = 183 if deb == "arm64" else 62  # EM_AARCH64, EM_X86_64: e_machine of the ELF header
    for extract in (f"dpkg-deb --fsys-tarfile {packages('*.deb', folder)} | tar -xO ./usr/bin/msp-agent",
                    f"rpm2cpio {packages('*.rpm', folder)} | cpio -i --quiet --to-stdout ./usr/bin/msp-agent",
                    f"tar -xOzf {tarball} {tarball.name.removesuffix('.tar.gz')}/files/usr/bin/msp-agent"):
        said = must("sh", "-c", f"{extract} | {{ od -A n -t u2 -j 18 -N 2 && cat >/dev/null; }}")
        assert said.split() == [str(machine)], f"{extract}: {said}"


def one_repository_has_both() -> None:
    files = [packages(pattern, folder) for folder in ARCHITECTURES for pattern in ("*.deb", "*.rpm")]
    files += [packages(f"msp-agent-textfile{pattern}") for pattern in ("*.deb", "*.rpm")]
    with repository(*files) as repo:
        release = (repo.path / "apt/dists/stable/InRelease").read_text()
        assert "\nArchitectures: amd64 arm64\n" in release, release
        for deb, rpm in ARCHITECTURES.values():
            index = (repo.path / f"apt/dists/stable/main/binary-{deb}/Packages").read_text()
            assert sorted(re.findall(r"(?m)^Architecture: (.+)", index)) == sorted([deb, "all"]), index
            assert f"main/binary-{deb}/Packages" in release, release
            index = gzip.decompress(next((repo.path / f"yum/{rpm}/repodata").glob("*-primary.xml.gz")).read_bytes())
            assert sorted(re.findall(rb"<arch>(.+?)</arch>", index)) == sorted([rpm.encode(), b"noarch"]), index


@for_both
def the_deb_holds_exactly_this(folder: str) -> None:
    there = {}
    for line in must("dpkg-deb", "--contents", str(packages("*.deb", folder))).splitlines():
        mode, owner, *_, path = line.split()
        assert owner == "root/root", line
        if not mode.startswith("d") or path == "./var/lib/msp-agent/":
            there[path.removeprefix(".").rstrip("/")] = mode
        else:
            assert mode == "drwxr-xr-x", line
    assert there == DEB, sorted(set(there.items()) ^ set(DEB.items()))


def links_of_installed_pages_lead_to_what_is_installed() -> None:
    pages = [path for path in DEB if path.endswith(".md")]
    for page in pages:
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", from_deb(page.lstrip("/")))
        assert links, f"{page} has no link"
        for link in links:
            target = os.path.normpath(os.path.join(os.path.dirname(page), link))
            assert target in DEB, f"{page} leads to {link}"


@for_both
def the_rpm_holds_exactly_this(folder: str) -> None:
    asked = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}| %{FILENAMES}\\n]"
    listed = of_rpm(asked, folder).splitlines()
    there, special = {}, {}
    for line in listed:
        mode, owner_and_flags, path = line.split()[0], line.split("|")[0].split(maxsplit=1)[1], line.split()[-1]
        if not mode.startswith("d") or path == "/var/lib/msp-agent":
            there[path] = mode
        if "msp-agent" in owner_and_flags:
            special[path] = owner_and_flags.strip()
        else:
            assert owner_and_flags.startswith("root:root"), line
    assert there == RPM, sorted(set(there.items()) ^ set(RPM.items()))
    assert special == {"/etc/msp-agent.yaml": "root:msp-agent cn", "/var/lib/msp-agent": "msp-agent:msp-agent"}, special


def the_configuration_is_a_conffile() -> None:
    assert "/etc/msp-agent.yaml" in must("dpkg-deb", "--info", str(packages("*.deb")), "conffiles")


def the_version_is_the_changelogs_everywhere() -> None:
    deb = str(packages("*.deb"))
    said = {
        "binary": must(BINARY, "--version").splitlines()[0].removeprefix("msp-agent "),
        "deb": must("dpkg-deb", "--field", deb, "Version").strip(),
        "deb's changelog": re.search(r"\((.+?)\)", must("sh", "-c", f"dpkg-deb --fsys-tarfile {shlex.quote(deb)} | tar "
                                     "-xO ./usr/share/doc/msp-agent/changelog.gz | zcat"))[1],
        "rpm": of_rpm("%{VERSION}"),
        "deb for ARM": must("dpkg-deb", "--field", str(packages("*.deb", "arm64")), "Version").strip(),
        "rpm for ARM": of_rpm("%{VERSION}", "arm64"),
        "bill of materials": sbom()["metadata"]["component"]["version"],
        "tarball": packages("*.tar.gz").name.split("-")[2],
    }
    assert set(said.values()) == {version()}, said


def the_package_of_producers_holds_exactly_this_for_every_architecture() -> None:
    deb, rpm = packages("msp-agent-textfile*.deb"), packages("msp-agent-textfile*.rpm")
    assert deb.name.endswith("_all.deb") and rpm.name.endswith(".noarch.rpm"), (deb, rpm)
    there = {}
    for line in must("dpkg-deb", "--contents", str(deb)).splitlines():
        mode, owner, *_, path = line.split()
        assert owner == "root/root", line
        if not mode.startswith("d") or path == "./var/lib/msp-agent-textfile/":
            there[path.removeprefix(".").rstrip("/")] = mode
    wanted = TEXTFILE | {"/usr/share/doc/msp-agent-textfile/changelog.gz": "-rw-r--r--"}
    assert there == wanted, sorted(set(there.items()) ^ set(wanted.items()))
    field = must("dpkg-deb", "--field", str(deb), "Version", "Depends").splitlines()
    assert field == [f"Version: {version()}"], field
    listed = must("rpm", "-qp", "--nosignature", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", str(rpm))
    there = {line.split()[1]: line.split()[0] for line in listed.splitlines()
             if not line.startswith("d") or line.endswith(" /var/lib/msp-agent-textfile")}
    wanted = TEXTFILE | {"/usr/share/licenses/msp-agent-textfile/LICENSE": "-rw-r--r--"}
    assert there == wanted, sorted(set(there.items()) ^ set(wanted.items()))
    outcome = run("lintian", "--fail-on", "error,warning", str(deb))
    assert outcome.returncode == 0, outcome.stdout
    outcome = run("rpmlint", "--config", str(ROOT / "packaging/rpm/rpmlint.toml"), str(rpm))
    assert outcome.returncode == 0 and " 0 errors, 0 warnings" in outcome.stdout, outcome.stdout


@for_both
def lintian_finds_nothing_that_has_no_reason(folder: str) -> None:
    outcome = run("lintian", "--fail-on", "error,warning", str(packages("*.deb", folder)))
    lines = [line for line in outcome.stdout.splitlines() if re.match("[EW]:", line)]
    assert outcome.returncode == 0 and not lines, outcome.stdout


@for_both
def rpmlint_finds_nothing_that_has_no_reason(folder: str) -> None:
    outcome = run("rpmlint", "--config", str(ROOT / "packaging/rpm/rpmlint.toml"), str(packages("*.rpm", folder)))
    assert outcome.returncode == 0 and " 0 errors, 0 warnings" in outcome.stdout, outcome.stdout


def libraries_of_the_build() -> set[str]:
    """Debian packages of every header that was read and every archive that was linked, and what was built for us."""
    build = ROOT / "build/release"
    link = must("ninja", "-C", str(build), "-t", "commands", "msp-agent").splitlines()[-1]
    used = {pathlib.Path(word).name for word in shlex.split(link) if "static-deps" in word}
    found = {re.sub(r"\.a$", "", name) for name in used}
    files = {word for word in shlex.split(link) if word.startswith("/usr/") and word.endswith(".a")}
    files |= set(re.findall(r"(?m)^    (/usr/\S+)", must("ninja", "-C", str(build), "-t", "deps")))
    owners = must("dpkg-query", "--search", *sorted({os.path.realpath(path) for path in files}))
    return found | {line.split(":")[0] for line in owners.splitlines()}


def plain(name: str) -> str:
    """libyaml-cpp-dev, libstdc++-12-dev, libzstd -> as the bill of materials calls it."""
    name = re.sub(r"-\d+-dev", "-dev", name)
    name = LIBRARY_OF.get(name, name)
    return re.sub(r"-dev$", "", name).removeprefix("lib") if name != "libstdc++" else name


def every_library_is_in_the_bill_of_materials_and_has_its_licence() -> None:
    listed = {component["name"] for component in sbom()["components"]}
    names = {name.lower().replace("-", "") for name in listed}
    missing = {name for name in map(plain, libraries_of_the_build() - NO_LIBRARY)
               if name.lower().replace("-", "") not in names}
    assert not missing, f"the build uses {missing}, packaging/sbom.sh does not know them"
    licensed = set(re.findall(r"(?m)^Files: linked/([^/\n]+)", from_deb("usr/share/doc/msp-agent/copyright")))
    assert licensed == listed, f"packaging/copyright differs in {licensed ^ listed}"
    for component in sbom()["components"]:
        assert re.match(r"\d", component["version"]) and component["licenses"] and component["purl"], component


@for_both
def the_bill_names_every_patch_of_what_was_compiled(folder: str) -> None:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[ARCHITECTURES[folder][0]]
    script = str(ROOT / "packaging/static_dependencies.sh")
    where = pathlib.Path(must("sh", script, "--arch", machine, "--where").strip())
    applied: dict[str, list[list[str]]] = {}
    for line in (where / "patches").read_text().splitlines():
        package, patch, *cves = line.split()
        applied.setdefault(package.removeprefix("lib"), []).append([patch, *cves])
    assert len(applied["openssl"]) > 10, applied
    named = {component["name"]: [[patch["diff"]["url"].removeprefix("debian/patches/"),
                                  *(resolved["id"] for resolved in patch.get("resolves", []))]
                                 for patch in component["pedigree"]["patches"]]
             for component in sbom(folder)["components"] if "pedigree" in component}
    assert named == {name: applied.get(name, []) for name in ("openssl", "curl", "c-ares", "zstd", "re2", "yaml-cpp")},\
        named
    purls = {component["name"]: component["purl"] for component in sbom(folder)["components"]}
    _, version, _, _, release, _ = next(line.split() for line in (where / "lock").read_text().splitlines()
                                        if line.startswith("openssl "))
    wanted = f"/openssl@{version.replace('~', '%7E').replace('+', '%2B')}?arch=source&distro={release}"
    assert purls["openssl"].endswith(wanted), f"{purls['openssl']} and not ..{wanted}"
    assert all("&distro=" in purl for purl in purls.values()), purls


def the_bill_for_arm_is_of_arms_libraries() -> None:
    components = sbom("arm64")["components"]
    assert [it["name"] for it in components] == [it["name"] for it in sbom()["components"]], components
    for component in components:
        assert re.match(r"\d", component["version"]) and "arch=amd64" not in component["purl"], component


def every_licence_has_its_text() -> None:
    text = from_deb("usr/share/doc/msp-agent/copyright")
    stanzas = [stanza for stanza in text.split("\n\n") if stanza.strip()]
    named = {re.search(r"(?m)^License: (.+)", stanza)[1] for stanza in stanzas if stanza.startswith("Files:")}
    explained = {re.search(r"^License: (.+)", stanza.lstrip("\n"))[1] for stanza in stanzas
                 if stanza.lstrip("\n").startswith("License:")}
    assert named == explained, named ^ explained


run_checks(packages_are_small, the_architecture_is_the_binarys, one_repository_has_both, the_deb_holds_exactly_this,
           links_of_installed_pages_lead_to_what_is_installed, the_rpm_holds_exactly_this,
           the_configuration_is_a_conffile, the_version_is_the_changelogs_everywhere,
           the_package_of_producers_holds_exactly_this_for_every_architecture,
           lintian_finds_nothing_that_has_no_reason, rpmlint_finds_nothing_that_has_no_reason,
           every_library_is_in_the_bill_of_materials_and_has_its_licence,
           the_bill_names_every_patch_of_what_was_compiled, the_bill_for_arm_is_of_arms_libraries,
           every_licence_has_its_text)

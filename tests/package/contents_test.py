"""What is in the packages: files, owners, modes, versions, licences, the bill of materials; lintian and rpmlint."""
import json
import os
import pathlib
import re
import shlex

from scratch import must, packages, run
from support.agent import BINARY, ROOT
from support.check import run_checks

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
    "/usr/share/doc/msp-agent/msp-agent.cdx.json": "-rw-r--r--",
    "/usr/share/fish/vendor_completions.d/msp-agent.fish": "-rw-r--r--",
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
# What is found in the build and is no library: the C library's headers of the kernel, the compiler's own.
NO_LIBRARY = {"linux-libc-dev"}
LIBRARY_OF = {"libgcc-dev": "libstdc++", "libstdc++-dev": "libstdc++", "libc6-dev": "glibc", "libcrypto": "openssl",
              "libssl": "openssl"}


def version() -> str:
    return re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())[1]


def sbom() -> dict:
    return json.loads(from_deb("usr/share/doc/msp-agent/msp-agent.cdx.json"))


def from_deb(path: str) -> str:
    return must("sh", "-c", f"dpkg-deb --fsys-tarfile {shlex.quote(str(packages('*.deb')))} | tar -xO ./{path}")


def packages_are_small() -> None:
    for pattern in ("*.deb", "*.rpm"):
        size = packages(pattern).stat().st_size
        print(f"{packages(pattern).name}: {size:,} bytes")
        assert size <= BYTES_MAX, f"{size:,} bytes; {BYTES_MAX:,} is the limit"
    print(f"{packages('*.tar.gz').name}: {packages('*.tar.gz').stat().st_size:,} bytes")


def the_deb_holds_exactly_this() -> None:
    there = {}
    for line in must("dpkg-deb", "--contents", str(packages("*.deb"))).splitlines():
        mode, owner, *_, path = line.split()
        assert owner == "root/root", line
        if not mode.startswith("d") or path == "./var/lib/msp-agent/":
            there[path.removeprefix(".").rstrip("/")] = mode
        else:
            assert mode == "drwxr-xr-x", line
    assert there == DEB, sorted(set(there.items()) ^ set(DEB.items()))


def the_rpm_holds_exactly_this() -> None:
    asked = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}| %{FILENAMES}\\n]"
    listed = must("rpm", "-qp", "--nosignature", "--queryformat", asked, str(packages("*.rpm"))).splitlines()
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
    deb, rpm = str(packages("*.deb")), str(packages("*.rpm"))
    said = {
        "binary": must(BINARY, "--version").strip().removeprefix("msp-agent "),
        "deb": must("dpkg-deb", "--field", deb, "Version").strip(),
        "deb's changelog": re.search(r"\((.+?)\)", must("sh", "-c", f"dpkg-deb --fsys-tarfile {shlex.quote(deb)} | tar "
                                     "-xO ./usr/share/doc/msp-agent/changelog.gz | zcat"))[1],
        "rpm": must("rpm", "-qp", "--nosignature", "--queryformat", "%{VERSION}", rpm),
        "bill of materials": sbom()["metadata"]["component"]["version"],
        "tarball": packages("*.tar.gz").name.split("-")[2],
    }
    assert set(said.values()) == {version()}, said


def lintian_finds_nothing_that_has_no_reason() -> None:
    outcome = run("lintian", "--fail-on", "error,warning", str(packages("*.deb")))
    lines = [line for line in outcome.stdout.splitlines() if re.match("[EW]:", line)]
    assert outcome.returncode == 0 and not lines, outcome.stdout


def rpmlint_finds_nothing_that_has_no_reason() -> None:
    outcome = run("rpmlint", "--config", str(ROOT / "packaging/rpm/rpmlint.toml"), str(packages("*.rpm")))
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


def every_licence_has_its_text() -> None:
    text = from_deb("usr/share/doc/msp-agent/copyright")
    stanzas = [stanza for stanza in text.split("\n\n") if stanza.strip()]
    named = {re.search(r"(?m)^License: (.+)", stanza)[1] for stanza in stanzas if stanza.startswith("Files:")}
    explained = {re.search(r"^License: (.+)", stanza.lstrip("\n"))[1] for stanza in stanzas
                 if stanza.lstrip("\n").startswith("License:")}
    assert named == explained, named ^ explained


run_checks(packages_are_small, the_deb_holds_exactly_this, the_rpm_holds_exactly_this, the_configuration_is_a_conffile,
           the_version_is_the_changelogs_everywhere, lintian_finds_nothing_that_has_no_reason,
           rpmlint_finds_nothing_that_has_no_reason, every_library_is_in_the_bill_of_materials_and_has_its_licence,
           every_licence_has_its_text)

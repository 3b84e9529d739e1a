"""The .rpm under real dnf and rpm, from the signed repository. The root is a Debian tree, so that the package's scripts
run for real; what rpm misses there, a package of nothing provides."""
import pathlib
import shutil
import subprocess

from scratch import (BACKOFF, Repository, ScratchRoot, must, needs_root, packages, repository, root_for_rpm,
                     scratch_root)
from support.check import run_checks

CONFIG = "/etc/msp-agent.yaml"
NEWER = "0.2.0"


def version() -> str:
    return must("rpm", "-qp", "--nosignature", "--queryformat", "%{VERSION}", str(packages("*.rpm"))).strip()


def dnf(root: ScratchRoot, repo: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    """dnf of this host, on the root; it knows this repository and no other, and checks all signatures."""
    # dnf takes these for paths inside the root, but not always: they are safe in both places.
    own = {name: root.upper.parent / name for name in ("cachedir", "persistdir", "logdir")}
    own["logdir"].mkdir(exist_ok=True)
    settings = {"reposdir": "", "install_weak_deps": "0", "plugins": "0", **own}
    (root.upper.parent / "dnf.conf").write_text(f"""[main]
gpgcheck=1
[msp-agent]
name=msp-agent
baseurl=file://{repo.path}/yum/$basearch
gpgkey=file://{repo.path}/msp-agent.asc
gpgcheck=1
repo_gpgcheck=1
metadata_expire=0
""")
    return root.around("dnf", "-y", f"--config={root.upper.parent / 'dnf.conf'}", f"--installroot={root.merged}",
                       "--releasever=9", *(f"--setopt={key}={value}" for key, value in settings.items()), *arguments)


def dnf_must(root: ScratchRoot, repo: Repository, *arguments: str) -> None:
    outcome = dnf(root, repo, *arguments)
    assert outcome.returncode == 0, f"dnf {' '.join(arguments)} ends with {outcome.returncode}:\n{outcome.stdout}"


def rpm(root: ScratchRoot, *arguments: str) -> str:
    outcome = root.around("rpm", "--root", str(root.merged), *arguments)
    assert outcome.returncode == 0, f"rpm {' '.join(arguments)}: {outcome.stdout}"
    return outcome.stdout


@needs_root
def a_signed_repository_installs_and_starts_nothing() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        dnf_must(root, repo, "install", "msp-agent")
        facts = root.must("stat", "-c", "%n %U:%G %a", CONFIG, "/var/lib/msp-agent", "/usr/bin/msp-agent")
        enabled = root.inside("systemctl", "is-enabled", "msp-agent.service")
        unconfigured = root.inside("msp-agent")
        assert root.inside("test", "-e", BACKOFF).returncode != 0, "this systemd does not know RestartSteps"
        changed = root.around("rpm", "--root", str(root.merged), "--verify", "msp-agent").stdout
    assert facts.splitlines() == [f"{CONFIG} root:msp-agent 640", "/var/lib/msp-agent msp-agent:msp-agent 750",
                                  "/usr/bin/msp-agent root:root 755"], facts
    assert enabled.stdout.strip() == "disabled", enabled.stdout
    assert unconfigured.returncode == 78 and "are not filled in" in unconfigured.stdout, unconfigured.stdout
    assert not changed.strip(), f"rpm --verify says: {changed}"


@needs_root
def an_upgrade_keeps_what_was_edited_and_shows_what_is_new() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        dnf_must(root, repo, "install", "msp-agent")
        root.must("systemctl", "enable", "msp-agent.service")
        root.must("sh", "-c", f"echo '# edited' >>{CONFIG}")
        edited = root.must("cat", CONFIG)
        assert repo.publish(packages("*.rpm", "newer")).returncode == 0
        dnf_must(root, repo, "upgrade", "msp-agent")
        assert rpm(root, "-q", "--queryformat", "%{VERSION}", "msp-agent").strip() == NEWER
        assert root.must("cat", CONFIG) == edited
        assert "As it comes with a later version" in root.must("cat", f"{CONFIG}.rpmnew")
        assert root.must("systemctl", "is-enabled", "msp-agent.service").strip() == "enabled"
        dnf_must(root, repo, "downgrade", "msp-agent")
        assert rpm(root, "-q", "--queryformat", "%{VERSION}", "msp-agent").strip() == version()
        assert root.must("cat", CONFIG) == edited


@needs_root
def erasing_saves_what_was_edited_and_takes_the_rest() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        root.pretend_systemd("257 (257-9.el10)")
        before = root.what_is_there()
        dnf_must(root, repo, "install", "msp-agent")
        assert "RestartSteps=" in root.must("cat", BACKOFF)
        root.must("systemctl", "enable", "msp-agent.service")
        root.must("sh", "-c", f"echo '# edited' >>{CONFIG}; echo x >/var/lib/msp-agent/segment")
        dnf_must(root, repo, "remove", "msp-agent")
        left = {line.split()[0] for line in root.what_is_there() - before}
    # rpm has no purge, and no package takes a user with it. dnf's own folder is not ours, and the one of licences is
    # a part of every system that has rpm.
    left = {path for path in left if not path.startswith("/etc/dnf")} - {"/usr/share/licenses"}
    assert left == {f"{CONFIG}.rpmsave", "/var/lib/msp-agent", "/var/lib/msp-agent/segment"}, sorted(left)


@needs_root
def dnf_refuses_a_package_that_was_tampered_with() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        package = next((repo.path / "yum").rglob("*.rpm"))
        content = bytearray(package.read_bytes())
        content[-1000] ^= 1
        package.write_bytes(content)
        outcome = dnf(root, repo, "install", "msp-agent")
        there = root.inside("test", "-e", "/usr/bin/msp-agent").returncode
    assert outcome.returncode != 0 and "checksum" in outcome.stdout, outcome.stdout
    assert there != 0, "it was installed all the same"


def sign_index_anew(repo: Repository, folder: pathlib.Path) -> None:
    """A yum index of what is there now, with the right signature."""
    must("createrepo_c", "--quiet", "--compress-type", "gz", "--no-database", str(folder))
    repo.sign(folder / "repodata/repomd.xml")


@needs_root
def dnf_refuses_a_package_that_is_not_signed() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        package = next((repo.path / "yum").rglob("*.rpm"))
        shutil.copy(packages("*.rpm"), package)
        sign_index_anew(repo, package.parent.parent)
        outcome = dnf(root, repo, "install", "msp-agent")
        there = root.inside("test", "-e", "/usr/bin/msp-agent").returncode
    assert outcome.returncode != 0 and "not signed" in outcome.stdout, outcome.stdout
    assert there != 0, "it was installed all the same"


@needs_root
def dnf_refuses_an_index_that_was_tampered_with() -> None:
    with repository(packages("*.rpm")) as repo, scratch_root() as root:
        root_for_rpm(root)
        index = next((repo.path / "yum").rglob("repomd.xml"))
        index.write_text(index.read_text() + "<!-- -->\n")
        outcome = dnf(root, repo, "install", "msp-agent")
    assert outcome.returncode != 0 and "signature" in outcome.stdout.lower(), outcome.stdout


run_checks(a_signed_repository_installs_and_starts_nothing, an_upgrade_keeps_what_was_edited_and_shows_what_is_new,
           erasing_saves_what_was_edited_and_takes_the_rest, dnf_refuses_a_package_that_was_tampered_with,
           dnf_refuses_a_package_that_is_not_signed, dnf_refuses_an_index_that_was_tampered_with)

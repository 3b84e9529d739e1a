"""The .deb under real apt, from the signed repository, in a Debian tree that is not booted."""
import shutil

from scratch import BACKOFF, Repository, ScratchRoot, must, needs_root, packages, repository, scratch_root
from support.check import run_checks

CONFIG = "etc/msp-agent.yaml"
NEWER = "0.2.0"


def version() -> str:
    return must("dpkg-deb", "--field", str(packages("*.deb")), "Version").strip()


def add_source(root: ScratchRoot, repo: Repository) -> None:
    """apt in the tree knows this repository and no other."""
    shutil.copytree(repo.path, root.upper / "srv/repository", dirs_exist_ok=True)
    root.put("usr/share/keyrings/msp-agent.asc", (repo.path / "msp-agent.asc").read_text())
    root.put("etc/apt/sources.list",
             "deb [signed-by=/usr/share/keyrings/msp-agent.asc] file:/srv/repository/apt stable main\n")


def apt(root: ScratchRoot, *arguments: str) -> str:
    return root.must("apt-get", "-q", "-y", "--no-install-recommends", *arguments)


@needs_root
def a_signed_repository_installs_and_starts_nothing() -> None:
    with repository(packages("*.deb")) as repo, scratch_root() as root:
        add_source(root, repo)
        apt(root, "update")
        apt(root, "install", "msp-agent")
        facts = root.must("stat", "-c", "%n %U:%G %a", f"/{CONFIG}", "/var/lib/msp-agent", "/usr/bin/msp-agent")
        enabled = root.inside("systemctl", "is-enabled", "msp-agent.service")
        unconfigured = root.inside("msp-agent")
        assert root.inside("test", "-e", BACKOFF).returncode != 0, "this systemd does not know RestartSteps"
        user = root.must("getent", "passwd", "msp-agent")
    assert facts.splitlines() == [f"/{CONFIG} root:msp-agent 640", "/var/lib/msp-agent msp-agent:msp-agent 750",
                                  "/usr/bin/msp-agent root:root 755"], facts
    assert enabled.stdout.strip() == "disabled", enabled.stdout
    assert unconfigured.returncode == 78 and "are not filled in" in unconfigured.stdout, unconfigured.stdout
    assert user.strip().endswith("nologin"), user


@needs_root
def an_upgrade_and_a_downgrade_keep_what_was_edited() -> None:
    with repository(packages("*.deb")) as repo, scratch_root() as root:
        outcome = repo.publish(packages("*.deb", "newer"))
        assert outcome.returncode == 0, outcome.stdout
        add_source(root, repo)
        apt(root, "update")
        apt(root, "install", f"msp-agent={version()}")
        edited = "customer_id: alpha\nremote_write: {url: 'http://127.0.0.1/'}\n"
        root.must("sh", "-c", f"printf %s \"$1\" >/{CONFIG}", "sh", edited)
        root.must("systemctl", "enable", "msp-agent.service")
        for wanted in (NEWER, version()):
            apt(root, "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
                "--allow-downgrades", "install", f"msp-agent={wanted}")
            assert root.must("dpkg-query", "-W", "-f", "${Version}", "msp-agent") == wanted
            assert root.must("cat", f"/{CONFIG}") == edited, f"{wanted} has another configuration"
            assert root.must("stat", "-c", "%U:%G %a", f"/{CONFIG}").strip() == "root:msp-agent 640"
            assert root.must("systemctl", "is-enabled", "msp-agent.service").strip() == "enabled"


@needs_root
def what_an_administrator_has_changed_stays() -> None:
    with scratch_root() as root:
        shutil.copy(packages("*.deb"), root.upper / "first.deb")
        shutil.copy(packages("*.deb", "newer"), root.upper / "newer.deb")
        root.must("dpkg", "--install", "/first.deb")
        root.must("sh", "-c", f"chown msp-agent: /{CONFIG} && chmod 600 /{CONFIG}")
        root.must("dpkg", "--install", "/newer.deb")
        assert root.must("stat", "-c", "%U:%G %a", f"/{CONFIG}").strip() == "msp-agent:msp-agent 600"
        assert "As it comes with a later version" in root.must("cat", f"/{CONFIG}"), "unedited, it was not replaced"


@needs_root
def removing_keeps_data_and_purging_leaves_nothing() -> None:
    with scratch_root() as root:
        shutil.copy(packages("*.deb"), root.upper / "a.deb")
        root.pretend_systemd("254~rc1 (254~rc1-1)")
        before = root.what_is_there()
        root.must("dpkg", "--install", "/a.deb")
        assert "RestartSteps=" in root.must("cat", BACKOFF)
        root.must("systemctl", "enable", "msp-agent.service")
        root.must("sh", "-c", "mkdir /var/lib/msp-agent/buffer && echo x >/var/lib/msp-agent/buffer/segment")
        root.must("dpkg", "--remove", "msp-agent")
        kept = {line.split()[0] for line in root.what_is_there() - before}
        root.must("dpkg", "--purge", "msp-agent")
        left = root.what_is_there() ^ before
        user = root.inside("getent", "passwd", "msp-agent")
    wanted = {f"/{CONFIG}", "/var/lib/msp-agent", "/var/lib/msp-agent/buffer", "/var/lib/msp-agent/buffer/segment"}
    assert kept == wanted, f"after remove there is {sorted(kept)}"
    assert not left, f"after purge it differs in {sorted(left)}"
    assert user.returncode != 0, user.stdout


@needs_root
def a_system_without_sysusers_gets_its_user() -> None:
    with scratch_root() as root:
        shutil.copy(packages("*.deb"), root.upper / "a.deb")
        root.must("rm", "/usr/bin/systemd-sysusers")
        root.must("dpkg", "--install", "/a.deb")
        assert "nologin" in root.must("getent", "passwd", "msp-agent")


@needs_root
def apt_refuses_an_index_that_was_tampered_with() -> None:
    with repository(packages("*.deb")) as repo, scratch_root() as root:
        index = repo.path / "apt/dists/stable/InRelease"
        index.write_text(index.read_text().replace("Origin: msp-agent", "Origin: msp-agenT"))
        add_source(root, repo)
        updated = root.inside("apt-get", "update")
        installed = root.inside("apt-get", "install", "-y", "msp-agent")
    assert updated.returncode != 0 and "BADSIG" in updated.stdout, updated.stdout
    assert installed.returncode != 0, installed.stdout


@needs_root
def apt_refuses_a_key_that_is_not_ours() -> None:
    with repository(packages("*.deb")) as repo, repository(packages("*.deb")) as other, scratch_root() as root:
        add_source(root, repo)
        root.put("usr/share/keyrings/msp-agent.asc", (other.path / "msp-agent.asc").read_text())
        updated = root.inside("apt-get", "update")
    assert updated.returncode != 0 and "NO_PUBKEY" in updated.stdout, updated.stdout


@needs_root
def apt_refuses_a_package_that_was_tampered_with() -> None:
    with repository(packages("*.deb")) as repo, scratch_root() as root:
        package = next((repo.path / "apt/pool").glob("*.deb"))
        content = bytearray(package.read_bytes())
        content[-1000] ^= 1
        package.write_bytes(content)
        add_source(root, repo)
        apt(root, "update")
        installed = root.inside("apt-get", "install", "-y", "--no-install-recommends", "msp-agent")
        there = root.inside("test", "-e", "/usr/bin/msp-agent").returncode
    assert installed.returncode != 0 and "Hash Sum mismatch" in installed.stdout, installed.stdout
    assert there != 0, "it was installed all the same"


def a_published_version_is_not_replaced() -> None:
    with repository(packages("*.deb"), packages("*.rpm")) as repo:
        again = repo.publish(packages("*.deb"), packages("*.rpm"))
        assert again.returncode == 0, again.stdout
        for place, suffix in ((repo.path / "apt/pool", ".deb"), (repo.path / "yum", ".rpm")):
            published = next(place.rglob(f"*{suffix}"))
            shutil.copy(packages(f"*{suffix}", "newer"), published)
            other = repo.publish(packages(f"*{suffix}"))
            assert other.returncode != 0 and "was published with other content" in other.stdout, other.stdout


run_checks(a_signed_repository_installs_and_starts_nothing, an_upgrade_and_a_downgrade_keep_what_was_edited,
           what_an_administrator_has_changed_stays, removing_keeps_data_and_purging_leaves_nothing,
           a_system_without_sysusers_gets_its_user, apt_refuses_an_index_that_was_tampered_with,
           apt_refuses_a_key_that_is_not_ours, apt_refuses_a_package_that_was_tampered_with,
           a_published_version_is_not_replaced)

"""The scripts of the .deb and install.sh where /var/lib/msp-agent is no plain folder: it is not given away, and what
cannot be removed does not leave a package half removed. They run as they lie in packaging/, in a tree that is not
booted."""
import re

from scratch import ScratchRoot, needs_root, scratch_root
from support.agent import ROOT
from support.check import run_checks

STATE = "/var/lib/msp-agent"
POSTINST, POSTRM = ("packaging/deb/postinst", "packaging/deb/postrm")


def script(root: ScratchRoot, name: str, *functions: str) -> str:
    """A script of packaging/ in the tree; of install.sh only these functions."""
    text = (ROOT / name).read_text()
    for function in functions:
        found = re.search(rf"(?ms)^{function}\(\) \{{.*?^\}}\n", text)
        assert found, f"{name} has no {function}()"
        root.put(f"srv/{function}", found[0])
    root.put("srv/script", text)
    return "/srv/script"


def users(root: ScratchRoot) -> None:
    root.must("useradd", "--system", "--user-group", "--no-create-home", "msp-agent")


@needs_root
def purging_with_a_file_system_mounted_there_empties_it_and_ends_well() -> None:
    for point in (STATE, f"{STATE}/buffer"):
        with scratch_root() as root:
            users(root)
            purge = script(root, POSTRM)
            outcome = root.inside("sh", "-c", f"mkdir -p {point} && mount -t tmpfs t {point} && "
                                  f"mkdir -p {STATE}/buffer && touch {STATE}/buffer/segment && "
                                  f"sh {purge} purge && find {STATE} && umount {point} && ! getent passwd msp-agent")
            assert outcome.returncode == 0, outcome.stdout
            wanted = f"msp-agent: {STATE} cannot be removed: is something mounted there?"
            assert wanted in outcome.stdout, outcome.stdout
            assert "segment" not in outcome.stdout, outcome.stdout


@needs_root
def what_a_link_leads_to_is_neither_given_away_nor_removed() -> None:
    with scratch_root() as root:
        users(root)
        root.must("sh", "-c", f"mkdir -p /srv/other/buffer && touch /srv/other/buffer/file && ln -s /srv/other {STATE}")
        said = root.must("sh", script(root, POSTINST), "configure")
        assert f"{STATE} is a symbolic link" in said, said
        assert root.must("stat", "-c", "%U:%G", "/srv/other").strip() == "root:root"
        said = root.must("sh", script(root, POSTRM), "purge")
        assert "what is in /srv/other stays" in said, said
        root.must("test", "-e", "/srv/other/buffer/file")
        assert root.inside("test", "-L", STATE).returncode != 0, "the link is still there"


@needs_root
def a_plain_folder_is_given_to_the_agent_and_purged() -> None:
    with scratch_root() as root:
        root.must("mkdir", "-p", f"{STATE}/buffer")
        users(root)
        root.must("sh", script(root, POSTINST), "configure")
        assert root.must("stat", "-c", "%U:%G", STATE).strip() == "msp-agent:msp-agent"
        assert not root.must("sh", script(root, POSTRM), "purge")
        assert root.inside("test", "-e", STATE).returncode != 0


@needs_root
def the_installer_of_the_tarball_does_the_same() -> None:
    with scratch_root() as root:
        users(root)
        script(root, "packaging/tarball/install.sh", "give_state", "remove_state")
        call = f"set -eu; state={STATE}; did() {{ echo \"$*\"; }}; . /srv/give_state; . /srv/remove_state; "
        root.must("sh", "-c", f"mkdir -p /srv/other/buffer && chmod 700 /srv/other && ln -s /srv/other {STATE}")
        assert "a symbolic link" in root.must("sh", "-c", call + "give_state")
        assert root.must("stat", "-c", "%U %a", "/srv/other").strip() == "root 700"
        assert "what is in its target stays" in root.must("sh", "-c", call + "remove_state")
        root.must("test", "-e", "/srv/other/buffer")

        root.must("sh", "-c", call + "give_state")
        assert root.must("stat", "-c", "%U %a", STATE).strip() == "msp-agent 750"
        said = root.must("sh", "-c", call + f"mount -t tmpfs t {STATE}; touch {STATE}/file; remove_state; ls {STATE}")
        assert "left /var/lib/msp-agent" in said and "file" not in said, said


run_checks(purging_with_a_file_system_mounted_there_empties_it_and_ends_well,
           what_a_link_leads_to_is_neither_given_away_nor_removed, a_plain_folder_is_given_to_the_agent_and_purged,
           the_installer_of_the_tarball_does_the_same)

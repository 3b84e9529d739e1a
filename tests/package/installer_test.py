"""install.sh of the tarball, in a Debian tree that is not booted."""
import shutil
import subprocess
from typing import Callable

from scratch import BACKOFF, ScratchRoot, must, needs_root, packages, scratch_root
from support.check import run_checks

CONFIG = "/etc/msp-agent.yaml"
GOOD = ("--customer-id", "alpha", "--server-name", "web-01", "--url", "https://monitor.example.com/api/v1/write?a=$b",
        "--label", "csp=aws", "--label", "owner=it's mine: yes", "--ca-file", "/etc/ssl/certs/ca-certificates.crt")
OPTIONS = {option: value for option, value in zip(GOOD[::2], GOOD[1::2])}


def unpack(root: ScratchRoot) -> None:
    (root.upper / "srv").mkdir(exist_ok=True)
    must("tar", "-xzf", str(packages("*.tar.gz")), "-C", str(root.upper / "srv"), "--strip-components=1",
         "--one-top-level=msp-agent")


def install(root: ScratchRoot, *arguments: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return root.inside(shell, "/srv/msp-agent/install.sh", *arguments)


def install_must(root: ScratchRoot, *arguments: str, shell: str = "sh") -> str:
    outcome = install(root, *arguments, shell=shell)
    assert outcome.returncode == 0, f"install.sh ends with {outcome.returncode}: {outcome.stdout}"
    return outcome.stdout


@needs_root
def it_installs_and_says_what_it_did() -> None:
    with scratch_root() as root:
        unpack(root)
        said = install_must(root, *GOOD)
        samples = root.must("msp-agent", "--dry-run")
        facts = root.must("stat", "-c", "%n %U:%G %a", CONFIG, "/var/lib/msp-agent", "/usr/bin/msp-agent")
        enabled = root.must("systemctl", "is-enabled", "msp-agent.service").strip()
        config = root.must("cat", CONFIG)
    for wanted in ("made the user msp-agent", "installed /usr/bin/msp-agent", f"wrote {CONFIG}",
                   "copied /etc/ssl/certs/ca-certificates.crt to /etc/msp-agent-ca.pem",
                   f"OK: {CONFIG}: alpha/web-01", "enabled msp-agent.service"):
        assert wanted in said, f"'{wanted}' is not in: {said}"
    for label in ('customer_id="alpha"', 'server_name="web-01"', 'csp="aws"', "owner=\"it's mine: yes\""):
        assert label in samples, f"{label} is not in: {samples[:500]}"
    assert "?a=$b'" in config and "ca_file: '/etc/msp-agent-ca.pem'" in config, config
    assert facts.splitlines() == [f"{CONFIG} root:msp-agent 640", "/var/lib/msp-agent msp-agent:msp-agent 750",
                                  "/usr/bin/msp-agent root:root 755"], facts
    assert enabled == "enabled", enabled


def without(option: str) -> tuple[str, ...]:
    return tuple(word for key, value in OPTIONS.items() if key != option for word in (key, value))


# What is done to the tree or the options, and what install.sh must say of it.
BAD: tuple[tuple[str, Callable[[ScratchRoot], object] | None, tuple[str, ...]], ...] = (
    ("customer_id: found 'Alpha!'", None, ("--customer-id", "Alpha!", *without("--customer-id"))),
    ("remote_write.url: found", None, (*without("--url"), "--url", "monitor.example.com")),
    ("--customer-id and --url are needed", None, without("--url")),
    ("--customer-id and --url are needed", None, ()),
    ("there is no certificate in it", None, (*without("--ca-file"), "--ca-file", "/etc/passwd")),
    ("--label novalue: not NAME=VALUE", None, (*GOOD, "--label", "novalue")),
    ("a name that no label can have", None, (*GOOD, "--label", "1st=x")),
    ("were not expected: a=b --labels", None, (*GOOD, "--labels", "a=b")),
    ("--url: 1 required", None, ("--url",)),
    ("sh install.sh --customer-id ID", None, (*GOOD, "--label=a=b")),
    ("sh install.sh --customer-id ID", None, ("--uninstall", "--url", "x")),
    ("not what they were when they were packed",
     lambda root: root.must("sh", "-c", "echo x >>/srv/msp-agent/files/usr/lib/sysusers.d/msp-agent.conf"), GOOD),
    ("does not run on this host",
     lambda root: root.must("sh", "-c", "cd /srv/msp-agent && echo x >files/usr/bin/msp-agent && "
                            "find . -type f ! -name SHA256SUMS | xargs sha256sum >SHA256SUMS"), GOOD),
    ("this host has no 'systemctl'", lambda root: root.must("rm", "/usr/bin/systemctl", "/bin/systemctl", "-f"), GOOD),
)


@needs_root
def bad_input_and_a_bad_host_change_nothing() -> None:
    for wanted, spoil, options in BAD:
        with scratch_root() as root:
            unpack(root)
            if spoil:
                spoil(root)
            before = root.what_is_there()
            outcome = install(root, *options)
            changed = root.what_is_there() ^ before
        assert outcome.returncode != 0, f"{options}: it does not fail"
        assert wanted in outcome.stdout, f"'{wanted}' is not in: {outcome.stdout}"
        assert not changed, f"{wanted}: it has changed {sorted(changed)}"


@needs_root
def only_root_may() -> None:
    with scratch_root() as root:
        unpack(root)
        outcome = root.inside("setpriv", "--reuid=65534", "--clear-groups", "sh", "/srv/msp-agent/install.sh", *GOOD)
    assert outcome.returncode != 0 and "only root" in outcome.stdout, outcome.stdout


@needs_root
def a_second_run_keeps_the_configuration_and_says_so() -> None:
    with scratch_root() as root:
        unpack(root)
        install_must(root, *GOOD)
        after_first = root.what_is_there()
        root.must("sh", "-c", f"echo 'environment: test' >>{CONFIG}")
        said = install_must(root, *GOOD)
        bare = install_must(root)
        assert "environment: test" in root.must("cat", CONFIG), "the configuration was overwritten"
        assert root.what_is_there() == after_first, sorted(root.what_is_there() ^ after_first)
        other = install(root, *without("--customer-id"), "--customer-id", "beta")
    assert f"kept {CONFIG} as it is: of the options nothing was written" in said, said
    assert f"kept {CONFIG} as it is\n" in bare, bare
    assert other.returncode != 0 and "another customer_id than beta" in other.stdout, other.stdout


@needs_root
def a_newer_version_takes_away_what_it_has_not() -> None:
    with scratch_root() as root:
        unpack(root)
        install_must(root, *GOOD)
        root.must("sh", "-c", "cd /srv/msp-agent && rm files/usr/share/man/man8/* && "
                  "find . -type f ! -name SHA256SUMS | xargs sha256sum >SHA256SUMS")
        install_must(root)
        assert root.inside("test", "-e", "/usr/share/man/man8/msp-agent.8.gz").returncode != 0
        root.must("test", "-e", "/usr/share/man/man5/msp-agent.yaml.5.gz")


@needs_root
def uninstalling_leaves_nothing() -> None:
    with scratch_root() as root:
        unpack(root)
        root.pretend_systemd("255.4-1ubuntu8 (255.4-1ubuntu8)")
        before = root.what_is_there()
        install_must(root, *GOOD)
        assert "RestartSteps=" in root.must("cat", BACKOFF)
        root.must("sh", "-c", "mkdir /var/lib/msp-agent/buffer && echo x >/var/lib/msp-agent/buffer/segment")
        said = install_must(root, "--uninstall")
        left = root.what_is_there() ^ before
        again = install_must(root, "--uninstall")
    assert not left, f"it differs in {sorted(left)}"
    assert "removed /var/lib/msp-agent" in said and f"removed {CONFIG}" in said, said
    assert "not installed" in again, again


@needs_root
def it_leaves_a_package_alone() -> None:
    with scratch_root() as root:
        unpack(root)
        shutil.copy(packages("*.deb"), root.upper / "a.deb")
        root.must("dpkg", "--install", "/a.deb")
        before = root.what_is_there()
        for arguments in (GOOD, ("--uninstall",)):
            outcome = install(root, *arguments)
            assert outcome.returncode != 0 and "as a package" in outcome.stdout, outcome.stdout
        assert root.what_is_there() == before


@needs_root
def bash_as_sh_will_do_too() -> None:
    """What sh is on RHEL and SUSE."""
    with scratch_root() as root:
        unpack(root)
        root.must("ln", "-s", "/bin/bash", "/srv/sh")
        install_must(root, *GOOD, shell="/srv/sh")
        install_must(root, "--uninstall", shell="/srv/sh")


run_checks(it_installs_and_says_what_it_did, bad_input_and_a_bad_host_change_nothing, only_root_may,
           a_second_run_keeps_the_configuration_and_says_so, a_newer_version_takes_away_what_it_has_not,
           uninstalling_leaves_nothing, it_leaves_a_package_alone, bash_as_sh_will_do_too)

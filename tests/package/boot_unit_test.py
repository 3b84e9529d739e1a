"""The unit as systemd's own tools judge it, without a boot."""
import json
import pathlib
import re
import subprocess

from scratch import needs_root
from support.agent import ROOT
from support.check import run_checks
from support.container import container, own_mounts
from support.service import install

UNIT = ROOT / "systemd/msp-agent.service"
# What is left is what would falsify metrics or keep the agent from its work; the unit says so line by line.
EXPOSURE_MAX = 1.5


def analyze(*arguments: str, inside: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["chroot", inside, "systemd-analyze", "--no-pager", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"})


def systemd_understands_every_line_of_the_unit() -> None:
    with container("bookworm") as machine:
        install(machine)
        outcome = analyze("verify", "--man=no", "/usr/lib/systemd/system/msp-agent.service", inside=machine.root)
        said = outcome.stdout + outcome.stderr
        assert outcome.returncode == 0 and not said, said
        # The check can fail: an unknown setting is told.
        unit = machine.root / "usr/lib/systemd/system/msp-agent.service"
        unit.write_text(unit.read_text().replace("Nice=", "Niece="))
        assert "Niece" in analyze("verify", "--man=no", "/usr/lib/systemd/system/msp-agent.service",
                                  inside=machine.root).stderr


def what_is_left_of_the_exposure_is_explained_in_the_unit() -> None:
    outcome = subprocess.run(["systemd-analyze", "security", "--offline=true", "--json=short", UNIT],
                             capture_output=True, text=True, check=True)
    left = {entry["name"].split("=")[0] for entry in json.loads(outcome.stdout) if entry["set"] is False}
    assert len(left) > 5, f"what systemd-analyze prints is not understood: {outcome.stdout[:500]}"
    explained = UNIT.read_text().split("# What `systemd-analyze security` misses")[1]
    for name in left:
        assert f"{name}=" in explained, f"{name}= is not explained in {UNIT.name}"
    for name in re.findall(r"([A-Z]\w+)=,|([A-Z]\w+)=   ", explained):
        assert "".join(name) in left, f"{name} is explained in {UNIT.name}, and not left"
    text = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
                          capture_output=True, text=True, check=True).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", text)[1])
    print(f"systemd-analyze security: {exposure}")
    assert exposure <= EXPOSURE_MAX, text


def no_list_of_what_is_allowed_that_an_old_systemd_cannot_read() -> None:
    """Before 239 there is no @system-service, and the one before 230 has no groups at all: both drop what they do not
    know, and a list of allowed calls is then empty."""
    filters = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert filters and all(value.startswith("~") for value in filters), filters


if __name__ == "__main__":
    own_mounts()
    run_checks(*map(needs_root, (systemd_understands_every_line_of_the_unit,
                                 what_is_left_of_the_exposure_is_explained_in_the_unit,
                                 no_list_of_what_is_allowed_that_an_old_systemd_cannot_read)))

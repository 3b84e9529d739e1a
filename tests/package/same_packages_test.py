"""The same commit gives the same packages, bit for bit, whatever the folder, the umask and the time zone.

The other build takes the static dependencies along, and the compiler's cache where there is one: that the binary is the
same without is another test's promise. Without a cache it takes as long as any build.
"""
import pathlib
import shutil
import subprocess

from scratch import PACKAGES, must
from support.agent import ROOT, temporary_folder
from support.check import run_checks

BUILD_SECONDS_MAX = 1500
SURROUNDINGS = {"TZ": "Asia/Seoul", "LC_ALL": "C.UTF-8"}


def copy_of_the_tree(folder: pathlib.Path) -> pathlib.Path:
    """The files as they are now, and the static dependencies."""
    copy = folder / "another/and-a-longer-place/checkout"
    listed = subprocess.run(["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached",
                             "--others", "--exclude-standard"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    shutil.copytree(ROOT / "build/static-deps", copy / "build/static-deps", symlinks=True)
    return copy


def two_builds_give_the_same_bytes() -> None:
    date = must("git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "log", "-1", "--format=%ct").strip()
    with temporary_folder() as folder:
        copy = copy_of_the_tree(folder)
        must("sh", "-c", 'umask 027 && exec sh "$1/packaging/packages.sh" --or-newest --out "$2"', "sh", str(copy),
             str(folder / "out"), env={**SURROUNDINGS, "SOURCE_DATE_EPOCH": date}, seconds_max=BUILD_SECONDS_MAX)
        again = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
        again["msp-agent"] = (copy / "build/release/msp-agent").read_bytes()
    first = {path.name: path.read_bytes() for path in PACKAGES.iterdir() if path.is_file()}
    first["msp-agent"] = (ROOT / "build/release/msp-agent").read_bytes()
    assert len(first) == 4 and first.keys() == again.keys(), f"{sorted(first)} and {sorted(again)}"
    different = sorted(name for name in first if first[name] != again[name])
    assert not different, f"not the same: {different}"


run_checks(two_builds_give_the_same_bytes)

"""The same sources give the same binary, bit for bit, whoever builds them, where and when; the same commit gives the
same packages.

The other build gets the OpenSSL, libcurl and zstd that are there already: about a minute of both cores. With
MSP_FROM_SCRATCH=1 it builds those as well, from the sources that were fetched before: about two minutes more.
"""
import json
import os
import pathlib
import shutil
import subprocess

from scratch import PACKAGES, must
from support.agent import BINARY, ROOT, temporary_folder
from support.check import run_checks

FROM_SCRATCH = os.environ.get("MSP_FROM_SCRATCH") == "1"
BUILD_SECONDS_MAX = 1500
# What belongs to whoever built the first one, and no compiler cache, which would answer with the first one's objects.
OTHERS = {"LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Chatham", "SOURCE_DATE_EPOCH": "86400",
          "HOME": "/nonexistent", "USER": "somebody", "CCACHE_DISABLE": "1"}
NOT_COPIED = ("build", ".git", "__pycache__")


def run(folder: pathlib.Path, *command: str, date: str = OTHERS["SOURCE_DATE_EPOCH"]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_COMPILER_LAUNCHER")}
    outcome = subprocess.run(command, cwd=folder, env={**environment, **OTHERS, "SOURCE_DATE_EPOCH": date},
                             umask=0o077, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                             timeout=BUILD_SECONDS_MAX, check=False)
    assert outcome.returncode == 0, f"{' '.join(command)}: {outcome.stdout[-2000:]}{outcome.stderr[-2000:]}"
    return outcome.stdout.strip()


def take_dependencies_along(folder: pathlib.Path) -> None:
    built = pathlib.Path(run(ROOT, "sh", "packaging/static_dependencies.sh", "--where"))
    cache = folder / "build/static-deps"
    cache.mkdir(parents=True)
    if (newest := built.parent / "newest.lock").exists():
        shutil.copy(newest, cache)
    if not FROM_SCRATCH:
        shutil.copytree(built, cache / built.name, symlinks=True)
        return
    shutil.copytree(built.parent / "sources", cache / "sources")
    run(folder, "sh", "packaging/static_dependencies.sh")
    other = pathlib.Path(run(folder, "sh", "packaging/static_dependencies.sh", "--where"))
    assert other.is_relative_to(folder), f"{other} is not of this build"
    for library in sorted((built / "lib").glob("*.a")):
        same = library.read_bytes() == (other / "lib" / library.name).read_bytes()
        assert same, f"{library.name} differs: {library} and {other / 'lib' / library.name}"


def sections_that_differ(one: pathlib.Path, other: pathlib.Path) -> str:
    def sections(binary: pathlib.Path) -> dict[str, str]:
        text = subprocess.run(["readelf", "--wide", "--section-headers", str(binary)], capture_output=True, text=True,
                              check=True, timeout=120).stdout
        return {words[1]: " ".join(words[3:6]) for line in text.splitlines()
                if len(words := line.replace("[ ", "[").split()) > 8}
    mine, theirs = sections(one), sections(other)
    return ", ".join(name for name in mine if mine[name] != theirs.get(name)) or "none by their place and size"


def other_packages(folder: pathlib.Path) -> dict[str, bytes]:
    """What the other build makes of its binary, which is there already, on the day of this commit."""
    date = must("git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "log", "-1", "--format=%ct").strip()
    run(folder, "sh", "packaging/packages.sh", "--or-newest", date=date)
    return {path.name: path.read_bytes() for path in (folder / "build/packages").iterdir()}


def another_folder_user_time_zone_and_locale_give_the_same_binary_and_packages() -> None:
    with temporary_folder() as folder:
        other = folder / "another-place-whose-name-is-much-longer-than-that-of-the-first"
        shutil.copytree(ROOT, other, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED),
                        copy_function=shutil.copyfile)
        take_dependencies_along(other)
        run(other, "cmake", "--preset", "release", "-DMSP_AGENT_TESTS=OFF")
        run(other, "cmake", "--build", "--preset", "release", "--target", "msp-agent")
        first, second = pathlib.Path(BINARY), other / "build/release/msp-agent"
        assert first.read_bytes() == second.read_bytes(), \
            f"{first.stat().st_size} and {second.stat().st_size} bytes; other are {sections_that_differ(first, second)}"
        again = other_packages(other)
    packages = {path.name: path.read_bytes() for path in PACKAGES.iterdir() if path.is_file()}
    # Who built them and when is another thing each time; of what they were built, both records say the same.
    (mine,), (theirs,) = ([json.loads(some.pop(name)) for name in list(some) if name.endswith(".provenance.json")]
                          for some in (packages, again))
    assert mine["subject"] == theirs["subject"], f"{mine} and {theirs}"
    assert packages and packages.keys() == again.keys(), f"{sorted(packages)} and {sorted(again)}"
    different = sorted(name for name in packages if packages[name] != again[name])
    assert not different, f"not the same: {different}"


def no_path_of_the_build_is_in_it() -> None:
    content = pathlib.Path(BINARY).read_bytes()
    for name, path in (("the folder", str(ROOT)), ("the user", os.path.expanduser("~/"))):
        assert path.encode() not in content, f"{name} of the build is in it: {path}"


run_checks(another_folder_user_time_zone_and_locale_give_the_same_binary_and_packages,
           no_path_of_the_build_is_in_it)

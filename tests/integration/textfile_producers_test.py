"""The producers of packaging/textfile on recorded outputs of the tools that they ask.

A folder tests/fixtures/textfile_producers/PRODUCER/CASE is one run:

    TOOL.1 TOOL.2 ..    what the tool is asked, and what it answers: "$ TOOL ARGUMENT.. # EXIT-CODE", then its output;
                        a line that begins with "2> " goes to stderr
    root/               files of the host
    expected.prom       the file that must come of it
    expected.err        or what it must say when it fails

MSP_UPDATE_GOLDEN=1 writes the expected files anew.
"""
import os
import pathlib
import shutil
import subprocess

from support.agent import BINARY, ROOT, temporary_folder
from support.check import run_checks

PRODUCERS = ROOT / "packaging/textfile"
FIXTURES = ROOT / "tests/fixtures/textfile_producers"
NOW, REFRESHED = 1_700_000_000, 1_699_990_000
# All that a producer may use beside the tools that it asks.
USED = ("awk", "cat", "grep", "head", "ls", "mktemp", "mv", "paste", "rm", "sed", "sh", "sort", "stat", "tail",
        "timeout", "tr", "wc")
TOOL = """#!/bin/sh
tool=${0##*/}
count=$(($(cat "$CASE_STATE/$tool" 2>/dev/null || echo 0) + 1))
echo $count >"$CASE_STATE/$tool"
recorded="$CASE/$tool.$count"
[ -f "$recorded" ] || { echo "$tool was asked once too often: $*" >&2; exit 99; }
read -r asked <"$recorded"
[ "${asked%% # *}" = "\\$ $tool $*" ] || { echo "'$tool $*' is not what was recorded: $asked" >&2; exit 99; }
sed -n '2,$s/^2> //p' "$recorded" >&2
sed -n '2,$p' "$recorded" | grep -v '^2> '
exit "${asked##* # }"
"""


def run(producer: str, case: pathlib.Path, out: pathlib.Path, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    path = folder / "bin"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name in USED:
        (path / name).symlink_to(shutil.which(name))
    for recorded in case.glob("*.[0-9]"):
        tool = path / recorded.stem
        tool.write_text(TOOL)
        tool.chmod(0o755)
    (path / "date").write_text(f"#!/bin/sh\necho {NOW}\n")
    (path / "date").chmod(0o755)
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(case / "root", root) if (case / "root").exists() else root.mkdir()
    for there in root.rglob("*"):
        os.utime(there, (REFRESHED, REFRESHED))
    state = folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    outcome = subprocess.run([PRODUCERS / producer], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             check=False, env={
                                 "PATH": str(path), "TMPDIR": str(temporary), "CASE": str(case),
                                 "CASE_STATE": str(state), "MSP_TEXTFILE_DIRECTORY": str(out),
                                 "MSP_TEXTFILE_LIBRARY": str(PRODUCERS), "MSP_TEXTFILE_ROOT": str(root)})
    assert not list(temporary.iterdir()), f"{producer} leaves files behind: {list(temporary.iterdir())}"
    return outcome


def expect(file: pathlib.Path, got: str) -> None:
    if os.environ.get("MSP_UPDATE_GOLDEN"):
        file.write_text(got) if got else file.unlink(missing_ok=True)
    wanted = file.read_text() if file.exists() else ""
    assert got == wanted, f"{file.relative_to(ROOT)}:\n{wanted}\nis not what comes of it:\n{got}"


def every_recorded_host_gives_what_is_expected_of_it() -> None:
    cases = sorted(case for case in FIXTURES.glob("*/*") if case.is_dir())
    assert len(cases) >= 11, cases
    for case in cases:
        producer = case.parent.name
        with temporary_folder() as folder:
            out = folder / "out"
            out.mkdir()
            outcome = run(producer, case, out, folder)
            assert "recorded" not in outcome.stderr and "too often" not in outcome.stderr, outcome.stderr
            assert (outcome.returncode == 0) == (not outcome.stderr), f"{case.name}: {outcome}"
            expect(case / "expected.err", outcome.stderr)
            written = out / f"{producer}.prom"
            expect(case / "expected.prom", written.read_text() if written.exists() else "")
            assert [path for path in out.iterdir() if path != written] == [], f"{case.name}: {list(out.iterdir())}"
            if written.exists():
                assert written.stat().st_mode & 0o777 == 0o644, oct(written.stat().st_mode)


def a_run_that_fails_leaves_the_file_of_the_last_good_one() -> None:
    with temporary_folder() as folder:
        out = folder / "out"
        out.mkdir()
        assert run("updates", FIXTURES / "updates/debian", out, folder).returncode == 0
        before = (out / "updates.prom").read_text()
        assert run("updates", FIXTURES / "updates/apt_fails", out, folder).returncode == 1
        assert (out / "updates.prom").read_text() == before
        assert f'success_timestamp_seconds{{producer="updates"}} {NOW}\n' in before, before


def what_the_host_no_longer_has_is_no_longer_told() -> None:
    with temporary_folder() as folder:
        out = folder / "out"
        out.mkdir()
        (out / "smart.prom").write_text("msp_agent_disk_healthy 1\n")
        assert run("smart", FIXTURES / "smart/no_disk", out, folder).returncode == 0
        assert list(out.iterdir()) == []


def the_agent_reads_all_that_is_expected() -> None:
    with temporary_folder() as folder:
        files = [path for path in sorted(FIXTURES.glob("*/*/expected.prom"))]
        for number, path in enumerate(files):
            home = folder / f"textfile{number}"
            home.mkdir()
            shutil.copy(path, home / "a.prom")
            config = folder / "config.yaml"
            config.write_text("customer_id: a\nserver_name: b\nremote_write: {url: http://localhost/}\n"
                              f"collectors: {{textfile: {{directories: [{home}]}}}}\n")
            outcome = subprocess.run([BINARY, "--config", config, "--dry-run", "--collectors", "textfile"],
                                     capture_output=True, text=True, check=True, timeout=120)
            assert "node_textfile_scrape_error" in outcome.stdout, outcome.stdout + outcome.stderr
            lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
            names = {line.split("{")[0].split(" ")[0] for line in lines}
            sent = [line for line in outcome.stdout.splitlines() if line.split("{")[0] in names]
            assert len(sent) == len(lines), f"{path}: {len(lines)} lines, {len(sent)} sent: {outcome.stdout}"


if __name__ == "__main__":
    run_checks(every_recorded_host_gives_what_is_expected_of_it, a_run_that_fails_leaves_the_file_of_the_last_good_one,
               what_the_host_no_longer_has_is_no_longer_told, the_agent_reads_all_that_is_expected)

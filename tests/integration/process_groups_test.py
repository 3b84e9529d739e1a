"""Groups of real processes, beside what ps says of the same ones."""
import contextlib
import os
import pathlib
import shutil
import subprocess
from typing import Iterator

from support.agent import dry_run, temporary_folder, write_config
from support.check import run_checks
from support.exposition import parse_exposition
from support.process import poll_until

PROCESSES = 20
COMMAND = "msp-grp-sleeper"  # 15 characters, all that the kernel keeps


@contextlib.contextmanager
def sleepers(folder: pathlib.Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    program = folder / COMMAND
    shutil.copy("/bin/sleep", program)
    processes = [subprocess.Popen([program, "1000"], stdin=subprocess.DEVNULL) for _ in range(PROCESSES)]
    try:
        poll_until("all have begun", lambda: all(
            pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip() == COMMAND for process in processes))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def groups(folder: pathlib.Path, rules: str) -> dict[str, dict[str, float]]:
    """The values by the name of the group, by metric and what else is in its labels."""
    config = write_config(folder, "http://127.0.0.1:9/api/v1/write",
                          more=f"collectors: {{enabled: [process_groups], process_groups: {{groups: {rules}}}}}\n")
    found: dict[str, dict[str, float]] = {}
    for (name, labels), value in parse_exposition(dry_run(config)).samples.items():
        known = dict(labels)
        if name.startswith("namedprocess_namegroup_"):
            key = name.removeprefix("namedprocess_namegroup_") + known.get("memtype", "") + known.get("state", "")
            found.setdefault(known["groupname"], {})[key] = value
    return found


def ps_says_the_same() -> None:
    with temporary_folder() as folder, sleepers(folder) as processes:
        pids = ",".join(str(process.pid) for process in processes)
        lines = subprocess.run(["ps", "-o", "rss=,vsz=,nlwp=", "-p", pids], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        resident, virtual, threads = (sum(int(line.split()[column]) for line in lines) for column in range(3))
        found = groups(folder, f"[{{comm: [{COMMAND}], name: sleepers}}]")
        assert list(found) == ["sleepers"], list(found)
        got = found["sleepers"]
        assert got["num_procs"] == PROCESSES and got["num_threads"] == threads, got
        assert got["memory_bytesvirtual"] == virtual * 1024, (got, virtual)
        # ps reads statm. In stat, which process-exporter reads, too, up to 64 pages of each CPU are not counted yet.
        off_max = 64 * os.sysconf("SC_PAGESIZE") * (os.cpu_count() or 1) * PROCESSES
        assert abs(got["memory_bytesresident"] - resident * 1024) <= off_max, (got, resident)
        assert got["statesSleeping"] == PROCESSES, got


def each_rule_of_process_exporter_finds_them() -> None:
    with temporary_folder() as folder, sleepers(folder):
        program = folder / COMMAND
        for rule, name in ((f"exe: [{COMMAND}]", COMMAND),
                           (f"exe: [{program}], name: '{{{{.ExeFull}}}}'", str(program)),
                           (rf"cmdline: ['{COMMAND} (?P<x>\d+)$'], name: 'for {{{{.Matches.x}}}} s'", "for 1000 s"),
                           (f"comm: [{COMMAND}], cmdline: ['^/'], name: '{{{{.Comm}}}}'", COMMAND)):
            found = groups(folder, f"[{{{rule}}}]")
            assert found[name]["num_procs"] == PROCESSES, (rule, found)
        assert groups(folder, f"[{{comm: [{COMMAND}], exe: [other]}}]") == {}


def another_user_may_read_it() -> None:
    if os.geteuid() != 0:
        return
    with temporary_folder() as folder, sleepers(folder):
        config = write_config(folder, "http://127.0.0.1:9/api/v1/write",
                              more="collectors: {enabled: [process_groups]}\n")
        for path in (folder, config):
            path.chmod(0o755)
        binary = folder / "msp-agent"
        shutil.copy(os.environ.get("MSP_AGENT", "build/release/msp-agent"), binary)
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        outcome = subprocess.run([*as_nobody, binary, "--config", config, "--dry-run"], capture_output=True, text=True,
                                 check=True, stdin=subprocess.DEVNULL)
        values = {dict(labels)["groupname"]: value
                  for (name, labels), value in parse_exposition(outcome.stdout).samples.items()
                  if name == "namedprocess_namegroup_num_procs"}
        assert values[COMMAND] == PROCESSES, values


run_checks(ps_says_the_same, each_rule_of_process_exporter_finds_them, another_user_may_read_it)

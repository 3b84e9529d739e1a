"""A bad configuration exits 78 with one clear line per error on stderr; bad usage exits 2; nothing of it on stdout."""
import pathlib
import re

from support.agent import run_once, temporary_folder
from support.check import run_checks

GOOD = """customer_id: alpha
server_name: web-01
remote_write:
  url: http://127.0.0.1:9/api/v1/write
"""


def with_line(key: str, line: str) -> str:
    """GOOD with the line of `key` replaced."""
    changed = re.sub(rf"(?m)^ *{key}:.*$", lambda _: line, GOOD)
    assert changed != GOOD
    return changed


# name: (the file, the line that the error is in or 0, words that its text must have)
BAD: dict[str, tuple[str | bytes, int, tuple[str, ...]]] = {
    "interval 0": (GOOD + "interval: 0s\n", 5, ("interval", "1s")),
    "interval without a unit that exists": (GOOD + "interval: 15parsecs\n", 5, ("interval", "15parsecs")),
    "customer_id with spaces": (with_line("customer_id", "customer_id: Alpha Corp!"), 1,
                                ("customer_id", "Alpha Corp!", "a-z")),
    "no customer_id": (with_line("customer_id", ""), 0, ("customer_id",)),
    "no remote_write": ("customer_id: alpha\n", 0, ("remote_write",)),
    "url without scheme": (with_line("url", "  url: monitor.example.com/api/v1/write"), 4, ("url", "http")),
    "regex that does not compile": (
        GOOD + "collectors:\n  netdev: {device_exclude: '^(veth'}\n", 6, ("device_exclude", "^(veth")),
    "duplicate key": (GOOD + "customer_id: beta\n", 5, ("customer_id",)),
    "unknown key": (GOOD + "intervall: 15s\n", 5, ("intervall", "interval")),
    "unknown collector": (GOOD + "collectors: {enabled: [cpu, meminf]}\n", 5, ("meminf", "meminfo")),
    "not YAML": (GOOD + "labels: {a: b\n", 0, ()),
    "empty file": ("", 0, ("empty",)),
    "a list": ("- customer_id\n", 0, ()),
    "10 MB": (GOOD + "# " + "x" * 10_000_000 + "\n", 0, ()),
    "not UTF-8": (GOOD.encode() + b"environment: \xff\xfe\n", 0, ("UTF-8",)),
    "an environment variable that is not set": (
        with_line("customer_id", "customer_id: ${MSP_TEST_NOT_SET}"), 1, ("MSP_TEST_NOT_SET",)),
}


def fails_clearly(config: pathlib.Path, line: int, words: tuple[str, ...]) -> None:
    for arguments in (("--dry-run",), ("run",)):
        outcome = run_once("--config", str(config), *arguments)
        said = outcome.stderr
        assert outcome.returncode == 78, f"{arguments} exits {outcome.returncode}, not 78; stderr: {said[:2000]}"
        assert outcome.stdout == "", f"on stdout: {outcome.stdout[:2000]}"
        errors = said.splitlines()
        assert len(errors) == 1, f"{len(errors)} lines, not one: {said[:2000]}"
        assert len(said) < 500, f"a line of {len(said)} characters: {said[:2000]}"
        place = re.search(re.escape(str(config)) + (rf":{line}:\d+: " if line else ""), said)
        assert place, f"the error does not name {config.name}" + (f":{line}:<column>" if line else "") + f": {said}"
        for word in words:
            assert word in said, f"'{word}' is not in the error: {said}"


def check_of(name: str):
    def check() -> None:
        content, line, words = BAD[name]
        with temporary_folder() as folder:
            config = folder / "msp-agent.yaml"
            config.write_bytes(content.encode() if isinstance(content, str) else content)
            fails_clearly(config, line, words)
    check.__name__ = f"{name}: exits 78 with one line"
    return check


def a_missing_file_exits_78_and_names_it() -> None:
    with temporary_folder() as folder:
        fails_clearly(folder / "nothing-here.yaml", 0, ("no such file",))


def several_errors_are_told_at_once() -> None:
    with temporary_folder() as folder:
        config = folder / "msp-agent.yaml"
        config.write_text(with_line("customer_id", "customer_id: A!") + "interval: 0s\nintervall: 1s\n")
        outcome = run_once("--config", str(config), "--dry-run")
    assert outcome.returncode == 78, outcome.stderr
    assert len(outcome.stderr.splitlines()) == 3, f"3 errors, told as: {outcome.stderr}"


def the_good_file_is_good() -> None:
    with temporary_folder() as folder:
        config = folder / "msp-agent.yaml"
        config.write_text(GOOD)
        outcome = run_once("--config", str(config), "--dry-run")
    assert (outcome.returncode, outcome.stderr) == (0, ""), f"{outcome.returncode} {outcome.stderr}"


def bad_usage_exits_2() -> None:
    for arguments in (("--no-such-flag",), ("no-such-command",), ("--log-level", "loud"), ("--config",)):
        outcome = run_once(*arguments)
        assert outcome.returncode == 2, f"{arguments} exits {outcome.returncode}, not 2"
        assert outcome.stdout == "" and outcome.stderr, f"{arguments}: '{outcome.stdout}', '{outcome.stderr}'"


def help_and_version_exit_0() -> None:
    for argument, pattern in (("--version", r"(?s)msp-agent \d+\.\d+\.\d+\S*\n.+\n"), ("--help", r"(?s).*--dry-run.*")):
        outcome = run_once(argument)
        assert outcome.returncode == 0 and outcome.stderr == "", f"{argument}: {outcome}"
        assert re.fullmatch(pattern, outcome.stdout), f"{argument} prints: {outcome.stdout}"


run_checks(*(check_of(name) for name in BAD), a_missing_file_exits_78_and_names_it, several_errors_are_told_at_once,
           the_good_file_is_good, bad_usage_exits_2, help_and_version_exit_0)

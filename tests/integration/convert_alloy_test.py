"""convert-alloy as a command: exit codes, what goes to stdout and what to stderr, a file, a folder, standard input."""
import os
import subprocess

from support.agent import BINARY, ROOT, run_once, temporary_folder
from support.check import run_checks

ALLOY = ROOT / "tests/fixtures/alloy"
PROMETHEUS = ROOT / "tests/fixtures/prometheus"


def convert(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    outcome = subprocess.run([BINARY, "convert-alloy", *arguments], input=stdin, capture_output=True, timeout=120,
                             check=False)
    return subprocess.CompletedProcess(outcome.args, outcome.returncode, outcome.stdout.decode(),
                                       outcome.stderr.decode())


def refused(*arguments: str, stdin: bytes = b"") -> str:
    """What stderr says when there is no result."""
    outcome = convert(*arguments, stdin=stdin)
    assert outcome.returncode == 1, f"{arguments} exits {outcome.returncode}: {outcome.stderr}"
    assert outcome.stdout == "", f"on stdout: {outcome.stdout[:500]}"
    assert outcome.stderr.startswith("msp-agent: "), outcome.stderr
    return outcome.stderr


def the_result_goes_to_stdout_and_the_notes_to_stderr() -> None:
    outcome = convert(str(ALLOY / "two_endpoints/config.alloy"))
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("# msp-agent.yaml, made by `msp-agent convert-alloy` from "), outcome.stdout
    notes = outcome.stderr.splitlines()
    assert notes and all(line.startswith("msp-agent: ") for line in notes), outcome.stderr
    assert any("config.alloy:64: not carried over: " in line for line in notes), outcome.stderr


def the_agent_runs_with_the_result() -> None:
    with temporary_folder() as folder:
        config = folder / "msp-agent.yaml"
        outcome = convert(str(ALLOY / "msp_labels/config.alloy"), "--env-file", str(ALLOY / "msp_labels/alloy.env"))
        assert outcome.returncode == 0, outcome.stderr
        config.write_text(outcome.stdout)
        variables = {"CUSTOMER_ID": "alpha", "SERVER_NAME": "alpha-web-01", "CSP": "aws", "REGION": "r",
                     "REMOTE_WRITE_URL": "https://metrics.example.com/api/v1/write"}
        ran = run_once("--config", str(config), "--dry-run", env={**os.environ, **variables})
    assert (ran.returncode, ran.stderr) == (0, ""), f"{ran.returncode} {ran.stderr}"
    line = next(line for line in ran.stdout.splitlines() if line.startswith("node_load1{"))
    for label in ('customer_id="alpha"', 'server_name="alpha-web-01"', 'environment="production"', 'csp="aws"',
                  'job="integrations/unix"'):
        assert label in line, f"{label} is not in {line}"
    assert "node_boot_time_seconds" not in ran.stdout, "stat was not in set_collectors"


def values_of_the_environment_file_are_not_copied() -> None:
    outcome = convert(str(ALLOY / "values/config.alloy"), "--env-file", str(ALLOY / "values/alloy.env"))
    assert outcome.returncode == 0, outcome.stderr
    for text in (outcome.stdout, outcome.stderr):
        assert "hush" not in text and "good.example.com" not in text, text


def a_folder_is_all_its_alloy_files() -> None:
    outcome = convert(str(ALLOY / "folder"))
    assert outcome.returncode == 0, outcome.stderr
    assert "interval: 1m30s" in outcome.stdout and "customer_id: gamma" in outcome.stdout, outcome.stdout
    with temporary_folder() as folder:
        assert "no *.alloy file" in refused(str(folder))


def standard_input_is_a_file_called_dash() -> None:
    outcome = convert("-", stdin=(ALLOY / "minimal/config.alloy").read_bytes())
    assert outcome.returncode == 0, outcome.stderr
    assert "url: https://metrics.example.com/api/v1/write" in outcome.stdout, outcome.stdout
    assert "-:1:1: " in refused("-", stdin=b"}")
    assert "more than 1048576 bytes" in refused("-", stdin=b" " * (2 << 20))


def prometheus_configuration_is_taken_with_from() -> None:
    outcome = convert("--from", "prometheus", str(PROMETHEUS / "agent_mode/prometheus.yml"))
    assert outcome.returncode == 0, outcome.stderr
    assert "customer_id: alpha" in outcome.stdout, outcome.stdout


def a_syntax_error_names_its_place_and_shows_the_line() -> None:
    with temporary_folder() as folder:
        config = folder / "config.alloy"
        config.write_text('prometheus.remote_write "w" {\n  endpoint {\n    url = = "x"\n  }\n}\n')
        said = refused(str(config))
    assert f"{config}:3:11: found '='; expected a value" in said, said
    assert '\n        url = ...\n' in said and '"x"' not in said, said


def what_cannot_be_converted_exits_1() -> None:
    assert "found no prometheus.remote_write" in refused(str(ALLOY / "no_remote_write/config.alloy"))
    nothing = PROMETHEUS / "no_remote_write/prometheus.yml"
    assert "found no remote_write" in refused("--from", "prometheus", str(nothing))
    assert "No such file" in refused("/nothing/here.alloy")
    assert "No such file" in refused(str(ALLOY / "minimal/config.alloy"), "--env-file", "/nothing/here")


def a_result_that_delivers_nothing_exits_1() -> None:
    assert "remotecfg" in refused(str(ALLOY / "remote_pipelines_only/config.alloy"))
    assert "static mode" in refused("--from", "prometheus", str(PROMETHEUS / "static_mode/prometheus.yml"))


def no_secret_of_a_broken_file_is_shown() -> None:
    for folder in ("secret_in_a_url", "secret_in_a_header"):
        said = refused(str(ALLOY / folder / "config.alloy"))
        assert "hunter" not in said, said


def the_environment_file_is_named_by_its_absolute_path() -> None:
    folder = ALLOY / "environment_file"
    outcome = subprocess.run([BINARY, "convert-alloy", "config.alloy", "--env-file", "alloy.env"], cwd=folder,
                             capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert f"EnvironmentFile={folder}/alloy.env\n" in outcome.stderr, outcome.stderr
    assert "alloy.env:10: not carried over: systemd passes over" in outcome.stderr, outcome.stderr
    assert "set REGION, UNSET for msp-agent" in outcome.stderr, outcome.stderr


def check_refuses_a_login_that_is_not_filled_in() -> None:
    outcome = convert(str(ALLOY / "secrets_in_files/config.alloy"))
    assert outcome.returncode == 0, outcome.stderr
    with temporary_folder() as folder:
        config = folder / "msp-agent.yaml"
        config.write_text(outcome.stdout.replace('customer_id: ""', "customer_id: alpha"))
        checked = run_once("--config", str(config), "check", "--offline")
    assert checked.returncode != 0 and "basic_auth.username" in checked.stdout + checked.stderr, checked


def files_that_the_configuration_names_are_given_behind_it() -> None:
    folder = PROMETHEUS / "blackbox"
    files = [str(folder / name) for name in ("prometheus.yml", "blackbox.yml", "host.json")]
    outcome = convert("--from", "prometheus", *files)
    assert outcome.returncode == 0 and "    target: ldap.example.com:636\n" in outcome.stdout, outcome
    assert "/etc/prometheus/targets/*.json" not in outcome.stderr, outcome.stderr
    alone = convert("--from", "prometheus", files[0])
    assert "name the files that have them behind it, and convert again: /etc/prometheus/targets/*.json" in alone.stderr
    assert "cannot open /nonexistent/x.json" in refused("--from", "prometheus", files[0], "/nonexistent/x.json")


def bad_usage_exits_2() -> None:
    for arguments in ((), ("--from", "telegraf", "x")):
        outcome = convert(*arguments)
        assert outcome.returncode == 2 and outcome.stdout == "", f"{arguments}: {outcome}"


run_checks(the_result_goes_to_stdout_and_the_notes_to_stderr, the_agent_runs_with_the_result,
           values_of_the_environment_file_are_not_copied, a_folder_is_all_its_alloy_files,
           standard_input_is_a_file_called_dash, prometheus_configuration_is_taken_with_from,
           a_syntax_error_names_its_place_and_shows_the_line, what_cannot_be_converted_exits_1,
           a_result_that_delivers_nothing_exits_1, no_secret_of_a_broken_file_is_shown,
           the_environment_file_is_named_by_its_absolute_path, check_refuses_a_login_that_is_not_filled_in,
           files_that_the_configuration_names_are_given_behind_it, bad_usage_exits_2)

"""msp-agent init: a configuration from flags or from answers on a terminal, and nothing of anybody's lost."""
import os
import pathlib
import re
import stat
import subprocess

from support.agent import ROOT, run_once, temporary_folder
from support.check import run_checks
from support.terminal import Terminal

URL = "https://monitor.example.com/api/v1/write"


def init(config: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_once("--config", str(config), "init", *arguments)


def labels_of(config: pathlib.Path) -> str:
    outcome = run_once("--config", str(config), "--dry-run", "--collectors", "uname")
    assert outcome.returncode == 0, outcome.stderr
    return next(line for line in outcome.stdout.splitlines() if line.startswith("node_uname_info{"))


def flags_make_a_configuration_that_the_agent_takes() -> None:
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        outcome = init(config, "--customer-id", "alpha", "--server-name", "it's \"web\"", "--url", URL,
                       "--environment", "production", "--label", "csp=aws", "--label", "region=ap-northeast-2")
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.stdout.startswith(f"wrote {config}\n"), outcome.stdout
        mode = stat.S_IMODE(config.stat().st_mode)
        assert mode == 0o640, oct(mode)
        assert os.listdir(folder) == ["agent.yaml"], os.listdir(folder)
        labels = labels_of(config)
        for wanted in ('customer_id="alpha"', 'server_name="it\'s \\"web\\""', 'environment="production"',
                       'csp="aws"', 'region="ap-northeast-2"'):
            assert wanted in labels, labels


def all_that_is_wrong_is_said_at_once_and_nothing_is_written() -> None:
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        outcome = init(config, "--customer-id", "Alpha!", "--url", "ftp://x", "--label", "a-b=1")
        assert outcome.returncode == 2, outcome
        for wanted in ("customer_id: found 'Alpha!'", "remote_write.url: found 'ftp://x'", "labels.a-b: "):
            assert wanted in outcome.stderr, outcome.stderr
        assert os.listdir(folder) == [], os.listdir(folder)


def without_a_terminal_it_names_the_flags_it_needs() -> None:
    with temporary_folder() as folder:
        outcome = init(folder / "agent.yaml", "--customer-id", "alpha")
        assert outcome.returncode == 2 and "--url" in outcome.stderr, outcome
        assert os.listdir(folder) == [], os.listdir(folder)


def a_configuration_is_replaced_only_by_force_and_kept() -> None:
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        assert init(config, "--customer-id", "alpha", "--url", URL).returncode == 0
        before = config.read_text()
        refused = init(config, "--customer-id", "beta", "--url", URL)
        assert refused.returncode == 1 and "--force" in refused.stderr, refused
        assert config.read_text() == before
        for number, customer in ((1, "beta"), (2, "gamma")):
            assert init(config, "--force", "--customer-id", customer, "--url", URL).returncode == 0
            assert len(os.listdir(folder)) == 1 + number, os.listdir(folder)
        assert (folder / "agent.yaml.bak").read_text() == before
        assert "'beta'" in (folder / "agent.yaml.bak.2").read_text()
        assert "'gamma'" in config.read_text()


def the_file_that_packages_bring_is_filled_in() -> None:
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        config.write_text((ROOT / "etc/msp-agent.yaml").read_text())
        assert init(config, "--customer-id", "alpha", "--url", URL).returncode == 0
        assert 'customer_id="alpha"' in labels_of(config)


def a_folder_that_is_not_there_is_an_error_that_names_it() -> None:
    with temporary_folder() as folder:
        config = folder / "no/agent.yaml"
        outcome = init(config, "--customer-id", "alpha", "--url", URL)
        assert outcome.returncode == 1 and str(config) in outcome.stderr, outcome


def the_cloud_is_read_from_files_of_the_host() -> None:
    with temporary_folder() as folder:
        dmi = folder / "sys/class/dmi/id"
        dmi.mkdir(parents=True)
        (dmi / "sys_vendor").write_text("Amazon EC2\n")
        paths = ("--path.sysfs", str(folder / "sys"), "--path.rootfs", str(folder))
        config = folder / "agent.yaml"
        assert init(config, "--customer-id", "alpha", "--url", URL, *paths).returncode == 0
        assert "csp: 'aws'" in config.read_text(), config.read_text()
        (folder / "run/cloud-init").mkdir(parents=True)
        (folder / "run/cloud-init/instance-data.json").write_text(
            '{"base64_encoded_keys": [], "v1": {"cloud_name": "azure", "region": "koreacentral"}}')
        assert init(config, "--force", "--customer-id", "alpha", "--url", URL, *paths).returncode == 0
        text = config.read_text()
        assert "csp: 'azure'" in text and "region: 'koreacentral'" in text, text
        assert init(config, "--force", "--customer-id", "alpha", "--url", URL, "--label", "csp=own", *paths
                    ).returncode == 0
        assert "csp: 'own'" in config.read_text(), config.read_text()


def on_a_terminal_it_asks_and_asks_again() -> None:
    with temporary_folder() as folder:
        config = folder / "agent.yaml"
        terminal = Terminal("--config", str(config), "init", "--path.sysfs", str(folder), "--path.rootfs", str(folder))
        terminal.answer("customer_id, the customer that the server belongs to: ", "Not An Id")
        terminal.answer("customer_id, the customer that the server belongs to: ", "alpha")
        terminal.answer("server_name [", "")
        terminal.answer("environment", "")
        terminal.answer("url of the centre", "monitor.example.com")
        terminal.answer("url of the centre", URL)
        terminal.answer("bearer token", "")
        assert terminal.end() == 0, terminal.said
        assert "customer_id: found 'Not An Id'; accepted: " in terminal.said, terminal.said
        assert re.search(r"remote_write\.url: found .* with no scheme", terminal.said), terminal.said
        labels = labels_of(config)
        assert f'server_name="{os.uname().nodename}"' in labels and "environment=" not in labels, labels


def an_input_that_ends_writes_nothing() -> None:
    with temporary_folder() as folder:
        terminal = Terminal("--config", str(folder / "agent.yaml"), "init", "--path.sysfs", str(folder))
        terminal.answer("customer_id, the customer that the server belongs to: ", "alpha")
        terminal.answer("server_name [", "\x04")  # Ctrl-D, after an empty line
        assert terminal.end() == 1, terminal.said
        assert "nothing was written" in terminal.said, terminal.said
        assert os.listdir(folder) == [], os.listdir(folder)


run_checks(flags_make_a_configuration_that_the_agent_takes, all_that_is_wrong_is_said_at_once_and_nothing_is_written,
           without_a_terminal_it_names_the_flags_it_needs, a_configuration_is_replaced_only_by_force_and_kept,
           the_file_that_packages_bring_is_filled_in, a_folder_that_is_not_there_is_an_error_that_names_it,
           the_cloud_is_read_from_files_of_the_host, on_a_terminal_it_asks_and_asks_again,
           an_input_that_ends_writes_nothing)

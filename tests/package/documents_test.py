"""The man page and the completions know every command and option that --help knows, and no other."""
import re

from scratch import must, run
from support.agent import BINARY, ROOT
from support.check import run_checks

COMPLETIONS = ROOT / "packaging/completions"
MAN = ROOT / "packaging/man"


def options_and_commands() -> tuple[set[str], set[str]]:
    text = must(BINARY, "--help")
    commands = set(re.findall(r"(?m)^  ([a-z][\w-]*)  ", text[text.index("Subcommands:"):]))
    texts = [text, *(must(BINARY, command, "--help") for command in commands)]  # a command may have options of its own
    options = {option for text in texts for option in re.findall(r"(?m)^  (?:-\w,)?(--[\w.-]+)", text)}
    assert "--config" in options and "run" in commands, text
    return options, commands


def same(where: str, options: set[str], commands: set[str]) -> None:
    wanted_options, wanted_commands = options_and_commands()
    assert options == wanted_options, f"{where}: differs from --help in {options ^ wanted_options}"
    assert commands == wanted_commands, f"{where}: differs from --help in {commands ^ wanted_commands}"


def the_man_page_has_them() -> None:
    text = (MAN / "msp-agent.8").read_text()
    options = {f"--{name}" for name in re.findall(r"(?m)^\.It (?:Fl \w , )?Fl -([\w.-]+)", text)}
    same("msp-agent(8)", options, set(re.findall(r"(?m)^\.It Cm ([\w-]+)", text)))


def the_man_pages_are_sound() -> None:
    for page in sorted(MAN.iterdir()):
        said = run("mandoc", "-T", "lint", "-W", "warning", str(page)).stdout
        assert not said, said


def bash_completes_them() -> None:
    script = str(COMPLETIONS / "msp-agent.bash")

    def completed(word: str) -> set[str]:
        return set(must("bash", "-c", '. "$1"; COMP_WORDS=(msp-agent "$2"); COMP_CWORD=1; _msp_agent; '
                                      'printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, word).split())

    same("bash", completed("-") - {"-h"}, completed(""))
    assert completed("--path.p") == {"--path.procfs"}, completed("--path.p")


def zsh_completes_them() -> None:
    must("zsh", "-n", str(COMPLETIONS / "_msp-agent"))
    text = (COMPLETIONS / "_msp-agent").read_text()
    same("zsh", set(re.findall(r"(--[\w.-]+)(?=[\[}])", text)), set(re.findall(r"(?m)^  '([a-z][\w-]*):", text)))


def fish_completes_them() -> None:
    script = COMPLETIONS / "msp-agent.fish"

    def completed(line: str) -> set[str]:
        said = must("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'")
        return {word.split("\t")[0] for word in said.splitlines()}

    same("fish", {word for word in completed("msp-agent -") if word.startswith("--")}, completed("msp-agent "))


run_checks(the_man_page_has_them, the_man_pages_are_sound, bash_completes_them, zsh_completes_them,
           fish_completes_them)

"""This tree keeps its rules, its C++ is formatted, and the checker notices when that is not so."""
import pathlib
import re
import subprocess

import rules
from support.agent import ROOT, temporary_folder
from support.check import run_checks


def the_tree_keeps_its_rules() -> None:
    problems = rules.check_tree(ROOT)
    assert not problems, f"{len(problems)} things to fix:\n" + "\n".join(problems)


def the_code_is_formatted() -> None:
    files = [path for path in rules.files_of(ROOT) if path.suffix in rules.CPP]
    outcome = subprocess.run(["clang-format", "--dry-run", "--Werror", *map(str, files)], capture_output=True,
                             text=True, timeout=300, check=False, cwd=ROOT)
    unformatted = sorted(set(re.findall(rf"(?m)^{re.escape(str(ROOT))}/(.+?):\d+:\d+: error: ", outcome.stderr)))
    assert outcome.returncode == 0, f"run clang-format -i on: {' '.join(unformatted)}\n{outcome.stderr[:1000]}"


def a_good_tree(root: pathlib.Path) -> None:
    """The smallest tree that breaks no rule."""
    for name, text in {
        "collectors/registry.cpp": '#include "collectors/registry.h"\nMSP_COLLECTOR(cpu, true)\n',
        "collectors/cpu.cpp": '#include <sys/statvfs.h>\n#include <unistd.h>\n#include <map>\n'
                              '#include "agent/base/text.h"\n',
        "agent/base/text.h": "#include <string>\nnamespace msp {\nstruct Text {\n};\n}\n",
        "agent/http/client.cpp": '#include <curl/curl.h>\nnamespace msp::http::tls {\n}\n',
        "agent/config/config.h": '#include "collectors/collector.h"\n',
        "tests/unit/text_test.cpp": '#include "agent/base/text.h"\n',
        "tests/fixtures/cpu/server/expected.prom": "",
        "README.md": "Collectors: cpu.\n",
        "etc/msp-agent.yaml": "collectors: {enabled: [cpu]}\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def long_function(lines: int) -> str:
    return "int f(int a) {\n" + "  a += 1;\n" * (lines - 2) + "}\n"


# What makes the good tree bad: (file, text), and what must be said of it.
BAD = (
    ("agent/base/x.cpp", '#include "agent/config/config.h"\n', "agent/base knows only itself"),
    ("agent/metrics/x.cpp", '#include "collectors/collector.h"\n', "knows only agent/base"),
    ("agent/base/x.cpp", "#include <spdlog/spdlog.h>\n", "no third-party library"),
    ("collectors/x.cpp", '#include "agent/queue/queue.h"\n', "collectors knows only"),
    ("agent/http/x.cpp", '#include "agent/config/config.h"\n', "agent/http knows only agent/base"),
    ("agent/queue/x.cpp", '#include "agent/http/client.h"\n', "agent/queue knows only"),
    ("agent/sources/x.cpp", '#include "agent/queue/queue.h"\n', "agent/sources knows only"),
    ("agent/config/x.cpp", '#include "agent/delivery/delivery.h"\n', "agent/config knows only"),
    ("agent/import/x.cpp", '#include "agent/run/agent.h"\n', "agent/import knows only"),
    ("agent/run/x.cpp", '#include "agent/cli/commands.h"\n', "agent/run knows only"),
    ("agent/main.cpp", '#include "agent/run/agent.h"\n', "agent knows only agent/cli"),
    ("agent/delivery/x.cpp", "std::thread t;\n", "threads are made in agent/base/thread."),
    ("collectors/x.cpp", "#include <re2/re2.h>\n", "no third-party library"),
    ("collectors/x.cpp", "#include <snappy.h>\n", "no third-party library"),
    ("agent/x.cpp", '#include "tests/support/scrapes.h"\n', "does not know its tests"),
    ("agent/x.cpp", "#include <curl/curl.h>\n", "libcurl belongs to agent/http/"),
    ("agent/http/client.cpp", "#include <openssl/ssl.h>\n", "OpenSSL belongs to agent/http/tls/cert"),
    ("agent/x.cpp", "#include <yaml-cpp/yaml.h>\n", "yaml-cpp belongs to agent/config/"),
    ("agent/config/x.cpp", "#include <CLI/CLI.hpp>\n", "CLI11 belongs to agent/cli/"),
    ("agent/x.cpp", "#include <google/protobuf/message.h>\n", "protobuf belongs to"),
    ("agent/x.cpp", '#include "remote_write.pb.h"\n', "protobuf belongs to"),
    ("agent/x.cpp", "#include <zstd.h>\n", "zstd belongs to"),
    ("agent/x.cpp", "#include <xxhash.h>\n", "xxhash belongs to"),
    ("agent/x.cpp", "#include <fmt/format.h>\n", "spdlog and fmt belongs to"),
    ("agent/config/x.cpp", "#include <re2/re2.h>\n", "RE2 belongs to agent/base/regex.cpp"),
    ("agent/x.cpp", '#include "../y.h"\n', "from the root of the tree"),
    ("agent/x.cpp", "std::thread t;\n", "threads are made in"),
    ("collectors/x.cpp", "  pthread_create(&t, nullptr, f, nullptr);\n", "threads are made in"),
    ("tests/unit/x_test.cpp", 'TEST_CASE("a") {\n}\nTEST_CASE("b") {\n  std::thread t(f);\n}\n', "the tag [threads]"),
    ("tests/unit/x_test.cpp", '#include "collectors/mount_stat.h"\nTEST_CASE("a") {\n}\n', "the tag [threads]"),
    ("agent/queue/x.cpp", "namespace msp {\n}\n", "of this folder it is msp::queue"),
    ("collectors/x.cpp", "namespace msp::queue {\n}\n", "of this folder it is msp::collectors"),
    ("agent/base/x.cpp", "namespace msp::base {\n}\n", "of this folder it is msp"),
    ("agent/x.h", "struct Text {\n};\n", "a type in agent/base/text.h as well"),
    ("agent/x.cpp", "// " + "x" * 118 + "\n", "121 columns"),
    ("agent/x.cpp", long_function(81), "a function of 81 lines"),
    ("agent/x.cpp", "// TO" + "DO: later\n", "unfinished work"),
    ("packaging/x.sh", "# FIX" + "ME\n", "unfinished work"),
    ("README.md", "cpu: see /ho" + "me/me/x\n", "somebody's machine"),
    ("agent/string_utils.h", "", "the name says nothing"),
    ("agent/common/x.h", "", "the name says nothing"),
    ("collectors/registry.cpp", "MSP_COLLECTOR(cpu, true)\nMSP_COLLECTOR(arp, false)\n", "not in the order"),
    ("collectors/registry.cpp", "MSP_COLLECTOR(arp, false)\n", "collectors/arp.cpp is missing"),
    ("collectors/registry.cpp", "MSP_COLLECTOR(arp, false)\n", "no case with an expected.prom"),
    ("collectors/registry.cpp", "MSP_COLLECTOR(arp, false)\n", "README.md does not mention it"),
    ("collectors/registry.cpp", "MSP_COLLECTOR(arp, false)\n", "etc/msp-agent.yaml does not mention it"),
    ("collectors/registry.cpp", "\n", "no line MSP_COLLECTOR"),
)


def the_checker_finds_each_kind_of_fault() -> None:
    for name, text, wanted in BAD:
        with temporary_folder() as root:
            a_good_tree(root)
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            problems = rules.check_tree(root)
        assert any(wanted in problem for problem in problems), \
            f"{name} with {text[:60]!r}: '{wanted}' is not in {problems}"


def the_checker_finds_nothing_in_a_good_tree() -> None:
    with temporary_folder() as root:
        a_good_tree(root)
        constructor = "A::A(int b)\n    : a_(b),\n      b_(f(b)) {\n  a_ += 1;\n}\n" + "// between\n" * 90
        (root / "agent/x.cpp").write_text(
            long_function(80) + constructor + "// std::thread is not used\n#include <thread>\n" + long_function(80))
        (root / "tests/unit/x_test.cpp").write_text(
            'TEST_CASE("a",\n          "[threads]") {\n  std::thread t(f);\n}\nTEST_CASE("b") {\n}\n'
            'TEST_CASE("c", "[.alone]") {\n  std::thread t(f);\n}\n')
        problems = rules.check_tree(root)
    assert not problems, problems


run_checks(the_tree_keeps_its_rules, the_code_is_formatted, the_checker_finds_each_kind_of_fault,
           the_checker_finds_nothing_in_a_good_tree)

"""Runs a Catch2 program and reports each of its test cases as tests/run.sh counts them.

  catch2_report.py "unit (asan)" build/asan/tests/unit_tests [TAG]

Where mounts are allowed it runs with a /tmp of its own, in memory: thousands of syncs need no disk there. Tests that
need a real disk are those of tests/integration.
"""
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml


def failures_of(case: xml.Element) -> list[str]:
    """What did not hold, each with its place."""
    texts = []
    for node in case.iter():
        place = f"{node.get('filename')}:{node.get('line')}"
        if node.tag == "Expression" and node.get("success") == "false":
            texts.append(f"{place}: {node.findtext('Original', '').strip()}\n{node.findtext('Expanded', '').strip()}")
        elif node.tag in ("Exception", "Failure", "FatalErrorCondition"):
            texts.append(f"{place}: {node.tag}: {(node.text or '').strip()}")
        elif node.tag in ("Info", "Warning"):
            texts.append((node.text or "").strip())
    return texts


def report(suite: str, report_file: str, exit_code: int, said: str) -> int:
    """Prints a line per test case, and one more when the program did not get to its end. Returns how many failed."""
    failed = cases = 0
    running = "before its first test case"
    whole = False
    try:
        for event, node in xml.iterparse(report_file, ("start", "end")):
            if node.tag == "TestCase" and event == "start":
                running = f"in '{node.get('name')}'"
            elif node.tag == "TestCase":
                cases += 1
                running = f"after '{node.get('name')}'"
                result = node.find("OverallResult")
                if result is not None and result.get("success") == "true":
                    print(f"ok {suite}: {node.get('name')}")
                    continue
                failed += 1
                print(f"FAILED {suite}: {node.get('name')}")
                for text in failures_of(node):
                    print("  " + text.replace("\n", "\n  "))
        whole = True
    except xml.ParseError:
        pass
    if not whole or cases == 0 or (exit_code != 0 and failed == 0):
        failed += 1
        print(f"FAILED {suite}: ended {running} with exit code {exit_code}")
        print("  " + said[-6000:].replace("\n", "\n  "))
    return failed


def main() -> None:
    suite, program, *tag = sys.argv[1:]
    in_memory = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"]
    may_mount = subprocess.run([*in_memory, "true"], capture_output=True, check=False).returncode == 0
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        outcome = subprocess.run([*(in_memory if may_mount else []), program, *tag, "-r", "xml", "-o",
                                  f"/dev/fd/{file.fileno()}"], pass_fds=[file.fileno()], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                 check=False)
        sys.exit(1 if report(suite, file.name, outcome.returncode, outcome.stdout) else 0)


main()

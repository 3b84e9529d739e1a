"""boot_test.py with other releases of Debian: an older systemd (247) and a newer one (257)."""
import os
import pathlib
import subprocess
import sys

SUITES = ("bullseye", "trixie")
TEST = pathlib.Path(__file__).with_name("boot_test.py")

failed = False
for suite in SUITES:
    outcome = subprocess.run([sys.executable, TEST], env=os.environ | {"BOOT_SUITE": suite, "MSP_VARIANT": suite},
                             check=False)
    failed = failed or outcome.returncode != 0
sys.exit(1 if failed else 0)

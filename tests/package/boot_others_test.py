"""boot_test.py with other releases of Debian, at once: an older systemd (247) and a newer one (257)."""
import os
import pathlib
import subprocess
import sys

SUITES = ("bullseye", "trixie")
TEST = pathlib.Path(__file__).with_name("boot_test.py")

running = [subprocess.Popen([sys.executable, TEST], env=os.environ | {"BOOT_SUITE": suite, "MSP_VARIANT": suite})
           for suite in SUITES]
sys.exit(1 if any([process.wait() != 0 for process in running]) else 0)

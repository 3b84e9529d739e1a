"""A machine with a kernel of its own, in qemu without hardware help: what a container cannot show, cgroup limits and a
clock of its own. Slow: about half a minute for a boot.
"""
import pathlib
import subprocess
import tempfile

from support.container import TREES
from support.process import Process

IMAGE_MB = 900
SECONDS_MAX = 1500
END = "=== end of the script ==="
# Runs the script when the boot is over, with what it prints on the serial console, and switches the machine off.
UNIT = f"""[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=file:/dev/ttyS0
StandardError=inherit
ExecStart=/bin/sh /root/script
ExecStopPost=/bin/sh -c 'echo "{END}" >/dev/ttyS0; systemctl --no-block poweroff'
"""


def kernel() -> pathlib.Path:
    """The distribution's kernel for virtual machines, which has NVMe and ext4 built in and needs no initramfs."""
    folder = TREES / "kernel"
    if not list(folder.glob("boot/vmlinuz-*")):
        folder.mkdir(parents=True, exist_ok=True)
        depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True,
                                 check=True).stdout
        package = next(word for word in depends.split() if word.startswith("linux-image-") and word[12].isdigit())
        subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True, capture_output=True)
        deb = next(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg", "-x", deb, folder], check=True)
        deb.unlink()
    return next(folder.glob("boot/vmlinuz-*"))


def run_in_virtual_machine(root: pathlib.Path, script: str, *options: str) -> str:
    """Boots a copy of `root`, runs the script in it, and returns what it printed. `options` are qemu's."""
    unit = root / "etc/systemd/system/script.service"
    unit.write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "script.service").symlink_to("../script.service")
    (root / "root/script").write_text(script)
    (root / "etc/fstab").write_text("")
    with tempfile.TemporaryDirectory(prefix="msp-agent-vm-") as name:
        image = pathlib.Path(name) / "root.img"
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, "-F", image, f"{IMAGE_MB}M"], check=True,
                       capture_output=True)
        machine = Process(["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512",
                           "-nographic", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nic", "none",
                           "-kernel", str(kernel()),
                           # Without udev a terminal on the serial port is waited for in vain. The kernel's check of
                           # its timer counts ticks, and panics where the machine below is busy.
                           "-append", "console=ttyS0 root=/dev/nvme0n1 rw quiet panic=-1 no_timer_check "
                                      "systemd.mask=serial-getty@ttyS0.service",
                           "-drive", f"file={image},format=raw,if=none,id=d,cache=unsafe",
                           "-device", "nvme,drive=d,serial=x", *options], pathlib.Path(name) / "console.log")
        try:
            machine.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"not within {SECONDS_MAX} s:\n{machine.log()[-5000:]}") from late
        finally:
            machine.stop()
        said = machine.log().replace("\r\n", "\n")
        assert END in said, f"the script did not come to its end:\n{said[-5000:]}"
        return said

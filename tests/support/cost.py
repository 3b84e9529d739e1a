"""What a process has taken of processors, and a folder of the disk, as the kernel counts it."""
import pathlib
import time


def cpu_seconds(pid: int) -> float:
    """Also of threads that have ended; the clock of a process is clock_getcpuclockid(3)'s."""
    return time.clock_gettime((~pid << 3) | 2)


def folder_bytes(folder: pathlib.Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())

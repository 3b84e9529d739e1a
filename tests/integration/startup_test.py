"""From the start of the process to the first 2xx."""
import time

from support.agent import running_agent, temporary_folder, write_config
from support.check import run_checks
from support.process import poll_until
from support.receiver import receiving

STARTS = 5


def the_first_samples_are_delivered_right_after_the_start() -> None:
    took_ms = []
    for _ in range(STARTS):
        with temporary_folder() as folder, receiving() as receiver:
            config = write_config(folder, receiver.url, interval="1h")  # a tick on the grid is far away
            begin = time.time()
            with running_agent(config) as agent:
                poll_until("a request", lambda: receiver.requests, process=agent)
            took_ms.append((receiver.requests[0].arrived - begin) * 1000)
    print(f"from exec to the first samples received, ms: {', '.join(f'{ms:.0f}' for ms in sorted(took_ms))}")


run_checks(the_first_samples_are_delivered_right_after_the_start)

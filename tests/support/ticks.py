"""What of an agent's life arrived in a VictoriaMetrics: every tick, once, in every series."""
import time

from support.agent import CUSTOMER, SERVER
from support.process import Process, poll_until
from support.victoria_metrics import VictoriaMetrics

MINE = f'customer_id="{CUSTOMER}",server_name="{SERVER}"'
# One series of each kind that every tick has.
ALWAYS = ("node_time_seconds", "node_load1", "node_memory_MemTotal_bytes", "node_uname_info", "up",
          "msp_agent_build_info")


def ticks_of(server: VictoriaMetrics, selector: str) -> list[list[int]]:
    server.get("/internal/force_flush")
    return [series["timestamps"] for series in server.export(selector)]


def newest_tick(server: VictoriaMetrics) -> float:
    """In seconds; 0 when there is none."""
    return (ticks_of(server, f"node_time_seconds{{{MINE}}}") or [[0]])[0][-1] / 1000


def wait_caught_up(server: VictoriaMetrics, since: float, agent: Process, seconds_max: float = 60) -> None:
    """Returns when a tick from after `since` is there and nothing older is on its way."""
    def caught_up() -> bool:
        # In this order: what is asked for second is at least as new as that tick.
        newest = newest_tick(server)
        waiting = server.query(f"msp_agent_buffer_samples{{{MINE}}}")
        return bool(waiting) and waiting[0][1] == 0 and newest > since
    poll_until("the backlog delivered", caught_up, seconds_max, agent)


def check_no_hole(server: VictoriaMetrics, lives: list[tuple[float, float]]) -> None:
    """`lives`: when each agent was surely up and ticking every second, from and until."""
    ticks = ticks_of(server, f"node_time_seconds{{{MINE}}}")
    assert len(ticks) == 1, f"{len(ticks)} series of node_time_seconds"
    times = ticks[0]
    wrong = [t for t, before in zip(times[1:], times) if t <= before]
    assert not wrong, f"ticks that are there twice, or out of order: {wrong} of {times}"
    for begin, end in lives:
        mine = [t for t in times if begin * 1000 <= t <= end * 1000]
        gaps = [b - a for a, b in zip(mine, mine[1:])]
        expected = end - begin - 1
        assert len(mine) >= expected, f"{len(mine)} ticks in {end - begin:.1f} s of an agent's life: {gaps}"
        assert all(gap <= 1500 for gap in gaps), f"a hole in an agent's life: ticks are {gaps} ms apart"
    # The agent goes on: what came since is not looked at.
    for name in ALWAYS:
        for other in ticks_of(server, f"{name}{{{MINE}}}"):
            until_then = [t for t in other if t <= times[-1]]
            assert until_then == times, f"{name} has {len(until_then)} ticks, node_time_seconds {len(times)}"
    count = server.query(f"count_over_time(node_time_seconds{{{MINE}}}[10m])", times[-1])[0][1]
    assert count == len(times), f"count_over_time says {count}, there are {len(times)} ticks"
    dropped = server.query(f"sum(msp_agent_samples_dropped_total{{{MINE}}})")
    assert not dropped or dropped[0][1] == 0, f"{dropped} samples dropped"

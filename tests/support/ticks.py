"""What of an agent's life arrived: every tick that it made, once, in every series."""
import time
from collections.abc import Mapping

from support.agent import CUSTOMER, SERVER
from support.process import Process, poll_until
from support.victoria_metrics import VictoriaMetrics

MINE = f'customer_id="{CUSTOMER}",server_name="{SERVER}"'
# One series of each kind that every tick has.
ALWAYS = ("node_time_seconds", "node_load1", "node_memory_MemTotal_bytes", "node_uname_info", "up",
          "msp_agent_build_info")


def holes(ticks: Mapping[int, float], interval: int = 1000) -> list[tuple[int, int]]:
    """Where a tick is missing that the agent made: between which two, in milliseconds. `ticks`: when each was, and what
    msp_agent_ticks_skipped_total was in it. On a busy machine a tick may be late, none is early; one that is a whole
    interval late is skipped, and counted. So a tick is missing where no phase of the agent's grid explains the times;
    of all phases the one with the fewest holes is taken."""
    times = sorted(ticks)

    def holes_of(phase: int) -> list[tuple[int, int]]:
        return [(a, b) for a, b in zip(times, times[1:])
                if (b - phase) // interval - (a - phase) // interval > 1 + max(0, ticks[b] - ticks[a])]
    # What a phase explains changes at a time's own only.
    return min((holes_of(time % interval + after) for time in times for after in (0, 1)), key=len, default=[])


def ticks_of(server: VictoriaMetrics, selector: str) -> list[list[int]]:
    server.get("/internal/force_flush")
    return [series["timestamps"] for series in server.export(selector)]


def ticks_in(server: VictoriaMetrics, labels: str) -> dict[int, float]:
    """As holes() wants them."""
    server.get("/internal/force_flush")
    series = server.export(f"msp_agent_ticks_skipped_total{{{labels}}}")
    assert len(series) <= 1, f"{len(series)} series of msp_agent_ticks_skipped_total"
    return dict(zip(series[0]["timestamps"], series[0]["values"])) if series else {}


def newest_tick(server: VictoriaMetrics) -> float:
    """In seconds; 0 when there is none."""
    return (ticks_of(server, f"node_time_seconds{{{MINE}}}") or [[0]])[0][-1] / 1000


def wait_caught_up(server: VictoriaMetrics, since: float, agent: Process) -> None:
    """Returns when a tick from after `since` is there and nothing older is on its way."""
    def caught_up() -> bool:
        # In this order: what is asked for second is at least as new as that tick.
        newest = newest_tick(server)
        waiting = server.query(f"msp_agent_buffer_samples{{{MINE}}}")
        return bool(waiting) and all(value == 0 for _, value in waiting) and newest > since
    poll_until("the backlog delivered", caught_up, 300, agent)


def check_no_hole(server: VictoriaMetrics, lives: list[list[int]] | None = None) -> None:
    """`lives`: ticks that each agent is known to have made; without it all that is there is of one."""
    ticks = ticks_of(server, f"node_time_seconds{{{MINE}}}")
    assert len(ticks) == 1, f"{len(ticks)} series of node_time_seconds"
    times = ticks[0]
    wrong = [t for t, before in zip(times[1:], times) if t <= before]
    assert not wrong, f"ticks that are there twice, or out of order: {wrong} of {times}"
    skipped = ticks_in(server, MINE)
    for life in [times] if lives is None else lives:
        missing = set(life) - set(times)
        assert not missing, f"ticks that were made and are not there: {sorted(missing)} of {times}"
        mine = {t: skipped[t] for t in times if life[0] <= t <= life[-1]}
        assert len(mine) > 1 and not holes(mine), f"a hole in an agent's life: {holes(mine)} of {sorted(mine)}"
    # The agent goes on: what came since is not looked at.
    for name in ALWAYS:
        for other in ticks_of(server, f"{name}{{{MINE}}}"):
            until_then = [t for t in other if t <= times[-1]]
            assert until_then == times, f"{name} has {len(until_then)} ticks, node_time_seconds {len(times)}"
    count = server.query(f"count_over_time(node_time_seconds{{{MINE}}}[1h])", times[-1])[0][1]
    assert count == len(times), f"count_over_time says {count}, there are {len(times)} ticks"
    dropped = server.query(f"sum(msp_agent_samples_dropped_total{{{MINE}}})")
    assert not dropped or dropped[0][1] == 0, f"{dropped} samples dropped"

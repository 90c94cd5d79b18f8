"""How many duplex sessions a core carries: the load path against the bare loop, in one run.

Both halves of `bench_load` hold more and more sessions against the same feeder (pre-encoded audio,
no VAD, on the other core) until the 99th percentile of their send lateness passes `LATE_MS`: first
by doubling, then by halving the step. The feeder's own use of its core says which side was the
limit.
"""

import math
import subprocess

import psutil

from tests.benchmarks.bench_load import feeding, half

LATE_MS = 10.0
LEAST, STEPS = 200, 4
BOUND = 0.6
FULL = 90.0
"""From so much of its core on, in %, the feeder is the limit."""


def carried(name, port, feeder, seconds):
    """(most sessions that were in time, the feeder's share of its core then, of every probe)."""
    server, seen = psutil.Process(feeder), []

    def in_time(sessions):
        server.cpu_percent()
        try:
            told = half(name, port, seconds, sessions)
        except subprocess.TimeoutExpired:
            told = {"late_p99_ms": math.inf}
        busy = server.cpu_percent()
        seen.append((sessions, round(told["late_p99_ms"], 1), round(busy)))
        return told["late_p99_ms"] <= LATE_MS

    low, high = 0, LEAST
    while in_time(high):
        low, high = high, high * 2
    step = (high - low) // 2
    for _ in range(STEPS):
        if step and in_time(low + step):
            low += step
        step //= 2
    return low, seen


def benchmark(seconds=5):
    """One row: sessions a core, load / bare."""
    with feeding() as (port, feeder):
        bare, seen = carried("bare", port, feeder, seconds)
        load, told = carried("load", port, feeder, seconds)
    ratio = load / bare if bare else 0.0
    busiest = max(busy for sessions, late, busy in seen + told if late <= LATE_MS)
    limit = "the feeder" if busiest >= FULL else "the generator"
    what = (
        f"duplex sessions of 100 ms chunks a core, p99 send lateness ≤ {LATE_MS:g} ms: load / bare "
        f"({load}/{bare}; the limit was {limit}, the feeder used up to {busiest} % of its core)"
    )
    return [(what, ratio, BOUND, ratio >= BOUND)]

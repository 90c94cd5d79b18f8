"""The two clocks of a host: monotonic, which everything is measured in, and realtime.

Kernel receive stamps are realtime; events are monotonic. The difference of the two is sampled once
a second (the tightest of three brackets), so a step of the realtime clock shows as a jump between
two samples and spoils at most the stamps of one second (measurement.md section 4).
"""

import time
from time import monotonic_ns


def clock_pair() -> tuple[int, int]:
    """(monotonic_ns, realtime_ns) of the same instant, to within the tightest of three brackets."""
    best: tuple[int, int, int] | None = None
    for _ in range(3):
        before = monotonic_ns()
        realtime = time.time_ns()
        after = monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, realtime)
    assert best is not None  # noqa: S101 - the loop ran
    return best[1], best[2]

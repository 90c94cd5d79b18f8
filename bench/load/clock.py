"""The clocks of a host: monotonic, which everything is measured in, realtime, and time awake.

Kernel receive stamps are realtime; events are monotonic. The difference of the two is sampled once
a second (the tightest of three brackets), so a step of the realtime clock shows as a jump between
two samples and spoils at most the stamps of one second (measurement.md section 4).

A thread is awake while it runs and while it waits for a core. What is left of the wall time it
slept, and the kernel ends a sleep with the first thing that is waited for: how long a loop has been
awake when it looks bounds from below when that came (`awake_ns`). Both parts cost under a
microsecond together. A thread that waits for another one's lock sleeps, too: this holds for a
process whose one Python thread is the loop's, as a worker is.
"""

import os
import time
from pathlib import Path
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


class Wakefulness:
    """How long the thread that made it has been awake: on a core, or waiting for one."""

    def __init__(self) -> None:
        path = Path("/proc/thread-self/schedstat")
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path.exists() else -1

    def awake_ns(self) -> int:
        """Nanoseconds awake so far; 0 where the system does not tell."""
        if self._file < 0:
            return 0
        return time.thread_time_ns() + self.waited_ns()

    def waited_ns(self) -> int:
        """Nanoseconds that it could have run and had no core; 0 where the system does not tell."""
        return 0 if self._file < 0 else int(os.pread(self._file, 80, 0).split(None, 2)[1])

    def close(self) -> None:
        """No more questions."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

"""What a run may spend, in session-minutes: refused beforehand, and ended when it is spent.

Theory of operation
-------------------
A realtime API is paid for by the minute that a session is open. A `Cap` is the least of
`--max-minutes` and of what `--max-cost` buys at `--price-per-minute`. Before anything starts, the
estimate must be within it: every session open from its arrival to the end of the load, and the
minutes that a `--probe` speaks first. During the run a `Meter` adds up open sessions over time,
from the master's progress lines, which are at most a second or so old. Between two lines it takes
the higher count: where sessions come and go it rather says too much.

When the meter reaches the cap the load ends as it does at its planned end: sessions finish what
they are saying (`load.drain` at most), everything is sealed and judged on what there is. What is
spent while draining comes on top; the estimate leaves it out, as does the cap.
"""

from typing import Any, NamedTuple

from bench.errors import UsageError
from bench.runs.job import Job
from bench.voice.audio import NS_PER_S

_NS_PER_MINUTE = 60 * NS_PER_S


class Cap(NamedTuple):
    """So many session-minutes, and the option that says so."""

    minutes: float
    option: str
    given: float

    def check(
        self, estimate: float, what: str = "this run", fewer: str = "fewer --sessions"
    ) -> None:
        """UsageError where the estimate is not within it; `fewer` is what would help."""
        if estimate <= self.minutes:
            return
        bought = "" if self.option == "--max-minutes" else f" ({self.minutes:.1f} session-minutes)"
        raise UsageError(
            f"{self.option} {self.given:g}{bought}: {what} may take {estimate:.1f} "
            f"session-minutes; take {fewer}, a shorter --duration, or raise it"
        )


def cap_of(max_minutes: float | None, max_cost: float | None, price: float | None) -> Cap | None:
    """The narrower of the two limits; None where there is none. UsageError without the price."""
    caps = []
    if max_minutes is not None:
        caps.append(Cap(max_minutes, "--max-minutes", max_minutes))
    if max_cost is not None:
        if price is None:
            raise UsageError(
                f"--max-cost {max_cost:g} needs a price: give --price-per-minute, the price of a "
                "session-minute"
            )
        caps.append(Cap(max_cost / price, "--max-cost", max_cost))
    return min(caps, default=None)


def session_minutes(job: Job) -> float:
    """Session-minutes of a job at most: each session from its arrival to the end of the load."""
    end = job.scenario.load.whole
    lengths = (min(slot.leave_ns or end, end) - slot.start_ns for slot in job.slots)
    return sum(lengths) / _NS_PER_MINUTE


class Meter:
    """Session-minutes used so far, from the progress lines of a run. `cap` None: no end to them."""

    def __init__(self, cap: Cap | None, spent: float = 0.0) -> None:
        self.minutes = spent
        self._cap = cap
        self._open = 0
        self._at_ns: int | None = None

    def read(self, progress: dict[str, Any]) -> None:
        """Take in one progress line: `start_ns`, `now_ns`; of each worker `open`, `waiting`."""
        now, workers = progress["now_ns"], progress["workers"]
        held = sum(worker["open"] + worker["waiting"] for worker in workers)
        since = progress["start_ns"] if self._at_ns is None else self._at_ns
        self.minutes += max(held, self._open) * max(0, now - since) / _NS_PER_MINUTE
        self._open, self._at_ns = held, now

    def ending(self) -> dict[str, Any] | None:
        """`ended_by` of run.json where the cap is reached, else None."""
        if self._cap is None or self.minutes < self._cap.minutes:
            return None
        option, given, limit = self._cap.option, self._cap.given, self._cap.minutes
        return {
            "rule": option.removeprefix("--").replace("-", "_"),
            "text": f"{self.minutes:.2f} session-minutes were used, {option} {given:g} was reached",
            "used_minutes": round(self.minutes, 3),
            "limit_minutes": round(limit, 3),
        }

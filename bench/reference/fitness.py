"""How well the server kept its own schedule: lateness, loop lag, CPU, and whether it was the limit.

Theory of operation
-------------------
An event's lateness is `before - due`; the loop's lag is how late a timer of absolute deadlines
fires; CPU is the process's share of one core, second by second, over seconds with a session. If
any passes its bound, figures of a run against this server measure the server's scheduling, not its
profile: it was the bottleneck, and says so. A single moment in which the loop stood still is in no
quantile of a long run, and yet in whatever was measured just then: such stalls are counted one by
one while sessions are open, and one is enough.

Durations are counted in bins of 10 µs up to 1 s, so an hour costs no more memory than a minute; a
quantile is the upper edge of its bin, the maximum is exact.
"""

from array import array
from typing import Final

from msgspec import Struct

_BIN_NS: Final = 10_000
_BINS: Final = 100_000

# A tenth of a 100 ms chunk: beyond it, deltas of one session run into each other's instants.
LATE_P99_MS: Final = 10.0
# Twice that: a loop which is so late for its own timer is busy, not unlucky.
LAG_P99_MS: Final = 20.0
# Half of a 100 ms chunk: the loop stood still, whatever its quantiles say.
STALL_MS: Final = 50.0
# One thread serves all sessions; above this share of a core queueing grows without bound.
CPU_SHARE: Final = 0.9


class Tally:
    """A distribution of durations in ns. Negative counts as 0."""

    def __init__(self) -> None:
        self._bins = array("Q", bytes(8 * (_BINS + 1)))
        self.count = 0
        self.max_ns = 0

    def add(self, ns: int) -> None:
        self._bins[min(max(ns, 0) // _BIN_NS, _BINS)] += 1
        self.count += 1
        self.max_ns = max(self.max_ns, ns)

    def quantile_ms(self, share: float) -> float:
        """The upper edge of the bin that holds this share; the maximum beyond 1 s; 0 for none."""
        if not self.count:
            return 0.0
        rank, seen = share * self.count, 0
        for number, count in enumerate(self._bins):
            seen += count
            if seen >= rank and count:
                edge = self.max_ns if number == _BINS else (number + 1) * _BIN_NS
                return min(edge, self.max_ns) / 1e6
        return self.max_ns / 1e6


class Summary(Struct):
    """The server's load in one object; `reason` says which bound was passed, or ""."""

    events: int
    sessions: int
    peak_sessions: int
    refused: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    loop_lag_p99_ms: float
    loop_lag_max_ms: float
    stalls: int
    cpu_share: float
    bottleneck: bool
    reason: str

    @property
    def line(self) -> str:
        """The summary for a person."""
        fit = f"was the bottleneck: {self.reason}" if self.bottleneck else "kept up"
        return (
            f"reference server: {self.sessions} sessions (peak {self.peak_sessions}), "
            f"{self.events} events, late p50 {self.late_p50_ms:.2f} p99 {self.late_p99_ms:.2f} "
            f"max {self.late_max_ms:.2f} ms, {self.cpu_share:.0%} of a core; {fit}"
        )


class Fitness:
    """What the server measures of itself while it runs."""

    def __init__(self) -> None:
        self.late = Tally()
        self.lag = Tally()
        self.sessions = 0
        self.peak_sessions = 0
        self.refused = 0
        self.stalls = 0
        self._longest_ns = 0
        self._busy_ns = 0
        self._watched_ns = 0

    def lagged(self, ns: int, *, open_sessions: int) -> None:
        """A timer of the loop fired so late."""
        self.lag.add(ns)
        if open_sessions:
            self.stalls += ns > STALL_MS * 1e6
            self._longest_ns = max(self._longest_ns, ns)

    def watch(self, cpu_ns: int, wall_ns: int, *, open_sessions: int) -> None:
        """A span of wall time and the CPU time in it."""
        if open_sessions:
            self._busy_ns += cpu_ns
            self._watched_ns += wall_ns

    def summary(self) -> Summary:
        """Everything so far, and the verdict."""
        late, lag = self.late.quantile_ms(0.99), self.lag.quantile_ms(0.99)
        cpu = self._busy_ns / self._watched_ns if self._watched_ns else 0.0
        reasons = [
            f"{name} {value:.2f}{unit} is over {bound:g}{unit}"
            for name, value, bound, unit in (
                ("late p99", late, LATE_P99_MS, " ms"),
                ("loop lag p99", lag, LAG_P99_MS, " ms"),
                ("CPU share", cpu, CPU_SHARE, ""),
            )
            if value > bound
        ]
        longest = self._longest_ns / 1e6
        if self.stalls:
            times = "once" if self.stalls == 1 else f"{self.stalls} times"
            reasons.append(
                f"it stood still {times}, for up to {longest:.0f} ms, and {STALL_MS:g} ms may be"
            )
        return Summary(
            events=self.late.count,
            sessions=self.sessions,
            peak_sessions=self.peak_sessions,
            refused=self.refused,
            late_p50_ms=self.late.quantile_ms(0.5),
            late_p99_ms=late,
            late_max_ms=self.late.max_ns / 1e6,
            loop_lag_p99_ms=lag,
            loop_lag_max_ms=longest,
            stalls=self.stalls,
            cpu_share=round(cpu, 4),
            bottleneck=bool(reasons),
            reason="; ".join(reasons),
        )

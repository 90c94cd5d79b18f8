"""The server's own load: lateness, loop lag, CPU, whether it was the bottleneck; and `/metrics`.

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

A scrape of `/metrics` reads process, capacity and load at its own instant: nothing is kept and
nothing is sampled in between, so a server that nobody scrapes spends nothing on it. It happens on
the loop that serves the sessions, so nothing here may take longer with more of them: the library's
own collector of the process counts open files one by one, 3 ms for 5,000 sessions, and is not used.
"""

from array import array
from collections.abc import Callable, Iterator
from time import process_time
from typing import Final

import psutil
from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bench.reference.server_state import Capacity

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


class Histogram:
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


class ServerLoad:
    """What the server measures of itself while it runs."""

    def __init__(self) -> None:
        self.late = Histogram()
        self.lag = Histogram()
        self.sessions = 0
        self.peak_sessions = 0
        self.refused = 0
        self.stalls = 0
        self._longest_ns = 0
        self._busy_ns = 0
        self._watched_ns = 0

    def lagged(self, ns: int, *, open_sessions: int) -> None:
        """Count a timer of the loop that fired `ns` late."""
        self.lag.add(ns)
        if open_sessions:
            self.stalls += ns > STALL_MS * 1e6
            self._longest_ns = max(self._longest_ns, ns)

    def watch(self, cpu_ns: int, wall_ns: int, *, open_sessions: int) -> None:
        """Count a span of wall time and the CPU time in it."""
        if open_sessions:
            self._busy_ns += cpu_ns
            self._watched_ns += wall_ns

    def summary(self) -> Summary:
        """Everything so far, and whether the server was the bottleneck."""
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
                f"its loop stood still {times}, for up to {longest:.0f} ms; "
                f"at most {STALL_MS:g} ms is allowed"
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


class ServerCollector(Collector):
    """The gauges of one server; `now_ns` is the clock that its sessions tell `capacity`."""

    def __init__(self, capacity: Capacity, load: ServerLoad, now_ns: Callable[[], int]) -> None:
        self._capacity = capacity
        self._load = load
        self._now_ns = now_ns
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        """Yield each family with its one sample."""
        capacity, now_ns = self._capacity, self._now_ns()
        for name, text, value in (
            ("bench_sessions_open", "Sessions that are open.", capacity.open_sessions),
            (
                "bench_slots",
                "Responses that are generated at once at most; 0 is no limit.",
                capacity.slots,
            ),
            (
                "bench_responses_running",
                "Responses that hold a slot; 0 where there is no limit.",
                capacity.running(now_ns),
            ),
            (
                "bench_responses_waiting",
                "Responses that wait for a slot; 0 where there is no limit.",
                capacity.waiting(now_ns),
            ),
            (
                "bench_collapsed",
                "1 while the service is slow for having had too many sessions, else 0.",
                int(capacity.collapsed),
            ),
            (
                "process_resident_memory_bytes",
                "Resident memory of the server, in bytes.",
                self._process.memory_info().rss,
            ),
        ):
            yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily(
            "bench_sessions_refused",
            "Upgrades that were refused with an HTTP status.",
            self._load.refused,
        )
        yield CounterMetricFamily(
            "process_cpu_seconds",
            "CPU time of the server, user and system, in seconds.",
            process_time(),
        )


def metrics_text(
    capacity: Capacity, load: ServerLoad, now_ns: Callable[[], int]
) -> Callable[[], bytes]:
    """A function that returns the text of a scrape, in UTF-8."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(capacity, load, now_ns))

    def text() -> bytes:
        return generate_latest(registry)

    text()  # what the library does once is done before anybody is served
    return text

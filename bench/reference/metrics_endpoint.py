"""What the server says of itself at `/metrics`: the text of Prometheus, made anew for each scrape.

Theory of operation
-------------------
A registry of its own holds one collector, which reads the process, the capacity and the fitness of
the server at the instant of the scrape. Nothing is kept and nothing is sampled in between, so a
server that nobody scrapes spends nothing on it. A scrape happens on the loop that serves the
sessions, so nothing here may take longer with more of them: the library's own collector of the
process counts open files one by one, 3 ms for 5,000 sessions, and is not used.
"""

from collections.abc import Callable, Iterator
from time import process_time

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bench.reference.capacity import Capacity
from bench.reference.fitness import Fitness


class ServerCollector(Collector):
    """The gauges of one server; `now_ns` is the clock that its sessions tell `capacity`."""

    def __init__(self, capacity: Capacity, fitness: Fitness, now_ns: Callable[[], int]) -> None:
        self._capacity = capacity
        self._fitness = fitness
        self._now_ns = now_ns
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        """Each family with its one sample."""
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
            self._fitness.refused,
        )
        yield CounterMetricFamily(
            "process_cpu_seconds",
            "CPU time of the server, user and system, in seconds.",
            process_time(),
        )


def metrics_text(
    capacity: Capacity, fitness: Fitness, now_ns: Callable[[], int]
) -> Callable[[], bytes]:
    """What makes the text of a scrape, in UTF-8, each time that it is called."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(capacity, fitness, now_ns))

    def text() -> bytes:
        return generate_latest(registry)

    text()  # what the library does once is done before anybody is served
    return text

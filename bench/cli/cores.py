"""Which core each process of a run has, where the run is asked to pin them.

A worker that shares its core with the server under test waits for it, and that wait looks like
either's slowness. Pinned, every worker has a core of its own, and everything else (embedded server,
Locust's master, this program) has the rest.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.errors import UsageError


class Cores(NamedTuple):
    """`workers` have a core each, in order; `rest` is for all others."""

    workers: tuple[int, ...]
    rest: tuple[int, ...]


def share_out(workers: int) -> Cores:
    """A core for each worker: the last ones that this process may use.

    UsageError where none would be left for the rest, or the system has no such thing.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise UsageError("--pin: this system pins no process to a core; leave it out")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= workers:
        raise UsageError(
            f"--pin: {workers} workers and the rest need {workers + 1} cores, there are "
            f"{len(cores)}; use fewer --workers, or leave it out"
        )
    return Cores(tuple(cores[-workers:]), tuple(cores[:-workers]))


@contextmanager
def confined(cores: Cores | None) -> Iterator[None]:
    """Keep this process, and whatever it starts, off the workers' cores."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.rest)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

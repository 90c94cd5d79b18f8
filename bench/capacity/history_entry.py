"""What a capacity search adds to a history: its capacities, one figure a tier.

Theory of operation
-------------------
The metric is `capacity`, its statistics are the names of the tiers. Two searches are of one line
where they share, beside what runs must share (`bench.runs.history_record`), all their objectives:
these are part of the workload's digest. A quick look (`--ramp`) is less exact, and of another line.

A capacity of at least N has no value, for it is none: its figure has N as the lower end alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from bench.capacity.document import CapacityResult, TierCapacity, capacity_file, read_capacity
from bench.errors import UsageError
from bench.runs.history_record import CAPACITY, Entry, Figure, Record

_LOADS: Final = {"sessions": "sessions", "arrivals": "session starts"}


def capacity_record(path: Path, commit: str, branch: str) -> Record:
    """What the capacity result in `path`, a file or its folder, adds to a history.

    UsageError where it cannot be read, or where the search has not come to its end.
    """
    result = read_capacity(path)
    if not result.complete:
        raise UsageError(
            f"{capacity_file(path)}: the search has no answer yet; finish it with "
            "`bench capacity --resume`"
        )
    ramped = any(probe.purpose == "ramp" for probe in result.probes)
    objectives = sorted((one.tier, sorted(one.gates)) for one in result.objectives)
    scenario, target, corpus = result.scenario, result.target, result.corpus
    concurrency = f"{_LOADS[result.load]} {'in a ramp' if ramped else 'searched'}"
    entry = Entry(
        key=_digest([
            CAPACITY, result.created, scenario.sha256, corpus.sha256, target.url,
            result.metric_version, objectives, concurrency,
        ]),
        created=result.created,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        workload=_digest([scenario.workload, objectives]),
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        target=target.name,
        dialect=target.dialect,
        concurrency=concurrency,
        metric_version=result.metric_version,
        bench_version=result.bench_version,
        host="",
        verdict=_verdict(result),
        commit=commit,
        branch=branch,
    )  # fmt: skip
    counted = sum(not probe.void and probe.purpose != "beyond" for probe in result.probes)
    return Record(
        entry,
        [
            _figure(entry.key, tier, counted, result.unit)
            for tier in result.tiers
            if tier.capacity is not None
        ],
    )


def _figure(key: str, tier: TierCapacity, runs: int, unit: str) -> Figure:
    """A tier's capacity with its interval; `n` are the runs it was found by."""
    value = None if tier.at_least else tier.capacity
    low = tier.capacity if tier.at_least else tier.low
    return Figure(key, CAPACITY, "", tier.tier, value, low, tier.high, runs, unit)


def _verdict(result: CapacityResult) -> str:
    """pass: every tier has a capacity that was held; fail: one holds no load at all."""
    if any(tier.capacity == 0 for tier in result.tiers):
        return "fail"
    sure = all(tier.capacity and (tier.confirmed or tier.at_least) for tier in result.tiers)
    return "pass" if sure else "inconclusive"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

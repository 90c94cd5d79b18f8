"""A past made up for tests: runs with figures, one a day, drawn from a seeded generator."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.plan.metrics import METRICS, VERSION
from bench.runs.history_record import Entry, Figure, Record

BEGIN = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
LEVELS = {"voice_to_voice_latency": 950.0, "first_audio_latency": 900.0, "endpointing_delay": 560.0}
"""The level of each median, in ms; a p95 lies a fifth higher."""


def entry(number, **facts):
    """The run of a day."""
    told = {
        "key": hashlib.sha256(repr((number, sorted(facts.items()))).encode()).hexdigest(),
        "created": (BEGIN + timedelta(days=number)).isoformat(timespec="seconds"),
        "scenario": "demo",
        "scenario_sha256": "5c" * 32,
        "workload": "a1" * 32,
        "corpus": "everyday",
        "corpus_sha256": "e9" * 32,
        "target": "reference",
        "dialect": "inworld",
        "concurrency": "20 sessions",
        "metric_version": VERSION,
        "bench_version": "0.1.0",
        "host": "Linux, 2 cores, Python 3.11.7",
        "verdict": "pass",
        "commit": hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest(),
        "branch": "main",
    }
    return Entry(**{**told, **facts})


def figure(of, metric, statistic, value, **facts):
    """One row of a run, with an interval of two percent either side."""
    told = {
        "run": of.key,
        "metric": metric,
        "filter": "",
        "statistic": statistic,
        "value": value,
        "low": None if value is None else value * 0.98,
        "high": None if value is None else value * 1.02,
        "n": 200,
        "unit": METRICS[metric].unit,
    }
    return Figure(**{**told, **facts})


def figures(of, shift, answered, generator, noise=0.03):
    """The figures of a run; `shift` is the factor on every latency, `answered` a share in %."""
    for metric, level in LEVELS.items():
        middle = level * shift * np.exp(noise * generator.normal())
        tail = 1.2 * level * shift * np.exp(noise * generator.normal())
        yield figure(of, metric, "p50", float(middle))
        yield figure(of, metric, "p95", float(tail))
    yield figure(of, "answered", "share", answered, low=answered - 1.5, high=100.0)


def past(runs=30, step_at=None, step=1.1, seed=1, noise=0.03, answered=99.0, **facts):
    """Records of `runs` days; from `step_at` on every latency is `step` times what it was."""
    generator = np.random.default_rng(seed)
    for number in range(runs):
        of = entry(number, **facts)
        shift = step if step_at is not None and number >= step_at else 1.0
        yield Record(of, list(figures(of, shift, answered, generator, noise)))

"""Runs drawn by chance, whose truth is known: many trials at once, as arrays.

A latency is lognormal about 1000 ms. Its logarithm is a run's shift, a session's and a turn's own
part; `likeness` is the share of the variance within a run that sessions have.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from bench.compare.run_sample import RunSample, ShareSample, WaitSample
from bench.compare.sides import Side
from bench.plan.metrics import VERSION
from bench.stats.effect import Scatter

SPREAD = 0.25


class World(NamedTuple):
    """How a side is made: `shift` is the standard deviation between runs, of the logarithm."""

    runs: int = 5
    sessions: int = 60
    turns: int = 10
    shift: float = 0.03
    likeness: float = 0.5


def logs(rng, trials, world, change=0.0):
    """Logarithms of latencies: (trials, runs, sessions, turns)."""
    shape = (trials, world.runs, world.sessions, world.turns)
    run = rng.normal(0, world.shift, (*shape[:2], 1, 1))
    session = rng.normal(0, SPREAD * np.sqrt(world.likeness), (*shape[:3], 1))
    turn = rng.normal(0, SPREAD * np.sqrt(1 - world.likeness), shape)
    return np.log(1000 * (1 + change)) + run + session + turn


def figures(values, quantiles):
    """The quantiles of every run and its mean latency, as logarithms: (trials, figures, runs)."""
    flat = values.reshape(*values.shape[:2], -1)
    found = np.quantile(flat, quantiles, axis=-1)
    means = np.log(np.exp(flat).mean(axis=-1))
    return np.concatenate([found, means[None]]).transpose(1, 0, 2)


def unsampled(shape):
    """What sessions add, where nobody asks."""
    none = np.zeros(shape)
    return Scatter(none, none, none, none, 0)


def truth(q):
    """The quantile of a single run without a shift, in ms."""
    return 1000 * np.exp(SPREAD * stats.norm.ppf(q))


def flags(rng, trials, world, share, broken=0.0):
    """Yes or no: (trials, runs, sessions, turns). A `broken` share of sessions fails whole."""
    shape = (trials, world.runs, world.sessions, world.turns)
    alive = rng.random((*shape[:3], 1)) >= broken
    return alive & (rng.random(shape) < share / (1 - broken))


STAGES = {
    "endpointing": ("endpointing_delay", 550.0, 0.05),
    "commit": ("commit_delay", 5.0, 0.1),
    "response start": ("response_start_delay", 20.0, 0.1),
    "generation": ("generation_delay", 350.0, SPREAD),
    "leading silence": ("leading_silence", 30.0, 0.3),
}
"""Stages of the wait by name: their metric, median in ms, and the spread of their logarithm."""
USUAL = World()
FACTS = {
    "metric_version": VERSION, "scenario": "demo", "scenario_sha256": "0" * 64,
    "plan": {"turns": 3, "load": {"duration": 30_000_000_000}}, "corpus": "everyday",
    "corpus_sha256": "1" * 64, "chunk_ms": 100, "dialect": "inworld", "target": "reference",
    "concurrency": {"sessions": 20, "arrivals": None, "rate": None},
    "created": "2026-01-01T00:00:00+00:00", "bench_version": "0", "host": {}, "verdict": "pass",
    "why": [], "interrupted": False,
}  # fmt: skip


def made(rng, name="run", world=USUAL, *, slower=None, later=None, answered=0.99, words=None):
    """A run of a wait in stages. `slower` are factors of stages, `later` ms that are added.

    `words` draws what is said; runs with the same say the same. `world.shift` scales generation.
    """
    slower, later = slower or {}, later or {}
    shape, n = (world.sessions, world.turns), world.sessions * world.turns
    shift = np.exp(rng.normal(0, world.shift))
    stages = {}
    for stage, (_, median, spread) in STAGES.items():
        own = rng.normal(0, spread * np.sqrt(world.likeness), (world.sessions, 1))
        logs_ = own + rng.normal(0, spread * np.sqrt(1 - world.likeness), shape)
        factor = slower.get(stage, 1.0) * (shift if stage == "generation" else 1.0)
        stages[stage] = median * factor * np.exp(logs_).ravel() + later.get(stage, 0.0)
    whole = sum(stages.values())
    heard = rng.random(n) < answered
    # Who was not answered waited for ten seconds, in vain.
    waits = {"voice_to_voice_latency": WaitSample(np.where(heard, whole, 10_000.0), ~heard)}
    for stage, (metric, *_) in STAGES.items():
        waits[metric] = WaitSample(np.where(heard, stages[stage], np.nan), np.zeros(n, bool))
    answer = stages["commit"] + stages["response start"] + stages["generation"]
    waits["response_latency"] = WaitSample(np.where(heard, answer, np.nan), np.zeros(n, bool))
    said = (words or rng).integers(0, 50, n)
    return RunSample(
        name=name,
        facts=FACTS,
        keys=tuple((slot, 0) for slot in range(world.sessions)),
        session=np.repeat(np.arange(world.sessions), world.turns),
        said=tuple((1 + place % world.turns, f"u{word}") for place, word in enumerate(said)),
        waits=waits,
        shares={"answered": ShareSample(heard.astype(float), np.ones(n))},
        stages={stage: np.where(heard, values, np.nan) for stage, values in stages.items()},
        once={
            "session_ready_time": WaitSample(
                rng.lognormal(1, 0.2, world.sessions), np.zeros(world.sessions, bool)
            )
        },
        figures={},
        rows=[],
    )


def side(rng, runs=5, name="side", **changes):
    """A side of several runs."""
    return Side(name, tuple(made(rng, f"{name}-{number}", **changes) for number in range(runs)))

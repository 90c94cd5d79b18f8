"""Runs drawn by chance, whose truth is known: many trials at once, as arrays.

A latency is lognormal about 1000 ms. Its logarithm is a run's shift, a session's and a turn's own
part; `likeness` is the share of the variance within a run that sessions have.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from bench.analysis.comparing.contrast import Scatter

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
    return Scatter(none, none, none, 0)


def truth(q):
    """The quantile of a single run without a shift, in ms."""
    return 1000 * np.exp(SPREAD * stats.norm.ppf(q))


def flags(rng, trials, world, share, broken=0.0):
    """Yes or no: (trials, runs, sessions, turns). A `broken` share of sessions fails whole."""
    shape = (trials, world.runs, world.sessions, world.turns)
    alive = rng.random((*shape[:3], 1)) >= broken
    return alive & (rng.random(shape) < share / (1 - broken))

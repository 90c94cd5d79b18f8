"""Runs that are looked at while they go on, simulated: how often, and when, looks end them."""

import numpy as np

from bench.analysis.summary import figure_row
from bench.plan.gates import QUANTILES, parse_gate
from bench.plan.metrics import METRICS
from bench.stats.quantile import Sample, estimates
from bench.verdict.early_stop import Checkpoint, EarlyStop
from bench.verdict.gate_result import rule_gate

S = 1_000_000_000
CALLERS, TURNS, SECONDS, WINDOW = 20, 100, 600, 30
"""Twenty callers with a turn in six seconds each, for ten minutes, in windows of thirty seconds."""


def ended(trials, statistic, *, times=1.0, every=7.5, seed=0):
    """[seconds at which a run was ended, of those that were], of targets `times` their limit."""
    gate, q = parse_gate(f"{statistic}(first_audio_latency) < 800 ms"), QUANTILES[statistic]
    of, found = np.repeat(np.arange(CALLERS), TURNS), []
    for trial in range(trials):
        rng = np.random.default_rng((seed, trial))
        began = rng.uniform(0, SECONDS, CALLERS * TURNS)
        own = np.repeat(rng.normal(0, 0.1, CALLERS), TURNS)
        waits = np.exp(own + rng.normal(0, 0.2, len(own)))
        waits *= 800 * times / np.quantile(waits, q)
        watch = EarlyStop(0)
        for begin in np.arange(0, SECONDS - WINDOW, every):
            mine = (began >= begin) & (began < begin + WINDOW)
            rows = _rows(gate, Sample(waits[mine], np.zeros(mine.sum(), bool), of[mine]), q)
            end = round((begin + WINDOW) * S)
            if watch.take(Checkpoint(round(begin * S), end, end, (rule_gate(gate, rows, {}, ""),))):
                found.append(begin + WINDOW)
                break
    return found


def _rows(gate, sample, q):
    return {
        (gate.metric, name): figure_row(METRICS[gate.metric], name, one)
        for name, one in estimates(sample, {gate.statistic: q}, 200).items()
    }

"""Are the statistics what they say? Comparisons, intervals and gates on data whose truth is known.

Every figure is the share of seeded trials in which something happened, in percent. A share that is
nominally 5 is told from 6 by some 2 000 trials (its standard error is then 0.5), 95 from 93 or 97
by 1 000. The worlds are those of `tests.compare.chance`: five runs a side of 60 sessions
of 10 turns, half of the variance within a run between sessions, 3 % of shift between runs.

Change points of a history: pages of many lines over the same runs, 3 % of noise between runs.

Speed: the unit is one bare numpy resampling of the same shape: for one metric, of both sides, the
5 × 100 × 10 samples drawn 2 000 times with their sessions and their quantiles taken
(`np.quantile`), nothing else. All metrics of the comparison take less than ten of it.
"""

import time

import numpy as np

from bench.analysis.summary import figure_row
from bench.compare.change_points import find_in_all
from bench.compare.differences import STATISTICS
from bench.compare.run_sample import WaitSample
from bench.compare.sides import Side, compare
from bench.plan.gates import QUANTILES, parse_gate
from bench.plan.metrics import METRICS, PER_TURN
from bench.stats.effect import contrast, holm, interval, p_value
from bench.stats.proportion import proportion
from bench.stats.quantile import Sample, estimates
from bench.stats.run_statistics import RESAMPLES, Ratios, Sampled, quantiles_of_runs, ratios_of_runs
from bench.verdict.gate_result import rule_gate
from tests.compare.chance import (
    STAGES,
    World,
    figures,
    flags,
    logs,
    made,
    truth,
    unsampled,
)
from tests.compare.test_change_points import family
from tests.verdict.watched import ended

ASKED = [QUANTILES[name] for name in STATISTICS]
NAMES = (*STATISTICS, "mean")
USUAL = World()
BATCH = 200
ALARMS, POWER, COVERED, WRONG = 6.0, 75.0, (93.0, 97.0), 5.0
PAGE = 22
"""Lines of a page: p50 and p95 of eleven figures."""
TOLD = 5.0


def contrasts(rng, trials, world, change=0.0):
    """Contrasts of many comparisons: arrays of (trials, figures), in batches."""
    for _ in range(trials // BATCH):
        a, b = (figures(logs(rng, BATCH, world, by), ASKED) for by in (change, 0.0))
        yield contrast(a, b, unsampled(a.shape[:2]))


def covers(found, change):
    """How often the interval held the true change, in %, by figure."""
    inside = []
    for one in found:
        low, high = interval(one, 0.95)
        inside.append((low <= np.log1p(change)) & (np.log1p(change) <= high))
    return 100 * np.concatenate(inside).mean(axis=0)


def alarms(rng, trials, world, change=0.0):
    """(in %: a single row called, by figure; p50 or p95 called by Holm over both)."""
    p = np.concatenate([p_value(one) for one in contrasts(rng, trials, world, change)])
    pair = p[:, [NAMES.index("p50"), NAMES.index("p95")]]
    both = np.array([holm(two, np.ones(2)).min() for two in pair])
    return 100 * (p < 0.05).mean(axis=0), 100 * (both < 0.05).mean()


def called(rng, trials, wanted, **changes):
    """How often whole comparisons came to one of the `wanted` verdicts in a deciding row, in %.

    Five runs a side, waits in stages, censored waits, the share of answers, Holm over all of it.
    """
    hits = 0
    for _ in range(trials):
        a = Side("a", tuple(made(rng, f"a{n}", **changes) for n in range(5)))
        b = Side("b", tuple(made(rng, f"b{n}") for n in range(5)))
        rows = compare(a, b, resamples=100)["rows"]
        hits += any(row["family"] and row["verdict"] in wanted for row in rows)
    return 100 * hits / trials


def single_runs(rng, trials, world):
    """How often the intervals of one run a side hold no change, in %, by figure."""
    seat = np.repeat(np.arange(world.sessions), world.turns)
    never, inside = np.zeros(len(seat), bool), np.zeros(len(NAMES))
    for _ in range(trials):
        a, b = (Sampled(np.exp(logs(rng, 1, world).ravel()), never, seat) for _ in "ab")
        found = quantiles_of_runs([a], [b], np.array(ASKED), together=False)
        low, high = interval(contrast(np.log(found.a), np.log(found.b), found.within_logs), 0.95)
        inside += (low <= 0) & (high >= 0)
    return 100 * inside / trials


def shares(rng, trials, world, share, broken):
    """How often the interval of a difference of shares holds none, in %."""
    seat, inside = np.repeat(np.arange(world.sessions), world.turns), 0
    for _ in range(trials):
        sides = []
        for _ in "ab":
            yes = flags(rng, 1, world, share, broken)[0].reshape(world.runs, -1)
            sides.append([Ratios(one.astype(float), np.ones(len(seat)), seat) for one in yes])
        found = ratios_of_runs(*sides, together=False, share=True)
        low, high = interval(contrast(found.a, found.b, found.within, least=0.25), 0.95)
        inside += bool(low[0] <= 0 <= high[0])
    return 100 * inside / trials


def reported(rng, trials, world):
    """How often the intervals that a single run's report shows hold the truth, in %."""
    cluster = np.repeat(np.arange(world.sessions), world.turns)
    never = np.zeros(len(cluster), bool)
    asked = {name: QUANTILES[name] for name in ("p50", "p90", "p95", "p99")}
    inside = dict.fromkeys((*asked, "mean"), 0)
    true = {name: truth(q) for name, q in asked.items()}
    true["mean"] = 1000 * np.exp(0.25**2 / 2)
    for _ in range(trials):
        found = estimates(Sample(np.exp(logs(rng, 1, world).ravel()), never, cluster), asked, 500)
        for name in inside:
            inside[name] += found[name].low <= true[name] <= found[name].high
    return {name: 100 * hits / trials for name, hits in inside.items()}


def reported_shares(rng, trials, world, share, broken):
    """How often the interval of a single run's share holds the truth, in %."""
    cluster, inside = np.repeat(np.arange(world.sessions), world.turns), 0
    for _ in range(trials):
        found = proportion(flags(rng, 1, world, share, broken).ravel(), cluster)
        inside += found.low <= 100 * share <= found.high
    return 100 * inside / trials


def wrong_passes(rng, trials, world, statistic):
    """How often a gate passes whose limit is just the truth, in %."""
    cluster = np.repeat(np.arange(world.sessions), world.turns)
    never, q = np.zeros(len(cluster), bool), QUANTILES[statistic]
    gate = parse_gate(f"{statistic}(first_audio_latency) <= {truth(q):.6f} ms")
    passed = 0
    for _ in range(trials):
        sample = Sample(np.exp(logs(rng, 1, world).ravel()), never, cluster)
        rows = {
            (gate.metric, name): figure_row(METRICS[gate.metric], name, one)
            for name, one in estimates(sample, {statistic: q}, 500).items()
        }
        passed += rule_gate(gate, rows, {}, "").verdict == "pass"
    return 100 * passed / trials


def pages(rng, trials, lines, runs, **facts):
    """How often a page of flat lines tells any change, in %."""
    told = (any(find_in_all(family(rng, lines, runs, **facts))) for _ in range(trials))
    return 100 * sum(told) / trials


def steps(rng, trials, lines, after):
    """How often a page tells +10 % in one of its lines, within a run of its place, in %."""
    hits = 0
    for _ in range(trials):
        found = find_in_all(family(rng, lines, 25 + after, steps=[(25, 1.1)]))[0]
        hits += any(abs(change.at - 25) <= 1 for change in found)
    return 100 * hits / trials


def wrong_shares(rng, trials, sessions, turns, share):
    """How often a gate passes at the true share, where whole sessions fail, in %."""
    cluster = np.repeat(np.arange(sessions), turns)
    gate = parse_gate(f"share(answered) >= {100 * share:g} %")
    passed = 0
    for _ in range(trials):
        yes = np.repeat(rng.random(sessions) < share, turns)
        rows = {(gate.metric, "share"): figure_row(METRICS[gate.metric], "share",
                                                   proportion(yes, cluster))}  # fmt: skip
        passed += rule_gate(gate, rows, {}, "").verdict == "pass"
    return 100 * passed / trials


def speed():
    """(seconds of a comparison of all metrics, seconds of one bare resampling)."""
    rng, world = np.random.default_rng(9), World(sessions=100)
    sides = []
    for name in "ab":
        runs = []
        for number in range(5):
            run = made(rng, f"{name}{number}", world)
            n = len(run.session)
            every = {
                metric.name: WaitSample(rng.lognormal(6, 0.3, n), np.zeros(n, bool))
                for metric in PER_TURN
                if metric.name not in run.waits
            }
            runs.append(run._replace(waits={**run.waits, **every}))
        sides.append(Side(name, tuple(runs)))
    begin = time.perf_counter()
    compare(*sides)
    taken = time.perf_counter() - begin
    values = rng.lognormal(6, 0.3, (2, 500, 10))
    begin = time.perf_counter()
    for side in values:
        drawn = rng.integers(0, 500, (RESAMPLES, 500))
        for batch in np.array_split(drawn, 10):
            np.quantile(side[batch].reshape(len(batch), -1), ASKED, axis=1)
    return taken, time.perf_counter() - begin


def at_most(what, measured, bound):
    return what, measured, bound, measured <= bound


def at_least(what, measured, bound):
    return what, measured, bound, measured >= bound


def near(what, measured):
    """Coverage: nominal 95, and the bound that it is nearer to."""
    low, high = COVERED
    bound = low if measured < 95 else high
    return f"{what} (93 to 97)", measured, bound, low <= measured <= high


def changes(rng, trials):
    """False alarms and power: of rows alone, and of whole comparisons."""
    places = [(name, NAMES.index(name)) for name in ("p50", "p95")]
    single, both = alarms(rng, trials, USUAL)
    yield from (at_most(f"A/A: {name} called, %", single[at], ALARMS) for name, at in places)
    yield at_most("A/A: p50 or p95 called, Holm, %", both, ALARMS)
    found = called(rng, trials // 4, ("regressed", "improved"))
    yield at_most("A/A: any deciding row of a whole comparison called, %", found, ALARMS)
    single, both = alarms(rng, trials, USUAL, 0.1)
    yield from (at_least(f"+10 %: {name} found, %", single[at], POWER) for name, at in places)
    yield at_least("+10 %: p50 or p95 found, Holm, %", both, POWER)
    slower = dict.fromkeys(STAGES, 1.1)
    found = called(rng, trials // 4, ("regressed",), slower=slower)
    yield at_least("+10 % in every stage: whole comparison regressed, %", found, POWER)


def comparisons(rng, trials):
    """Coverage of the intervals of a comparison."""
    several = covers(contrasts(rng, trials, USUAL, 0.1), 0.1)
    for name, share in zip(NAMES, several, strict=True):
        yield near(f"interval of the ratio of {name}, 5 runs a side, %", share)
    alone = single_runs(rng, trials // 2, World(1, shift=0.0))
    for name, share in zip(NAMES, alone, strict=True):
        yield near(f"interval of the ratio of {name}, 1 run a side, %", share)
    for share, broken in ((0.98, 0.0), (0.9, 0.05)):
        for runs in (5, 1):
            what = f"interval of a change of a share of {100 * share:g}, runs a side: {runs}, %"
            yield near(what, shares(rng, trials, World(runs), share, broken))


def reports(rng, trials):
    """Coverage of the intervals of single runs, and gates."""
    for name, share in reported(rng, trials // 2, World(1, shift=0.0)).items():
        yield near(f"interval of {name} of a run, %", share)
    for share, broken in ((0.9, 0.0), (0.9, 0.05)):
        what = f"interval of a share of {100 * share:g} of a run, sessions broken: {broken:g}, %"
        yield near(what, reported_shares(rng, trials, World(1), share, broken))
    for statistic in ("p50", "p95"):
        passed = wrong_passes(rng, trials // 2, World(1, shift=0.0), statistic)
        yield at_most(f"gate at the limit passes: {statistic}, %", passed, WRONG)
    for sessions, share in ((10, 0.95), (20, 0.95), (60, 0.99), (60, 0.9)):
        passed = wrong_shares(rng, trials, sessions, 10, share)
        what = f"gate at the limit passes: share of {100 * share:g}, {sessions} sessions that fail "
        yield at_most(f"{what}whole, %", passed, WRONG)


def watches(trials):
    """Runs that `--abort-on-fail` looks at eighty times in ten minutes."""
    for statistic in ("p50", "p90"):
        wrong = 100 * len(ended(trials, statistic)) / trials
        yield at_most(f"target at its limit is ended: {statistic}, %", wrong, WRONG)
        soon = sum(at <= 120 for at in ended(trials, statistic, times=1.2))
        what = f"target 20 % beyond it is ended within 4 windows: {statistic}, %"
        yield at_least(what, 100 * soon / trials, POWER)


def histories(rng, trials):
    """Change points: false alarms of whole pages, and what is found of a step in one line."""
    for runs in (10, 30, 60):
        what = f"flat history, {PAGE} lines of {runs} runs: any change told, %"
        yield at_most(what, pages(rng, trials, PAGE, runs), TOLD)
    for noise, facts in (
        ("half of the noise in common", {"together": 0.5}),
        ("heavy tails (t of 4)", {"heavy": True}),
    ):
        what = f"flat history, {PAGE} lines of 30 runs, {noise}: any change told, %"
        yield at_most(what, pages(rng, trials, PAGE, 30, **facts), TOLD)
    for lines, after in ((1, 5), (PAGE, 5), (PAGE, 8)):
        what = f"+10 % in 1 of {lines} lines, {after} runs after it: found, %"
        yield at_least(what, steps(rng, trials // 4, lines, after), POWER)


def simulations(trials=2000):
    """Rows of (what, measured, bound, holds): the same every time, on whatever machine."""
    rng = np.random.default_rng(20_240_229)
    return [
        *changes(rng, trials),
        *comparisons(rng, trials),
        *reports(rng, trials),
        *watches(trials // 10),
        *histories(rng, trials),
    ]


def benchmark():
    """One row: what a comparison costs."""
    taken, unit = speed()
    what = f"comparison of 5 and 5 runs, all metrics / bare ({taken:.2f} s / {unit:.2f} s)"
    return [at_most(what, taken / unit, 10.0)]

"""What a run at one load says of each gate of a tier: a share of turns, a margin, or nothing.

Theory of operation
-------------------
A gate on a quantile or a share of turns gives a share of turns that met its limit, by segments of
time as long as a session; turns that waited in vain count as Kaplan and Meier have it. So do those
that still waited when the run ended: they are in no figure of the run, but a target that keeps all
waiting to its end holds nothing. Any other gate gives its margin, as a share of its limit, with the
standard error of its interval.

Beside the gates of a tier there is one that nobody writes: the load itself must be *held*. A
capacity is sessions held, and a target that lets 20 of 24 callers in holds 20, however fast it
answers these.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.measure import good_turns, objectives
from bench.analysis.samples import share_flags, turn_waits
from bench.analysis.tables import Flags, Floats, Ints
from bench.analysis.turn_columns import TurnColumns
from bench.capacity.document import ProbeGate, ProbeTier
from bench.plan.declaration import Metric
from bench.plan.gates import QUANTILES, Gate
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS
from bench.plan.tiers import Tier
from bench.stats.crossing import Level, Share
from bench.stats.interval import Z
from bench.tracker.outcomes import FAILED

HELD: Final = "sessions held >= 99 %"
"""The gate that is part of every tier of a closed load."""
_LEAST_HELD: Final = 99.0
_WORDS: Final = {"pass": "pass", "fail": "fail", "inconclusive": "open"}

Evidence = dict[str, Share | Level | None]
"""By gate (`HELD` among them) what a run says of it, None: nothing."""


def evidence_of(
    tier: Tier,
    load: float,
    turns: pd.DataFrame,
    segment: Ints,
    segments: int,
    verdict: dict[str, Any],
    held: float | None,
) -> Evidence:
    """What the gates of a tier say at this load.

    turns:   those that were measured, with the `segment` of time that each began in
    verdict: of the run by the tier's gates
    held:    % of the load's sessions that were held, None where it holds none
    """
    rulings, columns = {one["gate"]: one for one in verdict["gates"]}, TurnColumns(turns)
    found: Evidence = {}
    for gate in tier.gates:
        met = _met(gate, columns, tier.gates)
        if met is None:
            found[gate.text] = _level(gate, rulings[gate.text], load)
            continue
        share, known = met
        of = np.asarray(np.bincount(segment[known], minlength=segments), np.float64)
        some = np.asarray(np.bincount(segment[known], share[known], segments), np.float64)
        found[gate.text] = Share(load, some[of > 0], of[of > 0]) if of.any() else None
    if held is not None:
        found[HELD] = Level(load, (held - _LEAST_HELD) / 100)
    return found


def _met(gate: Gate, turns: TurnColumns, gates: Sequence[Gate]) -> tuple[Floats, Flags] | None:
    """By turn: how far it met the limit (0 to 1), and which turns the gate is about.

    None: it is no gate on a share of turns.
    """
    metric = METRICS[gate.metric]
    if gate.where or gate.limit is None or metric.of != "turn":
        return None
    if gate.statistic in QUANTILES:
        values, waits = _waits(metric, turns)
        upper = gate.operator in {"<", "<="}
        below = _below(values, waits, gate.limit, strict=gate.operator in {"<", ">="})
        return (below if upper else 1 - below), ~np.isnan(values)
    if metric.over != "turns":
        return None
    wanted, whole = gate.operator in {">", ">="}, ~turns.among("outcome", "cut")
    if gate.metric == "good_turns":
        yes = good_turns(turns.table, gates).to_numpy(bool)
        known = whole | _too_late(turns, gates)
    else:
        yes, known = share_flags(metric, turns)
        known = known & whole
    return (yes if wanted else ~yes).astype(np.float64), known


def _waits(metric: Metric, turns: TurnColumns) -> tuple[Floats, Flags]:
    """`turn_waits`, in which a turn that the run cut waited until then, if it did."""
    values, waits = turn_waits(metric, turns, (*FAILED, "cut"))
    if metric.end and INSTANTS[metric.end].awaited:
        silent = waits & ~((values > 0) & np.isfinite(values))  # it had not begun to wait
    else:
        silent = np.ones(len(turns), bool)  # what it had until then is not the whole
    values = np.where(turns.among("outcome", "cut") & silent, np.nan, values)
    return values, waits & ~np.isnan(values)


def _too_late(turns: TurnColumns, gates: Sequence[Gate]) -> Flags:
    """Which turns, whatever had become of them, miss an objective already."""
    missed = np.zeros(len(turns), bool)
    for gate in objectives(gates):
        values, _ = _waits(METRICS[gate.metric], turns)
        missed |= values > float(gate.limit or 0)
    return missed


def promised(gate: Gate) -> float:
    """The share of turns, 0 to 1, that must meet a gate of those that give a share."""
    if gate.promised is not None:
        return gate.promised
    limit = (gate.limit or 0.0) / 100
    return limit if gate.operator in {">", ">="} else 1 - limit


def _below(values: Floats, waits: Flags, limit: float, *, strict: bool) -> Floats:
    """By turn the chance that it is below the limit: 0 or 1, unless its wait ended before that.

    Then it is that of the turns which lasted as long (Kaplan and Meier).
    """
    under = values < limit if strict else values <= limit
    below = (under & ~waits).astype(np.float64)
    early = waits & under
    if early.any():
        ended = np.sort(values[~waits & ~np.isnan(values)])
        everyone = np.sort(values[~np.isnan(values)])
        for place in np.flatnonzero(early):
            between = ended[(ended > values[place]) & (ended < limit)]
            at_risk = len(everyone) - np.searchsorted(everyone, between, "left")
            below[place] = 1 - float(np.prod(1 - 1 / at_risk))
    return below


def _level(gate: Gate, ruling: dict[str, Any], load: float) -> Level | None:
    """The margin of any other gate, as a share of its limit."""
    if not ruling["n"] or ruling["limit"] is None:
        return None
    limit, value = float(ruling["limit"]), ruling["value"]
    if value is None:  # never reached
        return Level(load, -1.0 if gate.operator in {"<", "<="} else 1.0)
    scale = abs(limit) or 1.0
    sign = 1.0 if gate.operator in {"<", "<="} else -1.0
    margin = sign * (limit - float(value)) / scale
    if gate.operator == "==":
        margin = -abs(limit - float(value)) / scale
    if margin == 0 and not gate.holds(float(value), limit):
        margin = -1e-9
    low, high = ruling["low"], ruling["high"]
    known = low is not None and high is not None
    return Level(load, margin, (high - low) / (2 * Z * scale) if known else 0.0)


def ruled(
    tier: Tier,
    verdict: dict[str, Any],
    evidence: Evidence,
    held: float | None,
) -> ProbeTier:
    """The gates of a tier at this load, the load itself among them."""
    limits = {gate.text: promised(gate) for gate in tier.gates}
    gates = [
        ProbeGate(
            gate=one["gate"],
            verdict=_WORDS[one["verdict"]],  # type: ignore[arg-type]
            value=one["value"],
            low=one["low"],
            high=one["high"],
            limit=one["limit"],
            margin=_margin(evidence[one["gate"]], limits[one["gate"]]),
        )
        for one in verdict["gates"]
    ]
    if held is not None:
        gates.append(
            ProbeGate(
                gate=HELD, verdict="pass" if held >= _LEAST_HELD else "fail", value=held, low=None,
                high=None, limit=_LEAST_HELD, margin=(held - _LEAST_HELD) / 100,
            )
        )  # fmt: skip
    words = [gate.verdict for gate in gates]
    known = [gate.margin for gate in gates if gate.margin is not None]
    return ProbeTier(
        verdict="fail" if "fail" in words else "open" if "open" in words else "pass",
        margin=min(known, default=None),
        gates=gates,
    )


def _margin(found: Share | Level | None, share: float) -> float | None:
    if found is None:
        return None
    return found.share - share if isinstance(found, Share) else found.margin

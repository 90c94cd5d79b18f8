"""What one run at one load says of the objectives: figures, verdicts by tier, evidence by gate.

Theory of operation
-------------------
It reads an analysed run folder, and nothing else is kept of a run: a search that goes on after a
stop reads its folders again. Beside the gates of a tier there is one that nobody writes: the load
itself must be *held*. A capacity is sessions held, and a target that lets 20 of 24 callers in holds
20, however fast it answers these.

A gate on a quantile or a share of turns gives a share of turns that met its limit, by segments of
time as long as a session; turns that waited in vain count as Kaplan and Meier have it. Any other
gate gives its margin, as a share of its limit, with the standard error of its interval.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.measure import attempts, good_turns, turn_spans
from bench.analysis.samples import share_flags, turn_sample, turn_waits
from bench.analysis.sessions import ALLOWANCE_NS, span
from bench.analysis.summary import figure_row
from bench.analysis.tables import (
    Flags,
    Floats,
    Ints,
    integers,
    plain_strings,
    read_health,
    read_table,
)
from bench.analysis.turn_columns import TurnColumns
from bench.analysis.validity import BY_TARGET
from bench.capacity.document import (
    BoundedFigure,
    GeneratorFacts,
    ProbeFigures,
    ProbeGate,
    ProbeTier,
)
from bench.plan import stages as plan_stages
from bench.plan.gates import QUANTILES, Gate
from bench.plan.metrics import METRICS
from bench.plan.scenario import Step
from bench.plan.tiers import Tier
from bench.runs.folder import RunFolder
from bench.stats.crossing import Level, Share
from bench.stats.interval import Estimate, Z
from bench.stats.proportion import proportion
from bench.stats.quantile import estimates
from bench.tracker.event import ALWAYS, NEVER
from bench.verdict.verdict import by_statistic, weigh_run

HELD: Final = "sessions held >= 99 %"
"""The gate that is part of every tier of a closed load."""
_LEAST_HELD: Final = 99.0
_TURNED_AWAY: Final = ("refused", "overloaded")
_WORDS: Final = {"pass": "pass", "fail": "fail", "inconclusive": "open"}
STAGES: Final = tuple(
    stage.column for stage in plan_stages.STAGES if stage.before_audio and stage.column in METRICS
)
"""What first audio is made of, in order."""


class Observation(NamedTuple):
    """One run at one load.

    void:     why it says nothing of the target; "" where it does
    evidence: by tier and gate (`HELD` among them) what it says, None: nothing
    stages:   p95 in ms of each of `STAGES` that has one
    lengths:  seconds of each whole session
    talk:     shares of a session's time in which the caller speaks, and the agent
    victims:  sessions that had a good turn and were then ended by the target
    """

    load: float
    void: str
    measured_s: float
    turns: int
    session_minutes: float
    in_flight: float | None
    good_per_s: float | None
    figures: ProbeFigures
    tiers: dict[str, ProbeTier]
    evidence: dict[str, dict[str, Share | Level | None]]
    generator: GeneratorFacts
    stages: dict[str, float]
    lengths: tuple[float, ...]
    turns_each: float | None
    talk: tuple[float, float] | None
    refused: int
    victims: int


def observe_steps(path: Path, tiers: Sequence[Tier], steps: Sequence[Step]) -> list[Observation]:
    """Read the analysed run of a load with steps: the second half of each, by itself."""
    at, found = int(RunFolder.open(path).read()["plan"]["measured_from_ns"]), []
    for step in steps:
        window = (at + step.length // 2, at + step.length)
        at += step.length
        found.append(observe(path, tiers, step.sessions, step.length / 2e9, window))
    return found


@plain_strings
def observe(
    path: Path,
    tiers: Sequence[Tier],
    load: float,
    segment_s: float,
    window: tuple[int, int] | None = None,
) -> Observation:
    """Read the analysed run in `path`. `segment_s`: about how long a session takes.

    `window`: [from, to) in ns; only turns that began then count, and sessions held then.
    """
    folder = RunFolder.open(path)
    verdicts = {
        tier.name: weigh_run(
            path, tier.gates, None, within=dict.fromkeys(tier.gates, window) if window else {}
        )
        for tier in tiers
    }
    first = next(iter(verdicts.values()))
    sessions, turns = read_table(folder.sessions, None), read_table(folder.turns, None)
    plan = folder.read()["plan"]
    begin, end = window or span(plan)
    attempted = attempts(turns)
    began = turn_spans(attempted)[0]
    inside = (began >= begin) & (began < end)
    attempted, began = attempted[inside], began[inside]
    rows = by_statistic(json.loads(folder.summary.read_text("utf-8")))
    if window:
        rows |= _narrowed(attempted)
    held = _held(sessions, begin, end, load) if plan.get("sessions") or window else None
    edges = np.linspace(begin, end, max(1, round((end - begin) / 1e9 / segment_s)) + 1)
    segment = np.clip(np.searchsorted(edges, began, "right") - 1, 0, len(edges) - 2)
    evidence = {
        tier.name: _evidence(tier, load, attempted, segment, len(edges) - 1, verdicts, held)
        for tier in tiers
    }
    goods = good_turns(attempted, [gate for tier in tiers[:1] for gate in tier.gates])
    good = proportion(goods.to_numpy(bool), attempted["session"].to_numpy())
    counted = sessions[sessions["measured"].astype(bool)]
    away = counted["outcome"].isin(_TURNED_AWAY) | counted["in_vain"].astype(bool)
    started, ended = _life(sessions)
    whole = sessions["outcome"].isin(("finished",)).to_numpy(bool)
    measured_s = (end - begin) / 1e9
    lost = sessions["outcome"].isin(BY_TARGET).to_numpy(bool)
    fine = sessions["session"].isin(attempted["session"][goods.to_numpy(bool)]).to_numpy(bool)
    starved = attempted["underrun_time"].dropna()
    return Observation(
        load=load,
        void=_void(first),
        measured_s=measured_s,
        turns=len(attempted),
        session_minutes=float(
            np.maximum(np.minimum(ended, end) - np.maximum(started, begin), 0).sum()
            if window
            else (ended - started).sum()
        )
        / 60e9,
        in_flight=_in_flight(sessions, begin, end),
        good_per_s=float(goods.sum()) / measured_s if measured_s > 0 else None,
        figures=ProbeFigures(
            good_turns=_figure(good, "%"),
            first_audio_p95=_of_row(rows, "first_audio_latency"),
            endpointing_p95=_of_row(rows, "endpointing_delay"),
            generation_p95=_of_row(rows, "generation_delay"),
            underrun=_figure(
                proportion(
                    (starved > 0).to_numpy(bool),
                    attempted.loc[starved.index, "session"].to_numpy(),
                ),
                "%",
            ),
            refused=_figure(proportion(away.to_numpy(bool), counted["session"].to_numpy()), "%"),
            held=BoundedFigure(value=held, low=None, high=None, unit="%", n=len(counted)),
        ),
        tiers={
            tier.name: _ruled(tier, verdicts[tier.name], evidence[tier.name], held)
            for tier in tiers
        },
        evidence=evidence,
        generator=_generator(folder, rows, begin, end),
        stages={
            name: float(rows[name, "p95"]["value"])
            for name in STAGES
            if (name, "p95") in rows and rows[name, "p95"]["value"] is not None
        },
        lengths=tuple(((ended - started)[whole] / 1e9).tolist()),
        turns_each=_mean(sessions["planned_turns"][whole]),
        talk=_talk(turns, sessions, whole),
        refused=int(away.sum()),
        victims=int((lost & fine).sum()),
    )


def _narrowed(turns: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """The p95 of what the answer shows, of these turns alone."""
    found = {}
    for name in ("first_audio_latency", *STAGES):
        metric = METRICS[name]
        p95 = estimates(turn_sample(metric, TurnColumns(turns)), {"p95": QUANTILES["p95"]})["p95"]
        found[name, "p95"] = figure_row(metric, "p95", p95)
    return found


def _void(verdict: dict[str, Any]) -> str:
    """The first broken rule of validity, or that no turn was measured and nobody failed."""
    if verdict["verdict"] != "invalid":
        return ""
    broken = next(check for check in verdict["validity"] if not check["ok"])
    return str(broken["text"])


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────


def _evidence(
    tier: Tier,
    load: float,
    turns: pd.DataFrame,
    segment: Ints,
    segments: int,
    verdicts: dict[str, dict[str, Any]],
    held: float | None,
) -> dict[str, Share | Level | None]:
    rulings = {one["gate"]: one for one in verdicts[tier.name]["gates"]}
    found: dict[str, Share | Level | None] = {}
    for gate in tier.gates:
        met = _met(gate, turns, tier.gates)
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


def _met(gate: Gate, turns: pd.DataFrame, gates: Sequence[Gate]) -> tuple[Floats, Flags] | None:
    """By turn: how far it met the limit (0 to 1), and which turns the gate is about.

    None: it is no gate on a share of turns.
    """
    metric = METRICS[gate.metric]
    if gate.where or gate.limit is None or metric.of != "turn":
        return None
    if gate.statistic in QUANTILES:
        values, waits = turn_waits(metric, TurnColumns(turns))
        upper = gate.operator in {"<", "<="}
        below = _below(values, waits, gate.limit, strict=gate.operator in {"<", ">="})
        return (below if upper else 1 - below), ~np.isnan(values)
    if metric.over != "turns":
        return None
    wanted = gate.operator in {">", ">="}
    if gate.metric == "good_turns":
        yes, known = good_turns(turns, gates).to_numpy(bool), np.ones(len(turns), bool)
    else:
        yes, known = share_flags(metric, TurnColumns(turns))
    return (yes if wanted else ~yes).astype(np.float64), known


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
    if value is None:  # beyond every wait
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


def _ruled(
    tier: Tier,
    verdict: dict[str, Any],
    evidence: dict[str, Share | Level | None],
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


# ── sessions and the generator ───────────────────────────────────────────────────────────────────


def _life(sessions: pd.DataFrame) -> tuple[Ints, Ints]:
    """Start and end of every session, ns; of one whose end was not seen both are its start."""
    started = integers(sessions["started_ns"], 0)
    return started, np.maximum(started, integers(sessions["ended_ns"], ALWAYS))


def _held(sessions: pd.DataFrame, begin: int, end: int, load: float) -> float:
    """Sessions held on average from `begin` to `end` (ns), in % of those that should be.

    A session that became ready within a second counts from its start: a caller who connects.
    """
    started, ended = _life(sessions)
    opened = integers(sessions["opened_ns"], NEVER)
    first = np.where(opened - started <= ALLOWANCE_NS, started, opened)
    inside = np.minimum(ended, end) - np.maximum(first, begin)
    return float(min(100.0, 100 * np.maximum(inside, 0).sum() / ((end - begin) * load)))


def _in_flight(sessions: pd.DataFrame, begin: int, end: int) -> float | None:
    """Sessions open on average in the measured phase."""
    started, ended = _life(sessions)
    inside = np.minimum(ended, end) - np.maximum(started, begin)
    return float(np.maximum(inside, 0).sum() / (end - begin)) if end > begin else None


def _generator(
    folder: RunFolder, rows: dict[tuple[str, str], dict[str, Any]], begin: int, end: int
) -> GeneratorFacts:
    health = read_health(folder.health)
    at = integers(health["at_ns"], NEVER)
    cpu = _mean(health["cpu_share"][(at >= begin) & (at < end)])
    late = rows.get(("send_lateness", "p99")) or {"value": None}
    return GeneratorFacts(cpu=None if cpu is None else 100 * cpu, send_lateness_p99=late["value"])


def _talk(turns: pd.DataFrame, sessions: pd.DataFrame, whole: Flags) -> tuple[float, float] | None:
    """Shares of a whole session's time in which caller and agent speak.

    `turns` are all: some of a session's may lie before the measured phase.
    """
    started, ended = _life(sessions)
    time = pd.Series((ended - started)[whole] / 1e6, sessions["session"][whole])
    mine = turns[turns["session"].isin(time.index)]
    if not len(mine):
        return None
    spoken = integers(mine["speech_offset_ns"], 0) - integers(mine["speech_onset_ns"], 0)
    heard = integers(mine["reply_audio_ns"], 0)
    total = float(time.sum())
    return float(np.maximum(spoken, 0).sum()) / 1e6 / total, float(heard.sum()) / 1e6 / total


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def _mean(values: pd.Series) -> float | None:
    known = values.dropna()
    return float(known.astype(float).mean()) if len(known) else None


def _figure(found: Estimate, unit: str) -> BoundedFigure:
    return BoundedFigure(value=found.value, low=found.low, high=found.high, unit=unit, n=found.n)


def _of_row(rows: dict[tuple[str, str], dict[str, Any]], metric: str) -> BoundedFigure:
    row = rows.get((metric, "p95")) or {"value": None, "low": None, "high": None, "n": 0}
    value, low, high = row["value"], row["low"], row["high"]
    return BoundedFigure(value=value, low=low, high=high, unit="ms", n=row["n"])

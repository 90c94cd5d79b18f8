"""What one run at one load says of the objectives: figures, verdicts by tier, evidence by gate.

It reads an analysed run folder, and nothing else is kept of a run: a search that goes on after a
stop reads its folders again. What a gate makes of the turns is in `bench.capacity.load_evidence`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.measure import attempts, good_turns, turn_spans
from bench.analysis.samples import turn_sample
from bench.analysis.sessions import ALLOWANCE_NS, span
from bench.analysis.summary import figure_row
from bench.analysis.tables import (
    Flags,
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
    Gauge,
    GeneratorFacts,
    ProbeFigures,
    ProbeTier,
)
from bench.capacity.load_evidence import Evidence, evidence_of, ruled
from bench.capacity.loads import Step
from bench.plan import stages as plan_stages
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS
from bench.plan.tiers import Tier
from bench.runs.folder import RunFolder
from bench.runs.gauges import gauge_means
from bench.stats.interval import Estimate
from bench.stats.proportion import proportion
from bench.stats.quantile import estimates
from bench.tracker.event import ALWAYS, NEVER
from bench.verdict.verdict import by_statistic, weigh_run

_TURNED_AWAY: Final = ("refused", "overloaded")
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
    gauges:   what the server said of itself, by name
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
    evidence: dict[str, Evidence]
    generator: GeneratorFacts
    stages: dict[str, float]
    lengths: tuple[float, ...]
    turns_each: float | None
    talk: tuple[float, float] | None
    refused: int
    victims: int
    gauges: dict[str, Gauge]


def observe_steps(path: Path, tiers: Sequence[Tier], steps: Sequence[Step]) -> list[Observation]:
    """Read the analysed run of a load with steps: the second half of each, by itself.

    A step that the run did not reach, or not to its end, is left out, and so are those after it.
    """
    run = RunFolder.open(path).read()
    return [
        observe(path, tiers, step.sessions, step.length / 2e9, window)
        for step, window in zip(steps, second_halves(run, steps), strict=True)
        if window[1] <= int(run["plan"]["measured_to_ns"])
    ]


def observe_overload(path: Path, tiers: Sequence[Tier], segment_s: float) -> Observation:
    """Read the analysed run that went beyond the limit: its figures are those of the overload.

    What the run took, whom the target turned away and whom it ended are of the whole of it.
    """
    run = RunFolder.open(path).read()
    stages = run["scenario"]["effective"]["load"]["stages"]
    steps = [Step(stage["sessions"], stage["length"]) for stage in stages]
    top = max(steps, key=lambda step: step.sessions)
    whole = observe(path, tiers, top.sessions, segment_s)
    window = second_halves(run, steps)[steps.index(top)]
    return observe(path, tiers, top.sessions, segment_s, window)._replace(
        session_minutes=whole.session_minutes, refused=whole.refused, victims=whole.victims
    )


def second_halves(run: dict[str, Any], steps: Sequence[Step]) -> list[tuple[int, int]]:
    """[from, to) in ns of the second half of each step: its first half fills up."""
    ends = np.cumsum([step.length for step in steps]) + int(run["plan"]["measured_from_ns"])
    return [
        (int(end) - step.length + step.length // 2, int(end))
        for step, end in zip(steps, ends, strict=True)
    ]


@plain_strings
def observe(
    path: Path,
    tiers: Sequence[Tier],
    load: float,
    segment_s: float,
    window: tuple[int, int] | None = None,
) -> Observation:
    """Read the analysed run in `path`. `segment_s`: about how long a session takes.

    `window`: [from, to) in ns; only turns and sessions that began then count, sessions held then,
    and those that were ended then.
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
    told = turns[turns["measured"].astype(bool)]
    began = turn_spans(told)[0]
    inside = (began >= begin) & (began < end)
    told, began = told[inside], began[inside]
    attempted = attempts(told)
    rows = by_statistic(json.loads(folder.summary.read_text("utf-8")))
    if window:
        rows |= _narrowed(attempted)
    held = _held(sessions, begin, end, load) if plan.get("sessions") or window else None
    edges = np.linspace(begin, end, max(1, round((end - begin) / 1e9 / segment_s)) + 1)
    segment = np.clip(np.searchsorted(edges, began, "right") - 1, 0, len(edges) - 2)
    evidence = {
        tier.name: evidence_of(tier, load, told, segment, len(edges) - 1, verdicts[tier.name], held)
        for tier in tiers
    }
    goods = good_turns(attempted, [gate for tier in tiers[:1] for gate in tier.gates])
    good = proportion(goods.to_numpy(bool), attempted["session"].to_numpy())
    started, ended = _life(sessions)
    then = (started >= begin) & (started < end) if window else np.ones(len(sessions), bool)
    counted = sessions[sessions["measured"].astype(bool) & then]
    away = counted["outcome"].isin(_TURNED_AWAY) | counted["in_vain"].astype(bool)
    whole = sessions["outcome"].isin(("finished",)).to_numpy(bool)
    measured_s = (end - begin) / 1e9
    lost = sessions["outcome"].isin(BY_TARGET).to_numpy(bool)
    if window:
        lost = lost & (ended >= begin) & (ended < end)
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
            tier.name: ruled(tier, verdicts[tier.name], evidence[tier.name], held) for tier in tiers
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
        gauges={name: Gauge(**one) for name, one in gauge_means(path, (begin, end)).items()},
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

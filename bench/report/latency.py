"""Figures on time: how long a caller waits for a voice, and where that time goes."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.analysis.measure import time_in_stage
from bench.plan.stages import STAGES, Stage
from bench.report.choosing import pooled
from bench.report.marks import (
    TURN_HOVER,
    curve,
    half_and_most,
    marks,
    remarks,
    sampled,
    share_axes,
    thin,
    turn_ids,
)
from bench.report.panel import Panel, Table
from bench.report.run import Run, flag, numbers, texts
from bench.report.theme import blank, metric_colour
from bench.report.words import NOTHING, count, listing, plain, quantity

_WAITS: Final = {
    "voice_to_voice_latency": "voice to voice: the first audible sample plays",
    "first_audio_latency": "first audio: the first delta arrives",
}
_MOST_BARS: Final = 240


def waiting(run: Run) -> Panel | None:
    """How long until the caller hears a voice: two curves, their quantiles, the gates.

    None where every answer came in writing.
    """
    if not run.voiced:
        return None
    key, question = "waiting", "How long until the caller hears a voice?"
    turns, notes = run.counted, []
    figure = blank(420)
    values: list[float] = []
    for metric, name in _WAITS.items():
        trace, note = curve(turns, metric, name)
        if trace is None:
            continue
        figure.add_trace(trace)
        values += [float(value) for value in trace.x]
        notes.append(note)
    if not values:
        return Panel(key, question, _unheard(run), notes=remarks(pooled(run)))
    for metric, position in zip(_WAITS, ("bottom right", "top left"), strict=True):
        if trace := marks(run.statistics(metric), metric, position=position):
            figure.add_trace(trace)
    last = run.statistics("voice_to_voice_latency").get("p99")
    beyond = share_axes(figure, run, list(_WAITS), values, last, "ms after the caller's last word")
    answer = " ".join(
        part
        for part in (
            half_and_most(run.statistics("voice_to_voice_latency"), "the callers heard a voice"),
            half_and_most(run.statistics("first_audio_latency"), "the first audio deltas arrived"),
            _without(turns, "voice_to_voice_latency"),
        )
        if part
    )
    caption = "Share of turns answered within a time; bars are 95 % intervals"
    notes += [beyond, pooled(run), _fillers(run), _backchannels(run)]
    return Panel(key, question, answer, [(caption, figure)], notes=remarks(*notes))


def _fillers(run: Run) -> str:
    """Audio that is no answer: how many turns had some, and when. In no latency of the answer."""
    turns = run.counted
    filled = int(numbers(turns, "filler_latency").notna().sum())
    if not filled:
        return ""
    half = run.statistics("filler_latency").get("p50")
    at = (
        f", {quantity(half.value, 'ms')} after the caller's last word at p50"
        if half is not None and half.value is not None
        else ""
    )
    return (
        f"{plain(filled, '1')} of {count(len(turns), 'turn')} had a filler before the answer{at}. "
        "A filler is no answer and on no curve."
    )


def _backchannels(run: Run) -> str:
    """Interjections of the agent while the caller spoke."""
    row, half = (
        run.statistics(metric).get(word)
        for metric, word in (("backchannels", "count"), ("backchannel_delay", "p50"))
    )
    number = int(row.value or 0) if row is not None else 0
    if not number:
        return ""
    at = (
        f", the first of a turn {quantity(half.value, 'ms')} after speech began at p50"
        if half is not None and half.value is not None
        else ""
    )
    times = "once" if number == 1 else f"{plain(number, '1')} times"
    return f"The agent interjected {times}{at}."


def _unheard(run: Run) -> str:
    if run.counted.empty:
        return "No turn began in the measured phase, so there is nothing to draw."
    return (
        f"Nobody heard a voice: none of {count(len(run.counted), 'measured turn')} has an "
        "audible answer. The outcomes below say what became of them."
    )


def _without(turns: pd.DataFrame, metric: str) -> str:
    turns = turns[~flag(turns, "textual")]  # nobody waits for the voice of an answer in writing
    lacking = turns[numbers(turns, metric).isna()]
    if lacking.empty:
        return ""
    kinds = texts(lacking, "outcome").value_counts()
    said = listing(f"{number} {kind}" for kind, number in kinds.items())
    return (
        f"{plain(len(lacking), '1')} of {count(len(turns), 'turn')} ({said}) had no answer: "
        "their callers waited in vain, and that holds the curve below 100 %."
    )


def stages(run: Run) -> Panel | None:
    """Where the time went: one stack per turn, sorted; never a sum of percentiles."""
    if not run.voiced:
        return None
    key, question = "stages", "Where did the time go?"
    turns = sampled(run.counted, "voice_to_voice_latency")
    parts = _parts(turns)
    if turns.empty or not parts:
        return Panel(key, question, "No turn has both an audible answer and its stages.")
    drawn, note = thin(turns, _MOST_BARS)
    figure = blank(380, barmode="relative", bargap=0.08 if len(drawn) < 60 else 0.0)
    heard = numbers(drawn, "value")
    for stage in parts:
        figure.add_trace(
            go.Bar(
                x=np.arange(1, len(drawn) + 1),
                y=time_in_stage(drawn, stage).fillna(0.0).to_numpy(),
                name=stage.name,
                marker={
                    "color": metric_colour(stage.column.removesuffix("_ns")),
                    "opacity": 0.85,
                    "line": {"width": 0},
                },
                customdata=[
                    [*ids, total] for ids, total in zip(turn_ids(drawn), heard, strict=True)
                ],
                hovertemplate=f"<b>{stage.name} %{{y:,.0f}} ms</b>"
                " of %{customdata[3]:,.0f} ms voice to voice<br>"
                f"{TURN_HOVER}<extra></extra>",
            )
        )
    some = f"{plain(len(drawn))} of {plain(len(turns))} turns" if note else "turns"
    figure.update_xaxes(title={"text": f"{some}, quickest answer first"}, showgrid=False)
    figure.update_yaxes(title={"text": "ms after the caller's last word"})
    means = {stage.name: float(time_in_stage(turns, stage).fillna(0.0).mean()) for stage in parts}
    total = float(numbers(turns, "value").mean())
    said = listing(
        f"{name} {quantity(mean, 'ms')}"
        for name, mean in sorted(means.items(), key=lambda entry: -abs(entry[1]))
        if round(abs(mean), 1) >= 0.1
    )
    answer = (
        f"Of {quantity(total, 'ms')} on average from the caller's last word to an audible answer: "
        f"{said} (means over {count(len(turns), 'turn')}; means add up, percentiles do not)."
    )
    caption = "The wait of each turn, stage on stage; sorted by voice to voice"
    return Panel(
        key, question, answer, [(caption, figure)], [_stage_table(run, turns, parts)], remarks(note)
    )


def medians(turns: pd.DataFrame) -> dict[str, float]:
    """The median of each stage over the turns that were in it, in ms; 0 where none was."""
    found = {stage.name: float(time_in_stage(turns, stage).median()) for stage in STAGES}
    return {name: 0.0 if np.isnan(value) else value for name, value in found.items()}


def spent_ms(turn: pd.Series, stage: Stage) -> float:
    """The ms that one turn spent in a stage; NaN where it was in none."""
    return float(time_in_stage(turn.to_frame().T, stage).iloc[0])


def _parts(turns: pd.DataFrame) -> list[Stage]:
    """The stages in which any turn spent any time."""
    return [
        stage for stage in STAGES if (time_in_stage(turns, stage).fillna(0.0).abs() > 0.0).any()
    ]


def _stage_table(run: Run, turns: pd.DataFrame, parts: list[Stage]) -> Table:
    rows = []
    for stage in parts:
        # A metric that counts more than the stage (tools, what the caller did) is not its quantile.
        same = time_in_stage(turns, stage).equals(numbers(turns, stage.column))
        known = run.statistics(stage.column) if same else {}
        cells = [
            quantity(known[word].value, "ms") if word in known else NOTHING
            for word in ("p50", "p95")
        ]
        mean = float(time_in_stage(turns, stage).fillna(0.0).mean())
        rows.append([stage.name, stage.about, quantity(mean, "ms"), *cells])
    return Table(
        "Each stage by itself",
        ("stage", "what happens", "mean", "p50", "p95"),
        rows,
        numeric=frozenset({2, 3, 4}),
        note="The means of the stages add up to the mean of the whole. Their percentiles do not: "
        "the slowest endpointing and the slowest generation are seldom the same turn.",
    )

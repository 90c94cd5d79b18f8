"""Panels on answers: how long one waits for them, where that time goes, and how they flow."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.analysis.measure import time_in_stage
from bench.plan.stages import STAGES, Stage
from bench.report.charts import Curve, Reference, curves, strips
from bench.report.marks import TURN_HOVER, sampled, thin, turn_ids
from bench.report.panels import Chart, Drawn, Question, Table, table_of, within
from bench.report.run_data import Run, flag, numbers, once, texts
from bench.report.sweep_panel import pooled
from bench.report.text import NOTHING, TIMES, count, listing, plain, quantity, sample_size, share
from bench.report.theme import blank, metric_colour

_MOST_BARS: Final = 240


# ── how long until the caller hears a voice? ─────────────────────────────────────────────────────


def _without_answer(run: Run) -> str:
    turns = run.counted
    turns = turns[~flag(turns, "textual")]  # nobody waits for the voice of an answer in writing
    lacking = turns[numbers(turns, "voice_to_voice_latency").isna()]
    if lacking.empty:
        return ""
    kinds = texts(lacking, "outcome").value_counts()
    said = listing(f"{number} {kind}" for kind, number in kinds.items())
    return (
        f"{plain(len(lacking), '1')} of {count(len(turns), 'turn')} ({said}) had no answer: "
        "their callers never got one, and that holds the curve below 100 %."
    )


def _unheard(run: Run) -> str:
    if run.counted.empty:
        return "No turn began in the measured phase, so there is nothing to draw."
    return (
        f"Nobody heard a voice: none of {count(len(run.counted), 'measured turn')} has an "
        "audible answer. The outcomes below say what became of them."
    )


def _fillers(run: Run) -> str:
    """Audio that is no answer: how many turns had some, and when. In no latency of the answer."""
    filled = int(numbers(run.counted, "filler_latency").notna().sum())
    if not filled:
        return ""
    half = run.statistic("filler_latency", "p50")
    at = f", {half.shown} after the caller's last word at p50" if half.known else ""
    return (
        f"{plain(filled, '1')} of {count(len(run.counted), 'turn')} had a filler before the "
        f"answer{at}. A filler is no answer and on no curve."
    )


def _backchannels(run: Run) -> str:
    """Interjections of the agent while the caller spoke."""
    number = int(run.statistic("backchannels", "count").number)
    if not number:
        return ""
    half = run.statistic("backchannel_delay", "p50")
    at = f", the first of a turn {half.shown} after speech began at p50" if half.known else ""
    times = "once" if number == 1 else f"{plain(number, '1')} times"
    return f"The agent interjected {times}{at}."


LATENCY: Final = Question(
    "latency",
    "How long until the caller hears a voice?",
    says=(
        within(
            "voice_to_voice_latency", "callers heard a voice", "callers never heard a voice"
        ),
        within(
            "first_audio_latency", "first audio deltas arrived", "first audio deltas never came"
        ),
        _without_answer,
    ),
    charts=(
        curves(
            "Share of turns answered within a time; bars are 95 % intervals",
            (
                Curve(
                    "voice_to_voice_latency", "voice to voice: the first audible sample plays",
                    labels="bottom right",
                ),
                Curve(
                    "first_audio_latency", "first audio: the first delta arrives",
                    labels="top left",
                ),
            ),
            "ms after the caller's last word",
            edge="voice_to_voice_latency",
        ),
    ),
    notes=(pooled, _fillers, _backchannels),
    metrics=("voice_to_voice_latency", "first_audio_latency", "good_turns"),
    asked=lambda run: run.voiced,
    empty=_unheard,
)  # fmt: skip


# ── how fast does it write? ──────────────────────────────────────────────────────────────────────


def _unread(run: Run) -> str:
    asked = int(flag(run.counted, "textual").sum())
    return (
        f"Nobody got an answer in writing: {count(asked, 'measured turn')} asked for "
        "one. The outcomes below say what became of them."
    )


def _rate(run: Run) -> str:
    half = run.statistic("text_rate", "p50")
    if not half.number:
        return ""
    return (
        f"Then {plain(half.value)} {half.bounds} text deltas a second come at p50 "
        f"({sample_size(half.n)}), that is one every {quantity(1000 / half.number, 'ms')}."
    )


WRITING: Final = Question(
    "writing",
    "How fast does it write?",
    says=(
        within(
            "first_text_latency", "answers in writing had begun", "answers in writing never began"
        ),
        _rate,
    ),
    charts=(
        curves(
            "Share of turns whose answer had begun within a time",
            (
                Curve(
                    "first_text_latency", "first text: the first delta arrives",
                    labels="bottom right",
                ),
            ),
            "ms after the turn was said, or its answer asked for",
            edge="first_text_latency",
        ),
        strips(
            "Each point is one reply; bars run from p50 to p95",
            {"text_rate": "text deltas a second"}, "deltas a second", unit="/s", from_zero=True,
        ),
    ),
    notes=(pooled,),
    metrics=("first_text_latency", "text_rate"),
    asked=lambda run: bool(
        numbers(run.counted, "first_text_latency").notna().any()
        or flag(run.counted, "textual").any()
    ),
    empty=_unread,
)  # fmt: skip


# ── where did the time go? ───────────────────────────────────────────────────────────────────────


def medians(turns: pd.DataFrame) -> dict[str, float]:
    """The median of each stage over the turns that were in it, in ms; 0 where none was."""
    found = {stage.name: float(time_in_stage(turns, stage).median()) for stage in STAGES}
    return {name: 0.0 if np.isnan(value) else value for name, value in found.items()}


@once
def _staged(run: Run) -> tuple[pd.DataFrame, dict[Stage, pd.Series]]:
    """The turns with an audible answer, and the ms of each in every stage that any was in."""
    turns = sampled(run.counted, "voice_to_voice_latency")
    parts = {stage: time_in_stage(turns, stage).fillna(0.0) for stage in STAGES}
    return turns, {stage: ms for stage, ms in parts.items() if (ms.abs() > 0.0).any()}


def _stacks(run: Run) -> Drawn:
    """One stack per turn, sorted; never a sum of percentiles."""
    turns, parts = _staged(run)
    if not parts:
        return None, []
    drawn, note = thin(turns, _MOST_BARS)
    figure = blank(380, barmode="relative", bargap=0.08 if len(drawn) < 60 else 0.0)
    totals = zip(turn_ids(drawn), numbers(drawn, "value"), strict=True)
    ids = [[*one, total] for one, total in totals]
    for stage, ms in parts.items():
        figure.add_trace(
            go.Bar(
                x=np.arange(1, len(drawn) + 1),
                y=ms[drawn.index].to_numpy(),
                name=stage.name,
                marker={
                    "color": metric_colour(stage.column), "opacity": 0.85, "line": {"width": 0},
                },
                customdata=ids,
                hovertemplate=f"<b>{stage.name} %{{y:,.0f}} ms</b>"
                " of %{customdata[3]:,.0f} ms voice to voice<br>"
                f"{TURN_HOVER}<extra></extra>",
            )
        )  # fmt: skip
    some = f"{plain(len(drawn))} of {plain(len(turns))} turns" if note else "turns"
    figure.update_xaxes(title={"text": f"{some}, quickest answer first"}, showgrid=False)
    figure.update_yaxes(title={"text": "ms after the caller's last word"})
    return figure, [note]


def _means(run: Run) -> str:
    turns, parts = _staged(run)
    means = sorted(
        ((stage.name, float(ms.mean())) for stage, ms in parts.items()),
        key=lambda entry: -abs(entry[1]),
    )
    said = listing(f"{name} {quantity(mean, 'ms')}" for name, mean in means if abs(mean) >= 0.05)
    return (
        f"Of {quantity(float(turns['value'].mean()), 'ms')} on average from the caller's last word "
        f"to an audible answer: {said} (means over {count(len(turns), 'turn')}; means add up, "
        "percentiles do not)."
    )


def _stage_table(run: Run) -> Table | None:
    turns, parts = _staged(run)

    def quantile(stage: Stage, word: str) -> str:
        # A metric that counts more than the stage (tools, what the caller did) is not its quantile.
        if not time_in_stage(turns, stage).equals(numbers(turns, stage.column)):
            return NOTHING
        row = run.statistic(stage.column, word)
        return row.shown if row.n else NOTHING

    return table_of(
        "Each stage by itself",
        {
            "stage": lambda stage: stage.name,
            "what happens": lambda stage: stage.about,
            "mean": lambda stage: quantity(float(parts[stage].mean()), "ms"),
            "p50": lambda stage: quantile(stage, "p50"),
            "p95": lambda stage: quantile(stage, "p95"),
        },
        parts,
        numeric=("mean", "p50", "p95"),
        note="The means of the stages add up to the mean of the whole. Their percentiles do not: "
        "the slowest endpointing and the slowest generation are seldom the same turn.",
    )


STAGES_OF_WAIT: Final = Question(
    "stages",
    "Where did the time go?",
    says=(_means,),
    charts=(Chart("The wait of each turn, stage on stage; sorted by voice to voice", _stacks),),
    tables=(_stage_table,),
    metrics=("generation_delay", "response_start_delay", "response_latency", "commit_delay"),
    asked=lambda run: run.voiced,
    empty=lambda _run: "No turn has both an audible answer and its stages.",
)


# ── is the voice fluent? ─────────────────────────────────────────────────────────────────────────


def _starved(run: Run) -> str:
    starved = numbers(run.counted, "underrun_time").dropna()
    if starved.empty:
        return ""
    hungry = int((starved > 0).sum())
    return (
        f"The player starved in {plain(hungry, '1') if hungry else 'none'} of "
        f"{count(len(starved), 'reply', 'replies')} ({share(hungry, len(starved))})"
        + (f", for at most {quantity(float(starved.max()), 'ms')}." if hungry else ".")
    )


def _gap(run: Run) -> str:
    gap = run.statistic("delta_gap", "p95")
    return f"The longest gap between two deltas of a reply is {gap.whole} at p95." * gap.known


def _speed(run: Run) -> str:
    half = run.statistic("realtime_factor", "p50")
    if not half.number:
        return ""
    speed = plain(1 / half.number, "ratio")
    return f"Half of the replies arrive {speed} {TIMES} as fast as speech or faster."


FLUENCY: Final = Question(
    "fluency",
    "Is the voice fluent?",
    says=(_starved, _gap, _speed),
    charts=(
        strips(
            "Each point is one reply; bars run from p50 to p95",
            {
                "delta_gap": "longest gap between deltas of a reply",
                "min_buffer": "start buffer it would have needed",
                "underrun_time": "time the player starved",
            },
            "ms",
        ),
        strips(
            "Time to deliver a reply over its length; right of 1 it comes slower than speech",
            {"realtime_factor": "realtime factor"},
            "ratio",
            unit="ratio",
            against=(Reference(lambda _run: 1.0, "limit", "dash"),),
            from_zero=True,
        ),
    ),
    metrics=("delta_gap", "min_buffer", "underrun_time", "realtime_factor"),
    asked=lambda run: run.voiced,
    empty=lambda _run: "No reply carried audio, so there is no flow to judge.",
)


# ── how fast are its tool calls? ─────────────────────────────────────────────────────────────────


def _called(run: Run) -> str:
    called = len(sampled(run.counted, "tool_call_latency"))
    return f"In {count(called, 'turn')} the agent called a tool." if called else ""


def _without_audio(run: Run) -> str:
    """Turns whose outputs were sent and never spoken about; answers in writing have no audio."""
    turns = run.counted[~flag(run.counted, "textual")]
    sent = numbers(turns, "output_sent_ns").notna()
    mute = int((sent & numbers(turns, "tool_answer_latency").isna()).sum())
    return f"After the outputs of {count(mute, 'turn')} no audio came." if mute else ""


TOOLS: Final = Question(
    "tools",
    "How fast are its tool calls?",
    says=(
        _called,
        within("tool_call_latency", "calls were whole", "calls never were whole"),
        within(
            "tool_answer_latency",
            "answers began after the outputs",
            "answers to the outputs never began",
        ),
        _without_audio,
    ),
    charts=(
        strips(
            "Each point is one turn; bars run from p50 to p95",
            {
                "tool_call_latency": "until the first call's arguments are whole",
                "tool_answer_latency": "from the outputs to the answer's first audio",
            },
            "ms",
        ),
    ),
    metrics=("tool_call_latency", "tool_answer_latency"),
    asked=lambda run: bool(
        numbers(run.counted, "tool_call_latency").notna().any()
        or numbers(run.counted, "tool_answer_latency").notna().any()
    ),
)

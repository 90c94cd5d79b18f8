"""Instants become figures: a float column in ms per metric, a bool column per share.

Differences are taken in integer nanoseconds and divided once, so shifting every clock by the same
amount changes no figure. Nothing is clamped: a reply that begins before the caller's end has a
negative latency (flaw F18).

Where the time goes is told of what the caller asked itself: `response_start_delay` is that of the
first response to it, and an answer to the outputs of tools has no `response_latency`, which would
contain the tools' own time. How long those took the metrics of tools tell.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.drift import latency_drift
from bench.analysis.tables import Flags, Ints
from bench.analysis.turn_columns import TurnColumns
from bench.plan.gates import Gate
from bench.plan.metrics import METRICS, Metric
from bench.tracker.event import NEVER
from bench.tracker.utterances import WRITTEN

PER_TURN: Final = tuple(
    metric for metric in METRICS.values()
    if metric.of == "turn" and metric.kind in {"interval", "value"}
)  # fmt: skip
PER_SESSION: Final = tuple(
    metric for metric in METRICS.values()
    if metric.of == "session" and metric.kind in {"interval", "value"}
)  # fmt: skip


_HEARD: Final = {"speech_started", "speech_stopped", "start_sample_sent", "stop_sample_sent"}
"""Instants of a turn that is spoken to a VAD."""
_SPOKEN: Final = {"committed", "transcribed"}
"""Instants of a turn that is spoken."""
_ALOUD: Final = {
    "heard", "first_audio", "first_transcript", "leading_silence", "realtime_factor", "delta_gap",
    "underrun_time", "min_buffer",
}  # fmt: skip
"""What a reply that is spoken has."""
_CHANCE: Final = {"filler", "backchannel", "text_rate"}
"""What a turn may have, and need not."""
_WITHOUT_TOOLS: Final = {"response_latency", "generation_delay"}
"""What a response that only calls tools has not."""
_IN_VAIN: Final = {"cancelled": "cancel_waited_ns", "truncated": "truncate_waited_ns"}
"""Instants that only some turns ask for, and the columns that say who waited in vain for them."""

_OF_MOST: Final = {"p90", "p95", "p99", "p99.9", "max"}
"""Statistics whose limit nearly every turn should keep."""


def measure_turns(turns: pd.DataFrame, gates: Iterable[Gate]) -> pd.DataFrame:
    """The turns table with a column per per-turn metric and share."""
    figures = _intervals(turns, PER_TURN)
    barge = turns["role"] == "interruption"
    for metric in PER_TURN:
        if metric.needs == "interruption":
            figures[metric.name] = figures[metric.name].where(barge)
    after_tools = (turns["response_created_ns"] > turns["output_sent_ns"]).fillna(value=False)
    figures["response_latency"] = figures["response_latency"].mask(after_tools)
    figures["response_start_delay"] = _ms(turns["first_created_ns"] - turns["answer_asked_ns"])
    figures["leading_silence"] = _ms(turns["leading_silence_ns"])
    figures["speech_start_error"] = _ms(turns["start_media_ns"] - turns["onset_media_ns"])
    figures["endpointing_error"] = _ms(turns["end_media_ns"] - turns["offset_media_ns"])
    figures["error_ms"] = _ms(turns["first_audio_err_ns"])
    inner = ["leading_silence_ns", "first_audio_err_ns", "first_created_ns"]
    table = turns.drop(columns=inner).assign(**figures)
    table["answered"] = table["outcome"] == "ok"
    table["missed"] = table["outcome"] == "missed"
    table["good_turn"] = good_turns(table, gates)
    return table


def measure_sessions(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """The sessions table with a column per session metric; `session` becomes a column.

    `turns` is the measured table.
    """
    figures = _intervals(sessions, PER_SESSION)
    figures["session_ready_time"] = figures["session_ready_time"].mask(asked_early(sessions))
    figures["latency_drift"] = latency_drift(turns).reindex(sessions.index)
    return sessions.assign(**figures).reset_index()


def asked_early(sessions: pd.DataFrame) -> pd.Series:
    """Which sessions sent session.update before any session.created: after a wait of their own.

    That wait is this program's, and no part of the time that the target took.
    """
    first = sessions["created_ns"].isna() | (sessions["created_ns"] > sessions["update_sent_ns"])
    return (first.fillna(value=False) & sessions["update_sent_ns"].notna()).astype(bool)


def attempts(turns: pd.DataFrame) -> pd.DataFrame:
    """The turns that figures are over: measured, and not cut short by the run itself."""
    return turns[turns["measured"].astype(bool) & (turns["outcome"] != "cut")]


def objectives(gates: Iterable[Gate]) -> list[Gate]:
    """The gates that a turn by itself should meet: an upper limit on what most turns may take.

    Not those on some turns only, and none that is soft. A median, a mean or a least promises
    nothing to a single turn: half of those that meet a p50 are beyond it.
    """
    return [
        gate for gate in gates
        if gate.limit is not None and gate.operator in {"<", "<="}
        and gate.statistic in _OF_MOST
        and not gate.where and not gate.soft
        and METRICS[gate.metric] in PER_TURN
    ]  # fmt: skip


def good_turns(turns: pd.DataFrame, gates: Iterable[Gate]) -> pd.Series:
    """Which turns were answered and meet every objective.

    An objective binds the turns that its metric is about.
    """
    good, columns = (turns["outcome"] == "ok").to_numpy(bool), TurnColumns(turns)
    for gate in objectives(gates):
        values, limit = columns.figures(gate.metric), float(gate.limit or 0)
        meets = values < limit if gate.operator == "<" else values <= limit
        good = good & (meets | ~about(METRICS[gate.metric], columns))
    return pd.Series(good, turns.index)


def about(metric: Metric, turns: TurnColumns) -> Flags:
    """Which turns a per-turn metric is about: those that have it unless something failed.

    Interruptions have what interruptions do; what is spoken to a VAD is heard; a reply in text has
    no audio, and one that is spoken need have no text; what not every turn comes to (a tool, a
    cancel) only those that did.
    """
    has, textual = turns.has(metric.name), turns.flags("textual")
    if metric.end == "first_text":
        return has | textual
    if metric.needs == "interruption":
        return turns.among("role", "interruption")
    if metric.end in _IN_VAIN:
        return np.asarray(has | (in_vain_until(metric, turns) != NEVER))
    if metric.end == "after_output_audio":
        return has | (turns.has("output_sent_ns") & ~textual)
    if metric.needs or metric.end in _CHANCE or metric.name in _CHANCE:
        return has
    every, spoken = _knowable(metric, turns), ~turns.among("role", WRITTEN)
    if {metric.start, metric.end} & _HEARD:
        every = every & ((spoken & ~turns.flags("manual")) | has)
    if metric.name in _WITHOUT_TOOLS:
        every = every & (~turns.has("output_sent_ns") | has)
    if metric.end in _SPOKEN:
        every = every & spoken
    if metric.end in _ALOUD or metric.name in _ALOUD:
        every = every & ~textual
    return every


def _knowable(metric: Metric, turns: TurnColumns) -> Flags:
    """Which turns could have it: none that was answered and never told of response.created."""
    if "response_created" in {metric.start, metric.end}:
        return ~turns.has("response_id") | turns.has("response_created_ns")
    return np.ones(len(turns), bool)


def in_vain_until(metric: Metric, turns: TurnColumns) -> Ints:
    """By turn: until when (ns) it waited for what it had asked for and never got, else `NEVER`.

    Where the table does not say, nobody did.
    """
    name = _IN_VAIN.get(metric.end, "")
    return turns.instants(name) if name in turns else np.full(len(turns), NEVER)


def identity_breaches(turns: pd.DataFrame) -> tuple[int, int]:
    """(turns checked, turns where the identity of the headline does not hold to the nanosecond).

    voice_to_voice = first_audio + jitter buffer + queued + leading_silence + underrun before onset.
    `turns` still has `leading_silence_ns`.
    """
    parts = (
        turns["first_audio_ns"] + turns["jitter_buffer_ns"] + turns["queued_ns"]
        + turns["leading_silence_ns"] + turns["underrun_before_onset_ns"]
    )  # fmt: skip
    heard = turns["heard_ns"].notna()
    same = (parts[heard] == turns.loc[heard, "heard_ns"]).fillna(value=False)
    return int(heard.sum()), int((~same).sum())


def _intervals(table: pd.DataFrame, metrics: Iterable[Metric]) -> dict[str, pd.Series]:
    return {
        metric.name: _ms(table[f"{metric.end}_ns"] - table[f"{metric.start}_ns"])
        for metric in metrics
        if metric.kind == "interval"
    }


def _ms(value_ns: pd.Series) -> pd.Series:
    return pd.Series(value_ns.to_numpy(dtype=np.float64, na_value=np.nan) / 1e6, value_ns.index)

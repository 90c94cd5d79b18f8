"""Instants become figures: a float column in ms per metric, a bool column per share.

Differences are taken in integer nanoseconds and divided once, so shifting every clock by the same
amount changes no figure. Nothing is clamped: a reply that begins before the caller's end has a
negative latency (flaw F18).
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from bench.plan.gates import Gate
from bench.plan.metrics import METRICS, Metric

PER_TURN: Final = tuple(
    metric for metric in METRICS.values()
    if metric.of == "turn" and metric.kind in {"interval", "value"}
)  # fmt: skip
PER_SESSION: Final = tuple(
    metric for metric in METRICS.values()
    if metric.of == "session" and metric.kind in {"interval", "value"}
)  # fmt: skip


def measure_turns(
    turns: pd.DataFrame, sessions: pd.DataFrame, gates: Iterable[Gate]
) -> pd.DataFrame:
    """The turns table with a column per per-turn metric and share."""
    figures = _intervals(turns, [metric for metric in PER_TURN if metric.kind == "interval"])
    barge = turns["role"] == "interruption"
    for metric in PER_TURN:
        if metric.needs in {"interruption", "truncation"}:
            figures[metric.name] = figures[metric.name].where(barge)
    figures["leading_silence"] = _ms(turns["leading_silence_ns"])
    padding = turns["session"].map(sessions["prefix_padding_ns"])
    start = turns["audio_start_ms"] * 1_000_000
    # The server cannot place a start before its clock began: what it clamped to 0 says nothing.
    start = start.where((start > 0) | (padding == 0))
    figures["speech_start_error"] = _ms(start + padding - turns["onset_media_ns"])
    figures["endpointing_error"] = _ms(turns["audio_end_ms"] * 1_000_000 - turns["offset_media_ns"])
    figures["error_ms"] = _ms(turns["first_audio_err_ns"])
    table = turns.drop(columns=["leading_silence_ns", "first_audio_err_ns"]).assign(**figures)
    table["answered"] = table["outcome"] == "ok"
    table["missed"] = table["outcome"] == "missed"
    table["good_turn"] = good_turns(table, gates)
    return table


def measure_sessions(sessions: pd.DataFrame) -> pd.DataFrame:
    """The sessions table with a column per session metric; `session` becomes a column."""
    return sessions.assign(**_intervals(sessions, list(PER_SESSION))).reset_index()


def objectives(gates: Iterable[Gate]) -> list[Gate]:
    """The gates that every single turn can meet or miss: an upper limit on a per-turn latency."""
    return [
        gate for gate in gates
        if gate.limit is not None and gate.operator in {"<", "<="}
        and METRICS[gate.metric] in PER_TURN
    ]  # fmt: skip


def good_turns(turns: pd.DataFrame, gates: Iterable[Gate]) -> pd.Series:
    """Which turns were answered and meet every objective.

    An objective on what only interruptions have binds only those.
    """
    good = turns["outcome"] == "ok"
    for gate in objectives(gates):
        values, limit = turns[gate.metric], gate.limit
        meets = values < limit if gate.operator == "<" else values <= limit
        if METRICS[gate.metric].needs == "interruption":
            meets |= turns["role"] != "interruption"
        good &= meets
    return good


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
    }


def _ms(value_ns: pd.Series) -> pd.Series:
    return pd.Series(value_ns.to_numpy(dtype=np.float64, na_value=np.nan) / 1e6, value_ns.index)

"""Instants become figures: a float column in ms per metric, a bool column per share.

Theory of operation
-------------------
Differences are taken in integer nanoseconds and divided once, so shifting every clock by the same
amount changes no figure. Nothing is clamped: a reply that begins before the caller's end has a
negative latency (flaw F18).

Where the time goes is told of what the caller asked itself: `response_start_delay` is that of the
first response to it, and an answer to the outputs of tools has no `response_latency`, which would
contain the tools' own time. How long those took the metrics of tools tell.

*Drift over a session*: the slope of first_audio_latency over the turn's number is that of Theil and
Sen, the median of the slopes between every two answered turns, which no single slow turn can move.
Fewer than `DRIFT_TURNS` of them say nothing of a trend. Of more than `MOST_PAIRED` each is compared
with the one half a call later alone: as steady, and no square of the call's length.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Flags, Floats, Ints, integers
from bench.analysis.turn_columns import TurnColumns
from bench.plan.declaration import Metric
from bench.plan.gates import Gate
from bench.plan.instants import INSTANTS, TURN_INSTANTS
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN
from bench.plan.stages import ASKING, RESPONSE_START, TOOLS, Stage
from bench.tracker.event import ALWAYS, NEVER
from bench.tracker.outcomes import FAILED
from bench.tracker.utterances import WRITTEN

DRIFT_TURNS: Final = 5
"""Answered turns of which a slope is told: ten pairs."""
MOST_PAIRED: Final = 300
"""Answered turns of which every two are compared: 45 thousand pairs."""
_OF_MOST: Final = {"p90", "p95", "p99", "p99.9", "max"}
"""Statistics whose limit nearly every turn should keep."""


def measure_turns(turns: pd.DataFrame, gates: Iterable[Gate]) -> pd.DataFrame:
    """The turns table with a column per per-turn metric and share."""
    figures = _intervals(turns, PER_TURN)
    barge = turns["role"] == "interruption"
    for metric in PER_TURN:
        if "interruption" in metric.turns:
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
    """Which turns a per-turn metric is about: those that have it unless something failed."""
    found = np.ones(len(turns), bool)
    for word in metric.turns:
        found &= _ABOUT[word](metric, turns)
    return found


_ABOUT: Final[dict[str, Callable[[Metric, TurnColumns], Flags]]] = {
    "some": lambda metric, turns: turns.has(metric.name),
    "interruption": lambda _, turns: turns.among("role", "interruption"),
    "spoken": lambda _, turns: ~turns.among("role", WRITTEN),
    "aloud": lambda _, turns: ~turns.flags("textual"),
    "text": lambda metric, turns: turns.has(metric.name) | turns.flags("textual"),
    "vad": lambda metric, turns: (
        (~turns.among("role", WRITTEN) & ~turns.flags("manual")) | turns.has(metric.name)
    ),
    "created": lambda _, turns: ~turns.has("response_id") | turns.has("response_created_ns"),
    "no_tools": lambda metric, turns: ~turns.has("output_sent_ns") | turns.has(metric.name),
    "outputs": lambda metric, turns: (
        turns.has(metric.name) | (turns.has("output_sent_ns") & ~turns.flags("textual"))
    ),
    "asked": lambda metric, turns: turns.has(metric.name) | (in_vain_until(metric, turns) != NEVER),
}
"""By word of `Metric.turns`: what a turn must be.

some:          it has the figure; nothing says that it should
interruption:  it interrupts a reply
spoken, aloud: it is said and not written; its reply is said, and not in text alone
text:          its reply is in text; one that is spoken need have none
vad:           it is spoken to a VAD
created:       it was not answered without response.created
no_tools:      its first response does more than call tools
outputs:       the outputs of tools were sent, and are answered aloud
asked:         it asked for it, and got it or waited in vain
"""


def in_vain_until(metric: Metric, turns: TurnColumns) -> Ints:
    """By turn: until when (ns) it waited for what it had asked for and never got, else `NEVER`.

    Where the table does not say, nobody did.
    """
    name = INSTANTS[metric.end].in_vain if metric.end else ""
    return turns.instants(name) if name in turns else np.full(len(turns), NEVER)


def turn_spans(turns: pd.DataFrame) -> tuple[Ints, Ints]:
    """[from, to] of every turn: from its onset to the last of its instants, or of its wait."""
    begins = ("speech_onset", "said", "create_sent")
    begin = np.minimum.reduce([integers(turns[f"{name}_ns"], NEVER) for name in begins])
    ends = [integers(turns[f"{name}_ns"], ALWAYS) for name in TURN_INSTANTS]
    waited = integers(turns["waited_until_ns"], ALWAYS)
    failed = turns["outcome"].isin(FAILED).to_numpy(bool)
    return begin, np.maximum.reduce([*ends, np.where(failed, waited, ALWAYS)])


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


# ── over a session, and by stage ────────────────────────────────────────────────────────────────


def latency_drift(turns: pd.DataFrame) -> pd.Series:
    """By session: ms a turn; sessions with fewer than `DRIFT_TURNS` answered turns have none.

    `turns` has `session`, `turn`, `outcome`, `first_audio_latency`, in order.
    """
    told = turns[(turns["outcome"] == "ok") & turns["first_audio_latency"].notna()]
    x, y = told["turn"].to_numpy(float), told["first_audio_latency"].to_numpy(float)
    session, first, count = np.unique(
        told["session"].to_numpy(), return_index=True, return_counts=True
    )
    known = count >= DRIFT_TURNS
    slopes = [
        _slope(x[begin : begin + size], y[begin : begin + size])
        for begin, size in zip(first[known].tolist(), count[known].tolist(), strict=True)
    ]
    return pd.Series(slopes, session[known], dtype=float)


def _slope(x: Floats, y: Floats) -> float:
    one, other = _pairs(len(x))
    return float(np.median((y[other] - y[one]) / (x[other] - x[one])))


@cache
def _pairs(count: int) -> tuple[Ints, Ints]:
    """Which of so many turns are compared with which later ones."""
    if count <= MOST_PAIRED:
        one, other = np.triu_indices(count, 1)
        return one, other
    first = np.arange(count - count // 2)
    return first, first + count // 2


def time_in_stage(turns: pd.DataFrame, stage: Stage) -> pd.Series:
    """The ms that each turn spent in a stage; NaN where it was in none."""
    asked = _numbers(turns, "answer_asked_ns")
    by_caller = asked.notna() & (asked == _numbers(turns, "create_sent_ns"))
    if stage == ASKING:
        said = _numbers(turns, "said_ns").fillna(_numbers(turns, "speech_offset_ns"))
        return ((asked - said) / 1e6).where(by_caller)
    values = _numbers(turns, stage.column)
    if stage.by_server:
        return values.mask(by_caller)
    if stage in {TOOLS, RESPONSE_START}:
        sent = _numbers(turns, "output_sent_ns")
        after = _numbers(turns, "response_created_ns") - sent
        if stage == TOOLS:
            return ((sent - asked) / 1e6).where(after >= 0)
        return values.where(~(after >= 0), after / 1e6)
    return values / 1e6 if stage.column.endswith("_ns") else values


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    """A numeric column as float; NaN where there is none, and for a column that is not there."""
    if name not in table:
        return pd.Series(np.nan, table.index, dtype=float)
    return pd.to_numeric(table[name], errors="coerce").astype(float)

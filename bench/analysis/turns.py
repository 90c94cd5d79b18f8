"""One row per attempted turn, a column per instant: what the trackers of a run found.

Instants are `Int64` nanoseconds, NA where there was none. A session that failed costs one turn more
(`next_turns`), which nobody attempted and no tracker knows.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.sessions import IN_ORDER, WHOLE, session_words, span
from bench.analysis.tables import Ints, integers, nullable, optional
from bench.analysis.unreached_turns import impute
from bench.plan.instants import TURN_INSTANTS
from bench.tracker.event import NEVER
from bench.tracker.turn import SessionEnd, Turn

_LENGTHS: Final = (
    "queued_ns", "jitter_buffer_ns", "underrun_before_onset_ns", "leading_silence_ns",
    "reply_audio_ns", "first_audio_err_ns", "first_created_ns", "waited_until_ns",
    "cancel_waited_ns", "truncate_waited_ns",
)  # fmt: skip
_NUMBERS: Final = (
    "min_buffer", "delta_gap", "realtime_factor", "underrun_time", "stale_audio", "text_rate",
)  # fmt: skip
_POSITIONS: Final = (
    "onset_media_ns", "offset_media_ns", "audio_start_ms", "audio_end_ms", "start_media_ns",
    "end_media_ns",
)  # fmt: skip
_TEXTS: Final = (
    "script", "setting", "role", "utterance", "text", "outcome", "reason", "item_id", "response_id",
    "transcript", "reply", "interrupted_while",
)  # fmt: skip
_FILLED: Final = (
    "script", "setting", "outcome", "reason", "transcript", "reply", "utterance", "text",
)  # fmt: skip
_FLAGS: Final = (
    "measured", "manual", "textual", "split_turn", "talked_over", "interrupted_by_caller",
)  # fmt: skip
COLUMNS: Final = (
    "session", "worker", "turn", *_TEXTS, *_FLAGS, "yielded", "spurious",
    *(f"{name}_ns" for name in TURN_INSTANTS), *_LENGTHS, *_POSITIONS, *_NUMBERS,
)  # fmt: skip
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(COLUMNS, "Int64"),
    **dict.fromkeys(("session", "turn", "spurious"), "int64"),
    **dict.fromkeys(_TEXTS, "str"),
    **dict.fromkeys(_FLAGS, "bool"),
    **dict.fromkeys(_NUMBERS, "float64"),
    "yielded": "boolean",
}
_WITH_GAPS: Final[dict[str, tuple[Any, Any]]] = {"int64": ("Int64", 0), "bool": ("boolean", False)}
"""Types that have no room for what is not known: those that have, and what stands for it."""

Attempt = tuple[int, Turn]
"""An attempted turn as its tracker tells it, with its session's number."""


def turns_table(found: list[Attempt], sessions: pd.DataFrame) -> pd.DataFrame:
    """Attempted turns as a table, with what is known of their sessions."""
    known = [turn for _, turn in found]
    names = [name for name in _TOLD if name in COLUMNS]
    table = pd.DataFrame(
        {name: _column(name, [getattr(turn, name) for turn in known]) for name in names},
        copy=False,
    )
    table["as_of_ns"] = np.array([turn.begin_ns for turn in known], np.int64)
    table["session"] = np.array([session for session, _ in found], np.int64)
    of = sessions.reindex(table["session"])
    for name in ("worker", "script", "setting"):
        table[name] = of[name].array
    return table


_TOLD: Final = tuple(field.name for field in fields(Turn))


def _column(name: str, values: list[Any]) -> Any:
    """Values of a turn as a column of the table."""
    if name.endswith(("_ns", "_ms")):
        return whole(values)
    if name in _NUMBERS:
        return np.array(values, np.float64)
    if name in {"turn", "spurious"}:
        return np.fromiter(values, np.int64, len(values))
    if name == "yielded":
        return pd.array(values, "boolean")
    if name in _TEXTS:
        return pd.Series([np.nan if one is None else one for one in values], dtype="str").array
    return np.fromiter(values, bool, len(values))


def whole(values: Sequence[int | None]) -> pd.arrays.IntegerArray:
    """Integers that may be missing."""
    present = np.fromiter((value is not None for value in values), bool, len(values))
    return nullable(np.fromiter((value or 0 for value in values), np.int64, len(values)), present)


def with_next_turns(
    turns: pd.DataFrame, sessions: pd.DataFrame, run: dict[str, Any]
) -> pd.DataFrame:
    """Every attempted turn of the run, ordered by session and turn, with `COLUMNS`.

    `turns` is that of `turns_table`, `run` its run.json.
    """
    # Typed before they meet: a missing instant would turn a column of them into floats.
    table, missing = _tidy(turns, run["plan"]), next_turns(sessions, turns)
    if len(missing):
        scenario = (run.get("scenario") or {}).get("effective") or {}
        missing = impute(missing, turns, scenario)
        table = pd.concat([table, _tidy(missing, run["plan"])])
    return table.sort_values(["session", "turn"], kind="stable", ignore_index=True)


def _tidy(turns: pd.DataFrame, plan: dict[str, Any]) -> pd.DataFrame:
    begin, stop = span(plan)
    as_of = integers(turns["as_of_ns"], NEVER)
    turns = turns.assign(measured=(as_of >= begin) & (as_of < stop))
    unsaid = pd.Series(np.nan, turns.index)
    columns = {name: _typed(name, turns.get(name, unsaid)) for name in COLUMNS}
    return pd.DataFrame(columns, turns.index, copy=False)


def _typed(name: str, column: pd.Series) -> pd.Series:
    """A column of the table in its type, which that of attempted turns has already."""
    kind = _TYPES[name]
    if column.dtype != kind:
        if kind in _WITH_GAPS:
            gaps, unknown = _WITH_GAPS[kind]
            column = column.astype(gaps).fillna(unknown)
        column = column.astype(kind)
    return column.fillna("") if name in _FILLED else column


def next_turns(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """A row for the turn that each failed session would have come to next.

    A session that fails costs one turn, however many its script still had: the one that it was in,
    else its next. Of a session that was never ready that is `rejected`, as of its start; of one
    that was lost between turns `dropped`, as of its end (`as_of_ns`). The rest nobody came to
    (`unreached`): they are no attempts.
    """
    failed = sessions[~sessions["outcome"].isin(IN_ORDER) | sessions["in_vain"]]
    attempted = turns.groupby("session")["turn"].max().reindex(failed.index, fill_value=0)
    within = turns.loc[turns["outcome"] == "dropped", "session"]
    left = integers(failed["planned_turns"], 0) > attempted.to_numpy(np.int64)
    rows = failed[left & ~failed.index.isin(within)]
    turn = attempted.reindex(rows.index).to_numpy(np.int64) + 1
    opened = rows["opened_ns"].notna().to_numpy()
    as_of: Ints = np.where(opened, integers(rows["ended_ns"], 0), integers(rows["started_ns"], 0))
    words = session_words(rows).to_numpy(object)
    return pd.DataFrame(
        {
            "session": rows.index.to_numpy(),
            "worker": rows["worker"].to_numpy(),
            "script": rows["script"].to_numpy(),
            "setting": rows["setting"].to_numpy(),
            "turn": turn.astype(np.int64),
            "role": "line",
            "outcome": np.where(opened, "dropped", "rejected"),
            "reason": "session " + words,
            "as_of_ns": as_of,
        }
    )


def unreached(sessions: pd.DataFrame, turns: pd.DataFrame) -> pd.Series:
    """By session that failed: how many of its planned turns have no row in `turns`; else 0."""
    failed = ~sessions["outcome"].isin(IN_ORDER) | sessions["in_vain"]
    told = turns.groupby("session")["turn"].max().reindex(sessions.index, fill_value=0)
    planned = integers(sessions["planned_turns"], 0)
    left = np.maximum(planned - told.to_numpy(np.int64), 0)
    return pd.Series(np.where(failed, left, 0), sessions.index)


def session_ends(sessions: pd.DataFrame) -> dict[int, SessionEnd]:
    """How every session came to its end."""
    outcome = sessions["outcome"].tolist()
    ended = optional(sessions["ended_ns"])
    words = session_words(sessions).tolist()
    return {
        number: SessionEnd(what, at_ns, what in IN_ORDER, what in WHOLE, why)
        for number, what, at_ns, why in zip(
            sessions.index.tolist(), outcome, ended, words, strict=True
        )
    }

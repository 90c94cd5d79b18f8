"""How long a caller waits, and what that wait is made of.

Theory of operation
-------------------
The stages follow each other in time and together are voice_to_voice, turn by turn (measurement.md,
identity). So their means add up to the mean of the whole; their percentiles do not (flaw F15).

Where the caller asks for the answer itself the wait up to its asking is one stage, and what the
server says of the turn's end meanwhile is in no other. Where tools are called before the answer,
they are a stage of their own.
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

WAITS: Final = (
    "voice_to_voice_latency", "first_audio_latency", "first_text_latency",
    "first_transcript_latency",
)  # fmt: skip
"""How long a caller waits, by whatever an answer is: the first that a run has samples of counts."""


class Stage(NamedTuple):
    """A part of the wait. `column` is in the turn table, in ms (or ns where it ends in _ns)."""

    name: str
    column: str
    about: str


_ASKING: Final = "asking_ns"
_TOOLS: Final = "tools_ns"
_START: Final = "response_start_delay"
# What a caller who asks for answers itself (manual mode, a typed turn) does not wait for.
_BY_SERVER: Final = frozenset({"endpointing_delay", "commit_delay"})
# In the order of time.
STAGES: Final = (
    Stage("asking", _ASKING, "until the caller itself asks for the answer"),
    Stage("endpointing", "endpointing_delay", "waiting until the server says speech has stopped"),
    Stage("commit", "commit_delay", "from speech_stopped to committed"),
    Stage("tools", _TOOLS, "the agent's tool calls and the caller's answer to them"),
    Stage("response start", _START, "from committed (or the tools' outputs) to response.created"),
    Stage("generation", "generation_delay", "from response.created to the first audio delta"),
    Stage("jitter buffer", "jitter_buffer_ns", "held back by the caller's player"),
    Stage("queued", "queued_ns", "waiting behind earlier audio in the caller's player"),
    Stage("leading silence", "leading_silence", "silence at the head of the reply"),
    Stage(
        "starved", "underrun_before_onset_ns", "the player ran dry before the first audible sample"
    ),
)


def spent(turns: pd.DataFrame, stage: Stage) -> pd.Series:
    """The ms that each turn spent in a stage; NaN where it was in none."""
    asked = _numbers(turns, "answer_asked_ns")
    by_caller = asked.notna() & (asked == _numbers(turns, "create_sent_ns"))
    if stage.column == _ASKING:
        said = _numbers(turns, "said_ns").fillna(_numbers(turns, "speech_offset_ns"))
        return ((asked - said) / 1e6).where(by_caller)
    values = _numbers(turns, stage.column)
    if stage.column in _BY_SERVER:
        return values.mask(by_caller)
    if stage.column in {_TOOLS, _START}:
        sent = _numbers(turns, "output_sent_ns")
        after = _numbers(turns, "response_created_ns") - sent
        if stage.column == _TOOLS:
            return ((sent - asked) / 1e6).where(after >= 0)
        return values.where(~(after >= 0), after / 1e6)
    return values / 1e6 if stage.column.endswith("_ns") else values


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    """A numeric column as float; NaN where there is none, and for a column that is not there."""
    if name not in table:
        return pd.Series(np.nan, table.index, dtype=float)
    return pd.to_numeric(table[name], errors="coerce").astype(float)

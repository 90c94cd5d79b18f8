"""What was said and when: spoken and written, and which of it are turns.

Theory of operation
-------------------
The microphone's timeline is wall time: an utterance placed at media position S by a microphone
opened at O begins at O + S, and its true speech runs from O + S + onset to O + S + offset. What is
written begins at its note and has no place on that timeline.

Whatever asks for an answer is a turn. What does not is a *disturbance*: a sound without speech, or
a backchannel ("Mm-hmm" said into a reply).
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import NEVER, Ints, integers, latest, nullable, of_type, parsed, texts

WRITTEN: Final = "text"
DISTURBANCES: Final = ("backchannel", "sound")
_KEYS: Final = ("utterance", "turn", "role", "text", "onset_ms", "offset_ms", "duration_ms")


def utterances(events: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """One row per thing said or written, in order, disturbances included.

    `begin_ns`, `end_ns` are instants that everything has: of speech its true onset and offset, of a
    sound its first and last sample, of what is written its note, twice. `speech_…` are NA for what
    is written, and so are positions on the microphone's timeline (`onset_media_ns`,
    `offset_media_ns`). `number` counts turns over all sessions, -1: a disturbance, which
    `disturbance` counts. What had not begun when its session ended was never attempted and is left
    out.
    """
    rows = of_type(events, "bench.say", "bench.write", direction="note").reset_index(drop=True)
    said = parsed(rows, *_KEYS)
    written = (rows["type"] == "bench.write").to_numpy(bool)
    speech = said["onset_ms"].notna().to_numpy() & ~written
    at, media = rows["at_ns"].to_numpy(), integers(rows["media_ns"], 0)
    opened = integers(rows["session"].map(sessions["opened_ns"]), 0)
    onset = media + _ns(said["onset_ms"])
    offset = media + _ns(said["offset_ms"].where(speech, said["duration_ms"]))
    spoken = np.where(speech, texts(said["role"]), "sound")
    table = pd.DataFrame(
        {
            "session": rows["session"].to_numpy(),
            "row": rows["row"].to_numpy(),
            "turn": said["turn"].astype("int64"),
            "role": np.where(written, WRITTEN, spoken),
            "utterance": texts(said["utterance"]),
            "text": texts(said["text"]),
            "onset_media_ns": nullable(onset, ~written),
            "offset_media_ns": nullable(offset, ~written),
            "speech_onset_ns": nullable(opened + onset, ~written),
            "speech_offset_ns": nullable(opened + offset, ~written),
            "begin_ns": np.where(written, at, opened + onset),
            "end_ns": np.where(written, at, opened + offset),
        }
    )
    ended = integers(table["session"].map(sessions["ended_ns"]), NEVER)
    table = table[table["begin_ns"].to_numpy() <= ended].reset_index(drop=True)
    aside = table["role"].isin(DISTURBANCES).to_numpy(bool)
    table["number"] = np.where(aside, -1, np.cumsum(~aside) - 1)
    table["disturbance"] = np.where(aside, np.cumsum(aside) - 1, -1)
    return table


def turns_said(said: pd.DataFrame) -> pd.DataFrame:
    """What was said that is a turn, by number; `next_ns` is when the session's next one begins."""
    turns = said[said["number"] >= 0].drop(columns=["number", "disturbance"])
    turns = turns.reset_index(drop=True)
    following = turns.groupby("session")["begin_ns"].shift(-1, fill_value=NEVER)
    turns["next_ns"] = following.to_numpy(np.int64)
    return turns


def disturbances_said(said: pd.DataFrame) -> pd.DataFrame:
    """What was said that is no turn, by its own number."""
    aside = said[said["disturbance"] >= 0]
    return aside[["session", "row", "role", "utterance", "begin_ns"]].reset_index(drop=True)


def _ns(column: pd.Series) -> Ints:
    """Milliseconds that may be missing as nanoseconds; 0 where missing."""
    milliseconds = column.astype(float).fillna(0).to_numpy(np.float64)
    return np.asarray(np.rint(milliseconds * 1e6), np.int64)


def owner(turns: pd.DataFrame, session: Ints, at_ns: Ints) -> Ints:
    """The turn that was begun last at each instant: index into `turns`, -1 where none."""
    return latest(session, at_ns, turns["session"].to_numpy(), turns["begin_ns"].to_numpy()).astype(
        np.int64
    )

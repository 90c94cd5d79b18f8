"""What was said and when: utterances, and which of them are turns.

Theory of operation
-------------------
The microphone's timeline is wall time: an utterance placed at media position S by a microphone
opened at O begins at O + S, and its true speech runs from O + S + onset to O + S + offset. An
utterance without speech is a *sound* and never a turn.
"""

import numpy as np
import pandas as pd

from bench.analysis.tables import (
    ALWAYS,
    NEVER,
    Ints,
    integers,
    latest,
    nullable,
    of_type,
    parsed,
    texts,
)


def utterances(events: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """One row per utterance placed, in order, sounds included; `speech` tells them apart.

    Utterances whose speech had not begun when the session ended were never attempted and are left
    out. Positions are ns on the microphone's timeline, instants on the clock.
    """
    rows = of_type(events, "bench.say", direction="note").reset_index(drop=True)
    said = parsed(rows, "utterance", "turn", "role", "text", "onset_ms", "offset_ms")
    opened = integers(rows["session"].map(sessions["opened_ns"]), 0)
    ended = integers(rows["session"].map(sessions["ended_ns"]), NEVER)
    media = integers(rows["media_ns"], 0)
    speech = said["onset_ms"].notna().to_numpy()
    onset = media + _ns(said["onset_ms"])
    table = pd.DataFrame(
        {
            "session": rows["session"].to_numpy(),
            "row": rows["row"].to_numpy(),
            "turn": said["turn"].astype("int64"),
            "role": np.where(speech, texts(said["role"]), "sound"),
            "utterance": texts(said["utterance"]),
            "text": texts(said["text"]),
            "speech": speech,
            "onset_media_ns": onset,
            "offset_media_ns": media + _ns(said["offset_ms"]),
            "speech_onset_ns": opened + onset,
            "speech_offset_ns": opened + media + _ns(said["offset_ms"]),
        }
    )
    return table[(opened + onset) <= ended].reset_index(drop=True)


def turns_said(said: pd.DataFrame) -> pd.DataFrame:
    """The utterances that are turns, numbered 0…n-1; `next_ns` is the session's next onset."""
    turns = said[said["speech"]].drop(columns="speech").reset_index(drop=True)
    following = turns.groupby("session")["speech_onset_ns"].shift(-1, fill_value=NEVER)
    turns["next_ns"] = following.to_numpy(np.int64)
    return turns


def _ns(column: pd.Series) -> Ints:
    """Milliseconds that may be missing as nanoseconds; 0 where missing."""
    milliseconds = column.fillna(0).to_numpy(np.float64)
    return np.asarray(np.rint(milliseconds * 1e6), np.int64)


def owner(turns: pd.DataFrame, session: Ints, at_ns: Ints) -> Ints:
    """The turn that was being said last at each instant: index into `turns`, -1 where none."""
    return latest(
        session, at_ns, turns["session"].to_numpy(), turns["speech_onset_ns"].to_numpy()
    ).astype(np.int64)


def samples_sent(events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """When the appends that carry the server's own start and end samples were sent.

    `turns` has `session`, `audio_start_ms`, `audio_end_ms`; NA where no append carries the sample.
    """
    rows = of_type(events, "input_audio_buffer.append", direction="out")
    of_session, media = rows["session"].to_numpy(), integers(rows["media_ns"], ALWAYS)
    length = integers(rows["audio_ns"], 0)
    at = (rows["at_ns"] - rows["at_err_ns"]).to_numpy()  # before the system call: see `tables`
    session = turns["session"].to_numpy()
    # The end is exclusive: the sample that decided is the last one before it.
    asked = [
        integers(turns["audio_start_ms"], -1) * 1_000_000,
        integers(turns["audio_end_ms"], -1) * 1_000_000 - 1,
    ]
    last = latest(np.tile(session, 2), np.concatenate(asked), of_session, media)
    position = np.concatenate(asked)
    if not len(media):
        found, sent = np.zeros(len(position), bool), np.zeros(len(position), np.int64)
    else:
        found = (last >= 0) & (position >= 0) & (position < media[last] + length[last])
        sent = at[last]
    columns = nullable(sent, found)
    count = len(turns)
    return pd.DataFrame(
        {"start_sample_sent_ns": columns[:count], "stop_sample_sent_ns": columns[count:]},
        index=turns.index,
    )

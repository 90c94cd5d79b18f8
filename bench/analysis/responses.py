"""Which response a message belongs to, and the names that its parts have on the wire.

A response begins with the first message that names it; where a server leaves the id out of a
message, it is of the response that began last.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Ints, codes, latest

# The API's name, and the beta's, which servers in the field still speak.
AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
TRANSCRIPT: Final = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")
TRANSCRIPT_DONE: Final = ("response.output_audio_transcript.done", "response.audio_transcript.done")
TEXT: Final = ("response.output_text.delta", "response.text.delta")
TEXT_DONE: Final = ("response.output_text.done", "response.text.done")
WORDS: Final = (*TRANSCRIPT, *TEXT)


def begun(events: pd.DataFrame) -> pd.DataFrame:
    """One row per response, in the order in which they began; the index is its number.

    `row` and `begin_ns` are of the first message that names it; `response_id` its id.
    """
    named = events["response_id"].notna().to_numpy() & (events["direction"] == "in").to_numpy()
    rows = events.loc[named, ["session", "row", "at_ns", "response_id"]]
    rows = rows.drop_duplicates(["session", "response_id"]).reset_index(drop=True)
    return rows.rename(columns={"at_ns": "begin_ns"})


def number(responses: pd.DataFrame, rows: pd.DataFrame) -> Ints:
    """Which response each row belongs to; a row that names none: the last begun; -1 where none."""
    found = named(responses, rows)
    missing = np.flatnonzero(found < 0)
    found[missing] = latest(
        rows["session"].to_numpy()[missing], rows["row"].to_numpy()[missing],
        responses["session"].to_numpy(), responses["row"].to_numpy(),
    )  # fmt: skip
    return found


def named(responses: pd.DataFrame, rows: pd.DataFrame) -> Ints:
    """Which response each row names; -1 where it names none, or one that never began."""
    if responses.empty:
        return np.full(len(rows), -1, np.int64)
    width = len(responses["response_id"].cat.categories)
    keys = responses["session"].to_numpy() * width + codes(responses["response_id"])
    code = codes(rows["response_id"])
    found = pd.Index(keys).get_indexer(pd.Index(rows["session"].to_numpy() * width + code))
    return np.where(code < 0, -1, found).astype(np.int64)

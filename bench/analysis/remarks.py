"""What was assumed, repaired or missing in the figures of a run: remarks with a count, an example.

A server may leave out what a figure rests on, or send it in a way that has to be put right. The
figure then stands with a remark, or is absent with one: never as if nothing had been.
"""

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from bench.analysis.measure import asked_early

_REPAIRED: Final = {
    "odd_deltas": "put together with the next",
    "wav_header": "the header is taken off, and what it says of the audio believed",
    "unread_header": "it is taken off, and the session's word believed: lengths may be wrong",
    "two_channels": "one of them is taken",
    "other_format": "the reply's own word is believed",
    "loose_base64": "read as it was meant",
    "garbage_base64": "taken for empty: their audio is in no figure",
    "float_positions": "rounded",
    "invalid_utf8": "what is no letter is replaced",
    "missing_ids": "they are taken to be of the response that began last",
    "no_session_updated": "when the session was ready is not known, and no figure",
    "updated_as_created": "when the session was ready is not known, and no figure",
    "no_response_created": "figures that begin or end with it are absent",
    "idless_calls": "their turns have no answer",
}
"""Quirks that touch figures, and what was done about each; the others are borne and touch none."""


def assumptions(sessions: pd.DataFrame, quirks: list[dict[str, Any]]) -> Iterator[str]:
    """Each a sentence. `sessions` is the measured table, `quirks` are the summary's."""
    for way in ("input", "output"):
        mine = sessions[sessions["assumed"].str.contains(way)]
        if len(mine):
            form = mine[f"{way}_format"].iloc[0]
            yield (
                f"the server never said the {way} format in {_of(mine, sessions)}: what was asked, "
                f"or else usual, is taken to be in force ({form})"
            )
    early = sessions[asked_early(sessions).to_numpy(bool)]
    if len(early):
        yield (
            f"session.created did not come first in {_of(early, sessions)}: session.update was "
            "sent after a wait of the caller's own, so session_ready_time is not known there"
        )
    lost = sessions[sessions["unreached_turns"] > 0]
    if len(lost):
        yield (
            f"{int(lost['unreached_turns'].sum())} planned turns were never come to, in "
            f"{_of(lost, sessions)} that had failed before; they are in no share"
        )
    for quirk in quirks:
        if quirk["quirk"] in _REPAIRED:
            yield (
                f"{quirk['count']} {quirk['about']}: {_REPAIRED[quirk['quirk']]} "
                f"(first {quirk['example']})"
            )


def _of(some: pd.DataFrame, all_of_them: pd.DataFrame) -> str:
    """How many sessions of how many, and the first of them."""
    return f"{len(some)} of {len(all_of_them)} sessions (first session {some['session'].iloc[0]})"

"""The server's ear: whose speech it heard start and stop, and what it wrote down.

Theory of operation
-------------------
The server says where on the same timeline it heard speech start (`audio_start_ms`, prefix padding
included). That position decides whose start it was, not the instant of the message: a message may
be late, a position may not. The start belongs to the utterance whose speech, widened by the
tolerances below, holds it; none: it is *spurious*. Where the server gives no position (Inworld may
not), the start belongs to whatever was being said last when it arrived, and long after the end of
that to nothing.

Everything else follows the item: the id that speech_started named links speech_stopped, committed
and the transcription.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.speech import owner
from bench.analysis.tables import Ints, codes, integers, joined, latest, of_type, texts

EARLY_NS: Final = 300_000_000
"""How long before the true onset a detector may place it: soft onsets, breath, 32 ms windows."""
LATE_NS: Final = 200_000_000
"""How long after the true offset a start still belongs to it: a detector that woke at the end."""

USUAL_PADDING_NS: Final = 300_000_000
"""The prefix padding of a server that has one and does not say so (the API's default)."""
ARRIVES_NS: Final = 1_000_000_000
"""How long after the true offset a start without a position may still arrive: a slow detector and
a slow network together."""

_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"


class Ear:
    """The server's ear, attributed: what it heard of each turn.

    `starts`, `stops`, `commits`: the rows, with `turn` (index into turns, -1: nobody spoke) and
    `item` (dense integer, -1: not named).
    """

    def __init__(
        self, events: pd.DataFrame, sessions: pd.DataFrame, said: pd.DataFrame, turns: pd.DataFrame
    ) -> None:
        self._turns = turns
        self.starts = self._rows(events, "input_audio_buffer.speech_started")
        self.starts["turn"] = self._heard(sessions, said)
        known = self.starts[self.starts["item"] >= 0].drop_duplicates(["session", "item"])
        self._items = pd.MultiIndex.from_frame(known[["session", "item"]])
        self._item_turn = known["turn"].to_numpy()
        self.stops = self._rows(events, "input_audio_buffer.speech_stopped")
        self.stops["turn"] = self._by_item(self.stops, self._last_start(self.stops))
        self.commits = self._rows(events, "input_audio_buffer.committed")
        # A commit of an item that no speech_started named: manual mode, so what was said last.
        said_last = owner(turns, *_place(self.commits))
        self.commits["turn"] = self._by_item(self.commits, said_last)
        items = self.commits.drop_duplicates(["session", "item"])
        self.transcripts = self._rows(events, _TRANSCRIBED)
        committed = pd.MultiIndex.from_frame(items[["session", "item"]])
        place = committed.get_indexer(
            pd.MultiIndex.from_frame(self.transcripts[["session", "item"]])
        )
        by_commit = np.where(place >= 0, items["turn"].to_numpy()[place] if len(items) else -1, -1)
        self.transcripts["turn"] = self._by_item(self.transcripts, by_commit.astype(np.int64))

    def spurious(self) -> Ints:
        """How many starts fell where nobody spoke, by the turn said last before, else the first."""
        rows = self.starts[self.starts["turn"] < 0]
        turn = owner(self._turns, *_place(rows))
        first = self._turns.drop_duplicates("session")
        place = pd.Index(first["session"]).get_indexer(pd.Index(rows["session"].to_numpy()))
        fallback = np.where(place >= 0, first.index.to_numpy()[place] if len(first) else -1, -1)
        turn = np.where(turn >= 0, turn, fallback)
        return np.bincount(turn[turn >= 0], minlength=len(self._turns)).astype(np.int64)

    def columns(self) -> pd.DataFrame:
        """Of each turn: the instants, positions, items and transcription."""
        starts = self.starts[self.starts["turn"] >= 0]
        first = starts.drop_duplicates("turn").set_index("turn")
        last = self.stops[self.stops["turn"] >= 0].drop_duplicates("turn", keep="last")
        last = last.set_index("turn")
        commit = self.commits[self.commits["turn"] >= 0].drop_duplicates("turn", keep="last")
        commit = commit.set_index("turn")
        finals = self.transcripts[self.transcripts["turn"] >= 0].copy()
        finals["detail"] = texts(finals["detail"])
        # An item may be transcribed again (Inworld revises): its last word counts.
        finals = finals.drop_duplicates(["turn", "item"], keep="last")
        named = starts[starts["item"] >= 0].drop_duplicates(["turn", "item"])
        heard = (
            named.groupby("turn")
            .size()
            .add(starts[starts["item"] < 0].groupby("turn").size(), fill_value=0)
        )
        table = pd.DataFrame(index=self._turns.index)
        table["speech_started_ns"] = first["at_ns"].astype("Int64")
        table["audio_start_ms"] = first["audio_ms"].astype("Int64")
        table["speech_stopped_ns"] = last["at_ns"].astype("Int64")
        table["audio_end_ms"] = last["audio_ms"].astype("Int64")
        table["stopped_row"] = last["row"].astype("Int64")
        table["committed_ns"] = commit["at_ns"].astype("Int64")
        table["transcribed_ns"] = finals.groupby("turn")["at_ns"].max().astype("Int64")
        table["transcript"] = joined(finals["detail"], finals["turn"], " ")
        table["transcript"] = texts(table["transcript"]).astype("str")
        table["item_id"] = first["item_id"].astype("str")
        table["item_id"] = table["item_id"].fillna(commit["item_id"].astype("str"))
        table["split_turn"] = (heard.reindex(table.index).fillna(0) > 1).to_numpy(bool)
        table["spurious"] = self.spurious()
        return table

    def _rows(self, events: pd.DataFrame, kind: str) -> pd.DataFrame:
        columns = ["session", "row", "at_ns", "audio_ms", "item_id", "detail"]
        rows = of_type(events, kind)[columns].reset_index(drop=True)
        rows["item"] = codes(rows["item_id"])
        return rows

    def _heard(self, sessions: pd.DataFrame, said: pd.DataFrame) -> Ints:
        """Whose speech each start is: index into turns, -1 where nobody spoke there."""
        starts, turns = self.starts, self._turns
        if turns.empty or starts.empty:
            return np.full(len(starts), -1, np.int64)
        session = starts["session"].to_numpy()
        said_padding = starts["session"].map(sessions["prefix_padding_ns"])
        padding = integers(said_padding, 0)
        # A server that does not say its padding (semantic_vad) may have taken the usual off.
        early = np.where(said_padding.isna(), EARLY_NS + USUAL_PADDING_NS, EARLY_NS)
        placed = starts["audio_ms"].notna().to_numpy()
        position = integers(starts["audio_ms"], 0) * 1_000_000 + padding
        onset, offset = turns["onset_media_ns"].to_numpy(), turns["offset_media_ns"].to_numpy()
        turn = latest(session, position + early, turns["session"].to_numpy(), onset)
        inside = (turn >= 0) & (position <= offset[turn] + LATE_NS)
        by_position = np.where(inside, turn, -1)
        # Without a position: what was being said last, sounds included.
        last = latest(
            session, starts["at_ns"].to_numpy(), said["session"].to_numpy(),
            said["speech_onset_ns"].to_numpy(),
        )  # fmt: skip
        speech = said["speech"].to_numpy()
        number = np.where(speech, np.cumsum(speech) - 1, -1)
        by_arrival = np.where(last >= 0, number[last], -1)
        # Long after the end of what was said it is a start of nothing.
        over = turns["speech_offset_ns"].to_numpy()[by_arrival] + ARRIVES_NS
        by_arrival = np.where(starts["at_ns"].to_numpy() > over, -1, by_arrival)
        return np.where(placed, by_position, by_arrival).astype(np.int64)

    def _by_item(self, rows: pd.DataFrame, otherwise: Ints) -> Ints:
        """The turn of the item that each row names, else `otherwise`."""
        if not len(self._items):
            return otherwise
        place = self._items.get_indexer(pd.MultiIndex.from_frame(rows[["session", "item"]]))
        return np.where(place >= 0, self._item_turn[place], otherwise)

    def _last_start(self, rows: pd.DataFrame) -> Ints:
        """The turn of the last speech_started before each row; -1 where none."""
        last = latest(
            rows["session"].to_numpy(), rows["row"].to_numpy(),
            self.starts["session"].to_numpy(), self.starts["row"].to_numpy(),
        )  # fmt: skip
        turn = self.starts["turn"].to_numpy()
        return np.where(last >= 0, turn[last] if len(turn) else -1, -1).astype(np.int64)


def _place(rows: pd.DataFrame) -> tuple[Ints, Ints]:
    return rows["session"].to_numpy(), rows["at_ns"].to_numpy()

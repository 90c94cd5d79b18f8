"""The server's ear: whose speech it heard start and stop, and what it wrote down.

Theory of operation
-------------------
The server says where on the same timeline it heard speech start (`audio_start_ms`, prefix padding
included). That position decides whose start it was, not the instant of the message: a message may
be late, a position may not. The start belongs to the utterance whose speech, widened by the
tolerances below, holds it. Where the server gives no position (Inworld may not), the start belongs
to whatever was being said last when it arrived, and long after the end of that to nothing. A start
that nobody's speech holds is *spurious*: also one at a sound, which is nobody speaking; one at a
backchannel is not, and it is no turn's either. So is one whose item nothing ever follows, where
the same utterance has another that something does.

Everything else follows the item: the id that speech_started named links speech_stopped, committed
and the transcription. An item that no start named was committed by the caller, whose commits are
answered in their order, else it is of what was said last; one of the server's own idle timer is
nobody's. An item's speech stops once: what is said of it again says nothing new.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.acks import pair
from bench.analysis.clock import to_media
from bench.analysis.effective import Effective
from bench.analysis.speech import owner
from bench.analysis.tables import (
    Flags,
    Ints,
    codes,
    integers,
    joined,
    latest,
    nullable,
    of_type,
    texts,
)

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

    `starts`, `stops`, `commits`: the rows, with `turn` (index into turns, -1: nobody's) and `item`
    (dense integer, -1: not named); starts also with `utterance` (index into `said`, -1: nobody
    spoke). `sent` are the caller's own commits.
    """

    def __init__(
        self,
        events: pd.DataFrame,
        sessions: pd.DataFrame,
        effective: Effective,
        appended: pd.DataFrame,
        said: pd.DataFrame,
        turns: pd.DataFrame,
        sent: pd.DataFrame,
    ) -> None:
        self._turns, self._said = turns, said
        self.starts = self._rows(events, "input_audio_buffer.speech_started")
        self._place_starts(sessions, effective, appended)
        self.stops = self._rows(events, "input_audio_buffer.speech_stopped")
        self.commits = self._rows(events, "input_audio_buffer.committed")
        self.transcripts = self._rows(events, _TRANSCRIBED)
        self.starts["utterance"] = self._heard()
        self.starts["turn"] = _taken(said["number"], self.starts["utterance"].to_numpy())
        known = self.starts[self.starts["item"] >= 0].drop_duplicates(["session", "item"])
        timed = self._rows(events, "input_audio_buffer.timeout_triggered").assign(turn=-1)
        if len(timed):
            known = pd.concat([known, timed]).drop_duplicates(["session", "item"])
        self._items = pd.MultiIndex.from_frame(known[["session", "item"]])
        self._item_turn = known["turn"].to_numpy(np.int64)
        self.stops["turn"] = self._by_item(self.stops, self._last_start(self.stops))
        # The end is exclusive: the sample before it lies where the caller was speaking.
        end = integers(self.stops["audio_ms"], 0) * 1_000_000 - 1
        end = to_media(appended, self.stops["session"].to_numpy(), end) + 1
        self.stops["media_ns"] = nullable(end, self.stops["audio_ms"].notna().to_numpy())
        self.commits["turn"] = self._by_item(self.commits, self._by_order(sent))
        items = self.commits.drop_duplicates(["session", "item"])
        committed = pd.MultiIndex.from_frame(items[["session", "item"]])
        place = committed.get_indexer(
            pd.MultiIndex.from_frame(self.transcripts[["session", "item"]])
        )
        by_commit = np.where(place >= 0, items["turn"].to_numpy()[place] if len(items) else -1, -1)
        self.transcripts["turn"] = self._by_item(self.transcripts, by_commit.astype(np.int64))

    def spurious(self) -> Ints:
        """How many starts fell where nobody spoke, by the turn said last before, else the first."""
        roles = np.append(self._said["role"].to_numpy(object), "")
        aside = roles[self.starts["utterance"]] == "backchannel"
        rows = self.starts[(self.starts["turn"] < 0) & ~aside]
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
        again = self.stops.duplicated(["session", "item"]) & (self.stops["item"] >= 0)
        last = self.stops[(self.stops["turn"] >= 0) & ~again].drop_duplicates("turn", keep="last")
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
        table["started_row"] = first["row"].astype("Int64")
        table["audio_start_ms"] = first["audio_ms"].astype("Int64")
        table["start_media_ns"] = first["media_ns"].astype("Int64")
        table["speech_stopped_ns"] = last["at_ns"].astype("Int64")
        table["audio_end_ms"] = last["audio_ms"].astype("Int64")
        table["end_media_ns"] = last["media_ns"].astype("Int64")
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

    def _place_starts(
        self, sessions: pd.DataFrame, effective: Effective, appended: pd.DataFrame
    ) -> None:
        """Where on the microphone's timeline each start is, prefix padding taken out.

        `position_ns` is the best guess, -1 where the server gives none; `media_ns` is NA where it
        is a guess: the padding is unknown, or the server cannot place a start before its clock
        began, and what it clamped to 0 says nothing.
        """
        starts = self.starts
        session = starts["session"].to_numpy()
        state = effective.at(session, starts["row"].to_numpy())
        at_first = starts["session"].map(sessions["prefix_padding_ns"]).astype("Int64")
        padding = state["padding_ns"].where(state["told"], at_first)
        known, placed = padding.notna().to_numpy(), starts["audio_ms"].notna().to_numpy()
        # A server that does not say its padding (semantic_vad) may have taken the usual off.
        starts["early_ns"] = np.where(known, EARLY_NS, EARLY_NS + USUAL_PADDING_NS)
        written = integers(starts["audio_ms"], 0) * 1_000_000
        position = to_media(appended, session, written + integers(padding, 0))
        starts["position_ns"] = np.where(placed, position, -1)
        exact = known & placed & ((written > 0) | (integers(padding, 0) == 0))
        starts["media_ns"] = nullable(position, exact)

    def _heard(self) -> Ints:
        """What was being said at each start: index into `said`, -1 where nothing was."""
        starts, voiced = self.starts, self._said[self._said["onset_media_ns"].notna()]
        if voiced.empty or starts.empty:
            return np.full(len(starts), -1, np.int64)
        session, position = starts["session"].to_numpy(), starts["position_ns"].to_numpy()
        of_session = voiced["session"].to_numpy()
        onset = voiced["onset_media_ns"].to_numpy(np.int64)
        offset = voiced["offset_media_ns"].to_numpy(np.int64)
        there = latest(session, position + starts["early_ns"].to_numpy(), of_session, onset)
        by_position = np.where(position <= offset[there] + LATE_NS, there, -1)
        at = starts["at_ns"].to_numpy()
        last = latest(session, at, of_session, voiced["begin_ns"].to_numpy())
        # Long after the end of what was said it is a start of nothing.
        over = voiced["end_ns"].to_numpy()[last] + ARRIVES_NS
        by_arrival = np.where(at <= over, last, -1)
        found = np.where(position >= 0, by_position, by_arrival)
        bare = unended(starts, self.stops, self.commits, self.transcripts)
        found = np.where(bare & np.isin(found, found[~bare]), -1, found)
        return np.where(found >= 0, voiced.index.to_numpy()[found], -1).astype(np.int64)

    def _by_order(self, sent: pd.DataFrame) -> Ints:
        """The turn of the caller's own commit that each commit answers, else what was said last."""
        turn = owner(self._turns, *_place(self.commits))
        own = sent[~sent["create"] & ~sent["refused"]]
        items = pd.MultiIndex.from_frame(self.commits[["session", "item"]])
        unnamed = np.flatnonzero(~items.isin(self._items))
        if len(own) and len(unnamed):
            rows = self.commits.iloc[unnamed]
            found = pair(own.assign(key=0), rows.assign(key=0, place=2 * rows["row"]))
            turn[unnamed[found[found >= 0]]] = own["turn"].to_numpy()[found >= 0]
        return turn

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


def unended(starts: pd.DataFrame, *ends: pd.DataFrame) -> Flags:
    """Which starts name an item that is in none of `ends`; none in sessions that have no ends.

    All have `session` and `item_id`.
    """
    key = ["session", "item_id"]
    told = pd.concat([table[key].astype(object) for table in ends])
    named = (starts["item_id"].notna() & starts["session"].isin(told["session"])).to_numpy(bool)
    followed = pd.MultiIndex.from_frame(starts[key].astype(object)).isin(
        pd.MultiIndex.from_frame(told)
    )
    return np.asarray(named & ~followed, bool)


def _place(rows: pd.DataFrame) -> tuple[Ints, Ints]:
    return rows["session"].to_numpy(), rows["at_ns"].to_numpy()


def _taken(values: pd.Series, place: Ints) -> Ints:
    """Values at places; -1 where the place is."""
    return np.append(values.to_numpy(np.int64), -1)[place]

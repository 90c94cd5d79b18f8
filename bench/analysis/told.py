"""What a run tells: a few sessions at a time told to trackers, and what is kept of them.

Theory of operation
-------------------
A run of an hour has more events than a laptop has memory, and no session needs those of another to
be understood. So whole sessions are read, told to their trackers and let go, part after part. What
stays is what trackers found, the stamps of every row, and the rows that say more than their stamps:
chunks of audio, six rows of seven, do not.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from bench.analysis.counts import count_messages
from bench.analysis.greetings import Greetings
from bench.analysis.rule_violations import Breach, BrokenRules
from bench.analysis.settings_mismatch import Mismatch, mismatches
from bench.analysis.stamps import Stamps
from bench.analysis.tables import WORDS, integers
from bench.analysis.timestamp_error import bounded_by_order
from bench.analysis.trackers import telling, tracked
from bench.analysis.turns import Attempt, session_ends, turns_table, whole, with_next_turns
from bench.tracker.requests import ACKNOWLEDGED
from bench.tracker.tracker import Tracker


class Told(NamedTuple):
    """The run as it was told.

    turns:         see `bench.analysis.turns.COLUMNS`
    disturbances:  of replies: `session`, `at_ns`, `role`, `utterance`, `silenced`
    said:          everything said and written: `session`, `text`, `begin_ns`
    acks:          what the caller asked of the server: `metric`, `session`, `sent_ns`, `refused`
                   (by an error), `answer_row` and `answered_ns` (NA: no answer came)
    mismatches:    what was asked of the server and not given
    greetings:     who spoke first, see `Greetings.counts`
    broken:        rules of the protocol that were broken
    events:        the rows that say more than their stamps, see `bench.analysis.trackers.telling`
    stamps:        of every row
    messages:      how many rows there were of each (direction, type)
    """

    turns: pd.DataFrame
    disturbances: pd.DataFrame
    said: pd.DataFrame
    acks: pd.DataFrame
    mismatches: list[Mismatch]
    greetings: dict[str, Any]
    broken: BrokenRules
    events: pd.DataFrame
    stamps: Stamps
    messages: Counter[tuple[str, str]]


def tell(
    parts: Iterable[pd.DataFrame], rows: int, sessions: pd.DataFrame, run: dict[str, Any]
) -> Told:
    """Tell the trackers of a run its events: `parts` of whole sessions, in order.

    They have so many `rows` in all; `sessions` is that of `sessions_table`, `run` is run.json.
    """
    found = _Found(rows, sessions)
    for events in parts:
        found.add(bounded_by_order(events))
    requests = sorted(found.requests, key=lambda row: _METRICS.index(row[0]))
    return Told(
        with_next_turns(pd.concat(found.turns, ignore_index=True), sessions, run),
        _frame(found.disturbances, _DISTURBANCES),
        _frame(found.said, _SAID),
        _frame(requests, _REQUESTS),
        found.mismatches,
        found.greetings.counts(),
        found.broken,
        _joined(found.events),
        found.stamps,
        found.messages,
    )


class _Found:
    """What is kept of a run, part after part."""

    def __init__(self, rows: int, sessions: pd.DataFrame) -> None:
        self._sessions, self._ends = sessions, session_ends(sessions)
        jitter = integers(sessions["jitter_ns"], 0).tolist()
        self._jitter = dict(zip(sessions.index.tolist(), jitter, strict=True))
        self._rows = 0
        self.turns: list[pd.DataFrame] = []
        self.disturbances: list[tuple[Any, ...]] = []
        self.said: list[tuple[Any, ...]] = []
        self.requests: list[tuple[Any, ...]] = []
        self.mismatches: list[Mismatch] = []
        self.greetings = Greetings()
        self.broken = BrokenRules()
        self.events: list[pd.DataFrame] = []
        self.stamps = Stamps.room(rows)
        self.messages: Counter[tuple[str, str]] = Counter()

    def add(self, events: pd.DataFrame) -> None:
        """The events of some sessions, in order."""
        turns: list[Attempt] = []
        breaches: list[Breach] = []
        for session, tracker in tracked(events, self._jitter):
            tracker.close(self._ends[session])
            turns += [(session, turn) for turn in tracker.turns]
            breaches += [(session, one) for one in tracker.violations]
            self._add_tracker(session, tracker)
        self.turns.append(turns_table(turns, self._sessions))
        self.broken.add(breaches, events)
        self.stamps.put(self._rows, Stamps.of(events))
        self.messages += count_messages(events)
        kept = events.loc[telling(events), [name for name in events if name != "envelope"]]
        self.events.append(kept.assign(row=kept["row"] + self._rows))
        self._rows += len(events)

    def _add_tracker(self, session: int, tracker: Tracker) -> None:
        self.disturbances += [
            (session, one.utterance.begin_ns, one.utterance.role, one.utterance.utterance,
             one.silenced)
            for one in tracker.disturbances
        ]  # fmt: skip
        self.said += [(session, one.text, one.begin_ns) for one in tracker.said]
        self.requests += [
            (one.metric, session, one.sent_ns, one.refused,
             None if one.answer_row is None else one.answer_row + self._rows, one.answered_ns)
            for one in tracker.requests.all
        ]  # fmt: skip
        self.mismatches += mismatches(session, tracker)
        self.greetings.add(session, tracker)


_METRICS: Final = list(ACKNOWLEDGED)
_DISTURBANCES: Final = {
    "session": np.int64, "at_ns": np.int64, "role": object, "utterance": object, "silenced": bool,
}  # fmt: skip
_SAID: Final = {"session": np.int64, "text": object, "begin_ns": np.int64}
_REQUESTS: Final = {
    "metric": object, "session": np.int64, "sent_ns": np.int64, "refused": bool,
    "answer_row": "Int64", "answered_ns": "Int64",
}  # fmt: skip


def _frame(rows: list[tuple[Any, ...]], types: dict[str, Any]) -> pd.DataFrame:
    """Rows as a table; integers that may be missing never become floats."""
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    return pd.DataFrame(
        {
            name: whole(values) if kind == "Int64" else np.fromiter(values, kind, len(values))
            for (name, kind), values in zip(types.items(), columns, strict=True)
        }
    )


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Parts of the events as one table, whose categories are those of all parts.

    `parts` is emptied, to hold nothing twice.
    """
    if len(parts) == 1:
        return parts.pop().reset_index(drop=True)
    words = {name: union_categoricals([part[name] for part in parts]) for name in WORDS}
    events = pd.concat([part.drop(columns=WORDS) for part in parts], ignore_index=True)
    parts.clear()
    return events.assign(**words)

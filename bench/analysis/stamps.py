"""What every row of a run leaves: whose it is, when it was stamped, and how late this program was.

Theory of operation
-------------------
Nearly all rows are chunks of audio. Once its tracker has been told of a chunk, all that is still
asked of it are these few numbers: they are kept of every row, in arrays, while whole rows are kept
only of what says more (`told`). So a run of twenty million rows fits into a laptop's memory.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.tables import EventParts, Flags, Ints, integers, is_type
from bench.voice.microphone import APPEND

STAMPED: Final = ("session", "at_ns", "at_err_ns", "read_ns", "direction", "type", "due_ns")
"""Columns of events that stamps are made of."""


class Stamps(NamedTuple):
    """Arrays with an entry for every row of a run, ordered by session and instant.

    session:   the session's number
    at_ns:     when the row was stamped
    width_ns:  how much earlier it may have happened
    late_ns:   how late a chunk was sent, or a message read; 0 where nobody knows
    sent, received:  which way the message went; a note went neither way
    timed:     whether `late_ns` is known
    """

    session: Ints
    at_ns: Ints
    width_ns: Ints
    late_ns: Ints
    sent: Flags
    received: Flags
    timed: Flags

    @classmethod
    def of(cls, events: pd.DataFrame) -> Self:
        """Those of a table of events, which has the columns `STAMPED`."""
        at = events["at_ns"].to_numpy(np.int64)
        sent, received = (_went(events, way) for way in ("out", "in"))
        due, read = (events[name].notna().to_numpy(bool) for name in ("due_ns", "read_ns"))
        late = np.zeros(len(at), np.int64)
        chunk, heard = is_type(events, APPEND, direction="out") & due, received & read
        late[chunk] = at[chunk] - integers(events["due_ns"], 0)[chunk]
        late[heard] = integers(events["read_ns"], 0)[heard] - at[heard]
        width = events["at_err_ns"].to_numpy(np.int64)
        session = events["session"].to_numpy(np.int64)
        return cls(session, at, width, late, sent, received, chunk | heard)

    @classmethod
    def room(cls, rows: int) -> Self:
        """Room for those of so many rows, which `put` fills: nothing is ever held twice."""
        session, at, width, late = (np.empty(rows, np.int64) for _ in range(4))
        sent, received, timed = (np.empty(rows, bool) for _ in range(3))
        return cls(session, at, width, late, sent, received, timed)

    def put(self, first: int, part: Self) -> None:
        """Those of a part of the run, whose first row is number `first` of all."""
        for mine, theirs in zip(self, part, strict=True):
            mine[first : first + len(theirs)] = theirs

    def start_ns(self, plan: dict[str, Any]) -> int:
        """The zero of a run's seconds: its start by the plan, else its first row; 0 without any."""
        if plan.get("start_ns") is not None:
            return int(plan["start_ns"])
        return int(self.at_ns.min()) if len(self.at_ns) else 0

    @property
    def chunks(self) -> Flags:
        """Rows of the microphone that were to be sent at an instant."""
        return self.timed & self.sent

    @property
    def reads(self) -> Flags:
        """Messages of which it is known when they were read."""
        return self.timed & self.received


def read_stamps(path: Path) -> Stamps:
    """Those of a file of events. RunFolderError where it is unreadable."""
    parts = EventParts(path, STAMPED)
    stamps, first = Stamps.room(parts.rows), 0
    for events in parts:
        stamps.put(first, Stamps.of(events))
        first += len(events)
    return stamps


def _went(events: pd.DataFrame, way: str) -> NDArray[np.bool_]:
    return (events["direction"] == way).to_numpy(bool)

"""Error messages of the server: which of them are anybody's fault.

Theory of operation
-------------------
A *race* is a cancel that came when the reply had just ended: both did right. A
*provoked* error is the right answer to a message that the script made wrong on purpose; it names
that message's event_id. Neither is counted as an error, and both are shown by their code.

Inworld also says errors without a type, by `errorType` alone; the codec names such a message
`errorType:VALUE`, and that is its code.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.tables import Flags, is_type, parsed
from bench.protocol.codec import BARE
from bench.tracker.error_messages import is_provoked, is_race

_NAMELESS: Final = "(no code)"
PROVOKED_MARK: Final = " (provoked)"
"""What stands behind the code of a provoked error."""


def faults(said: pd.DataFrame) -> Flags:
    """Which error messages are somebody's fault; `said` has their `code` and `event_id`."""
    race = said["code"].map(is_race).to_numpy(bool)
    return np.asarray(~race & ~_provoked(said), bool)


def _provoked(said: pd.DataFrame) -> Flags:
    named = said["event_id"].map(is_provoked)
    return np.asarray(named.to_numpy(bool), bool)


def is_error(events: pd.DataFrame) -> Flags:
    """Which events are errors that the server said, of either shape."""
    bare = [kind for kind in events["type"].cat.categories if kind.startswith(BARE)]
    return is_type(events, "error", *bare)


def errors_of(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The errors among `events`, and `code`, `message` and `event_id` of each."""
    rows = np.flatnonzero(is_error(events))
    errors = events.take(rows) if len(rows) else events.iloc[:0]  # most runs have none
    said, kind = parsed(errors, "code", "message", "event_id"), errors["type"].astype("object")
    return errors, said.assign(code=said["code"].where(~kind.str.startswith(BARE), kind))


def count_errors(events: pd.DataFrame) -> int:
    """Errors among `events`, races and provoked ones apart."""
    return int(faults(errors_of(events)[1]).sum())


def errors_by_code(events: pd.DataFrame) -> dict[str, int]:
    """All errors among `events` by their code, the most frequent first."""
    _, said = errors_of(events)
    words = said["code"].map(lambda code: code if isinstance(code, str) and code else _NAMELESS)
    words = words.where(~_provoked(said), words.astype(str) + PROVOKED_MARK)
    counts = words.value_counts()
    return {
        str(code): int(count)
        for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    }

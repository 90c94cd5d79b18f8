"""Which messages crossed the wire, and how often: every one that this program knows, and others."""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.protocol.codec import message_table

NEVER_DUE: Final = ("rate_limits.updated",)
"""Messages of the seed that its own server defines and does not send."""
_WIRE: Final = {"client": "out", "server": "in"}


def message_counts(events: pd.DataFrame) -> list[dict[str, Any]]:
    """{type, direction, in_seed, count} of the known ones in the table's order, then unknown ones.

    Unknown ones are the server's, by the wire's own word; the whole run is counted.
    """
    kinds, ways = events["type"].cat, events["direction"].cat
    width = len(kinds.categories) + 1
    pairs = (ways.codes.to_numpy(np.int64) + 1) * width + kinds.codes.to_numpy(np.int64) + 1
    found = {
        (str(ways.categories[pair // width - 1]), str(kinds.categories[pair % width - 1])): count
        for pair, count in enumerate(np.bincount(pairs).tolist())
        if count and pair >= width and pair % width
    }
    known = [
        {
            "type": entry.type,
            "direction": entry.direction,
            "in_seed": entry.in_seed,
            "count": found.pop((_WIRE[entry.direction], entry.type), 0),
        }
        for entry in message_table()
    ]
    unknown = [
        {"type": kind, "direction": "server", "in_seed": False, "count": count}
        for (way, kind), count in sorted(found.items())
        if way == "in"
    ]
    return known + unknown


def unseen(counts: list[dict[str, Any]]) -> list[str]:
    """Messages of the seed that never crossed the wire, though they might have."""
    return [
        entry["type"]
        for entry in counts
        if entry["in_seed"] and not entry["count"] and entry["type"] not in NEVER_DUE
    ]

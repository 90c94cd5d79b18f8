"""Who may have made a turn slow: the generator, the network, or else the server.

Theory of operation
-------------------
Of every turn, from its beginning to the last of its instants, it is known how late this program
sent and read at worst, and how many segments its connection lost on either way (`bench.line` rows:
what was sent again and what came out of order, looked at once a second and noted where it grew). A
turn in which the program passed its own bound is the *generator's*; one whose connection lost
something is the *network's*; what is left is the *server's*, with whatever the path to it takes
when nothing is lost. Kernel stamps keep the program's late reading out of every latency: it is
blamed for it all the same, because its player and its next words came late.
"""

from typing import Final, Literal

import numpy as np
import pandas as pd

from bench.analysis.evidence import Evidence
from bench.analysis.measure import turn_spans
from bench.analysis.stamps import Stamps
from bench.analysis.tables import Flags, Ints, of_type, parsed

GENERATOR: Final = "generator"
NETWORK: Final = "network"
SERVER: Final = "server"
LOOK_NS: Final = 1_000_000_000
"""How long after the fact a connection may be looked at."""

Side = Literal["left", "right"]


def slow_turn_causes(evidence: Evidence, events: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `send_lateness`, `client_lag` (the worst, ms), `segments_lost`, `slowed_by`.

    `events` are the run's, with or without its chunks.
    """
    whose = (turns["session"].to_numpy(np.int64), *turn_spans(turns))
    stamps = evidence.stamps
    within = _rows_within(stamps, *whose)
    table = pd.DataFrame(
        {
            "send_lateness": _worst(np.where(stamps.chunks, stamps.late_ns, 0), within) / 1e6,
            "client_lag": _worst(np.where(stamps.reads, stamps.late_ns, 0), within) / 1e6,
            "segments_lost": _lost(events, *whose),
        },
        index=turns.index,
    )
    bounds = evidence.bounds
    mine = (table["send_lateness"] > bounds.send_lateness / 1e6) | (
        table["client_lag"] > bounds.client_lag / 1e6
    )
    network = table["segments_lost"] > 0
    table["slowed_by"] = np.where(mine, GENERATOR, np.where(network, NETWORK, SERVER))
    return table


def _rows_within(stamps: Stamps, session: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """From which row to before which a session's rows are in [begin, end], for each."""
    if not len(stamps.at_ns):
        return np.zeros(len(session), np.int64), np.zeros(len(session), np.int64)
    low = _places(stamps.session, stamps.at_ns, session, begin, "left")
    return low, np.maximum(_places(stamps.session, stamps.at_ns, session, end, "right"), low)


def _worst(value: Ints, within: tuple[Ints, Ints]) -> Ints:
    """The largest value of the rows within each of the ranges; 0 where there is no row."""
    low, high = within
    if not len(low):
        return low
    edges = np.stack([low, high], axis=1).ravel()
    most = np.maximum.reduceat(np.append(value, 0), np.minimum(edges, len(value)))[::2]
    return np.where(high > low, most, 0)


def _lost(events: pd.DataFrame, session: Ints, begin: Ints, end: Ints) -> Ints:
    """Segments that the session's connection lost in [begin, end]: by the look that follows it."""
    looks = of_type(events, "bench.line", direction="note")
    if looks.empty:
        return np.zeros(len(session), np.int64)
    told = parsed(looks, "retransmits", "disorder")
    total = (told["retransmits"] + told["disorder"]).to_numpy(np.int64)
    of, at = looks["session"].to_numpy(np.int64), looks["at_ns"].to_numpy(np.int64)
    before = _places(of, at, session, begin, "right") - 1
    after = _places(of, at, session, end + LOOK_NS, "right") - 1
    since = np.where(_is(of, before, session), total[np.maximum(before, 0)], 0)
    until = np.where(_is(of, after, session), total[np.maximum(after, 0)], 0)
    return np.asarray(np.maximum(until - since, 0), np.int64)


def _is(of: Ints, place: Ints, session: Ints) -> Flags:
    return np.asarray((place >= 0) & (of[np.maximum(place, 0)] == session), bool)


def _places(of: Ints, at: Ints, session: Ints, stamp: Ints, side: Side) -> Ints:
    """Where each (session, stamp) stands among rows that are ordered by both; microseconds do."""
    known = np.unique(of)
    origin = int(at.min())
    length = (int(at.max()) - origin) // 1000 + 2
    row = np.searchsorted(known, of) * length + (at - origin) // 1000
    place = np.searchsorted(known, session)
    inside = np.clip(stamp, origin, int(at.max()))
    asked = place * length + (inside - origin) // 1000
    return np.searchsorted(row, asked, side=side).astype(np.int64)

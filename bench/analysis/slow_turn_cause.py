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
from bench.analysis.tables import Flags, Ints, integers, is_type, of_type, parsed
from bench.voice.microphone import APPEND

GENERATOR: Final = "generator"
NETWORK: Final = "network"
SERVER: Final = "server"
LOOK_NS: Final = 1_000_000_000
"""How long after the fact a connection may be looked at."""

Side = Literal["left", "right"]


def slow_turn_causes(evidence: Evidence, turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `send_lateness`, `client_lag` (the worst, ms), `segments_lost`, `slowed_by`."""
    events = evidence.events
    session, (begin, end) = turns["session"].to_numpy(np.int64), turn_spans(turns)
    sent = is_type(events, APPEND, direction="out")
    sent &= events["due_ns"].notna().to_numpy()
    read = (events["direction"] == "in").to_numpy() & events["read_ns"].notna().to_numpy()
    at = events["at_ns"].to_numpy(np.int64)
    late = np.where(sent, at - integers(events["due_ns"], 0), 0)
    lag = np.where(read, integers(events["read_ns"], 0) - at, 0)
    of, whose = events["session"].to_numpy(np.int64), (session, begin, end)
    table = pd.DataFrame(
        {
            "send_lateness": _worst(of, at, late, *whose) / 1e6,
            "client_lag": _worst(of, at, lag, *whose) / 1e6,
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


def _worst(of: Ints, at: Ints, value: Ints, session: Ints, begin: Ints, end: Ints) -> Ints:
    """The largest value of a session's rows in [begin, end], for each; 0 where there is no row."""
    if not len(at) or not len(session):
        return np.zeros(len(session), np.int64)
    low = _places(of, at, session, begin, "left")
    high = np.maximum(_places(of, at, session, end, "right"), low)
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

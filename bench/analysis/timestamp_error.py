"""The error bar of every latency: how far its own two instants may be off.

Theory of operation
-------------------
Of a received event it is known that it came in [at_ns - at_err_ns, at_ns], of a sent one that it
left in such a span (`tables`); an instant of a turn is the stamp of one of these, so its bar is
found by that stamp. Where several messages share one (they came in one segment) the widest bar
counts. What the caller's player does with audio is as uncertain as the arrival of that audio
(`Instant.follows`). Instants on the microphone's timeline and the program's own notes have no bar.

More is known than when a socket was last empty, and no bar is wider than all that is known:

* a connection keeps its order: no event came before the one before it (`bounded_by_order`);
* nothing came before what it answers was sent (`causes`). To audio that the server names itself
  this applies only in a run in which no event came before the audio that it names;
* where the definition of a latency orders its two instants (`Metric.signed` is false), it is not
  less than 0.

A latency may be less than its value by as much as its end may have been earlier and its start
later, and more by as much as its start may have been earlier. Its bar is as wide as both together.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.stamps import Stamps
from bench.analysis.tables import Flags, Floats, Ints, changes, integers, is_type, latest
from bench.analysis.turn_columns import TurnColumns
from bench.plan.declaration import Metric
from bench.plan.instants import INSTANTS
from bench.stats.quantile import sorted_quantile
from bench.tracker.event import ALWAYS, NEVER
from bench.tracker.requests import ACKNOWLEDGED

_ANSWERS: Final = (
    ("commit_sent", "committed", "input_audio_buffer.committed"),
    ("answer_asked", "response_created", "response.created"),
    ("cancel_sent", "cancelled", "response.done"),
)
"""What is sent, what answers it, and the type of that; requests have their own rows."""
_HEARD: Final = (
    ("start_sample_sent", "speech_started", "input_audio_buffer.speech_started"),
    ("stop_sample_sent", "speech_stopped", "input_audio_buffer.speech_stopped"),
)
"""The same of audio, by the place that the server names."""


class Span(NamedTuple):
    """How much smaller and how much larger than a value, in its unit, the truth may be."""

    less: Ints
    more: Ints


def bounded_by_order(events: pd.DataFrame) -> pd.DataFrame:
    """`events` with the bars of what was received, none of which reaches back behind another's."""
    received = (events["direction"] == "in").to_numpy(bool)
    session, at, width = (
        events[name].to_numpy(np.int64) for name in ("session", "at_ns", "at_err_ns")
    )
    return events.assign(at_err_ns=_ordered(session, at, width, received))


def _ordered(session: Ints, at_ns: Ints, width_ns: Ints, received: Flags) -> Ints:
    """A connection keeps its order: no message came before the one before it."""
    if not width_ns[received].any():
        return width_ns
    width, of, at = width_ns.copy(), session[received], at_ns[received]
    since = pd.Series(at - width[received]).groupby(of).cummax().to_numpy(np.int64)
    width[received] = at - since
    return width


class Causes(NamedTuple):
    """What cannot have come before an instant: the row of the event, and since when it could."""

    row: Ints
    since_ns: Ints


def causes(events: pd.DataFrame, turns: pd.DataFrame, acks: pd.DataFrame) -> Causes:
    """What nothing can have come before.

    `events` are the run's, with or without its chunks; `turns` has `session` and instants, `acks`
    is of `told.Told`.
    """
    answered = acks["answer_row"].notna().to_numpy(bool)
    acknowledged = Causes(
        integers(acks["answer_row"], 0)[answered], integers(acks["sent_ns"], 0)[answered]
    )
    columns = TurnColumns(turns)
    found = [acknowledged, *(_answered(events, columns, *pair) for pair in _ANSWERS)]
    if not any(_early(columns, sent, heard).any() for sent, heard, _ in _HEARD):
        found += [_answered(events, columns, *pair) for pair in _HEARD]
    return Causes(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _early(turns: TurnColumns, cause: str, effect: str) -> Flags:
    """Which turns say that the effect came before its cause."""
    early = turns.instants(f"{effect}_ns") < turns.instants(f"{cause}_ns")
    return np.asarray(early & turns.has(f"{cause}_ns"))


def _answered(
    events: pd.DataFrame, turns: TurnColumns, cause: str, effect: str, kind: str
) -> Causes:
    """The event of each turn's effect; of several with its stamp the last, which none precedes."""
    asked = turns.has(f"{cause}_ns") & turns.has(f"{effect}_ns") & ~_early(turns, cause, effect)
    rows = np.flatnonzero(is_type(events, kind))
    since, at = turns.instants(f"{cause}_ns")[asked], turns.instants(f"{effect}_ns")[asked]
    if not len(at) or not len(rows):
        return Causes(np.zeros(0, np.int64), np.zeros(0, np.int64))
    stamps = events["at_ns"].to_numpy(np.int64)[rows]
    last = latest(turns.sessions()[asked], at, events["session"].to_numpy()[rows], stamps)
    same = (last >= 0) & (stamps[last] == at)
    return Causes(events["row"].to_numpy(np.int64)[rows[last[same]]], since[same])


class Bars:
    """The bars of a run's rows: how far the truth of a stamp may lie from it, ns.

    `caused` is what `causes` found. `width` is by row.
    """

    def __init__(self, stamps: Stamps, caused: Causes) -> None:
        at, width = stamps.at_ns, stamps.width_ns.copy()
        # Nothing is known where an answer is stamped before what it answers.
        np.minimum.at(width, caused.row, np.maximum(at[caused.row] - caused.since_ns, 0))
        self.width = _ordered(stamps.session, at, width, stamps.received)
        rows = np.flatnonzero(self.width > 0)
        self._out, self._width = stamps.sent[rows], self.width[rows]
        # A sent message is timed from when it began to leave.
        self._stamp = np.where(self._out, at[rows] - self._width, at[rows])
        self._session = stamps.session[rows]

    def at(self, stamps: Ints) -> "BarsAt":
        """Those of rows with one of these stamps."""
        known = np.flatnonzero(np.isin(self._stamp, stamps))
        known = known[np.lexsort((self._stamp[known], self._session[known]))]
        session, stamp, out = self._session[known], self._stamp[known], self._out[known]
        first = np.flatnonzero(changes(session, stamp))
        less, more = (
            np.maximum.reduceat(np.where(out == side, 0, self._width[known]), first)
            if len(first)
            else first
            for side in (True, False)
        )
        return BarsAt(session[first], stamp[first], Span(less, more))


class BarsAt(NamedTuple):
    """The bars of some (session, stamp), ordered by both; where rows share them, the widest."""

    session: Ints
    stamp: Ints
    span: Span

    def of(self, session: Ints, stamp: Ints) -> Span:
        """How much earlier and how much later each (session, stamp) may have been."""
        place = latest(session, stamp, self.session, self.stamp)
        same = (place >= 0) & (np.append(self.stamp, NEVER)[place] == stamp)
        return Span(*(np.where(same, np.append(side, 0)[place], 0) for side in self.span))


def spans(bars: Bars, table: pd.DataFrame, metrics: Collection[Metric]) -> dict[str, Span]:
    """By interval metric: how much smaller and larger every row's truth may be, ns.

    `table` (turns or sessions) has `session`, the metrics in ms, and their instants as `*_ns`.
    What a row without a figure has means nothing.
    """
    intervals = [metric for metric in metrics if metric.kind == "interval"]
    names = {name for metric in intervals for name in (metric.start, metric.end)}
    follows = {name: source for name in names if (source := INSTANTS[name].follows)}
    names |= set(follows.values())
    known = sorted(name for name in names if f"{name}_ns" in table)
    session = table["session"].to_numpy(np.int64)
    stamps = [integers(table[f"{name}_ns"], ALWAYS) for name in known]
    found = bars.at(np.unique(np.concatenate(stamps or [session[:0]])))
    off = {name: found.of(session, stamp) for name, stamp in zip(known, stamps, strict=True)}
    nothing = Span(np.zeros(len(table), np.int64), np.zeros(len(table), np.int64))
    for name, source in follows.items():
        if name in off:
            also = off.get(source, nothing)
            off[name] = Span(*map(np.maximum, off[name], also))
    return {
        metric.name: _difference(
            metric, table, off.get(metric.start, nothing), off.get(metric.end, nothing)
        )
        for metric in intervals
    }


def _difference(metric: Metric, table: pd.DataFrame, start: Span, end: Span) -> Span:
    less, more = end.less + start.more, end.more + start.less
    if not metric.signed:
        value = table[metric.name].to_numpy(np.float64, na_value=np.nan)
        ordered = value >= 0
        most = np.rint(np.where(ordered, value, 0) * 1e6).astype(np.int64)
        less = np.minimum(less, np.where(ordered, most, NEVER))
    return Span(less, more)


def widths(bars: Bars, table: pd.DataFrame, metrics: Collection[Metric]) -> dict[str, Floats]:
    """By interval metric: the width in ms of every row's bar, NaN where the row has no figure.

    `table` as in `spans`.
    """
    return {
        name: np.where(table[name].isna().to_numpy(bool), np.nan, (span.less + span.more) / 1e6)
        for name, span in spans(bars, table, metrics).items()
    }


def request_widths(bars: Bars, requests: pd.DataFrame) -> dict[str, Floats]:
    """How wide the error bars of answered requests are, ms, by metric."""
    known = requests[requests["answered_ns"].notna()]
    session, sent = known["session"].to_numpy(np.int64), known["sent_ns"].to_numpy(np.int64)
    answered = integers(known["answered_ns"], 0)
    found = bars.at(np.concatenate([answered, sent]))
    less = found.of(session, answered).less + found.of(session, sent).more
    # An answer that is stamped before its request is out of order already.
    less = np.where(answered >= sent, np.minimum(less, answered - sent), less)
    return {name: less[(known["metric"] == name).to_numpy(bool)] / 1e6 for name in ACKNOWLEDGED}


def error_of(width_ms: Floats) -> dict[str, float | None]:
    """What a row of the summary says of its bars: `error_p50`, `error_p99`, ms."""
    known = np.sort(width_ms[~np.isnan(width_ms)])
    if not len(known):
        return {"error_p50": None, "error_p99": None}
    middle, high = (sorted_quantile(known, q) for q in (0.5, 0.99))
    return {"error_p50": middle, "error_p99": high}

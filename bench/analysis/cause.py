"""The commonest reason why sessions, then turns, failed: one sentence with count, fact and remedy.

The same sentence is a reason of the verdict (and so stands in the terminal, summary.md, junit.xml,
the page and the annotations of a CI server), in the order of weight: what most met comes first.
"""

from collections import Counter
from typing import Final, NamedTuple

import pandas as pd

from bench.analysis.outcomes import FAILED
from bench.analysis.sessions import IN_ORDER
from bench.analysis.tables import texts
from bench.protocol.refusals import remedy_of

MOST: Final = 0.5
"""A cause that so large a share met explains the run: it is told before any gate."""
_SESSIONS: Final = {
    "refused": "refused",
    "overloaded": "turned away by a target that is full",
    "unreachable": "unable to reach the target",
    "silent": "left without any message",
    "timeout": "waiting in vain",
    "waiting": "waiting in vain",
    "closed": "closed by the target",
    "broken": "cut off",
    "stalled": "given up, for the target took nothing",
    "malformed": "ended by a message that is none",
    "binary": "ended by a message that is none",
    "too_big": "ended by a message that is too big",
    "crashed": "ended by a fault of the script or of this program",
}
_TURNS: Final = {
    "late": "answered too late",
    "missed": "not heard",
    "timeout": "not answered",
    "rejected": "turned away with their session",
    "error": "failed with an error",
    "dropped": "lost with their session",
}
_REMEDIES: Final = {
    "silent": "is this the right service, and does it take session.update?",
    "timeout": "the target lets callers wait: lower --sessions, or raise how many it holds at once",
    "waiting": "the target lets callers wait: lower --sessions, or raise how many it holds at once",
    "closed": "look at the target's own log for why it closed",
    "broken": "look at the target's own log, and for a proxy that ends long connections",
    "stalled": "the target stopped reading: look at its load",
    "missed": "look at the VAD's threshold, and at how loud the corpus is",
    "late": "the target is too slow at this load, or caller.answer_timeout too short",
}


class Cause(NamedTuple):
    """`text` is the sentence; `met` of `of` sessions or turns (`what`) met it."""

    text: str
    what: str
    met: int
    of: int
    reason: str
    remedy: str

    @property
    def share(self) -> float:
        return self.met / self.of


def causes(sessions: pd.DataFrame, turns: pd.DataFrame) -> list[Cause]:
    """The commonest cause of failed sessions, and of failed turns that it does not explain.

    `sessions` needs outcome, reason, awaited, in_vain, started_ns, ended_ns; `turns` are those
    that count, with outcome and reason.
    """
    return [*_of_sessions(sessions), *_of_turns(turns)]


def _of_sessions(sessions: pd.DataFrame) -> list[Cause]:
    told = Counter[tuple[str, str]]()
    waits: dict[tuple[str, str], float] = {}
    columns = ("outcome", "reason", "awaited", "in_vain", "started_ns", "ended_ns")
    for outcome, reason, awaited, in_vain, begun, ended in sessions[list(columns)].itertuples(
        index=False
    ):
        if in_vain:
            key = ("waiting", f"for {awaited}")
            waits[key] = max(waits.get(key, 0.0), (ended - begun) / 1e9)
        elif outcome in IN_ORDER:
            continue
        else:
            key = (str(outcome), str(reason or ""))
        told[key] += 1
    if not told:
        return []
    (kind, reason), count = told.most_common(1)[0]
    fact = reason
    if kind == "waiting":
        fact = f"{reason}, {waits[kind, reason]:.1f} s at the longest"
    link = " " if kind == "waiting" else ": "
    words = _SESSIONS.get(kind, kind) + (f"{link}{fact}" if fact else "")
    return [_cause("sessions", words, count, len(sessions), (kind, reason))]


def _of_turns(turns: pd.DataFrame) -> list[Cause]:
    failed = turns[turns["outcome"].isin(FAILED) & ~turns["outcome"].isin(["rejected", "dropped"])]
    told = Counter(zip(failed["outcome"], texts(failed["reason"]), strict=True))
    if not told:
        return []
    (kind, reason), count = told.most_common(1)[0]
    attempted = int((turns["outcome"] != "cut").sum())
    words = _TURNS.get(kind, kind) + (f": {reason}" if reason else "")
    return [_cause("turns", words, count, attempted, (kind, reason))]


def _cause(what: str, words: str, count: int, of: int, key: tuple[str, str]) -> Cause:
    kind, reason = key
    remedy = remedy_of(reason) or _REMEDIES.get(kind, "")
    verb = "was" if count == 1 else "were"
    text = f"{count} of {of} {what} {verb} {words}" + (f"; {remedy}" if remedy else "")
    return Cause(text, what, count, of, reason, remedy)

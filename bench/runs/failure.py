"""The commonest reason why sessions or turns failed, as one sentence: count, fact, remedy.

The same sentence is told wherever somebody asks what went wrong: by the live view of a run, by the
reasons of its verdict (terminal, summary.md, junit.xml, page, annotations), and by the session
before the load.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from bench.protocol.refusals import CALLERS_WAIT, refusal_of

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
    "flooded": "ended, for the target sends more than a caller can take",
    "crashed": "ended by a fault of the script or of this program",
}
_TURNS: Final = {
    "late": "answered too late",
    "missed": "not heard",
    "timeout": "not answered",
    "rejected": "turned away with their session",
    "overloaded": "turned away by a target that is full",
    "error": "failed with an error",
    "dropped": "lost with their session",
}
_REMEDIES: Final = {
    "refused": "compare what it says with [session] of the scenario, and with --dialect",
    "silent": "is this the right service, and does it take session.update?",
    "timeout": CALLERS_WAIT,
    "waiting": CALLERS_WAIT,
    "closed": "look at the target's own log for why it closed",
    "broken": "look at the target's own log, and for a proxy that ends long connections",
    **dict.fromkeys(
        ("malformed", "binary", "too_big", "flooded"),
        "is this the right service? if so, look at its log for what it sent",
    ),
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


def session_cause(told: Mapping[tuple[str, str], int], of: int) -> Cause | None:
    """The commonest of failed sessions: `told` counts them by outcome and reason, of so many.

    The outcome "waiting" is that of a session which waited in vain, and its reason for what.
    """
    return _commonest("sessions", _SESSIONS, told, of)


def turn_cause(told: Mapping[tuple[str, str], int], of: int) -> Cause | None:
    """The same of failed turns."""
    return _commonest("turns", _TURNS, told, of)


def _commonest(
    what: str, words: Mapping[str, str], told: Mapping[tuple[str, str], int], of: int
) -> Cause | None:
    if not told:
        return None
    (kind, reason), met = max(told.items(), key=lambda one: one[1])
    known = refusal_of(reason)
    remedy = _REMEDIES.get(kind, "") if known is None else known.remedy
    link = " " if kind == "waiting" else ": "
    said = words.get(kind, kind) + (f"{link}{reason}" if reason else "")
    text = f"{met} of {of} {what} {'was' if met == 1 else 'were'} {said}"
    sentence = f"{text.rstrip('.')}; {remedy}" if remedy else text
    return Cause(sentence, what, met, of, reason, remedy)

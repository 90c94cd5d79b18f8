"""Who asked for an answer, and when: commits, response.create, and which turn a response answers.

Theory of operation
-------------------
A response answers the last *trigger* before it: a server may create it before or after anything
else, but it has always just decided that somebody has finished, or was told to answer. Triggers are
what the server commits (the turn of the item; nobody's where nobody spoke), a response.create of
the caller, and what is written, where no response.create came after it. Where nobody ever asked, a
response answers what was said last. A response outside of the conversation (`conversation:
"none"`), of which the caller must have asked for at least one, answers nobody.

A response.create belongs to the turn that was begun last; while that is still being said it
belongs to the trigger before (the output of a tool, say, sent while the caller is speaking again).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bench.tracker.event import Event, dig
from bench.tracker.turn import Turn
from bench.tracker.utterances import Timeline, Utterance

COMMIT: Final = "input_audio_buffer.commit"
CREATE: Final = "response.create"


@dataclass(slots=True, eq=False)
class Trigger:
    """A commit or response.create that the caller sent.

    turn:     whose, by number among the session's turns; -1: nobody's
    apart:    it asks for a response outside of the conversation
    params:   what it asks for; None: nothing special
    refused:  an error named it
    """

    event: Event
    body: dict[str, Any]
    turn: int = -1
    refused: bool = False

    @property
    def create(self) -> bool:
        return self.event.type == CREATE

    @property
    def sent_ns(self) -> int:
        return self.event.sent_ns

    @property
    def params(self) -> dict[str, Any] | None:
        asked = dig(self.body, "response")
        return asked if isinstance(asked, dict) else None

    @property
    def apart(self) -> bool:
        return bool(dig(self.params, "conversation") == "none")


class Commit(NamedTuple):
    """What the server committed, and whose it is; -1: nobody's."""

    event: Event
    turn: int


def assign_creates(
    triggers: Sequence[Trigger], turns: Sequence[Utterance], commits: Iterable[Commit]
) -> None:
    """Move every response.create from a turn that is still being said to the trigger before."""
    early = [
        one
        for one in triggers
        if one.create and one.turn >= 0 and one.sent_ns < turns[one.turn].end_ns
    ]
    if not early:
        return
    own = [one for one in triggers if not one.create]
    before = _Answerable(turns, commits, own, lambda turn: turn >= 0)
    for one in early:
        one.turn = before.last(one.event.place, one.turn)


def tell_triggers(turns: Sequence[Turn], triggers: Sequence[Trigger]) -> None:
    """Tell every turn when it was closed, and when an answer to it was asked for.

    A refused trigger counts where there is no other.
    """
    for trigger in sorted(triggers, key=lambda one: one.refused):
        if trigger.turn < 0 or trigger.apart:
            continue
        turn = turns[trigger.turn]
        if not trigger.create and turn.commit_sent_ns is None:
            turn.commit_sent_ns = trigger.sent_ns
        elif trigger.create and turn.create_sent_ns is None:
            turn.create_sent_ns = trigger.sent_ns
            turn.asked_modalities = dig(trigger.params, "output_modalities")
    for turn in turns:
        if turn.written:
            turn.turn_closed_ns = turn.answer_asked_ns = turn.said_ns = turn.create_sent_ns
            continue
        turn.turn_closed_ns = turn.commit_sent_ns if turn.manual else turn.speech_stopped_ns
        turn.answer_asked_ns = turn.committed_ns if turn.unasked else turn.create_sent_ns
        turn.said_ns = turn.speech_offset_ns


class ResponseTriggers:
    """Which turn of a session a response answers."""

    def __init__(
        self, triggers: Sequence[Trigger], turns: Sequence[Utterance], commits: Iterable[Commit]
    ) -> None:
        creates = [one for one in triggers if one.create and not one.apart and not one.refused]
        self._asked = _Answerable(turns, commits, creates, lambda _: True)
        self._said = Timeline([turn.row for turn in turns])
        self._apart = any(one.apart for one in triggers)

    def turn_of(self, row: int, *, apart: bool) -> int:
        """The turn that a response which began at `row` answers; -1: nobody's."""
        if apart and self._apart:
            return -1
        return self._asked.last(2 * row, self._said.last(row))


class _Answerable:
    """Everything that an answer may be to, in the order of the wire."""

    def __init__(
        self,
        turns: Sequence[Utterance],
        commits: Iterable[Commit],
        sent: Iterable[Trigger],
        counts: Callable[[int], bool],
    ) -> None:
        places = [(2 * one.event.row, one.turn) for one in commits]
        mine = [(one.event.place, one.turn) for one in sent]
        asked = {turn for _, turn in mine}
        places += mine
        places += [
            (2 * one.row, number)
            for number, one in enumerate(turns)
            if one.written and number not in asked
        ]
        places = [(place, turn) for place, turn in places if counts(turn)]
        self._timeline = Timeline([place for place, _ in places])
        self._turns = [turn for _, turn in places]

    def last(self, place: int, otherwise: int) -> int:
        """The turn of the last at or before a place; `otherwise` where there is none."""
        found = self._timeline.last(place)
        return self._turns[found] if found >= 0 else otherwise

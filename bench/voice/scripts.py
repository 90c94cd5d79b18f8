"""Conversation scripts: what one caller does, written like stage directions.

A script is a generator over a `Part`. It yields directions and is resumed when each is over; it
never sees a clock. A team's own script has the same shape and is named `package.module:function`
in the scenario.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.protocol.client import ClientMessage
from bench.voice.utterance import Utterance


class Part(NamedTuple):
    """What one caller has to say: one line a turn, as many interruptions, and two manners (ns)."""

    lines: tuple[Utterance, ...]
    interruptions: tuple[Utterance, ...] = ()
    gap_ns: int = 300_000_000
    hear_ns: int = 1_200_000_000


class Say(NamedTuple):
    """Say an utterance; over when its recording has been spoken. `role`: line or interruption."""

    utterance: Utterance
    role: str = "line"


class Pause(NamedTuple):
    """Be silent for a time."""

    duration_ns: int


class Hear(NamedTuple):
    """Listen until that much of the reply has been heard, or all of it, or patience ends."""

    duration_ns: int


class HearOut(NamedTuple):
    """Listen until the reply has been heard to its end, or patience ends."""


class Send(NamedTuple):
    """Send a message now."""

    message: ClientMessage


class Await(NamedTuple):
    """Wait until a message of that type arrives, or patience ends."""

    type: str


Direction = Say | Pause | Hear | HearOut | Send | Await


def turn_taking(part: Part) -> Iterator[Direction]:
    """Say a line, hear the answer out, think, say the next."""
    for line in part.lines:
        yield Pause(part.gap_ns)
        yield Say(line)
        yield HearOut()


def barge_in(part: Part) -> Iterator[Direction]:
    """Say a line, hear some of the answer, talk into it, hear the second answer out."""
    for line, interruption in zip(part.lines, part.interruptions, strict=True):
        yield Pause(part.gap_ns)
        yield Say(line)
        yield Hear(part.hear_ns)
        yield Say(interruption, role="interruption")
        yield HearOut()


class Script(NamedTuple):
    """A stock script. `yields` are the needs of metrics that it satisfies (see `bench.plan`)."""

    play: Callable[[Part], Iterator[Direction]]
    turns_per_line: int
    yields: tuple[str, ...]


SCRIPTS = {
    "turn_taking": Script(turn_taking, 1, ()),
    "barge_in": Script(barge_in, 2, ("interruption",)),
}

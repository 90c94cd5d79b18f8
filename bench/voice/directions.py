"""What a script can tell its caller to do, and what the caller has to say: plain values.

A direction is over at an instant that `bench.voice.conversation` knows; a script is resumed then,
with what the direction gives.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from bench.protocol.client import ClientMessage
from bench.protocol.objects import Session
from bench.voice.utterance import Utterance


class Part(NamedTuple):
    """What one caller has to say: one line a turn, as many interruptions, and the caller's manner.

    Lengths are ns. `gaps_ns` are pauses before the lines, where each is another; else they are
    `gap_ns`. `changes` and `refused` are sessions for session.update: some that the server
    should take, some that it should not.
    """

    lines: tuple[Utterance, ...]
    interruptions: tuple[Utterance, ...] = ()
    gap_ns: int = 300_000_000
    hear_ns: int = 1_200_000_000
    tool_ns: int = 500_000_000
    changes: tuple[Session, ...] = ()
    refused: tuple[Session, ...] = ()
    gaps_ns: tuple[int, ...] = ()

    @property
    def paused_lines(self) -> Iterator[tuple[int, Utterance]]:
        """Every line with the pause before it, ns."""
        gaps = self.gaps_ns or (self.gap_ns,) * len(self.lines)
        return zip(gaps, self.lines, strict=True)


class Call(NamedTuple):
    """A tool call of the agent. `arguments` is JSON text; what it does not say is ""."""

    call_id: str
    name: str
    arguments: str


class Reply(NamedTuple):
    """What was heard: the last response to what was said, "" where there was none.

    `calls` are tools that it wants called; `continues` says that the server itself goes on once it
    has their outputs. `item_id` is what was spoken, `heard_ns` how much of it was heard.
    """

    response_id: str = ""
    item_id: str = ""
    heard_ns: int = 0
    calls: tuple[Call, ...] = ()
    continues: bool = False


class Say(NamedTuple):
    """Say an utterance; over when its recording has been spoken.

    `role`: line, interruption, or backchannel, which opens no turn.
    """

    utterance: Utterance
    role: str = "line"


class Write(NamedTuple):
    """Type a text as a turn: its item is sent. What asks for an answer is a response.create."""

    text: str


class Commit(NamedTuple):
    """Commit what was said, once the last of it was sent (manual mode: the key is released)."""


class Pause(NamedTuple):
    """Be silent for a time."""

    duration_ns: int


class Hear(NamedTuple):
    """Listen until that much of the reply was heard, or all, or patience ends; gives a `Reply`."""

    duration_ns: int


class HearOut(NamedTuple):
    """Listen until the reply has been heard to its end, or patience ends; gives a `Reply`."""


class Send(NamedTuple):
    """Send a message now. `provokes`: it is wrong on purpose, and an error is the right answer."""

    message: ClientMessage
    provokes: bool = False


class Await(NamedTuple):
    """Wait for a message of that type (about that item); gives the message, or None.

    Over also with an error about what was sent last or a message of the type `instead`, either of
    which it gives, or at the end of patience.
    """

    type: str
    item_id: str = ""
    instead: str = ""


class Stop(NamedTuple):
    """Stop the agent: empty the player, cancel the response, truncate it to what was heard.

    `cancel`: "named" (with the response's id), "bare" (without) or "none".
    """

    cancel: str = "named"
    truncate: bool = True


Direction = Say | Write | Commit | Pause | Hear | HearOut | Send | Await | Stop
Script = Generator[Direction, Any, None]


def play_of(script: Iterator[Direction]) -> Callable[[Any], Direction]:
    """How to resume a script with what it was given: a plain iterator takes nothing."""
    if isinstance(script, Generator):
        return script.send
    return lambda _: next(script)

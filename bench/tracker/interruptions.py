"""Who talked into a reply, which one, and what became of it.

Theory of operation
-------------------
The reply that is interrupted is the one in the player when the interruption's speech begins (see
`playout`). Where none is, nobody was interrupted: there is no sample, and whether the agent yielded
is unknown. The server may still be generating that reply, and has to cancel it, or have finished,
and then only playout has to stop (`interrupted_while`).

Silence is where the caller's player is last audible, not where the last packet came (flaw F17: a
reply that was sent whole and fast shows a last packet in the past while it plays on for seconds).
It is given twice: for the player as it was, emptied at `bench.flush`, and for one that plays all
it was sent.

A *disturbance* is a backchannel or a sound said into a reply. Only what began while a reply was
audible could interrupt one; what is said into silence is no sample. The agent was *silenced* by it
where the server noticed a start of speech in it, and because of that start the caller's player was
emptied, or the server cancelled the reply (`turn_detected`), soon. "Because of" means that it was
the last start before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.tracker.event import NEVER, Event
from bench.tracker.playout import Life, life_of
from bench.tracker.responses import Response
from bench.tracker.turn import SessionEnd, Turn
from bench.tracker.utterances import Timeline, Utterance
from bench.tracker.vad_events import Start

YIELD_NS: Final = 2_000_000_000
"""How long after the server noticed the interruption an agent may stay audible and still yield."""


class PlayedReplies:
    """The replies of one session that were audible in the player."""

    def __init__(self, responses: Sequence[Response]) -> None:
        lives = ((response, life_of(response.deltas)) for response in responses)
        self._lives = [(response, life) for response, life in lives if life is not None]

    def playing(self, begin_ns: int, noticed_ns: int | None) -> tuple[Response, Life] | None:
        """The reply that was playing at an instant; None: none was.

        `noticed_ns` is when the server noticed what began then. A detector may be early: a player
        that this very interruption emptied was playing.
        """
        noticed = begin_ns if noticed_ns is None else min(begin_ns, noticed_ns)
        for response, life in reversed(self._lives):
            if life.heard_ns <= begin_ns < life.alone_ns and life.cut_ns >= noticed:
                return response, life
        return None


def tell_interruption(
    turn: Turn, playing: tuple[Response, Life], end: SessionEnd, *, interruptible: bool
) -> None:
    """Tell a turn what became of the reply that it talked into.

    `interruptible`: the server was to fall silent when somebody speaks.
    """
    reply, life = playing
    noticed = turn.speech_started_ns
    generating = reply.open_until_ns > turn.begin_ns
    turn.interrupted_while = "generating" if generating else "finished"
    turn.interrupted_last_audio_ns = reply.last_audio_ns
    turn.agent_silent_unflushed_ns = life.alone_ns
    if noticed is not None and interruptible and reply.open_until_ns >= noticed:
        turn.stale_audio = reply.audio_after(noticed)
    stopped = False
    # Still audible when the session ended: it was never heard to fall silent.
    if life.silent_ns <= end.at_ns:
        turn.agent_silent_ns = life.silent_ns
        soon = noticed is not None and life.silent_ns <= noticed + YIELD_NS
        stopped = soon or life.silent_ns <= life.cut_ns < turn.next_ns
    # A reply that ran out by itself, neither emptied nor cancelled, shows nothing of yielding.
    if life.cut_ns < NEVER or reply.cancelled or not stopped:
        turn.yielded = stopped


@dataclass(slots=True, eq=False)
class Disturbance:
    """A backchannel or sound that was said into a reply; `silenced`: the agent fell for it."""

    utterance: Utterance
    silenced: bool


def disturbances_of(
    aside: Sequence[Utterance],
    starts: Sequence[Start],
    replies: PlayedReplies,
    silences: Iterable[int],
) -> list[Disturbance]:
    """The disturbances among what was said `aside`.

    `silences` are the instants at which the server fell silent, or made the player do so.
    """
    noticed: dict[Utterance, Event] = {}
    for start in starts:
        if start.utterance is not None:
            noticed.setdefault(start.utterance, start.event)
    order = Timeline([start.event.at_ns for start in starts])
    silenced: set[Utterance | None] = set()
    for at_ns in silences:
        last = order.last(at_ns)
        if last >= 0 and at_ns <= starts[last].event.at_ns + YIELD_NS:
            silenced.add(starts[last].utterance)
    return [
        Disturbance(one, one in silenced)
        for one in aside
        if replies.playing(one.begin_ns, noticed[one].at_ns if one in noticed else None)
    ]

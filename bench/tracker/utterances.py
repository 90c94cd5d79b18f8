"""What the caller said and wrote, and which of it are turns.

Theory of operation
-------------------
The microphone's timeline is wall time: an utterance placed at media position S by a microphone
opened at O begins at O + S, and its true speech runs from O + S + onset to O + S + offset. What is
written begins at its note and has no place on that timeline.

Whatever asks for an answer is a turn. What does not is a *disturbance*: a sound without speech, or
a backchannel ("Mm-hmm" said into a reply).
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from bench.tracker.event import Event

WRITTEN: Final = "text"
DISTURBANCES: Final = ("backchannel", "sound")


@dataclass(slots=True, eq=False)
class Utterance:
    """One thing said or written.

    begin_ns, end_ns:  instants that everything has: of speech its true onset and offset, of a sound
                       its first and last sample, of what is written its note, twice
    onset_media_ns, offset_media_ns:  the same on the microphone's timeline; None: written
    """

    row: int
    turn: int
    role: str
    utterance: str
    text: str
    begin_ns: int
    end_ns: int
    onset_media_ns: int | None = None
    offset_media_ns: int | None = None

    @property
    def written(self) -> bool:
        return self.role == WRITTEN

    @property
    def is_turn(self) -> bool:
        """It asks for an answer."""
        return self.role not in DISTURBANCES


def utterance_of(event: Event, opened_ns: int) -> Utterance:
    """What a note `bench.say` or `bench.write` tells; the microphone was opened at `opened_ns`."""
    said = event.body()
    turn, words = int(said["turn"]), said.get("text") or ""
    if event.type == "bench.write":
        return Utterance(
            event.row, turn, WRITTEN, said.get("utterance") or "", words, event.at_ns, event.at_ns
        )
    speech, media = said.get("onset_ms") is not None, event.media_ns or 0
    onset = media + _ns(said.get("onset_ms"))
    offset = media + _ns(said.get("offset_ms") if speech else said.get("duration_ms"))
    return Utterance(
        event.row,
        turn,
        (said.get("role") or "") if speech else "sound",
        said.get("utterance") or "",
        words,
        opened_ns + onset,
        opened_ns + offset,
        onset,
        offset,
    )


def _ns(milliseconds: float | None) -> int:
    return round((milliseconds or 0) * 1e6)


class Timeline:
    """Things in the order of an instant each, to look up the last one at or before another."""

    def __init__(self, instants: list[int]) -> None:
        self._order = sorted(range(len(instants)), key=instants.__getitem__)
        self._instants = [instants[place] for place in self._order]

    def last(self, instant: int) -> int:
        """Which was last at or before `instant`, among equals the later; -1: none."""
        found = bisect_right(self._instants, instant) - 1
        return self._order[found] if found >= 0 else -1

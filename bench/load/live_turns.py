"""Which turn a session is in and how soon it was answered, for the live view and for no figure."""

from typing import Any, Protocol

from bench.voice.audio import NS_PER_MS
from bench.voice.outbox import Note


class Tally(Protocol):
    """What a session tells about itself while it runs."""

    def turn(self, latency_ms: float | None, nbytes: int, failure: str | None) -> None:
        """A turn is over: latency to first audio (None: no answer)."""

    def ended(self, outcome: str, reason: str) -> None:
        """The session is over."""


class LiveTurns:
    """The turns of one session, told to its `tally` as each is over. Instants are monotonic ns."""

    __slots__ = ("_answer_ns", "_nbytes", "_offset_ns", "_tally")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._offset_ns: int | None = None
        self._answer_ns: int | None = None
        self._nbytes = 0

    def note(self, note: Note) -> None:
        """The caller said, typed or heard something."""
        if note.type == "bench.say":
            self._say(note.detail or {}, note.due_ns or note.at_ns)
        elif note.type == "bench.write":
            self.over(None)
            self._begin(note.at_ns)
        elif note.type in {"bench.heard_out", "bench.gave_up"}:
            self.over("no answer" if note.type == "bench.gave_up" else None)

    def answer(self, at_ns: int, nbytes: int) -> None:
        """Audio or text of an answer came."""
        if self._answer_ns is None and nbytes:
            self._answer_ns = at_ns
        self._nbytes += nbytes

    def over(self, failure: str | None) -> None:
        """The turn is over, if there is one."""
        offset, answer = self._offset_ns, self._answer_ns
        if offset is None:
            return
        self._offset_ns = None
        latency = None if answer is None else (answer - offset) / NS_PER_MS
        if failure is None and latency is None:
            failure = "no answer"
        self._tally.turn(latency, self._nbytes, failure)

    def _say(self, detail: dict[str, Any], start_ns: int) -> None:
        if detail["offset_ms"] is None or detail["role"] == "backchannel":
            return
        if detail["role"] == "interruption":
            self.over(None)
        self._begin(start_ns + round(detail["offset_ms"] * NS_PER_MS))

    def _begin(self, offset_ns: int) -> None:
        self._offset_ns, self._answer_ns, self._nbytes = offset_ns, None, 0

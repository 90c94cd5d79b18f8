"""Rules about what the server hears: speech, its positions, commits, transcriptions.

Theory of operation
-------------------
An item's speech starts, stops, is committed and transcribed. Servers may leave out stops, commits,
names and positions; a start without a name may be stopped by anything, and a commit is early only
if the stop comes after it. Positions are on the clock of the audio that was written, and may be
told one chunk early: a chunk counts as written when its last byte went.
"""

from typing import Final

from bench.protocol.grammar.asked import Asked
from bench.protocol.grammar.facts import Breaches, Fact
from bench.protocol.grammar.items import Items

_MS: Final = 1_000_000


class Ear:
    """The ear of one session."""

    def __init__(self, breaches: Breaches, asked: Asked, items: Items) -> None:
        self._breaches = breaches
        self._asked = asked
        self._items = items
        self.began_ns: int | None = None
        """When the session was created, if it was."""
        self._written_ns: int | None = 0
        self._chunk_ns = 0
        self._starts: dict[str, int | None] = {}
        self._stops: set[str] = set()
        self._speaking: dict[str, None] = {}
        self._latest: dict[str, int] = {}
        self._commits: dict[str, bool] = {}  # whether the caller asked for it
        self._early: dict[str, int] = {}

    def append(self, fact: Fact) -> None:
        """Audio was written; from one of unknown length on nobody knows how much."""
        if fact.audio_ns is None:
            self._written_ns = None
            self._asked.sent(fact)
        elif self._written_ns is not None:
            self._written_ns += fact.audio_ns
            self._chunk_ns = max(self._chunk_ns, fact.audio_ns // max(1, fact.messages))

    def started(self, fact: Fact) -> None:
        item_id = fact.item_id
        if item_id:
            self._items.seen.add(item_id)
            if item_id in self._starts:
                self._breaches.tell("speech_pairs", item_id, f"speech of {item_id} starts again")
                return
            self._starts[item_id] = fact.audio_ms
        self._speaking[item_id] = None
        self._place(fact, "starts")

    def stopped(self, fact: Fact) -> None:
        item_id, tell = fact.item_id, self._breaches.tell
        if item_id in self._stops:
            tell("speech_pairs", item_id, f"speech of {item_id} stops again")
            return
        if not self._leave(item_id):
            text = f"speech of {item_id or 'no item'} stops and had not started"
            tell("speech_pairs", item_id or self._breaches.index, text)
        elif self._commits.get(item_id) is False:
            text = f"{item_id} was committed before its speech had stopped"
            tell("commit_before_stop", item_id, text)
        if item_id:
            self._items.seen.add(item_id)
            self._stops.add(item_id)
        start = self._starts.get(item_id)
        if start is not None and fact.audio_ms is not None and fact.audio_ms < start:
            text = f"speech of {item_id} starts at {start} ms and stops at {fact.audio_ms} ms"
            tell("speech_order", item_id, text)
        self._place(fact, "stops")

    def committed(self, fact: Fact) -> None:
        item_id, by_caller = fact.item_id, self._asked.answered(fact)
        self._items.follow(fact)
        if not item_id:
            return
        if item_id in self._commits:
            self._breaches.tell("commit_once", item_id, f"{item_id} was committed again")
        self._commits[item_id] = by_caller
        self._items.seen.add(item_id)

    def timeout(self, fact: Fact) -> None:
        """The silence of a caller became an item."""
        if fact.item_id:
            self._items.seen.add(fact.item_id)

    def transcribed(self, fact: Fact) -> None:
        """A recogniser that streams may begin before the detector; it does not end before."""
        item_id = fact.item_id
        if not item_id or item_id in self._items.seen:
            return
        if fact.type.endswith((".completed", ".failed")):
            self._breaches.tell("transcription_unknown", item_id, _unheard(item_id))
        else:
            self._early.setdefault(item_id, self._breaches.index)

    def end(self) -> None:
        """Transcriptions that began early: was there ever an item?"""
        for item_id, index in self._early.items():
            if item_id not in self._items.seen:
                self._breaches.tell("transcription_unknown", item_id, _unheard(item_id), index)

    def _leave(self, item_id: str) -> bool:
        """Whether there is a start that this stop may belong to; it is over now."""
        for start in (item_id, ""):
            if start in self._speaking:
                del self._speaking[start]
                return True
        if not item_id and self._speaking:
            self._speaking.popitem()
            return True
        return False

    def _place(self, fact: Fact, verb: str) -> None:
        position = fact.audio_ms
        if position is None:
            return
        key, latest = (fact.item_id or self._breaches.index), self._latest.get(verb, position)
        if position < latest:
            text = f"speech {verb} at {position} ms, after one that {verb} at {latest} ms"
            self._breaches.tell("speech_order", key, text)
        self._latest[verb] = max(latest, position)
        written = self._written_ns
        # From the first audio, or from the session's start? Not every server says.
        lasted = 0 if self.began_ns is None else fact.at_ns - self.began_ns
        if written and position * _MS > max(written, lasted) + self._chunk_ns:
            text = f"speech {verb} at {position} ms, and {written // _MS} ms were written"
            self._breaches.tell("speech_clock", (key, verb), text)


def _unheard(item_id: str) -> str:
    return f"{item_id} was transcribed, and neither heard, committed nor added"

"""Rules about requests, about what the server hears, and about the items of the conversation.

Theory of operation
-------------------
A *request* is known by the type of message that acknowledges it and the item that it is about. An
error that names its `event_id` answers it for good. Messages without an `event_id` cannot be named,
so a session that sends any (older logs do not say them) has no wrong names.

An *item* is seen once any message has named it as its own: then others may follow it. An item may
be added once in either spelling, `conversation.item.added` or the beta's `.created`; servers have
been known to speak both. A deleted item may come again.

An item's *speech* starts, stops, is committed and transcribed. Servers may leave out stops,
commits, names and positions; a start without a name may be stopped by anything, and a commit is
early only if the stop comes after it. Positions are on the clock of the audio that was written, and
may be told one chunk early: a chunk counts as written when its last byte went.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.tracker.event import Event, word
from bench.tracker.protocol_rules import Violations

ANSWERS: Final = {
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
}
"""Which message acknowledges which."""
_ROOT: Final = "root"
_MS: Final = 1_000_000


class RequestRules:
    """Requests in flight in one session."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations
        self._names: set[str] = set()
        self._all_named = True
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._by_name: dict[str, tuple[str, str]] = {}

    def sent(self, event: Event) -> None:
        """A message left; maybe one that is acknowledged."""
        name = word(event.body(), "event_id")
        if name:
            self._names.add(name)
        else:
            self._all_named = False
        answer = ANSWERS.get(event.type)
        if answer is not None:
            request = (answer, _item(answer, event))
            self._waiting[request] += 1
            self._by_name[name] = request

    def answered(self, event: Event) -> bool:
        """Whether this acknowledgement was waited for; it is no more."""
        request = (event.type, _item(event.type, event))
        if self._waiting[request] <= 0:
            return False
        self._waiting[request] -= 1
        return True

    def acknowledged(self, event: Event) -> None:
        """An acknowledgement that nobody but a caller brings about."""
        if not self.answered(event):
            what = f"{event.type} {_item(event.type, event)}".rstrip()
            self._violations.tell("unasked", event.row, f"{what}: nobody had asked for it")

    def error(self, event: Event) -> None:
        """An error; the message that it names will not be acknowledged."""
        name = word(event.body(), "event_id")
        if not name:
            return
        if name not in self._names and self._all_named:
            text = f"the error names {name}, which was never sent"
            self._violations.tell("error_event_id", name, text)
        request = self._by_name.pop(name, None)
        if request is not None:
            self._waiting[request] -= 1


def _item(answer: str, event: Event) -> str:
    """The item that an acknowledgement is about; a buffer has none."""
    return "" if answer.startswith("input_audio_buffer") else event.item_id or ""


@dataclass(slots=True)
class _Item:
    """An item of the conversation. `spellings`: the messages that have added it."""

    spellings: set[str] = field(default_factory=set)
    done: bool = False


class ItemRules:
    """The conversation of one session. `seen`: ids that a message may refer to."""

    def __init__(self, violations: Violations, requests: RequestRules) -> None:
        self.seen: set[str] = set()
        self._violations = violations
        self._requests = requests
        self._items: dict[str, _Item] = {}
        self._places: dict[str, str | None] = {}
        self._statuses: dict[str, str] = {}
        self._calls: dict[str, str] = {}

    def create(self, event: Event) -> None:
        """The caller sends an item."""
        self._requests.sent(event)
        if event.item_id:
            self.seen.add(event.item_id)
            self._places[event.item_id] = event.previous_id

    def added(self, event: Event) -> None:
        item_id, tell = event.item_id, self._violations.tell
        self.follow(event)
        if not item_id:
            return
        self.seen.add(item_id)
        asked, said = self._places.pop(item_id, None), event.previous_id
        if asked and asked != _ROOT and said and said != asked:
            text = f"{item_id} was to follow {asked} and follows {said}"
            tell("item_position", item_id, text)
        item = self._items.setdefault(item_id, _Item())
        if event.type in item.spellings:
            tell("item_added_once", item_id, f"{item_id} was added again")
        item.spellings.add(event.type)
        if event.call_id and event.body().get("type") == "function_call":
            self.own(event.call_id, item_id)

    def done(self, event: Event) -> None:
        item_id, tell = event.item_id, self._violations.tell
        self.follow(event)
        if not item_id:
            return
        self.seen.add(item_id)
        item = self._items.setdefault(item_id, _Item())
        if not item.spellings:
            tell("item_done_before_added", item_id, f"{item_id} is done and was never added")
        elif item.done:
            tell("item_done_once", item_id, f"{item_id} is done again")
        item.done = True
        self.ends_as(item_id, word(event.body(), "status"))

    def deleted(self, event: Event) -> None:
        self._requests.acknowledged(event)
        if event.item_id:
            self._items.pop(event.item_id, None)
            self._statuses.pop(event.item_id, None)

    def follow(self, event: Event) -> None:
        """What a message says its item follows must have been seen; null says nothing."""
        previous = event.previous_id
        if previous and previous != _ROOT and previous not in self.seen:
            text = f"{event.item_id or ''} follows {previous}, which nobody has seen"
            self._violations.tell("item_position", previous, text)

    def ends_as(self, item_id: str, status: str) -> None:
        """The conversation and the response say of one item how it ended, in either order."""
        if status and (other := self._statuses.setdefault(item_id, status)) != status:
            text = f"{item_id} is done as {other} and as {status}"
            self._violations.tell("item_status", item_id, text)

    def own(self, call_id: str, item_id: str) -> None:
        """A tool call is one item's."""
        owner = self._calls.setdefault(call_id, item_id)
        if owner != item_id:
            text = f"{owner} and {item_id} are both {call_id}"
            self._violations.tell("call_ids", item_id, text)


class InputRules:
    """What the server of one session hears. `began_ns`: when the session was created, if it was."""

    def __init__(self, violations: Violations, requests: RequestRules, items: ItemRules) -> None:
        self.began_ns: int | None = None
        self._violations = violations
        self._requests = requests
        self._items = items
        self._written_ns: int | None = 0
        self._chunk_ns = 0
        self._starts: dict[str, int | None] = {}
        self._stops: set[str] = set()
        self._speaking: dict[str, None] = {}
        self._latest: dict[str, int] = {}
        self._commits: dict[str, bool] = {}  # whether the caller asked for it
        self._early: dict[str, int] = {}

    def wrote(self, audio_ns: Sequence[int | None]) -> None:
        """Audio was written; from some of unknown length on nobody knows how much."""
        lengths = [length for length in audio_ns if length is not None]
        if len(lengths) < len(audio_ns):
            self._written_ns = None
        elif self._written_ns is not None and lengths:
            self._written_ns += sum(lengths)
            self._chunk_ns = max(self._chunk_ns, *lengths)

    def started(self, event: Event) -> None:
        item_id = event.item_id or ""
        if item_id:
            self._items.seen.add(item_id)
            if item_id in self._starts:
                text = f"speech of {item_id} starts again"
                self._violations.tell("speech_pairs", item_id, text)
                return
            self._starts[item_id] = event.audio_ms
        self._speaking[item_id] = None
        self._place(event, "starts")

    def stopped(self, event: Event) -> None:
        item_id, tell = event.item_id or "", self._violations.tell
        if item_id in self._stops:
            tell("speech_pairs", item_id, f"speech of {item_id} stops again")
            return
        if not self._leave(item_id):
            text = f"speech of {item_id or 'no item'} stops and had not started"
            tell("speech_pairs", item_id or event.row, text)
        elif self._commits.get(item_id) is False:
            text = f"{item_id} was committed before its speech had stopped"
            tell("commit_before_stop", item_id, text)
        if item_id:
            self._items.seen.add(item_id)
            self._stops.add(item_id)
        start = self._starts.get(item_id)
        if start is not None and event.audio_ms is not None and event.audio_ms < start:
            text = f"speech of {item_id} starts at {start} ms and stops at {event.audio_ms} ms"
            tell("speech_order", item_id, text)
        self._place(event, "stops")

    def committed(self, event: Event) -> None:
        item_id, by_caller = event.item_id, self._requests.answered(event)
        self._items.follow(event)
        if not item_id:
            return
        if item_id in self._commits:
            self._violations.tell("commit_once", item_id, f"{item_id} was committed again")
        self._commits[item_id] = by_caller
        self._items.seen.add(item_id)

    def timeout(self, event: Event) -> None:
        """The silence of a caller became an item."""
        if event.item_id:
            self._items.seen.add(event.item_id)

    def transcribed(self, event: Event) -> None:
        """A recogniser that streams may begin before the detector; it does not end before."""
        item_id = event.item_id
        if not item_id or item_id in self._items.seen:
            return
        if event.type.endswith((".completed", ".failed")):
            self._violations.tell("transcription_unknown", item_id, _unheard(item_id))
        else:
            self._early.setdefault(item_id, event.row)

    def close(self) -> None:
        """Transcriptions that began early: was there ever an item?"""
        for item_id, row in self._early.items():
            if item_id not in self._items.seen:
                self._violations.tell("transcription_unknown", item_id, _unheard(item_id), row)

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

    def _place(self, event: Event, verb: str) -> None:
        position = event.audio_ms
        if position is None:
            return
        key, latest = (event.item_id or event.row), self._latest.get(verb, position)
        if position < latest:
            text = f"speech {verb} at {position} ms, after one that {verb} at {latest} ms"
            self._violations.tell("speech_order", key, text)
        self._latest[verb] = max(latest, position)
        written = self._written_ns
        # From the first audio, or from the session's start? Not every server says.
        lasted = 0 if self.began_ns is None else event.at_ns - self.began_ns
        if written and position * _MS > max(written, lasted) + self._chunk_ns:
            text = f"speech {verb} at {position} ms, and {written // _MS} ms were written"
            self._violations.tell("speech_clock", (key, verb), text)


def _unheard(item_id: str) -> str:
    return f"{item_id} was transcribed, and neither heard, committed nor added"

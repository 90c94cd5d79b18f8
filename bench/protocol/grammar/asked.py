"""What the caller has asked for and not yet been given; errors answer, too.

Theory of operation
-------------------
A request is known by the type of message that acknowledges it and the item that it is about. An
error that names its `event_id` answers it for good. Messages without an `event_id` cannot be named,
so a session that sends any (older logs do not say them) has no wrong names.
"""

from collections import Counter
from typing import Final

from bench.protocol.grammar.facts import Breaches, Fact, table, word

ANSWERS: Final = {
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
}
"""Which message acknowledges which."""


class Asked:
    """Requests in flight in one session."""

    def __init__(self, breaches: Breaches) -> None:
        self._breaches = breaches
        self._names: set[str] = set()
        self._all_named = True
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._by_name: dict[str, tuple[str, str]] = {}

    def sent(self, fact: Fact) -> None:
        """A message left; maybe one that is acknowledged."""
        if fact.event_id:
            self._names.add(fact.event_id)
        else:
            self._all_named = False
        answer = ANSWERS.get(fact.type)
        if answer is not None:
            request = (answer, _item(answer, fact))
            self._waiting[request] += 1
            self._by_name[fact.event_id] = request

    def answered(self, fact: Fact) -> bool:
        """Whether this acknowledgement was waited for; it is no more."""
        request = (fact.type, _item(fact.type, fact))
        if self._waiting[request] <= 0:
            return False
        self._waiting[request] -= 1
        return True

    def acknowledged(self, fact: Fact) -> None:
        """An acknowledgement that nobody but a caller brings about."""
        if not self.answered(fact):
            what = f"{fact.type} {_item(fact.type, fact)}".rstrip()
            key = self._breaches.index
            self._breaches.tell("unasked", key, f"{what}: nobody had asked for it")

    def error(self, fact: Fact) -> None:
        """An error; the message that it names will not be acknowledged."""
        name = word(table(fact.detail).get("event_id"))
        if not name:
            return
        if name not in self._names and self._all_named:
            text = f"the error names {name}, which was never sent"
            self._breaches.tell("error_event_id", name, text)
        request = self._by_name.pop(name, None)
        if request is not None:
            self._waiting[request] -= 1


def _item(answer: str, fact: Fact) -> str:
    """The item that an acknowledgement is about; a buffer has none."""
    return "" if answer.startswith("input_audio_buffer") else fact.item_id

"""Rules about the items of the conversation: added, done, placed, deleted; who owns a tool call.

Theory of operation
-------------------
An item is *seen* once any message has named it as its own: then others may follow it. An item may
be added once in either spelling, `conversation.item.added` or the beta's `.created`; servers have
been known to speak both. A deleted item may come again.
"""

from dataclasses import dataclass, field
from typing import Final

from bench.protocol.grammar.asked import Asked
from bench.protocol.grammar.facts import Breaches, Fact, table, word

_ROOT: Final = "root"


@dataclass(slots=True)
class _Item:
    """An item of the conversation. `spellings`: the messages that have added it."""

    spellings: set[str] = field(default_factory=set)
    done: bool = False


class Items:
    """The conversation of one session. `seen`: ids that a message may refer to."""

    def __init__(self, breaches: Breaches, asked: Asked) -> None:
        self.seen: set[str] = set()
        self._breaches = breaches
        self._asked = asked
        self._items: dict[str, _Item] = {}
        self._places: dict[str, str] = {}
        self._statuses: dict[str, str] = {}
        self._calls: dict[str, str] = {}

    def create(self, fact: Fact) -> None:
        """The caller sends an item."""
        self._asked.sent(fact)
        if fact.item_id:
            self.seen.add(fact.item_id)
            self._places[fact.item_id] = fact.previous_id

    def added(self, fact: Fact) -> None:
        item_id, tell = fact.item_id, self._breaches.tell
        self.follow(fact)
        if not item_id:
            return
        self.seen.add(item_id)
        asked = self._places.pop(item_id, "")
        if asked and asked != _ROOT and fact.previous_id not in {"", asked}:
            text = f"{item_id} was to follow {asked} and follows {fact.previous_id}"
            tell("item_position", item_id, text)
        item = self._items.setdefault(item_id, _Item())
        if fact.type in item.spellings:
            tell("item_added_once", item_id, f"{item_id} was added again")
        item.spellings.add(fact.type)
        if table(fact.detail).get("type") == "function_call":
            self.own(fact.call_id, item_id)

    def done(self, fact: Fact) -> None:
        item_id, tell = fact.item_id, self._breaches.tell
        self.follow(fact)
        if not item_id:
            return
        self.seen.add(item_id)
        item = self._items.setdefault(item_id, _Item())
        if not item.spellings:
            tell("item_done_before_added", item_id, f"{item_id} is done and was never added")
        elif item.done:
            tell("item_done_once", item_id, f"{item_id} is done again")
        item.done = True
        self.ends_as(item_id, word(table(fact.detail).get("status")))

    def deleted(self, fact: Fact) -> None:
        self._asked.acknowledged(fact)
        self._items.pop(fact.item_id, None)
        self._statuses.pop(fact.item_id, None)

    def follow(self, fact: Fact) -> None:
        """What a message says its item follows must have been seen; null says nothing."""
        previous = fact.previous_id
        if previous and previous != _ROOT and previous not in self.seen:
            text = f"{fact.item_id} follows {previous}, which nobody has seen"
            self._breaches.tell("item_position", previous, text)

    def ends_as(self, item_id: str, status: str) -> None:
        """The conversation and the response say of one item how it ended, in either order."""
        if status and (other := self._statuses.setdefault(item_id, status)) != status:
            text = f"{item_id} is done as {other} and as {status}"
            self._breaches.tell("item_status", item_id, text)

    def own(self, call_id: str, item_id: str) -> None:
        """A tool call is one item's."""
        owner = self._calls.setdefault(call_id, item_id) if call_id else item_id
        if owner != item_id:
            self._breaches.tell("call_ids", item_id, f"{owner} and {item_id} are both {call_id}")

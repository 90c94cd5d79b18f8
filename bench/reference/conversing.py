"""The conversation as a client edits it: items created, truncated, deleted and retrieved.

What a tool returned while its call is still being said is taken once the response is over.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.client import ClientMessage
from bench.protocol.objects import Item
from bench.reference.board import Board
from bench.reference.history import ROOT, History
from bench.reference.items import check_item, whole_item
from bench.reference.refusing import error
from bench.reference.responding import Responding
from bench.reference.rules import Invalid
from bench.reference.schedule import Schedule
from bench.reference.settings import Settings

_CAUSE: Final = "client"


class Conversing:
    """Items of session `number`. `new_id` gives an id for an item that has none."""

    def __init__(
        self,
        number: int,
        schedule: Schedule,
        settings: Settings,
        history: History,
        responding: Responding,
        board: Board,
        new_id: Callable[[], str],
    ) -> None:
        self._session = number
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self._responding = responding
        self._board = board
        self._new_id = new_id

    def create(self, message: ask.ConversationItemCreate) -> None:
        """Insert: at the end, at the front ("root"), or behind a known item."""
        item, after = message.item, message.previous_item_id
        call_id = item.call_id if item.type == "function_call_output" else None
        if isinstance(call_id, str) and self._responding.is_calling(call_id):
            self._responding.after_active(partial(self.create, message))
            return
        invalid = check_item(item)
        if isinstance(after, str) and after != ROOT and after not in self._history:
            invalid = Invalid("previous_item_id", f"No item {after!r} in the conversation.")
        if isinstance(item.id, str) and item.id in self._history:
            invalid = Invalid("item.id", f"There is an item {item.id!r} already.")
        if invalid is not None:
            self._schedule.say(error(message, invalid), _CAUSE)
            return
        whole, audio = whole_item(item, item.id or self._new_id())
        if audio is not None:
            self._history.record(str(whole.id), audio, self._settings.input_format)
        self.add(whole, after if isinstance(after, str) else None, _CAUSE)
        if whole.role == "user" and isinstance(whole.content, list):
            said = " ".join(part.words for part in whole.content).strip()
            self._board.write(self._session, said)
        if isinstance(call_id, str):
            self._responding.returned(call_id)

    def add(self, item: Item, after: str | None, cause: str) -> None:
        """A whole item takes its place; the pair of messages says so."""
        previous = self._history.add(item, after)
        self._schedule.say(say.ConversationItemAdded(item=item, previous_item_id=previous), cause)
        self._schedule.say(say.ConversationItemDone(item=item, previous_item_id=previous), cause)

    def truncate(self, message: ask.ConversationItemTruncate) -> None:
        """Cut an agent's item to what was heard of it; the transcript goes."""
        if self._known(message, message.item_id, "truncate") is None:
            return
        invalid = self._history.truncate(
            message.item_id, message.content_index, message.audio_end_ms
        )
        if invalid is not None:
            self._schedule.say(error(message, invalid), _CAUSE)
            return
        self._schedule.say(
            say.ConversationItemTruncated(
                item_id=message.item_id,
                content_index=message.content_index,
                audio_end_ms=message.audio_end_ms,
            ),
            _CAUSE,
        )

    def delete(self, message: ask.ConversationItemDelete) -> None:
        """Forget an item. A response that is speaking it goes on."""
        if self._known(message, message.item_id, "delete") is not None:
            self._history.delete(message.item_id)
            self._schedule.say(say.ConversationItemDeleted(item_id=message.item_id), _CAUSE)

    def retrieve(self, message: ask.ConversationItemRetrieve) -> None:
        """One item with its audio."""
        item = self._known(message, message.item_id, "retrieve")
        if item is not None:
            whole = self._history.whole(item)
            self._schedule.say(say.ConversationItemRetrieved(item=whole), _CAUSE)

    def _known(self, message: ClientMessage, item_id: str, verb: str) -> Item | None:
        """The item of this id; where there is none, that was said."""
        item = self._history.find(item_id)
        if item is None:
            invalid = Invalid("item_id", f"Cannot {verb}: no item {item_id!r} here.")
            self._schedule.say(error(message, invalid, f"item_{verb}_invalid_item_id"), _CAUSE)
        return item

"""What a caller has to send and to record: messages with their ids, and notes."""

from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from bench.protocol import client
from bench.protocol.codec import encode, item_id_of, type_of
from bench.protocol.error_codes import ASIDE, PROVOKED
from bench.protocol.objects import Session


class Outgoing(NamedTuple):
    """A message that is due. `payload` is its JSON text; the rest is what the log wants to know."""

    payload: bytes
    type: str
    due_ns: int
    event_id: str | None = None
    item_id: str | None = None
    response_id: str | None = None
    media_ns: int | None = None
    audio_ns: int | None = None
    nbytes: int = 0
    detail: str | None = None
    previous_id: str | None = None
    call_id: str | None = None


class Note(NamedTuple):
    """Something the caller did or found out without a message (types: `bench.runs.rows`)."""

    type: str
    at_ns: int
    due_ns: int | None = None
    media_ns: int | None = None
    item_id: str | None = None
    detail: dict[str, Any] | None = None


class Outbox:
    """Messages and notes of one caller, in the order in which they are due.

    `waiting` holds those not taken yet, `last_id` is the event_id of the message sent last.
    Messages are named `NAME-1`, `NAME-2` …
    """

    __slots__ = ("_aside_ids", "_sent", "_session_type", "_updates", "last_id", "name", "waiting")

    def __init__(self, name: str, session_type: str | UnsetType = UNSET) -> None:
        self.waiting: list[Outgoing | Note] = []
        self.last_id = ""
        self._updates: dict[str, client.SessionUpdate] = {}  # not answered yet, by event_id
        self.name = name
        self._session_type = session_type
        self._sent = 0
        self._aside_ids: set[str] = set()

    def take(self) -> list[Outgoing | Note]:
        """All that waits; it does no more."""
        taken, self.waiting = self.waiting, []
        return taken

    def note(self, kind: str, at_ns: int, **facts: Any) -> None:
        self.waiting.append(Note(kind, at_ns, **facts))

    def send(self, message: client.ClientMessage, due_ns: int, *, provokes: bool = False) -> None:
        """Queue a message, named unless it has a name. TypeError … where it is no JSON.

        `provokes`: it is wrong on purpose, and its name says so.
        """
        self._sent += 1
        if message.event_id is UNSET:
            message.event_id = f"{self.name}-{self._sent}{PROVOKED if provokes else ''}"
        self.last_id = str(message.event_id)
        if type_of(message) in ASIDE:
            self._aside_ids.add(self.last_id)
        if isinstance(message, client.SessionUpdate):
            if message.session.type is UNSET:
                message.session.type = self._session_type  # some servers want it every time
            self._updates[self.last_id] = message
        payload = encode(message)
        item = getattr(message, "item", None)
        self.waiting.append(
            Outgoing(
                payload,
                type_of(message),
                due_ns,
                event_id=self.last_id,
                item_id=item_id_of(message),
                response_id=_text(getattr(message, "response_id", None)),
                nbytes=len(payload),
                detail=payload.decode(),
                previous_id=_text(getattr(message, "previous_item_id", None)),
                call_id=_text(getattr(item, "call_id", None)),
            )
        )

    def withdraw(self) -> None:
        """Send nothing of what waits; what was noted stays."""
        self.waiting = [one for one in self.waiting if isinstance(one, Note)]

    def answered_updates(self) -> list[Session]:
        """What every session.update asked for that was not answered yet; now it is."""
        asked = [update.session for update in self._updates.values()]
        self._updates.clear()
        return asked

    def refused(self, event_id: str | None) -> None:
        """An error is about that message; where it names none, perhaps about an update."""
        if event_id:
            self._updates.pop(event_id, None)
        else:
            self._updates.clear()

    def is_aside(self, event_id: str | None) -> bool:
        """Whether no answer hangs on the message of that name (`ASIDE`)."""
        return event_id in self._aside_ids


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

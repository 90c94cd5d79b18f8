"""What the caller asked for and the server acknowledged, each with each.

Theory of operation
-------------------
Messages that ask for one answer (`ACKNOWLEDGED`) are answered in their order: first in, first out,
and where the answer names an item, in the order of that item. What comes while nothing is open (a
session.updated of the server's own accord, items that it made itself) acknowledges nothing.

One request without an answer must not shift all that follow. An error that names the event_id of a
request answers it. One that names nothing answers the newest that is open, whatever it is; races
and `ALREADY_ACTIVE` are about none. And whoever asked again has given up: an answer that comes more
than `PATIENCE_NS` after a request is not its own where the same was asked for later.
"""

from collections import deque
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bench.protocol.error_codes import ALREADY_ACTIVE, BENIGN
from bench.tracker.event import Event, dig

PATIENCE_NS: Final = 10_000_000_000
"""How long callers wait for one answer before they ask again (the scenario's answer_timeout)."""


class Acknowledged(NamedTuple):
    """A message of the caller and the server's answer to it; `key`: what tells two apart."""

    request: str
    answers: tuple[str, ...]
    key: str = ""


ACKNOWLEDGED: Final = {
    "update_ack": Acknowledged("session.update", ("session.updated",)),
    "item_ack": Acknowledged(
        "conversation.item.create", ("conversation.item.added", "conversation.item.created"), "made"
    ),
    "retrieve_ack": Acknowledged(
        "conversation.item.retrieve", ("conversation.item.retrieved",), "item"
    ),
    "delete_ack": Acknowledged("conversation.item.delete", ("conversation.item.deleted",), "item"),
    "clear_ack": Acknowledged("input_audio_buffer.clear", ("input_audio_buffer.cleared",)),
    "truncate_ack": Acknowledged(
        "conversation.item.truncate", ("conversation.item.truncated",), "item"
    ),
}
"""By metric; what an `item` is named by, and one that the caller `made` by its id or its kind."""

_METRIC_OF_REQUEST: Final = {ack.request: metric for metric, ack in ACKNOWLEDGED.items()}
_METRIC_OF_ANSWER: Final = {
    answer: metric for metric, ack in ACKNOWLEDGED.items() for answer in ack.answers
}
REQUESTS: Final = frozenset(_METRIC_OF_REQUEST)
ANSWERS: Final = frozenset(_METRIC_OF_ANSWER)
SERVER_MADE: Final = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.committed",
        "input_audio_buffer.timeout_triggered",
        "response.output_item.added",
    }
)
"""Messages that name items which the server made itself."""


@dataclass(slots=True, eq=False)
class Request:
    """A message that asks for an acknowledgement.

    named:    an error named it by its event_id
    refused:  an error answered it, by its name or as the newest that was open
    answer_row, answered_ns:  of its answer; None: none came
    """

    metric: str
    event: Event
    body: dict[str, Any]
    named: bool = False
    refused: bool = False
    answer_row: int | None = None
    answered_ns: int | None = None

    @property
    def sent_ns(self) -> int:
        return self.event.sent_ns


class Asked(NamedTuple):
    """Something that waits for an answer, or one that comes: where in the order, when, what."""

    place: int
    at_ns: int
    key: Hashable = 0


class Requests:
    """The requests of one session, and what answers them."""

    def __init__(self) -> None:
        self.all: list[Request] = []
        self._answers: list[Event] = []
        self._errors: list[Asked] = []
        self._server_made: set[str | None] = set()
        self.refused_ids: set[str] = set()

    def sent(self, event: Event) -> Request:
        """A message of `REQUESTS` was sent."""
        request = Request(_METRIC_OF_REQUEST[event.type], event, event.body())
        self.all.append(request)
        return request

    def answered(self, event: Event) -> None:
        """A message of `ANSWERS` came."""
        self._answers.append(event)

    def made_by_server(self, event: Event) -> None:
        """A message of `SERVER_MADE` came."""
        self._server_made.add(event.item_id)

    def error(self, event: Event, said: dict[str, Any]) -> None:
        """An error came."""
        name, code = said.get("event_id"), said.get("code")
        if isinstance(name, str):
            self.refused_ids.add(name)
        if not (isinstance(name, str) and name) and code not in (*BENIGN, ALREADY_ACTIVE):
            self._errors.append(Asked(event.place, event.at_ns))

    def is_refused(self, body: dict[str, Any]) -> bool:
        """Whether an error named this message of the caller."""
        name = body.get("event_id")
        return isinstance(name, str) and name in self.refused_ids

    def last_update(self) -> dict[str, Any] | None:
        """The last session.update that no error has named yet."""
        updates = (one.body for one in reversed(self.all) if one.metric == "update_ack")
        return next((body for body in updates if not self.is_refused(body)), None)

    def resolve(self) -> None:
        """Find the answer of every request, from all that was told."""
        for request in self.all:
            request.named = request.refused = self.is_refused(request.body)
        requests = [request for request in self.all if not request.named]
        given = {
            request.event.item_id
            for request in self.all
            if request.metric == "item_ack" and request.event.item_id is not None
        }
        answers = self._relevant(given)
        asked = [
            Asked(one.event.place, one.sent_ns, (one.metric, _request_key(one))) for one in requests
        ]
        said = [
            Asked(one.place, one.at_ns, (metric, _answer_key(metric, one, given)))
            for metric, one in answers
        ]
        found, closed = pair(asked, said, self._errors)
        for request, answer, by_error in zip(requests, found, closed, strict=True):
            request.refused = by_error
            event = answers[answer][1] if answer >= 0 else None
            request.answer_row = event.row if event else None
            request.answered_ns = event.at_ns if event else None

    def _relevant(self, given: Collection[str | None]) -> list[tuple[str, Event]]:
        """Answers of the kinds that were asked for; of the caller's items the first about each."""
        asked = {request.metric for request in self.all}
        seen: set[str | None] = set()
        found = []
        for event in self._answers:
            metric = _METRIC_OF_ANSWER[event.type]
            if metric not in asked:
                continue
            if metric == "item_ack":
                theirs = event.item_id in self._server_made and event.item_id not in given
                if theirs or event.item_id in seen:
                    continue
                seen.add(event.item_id)
            found.append((metric, event))
        return found


def _request_key(request: Request) -> Hashable:
    key, item = ACKNOWLEDGED[request.metric].key, request.event.item_id
    if key == "made" and item is None:
        return _kind(dig(request.body, "item"))
    return item if key else None


def _answer_key(metric: str, event: Event, given: Collection[str | None]) -> Hashable:
    key = ACKNOWLEDGED[metric].key
    if key == "made" and event.item_id not in given:
        return _kind(event.body())
    return event.item_id if key else None


def _kind(item: Any) -> tuple[str, str]:
    """What an item is, where nothing names it."""
    known = item if isinstance(item, dict) else {}
    return str(known.get("type")), str(known.get("role"))


def pair(
    requests: Sequence[Asked], answers: Sequence[Asked], errors: Sequence[Asked] = ()
) -> tuple[list[int], list[bool]]:
    """For each request the position of its answer (-1: none), and whether an error answered it."""
    everything = [*requests, *answers, *errors]
    count, said = len(requests), len(requests) + len(answers)
    found, closed = [-1] * count, [False] * count
    waiting: dict[Hashable, deque[int]] = {}
    sent: list[int] = []
    for index in sorted(range(len(everything)), key=lambda index: everything[index].place):
        _, at_ns, key = everything[index]
        if index < count:
            waiting.setdefault(key, deque()).append(index)
            sent.append(index)
        elif index < said:
            queue = waiting.get(key, deque())
            while len(queue) > 1 and at_ns - requests[queue[0]].at_ns > PATIENCE_NS:
                queue.popleft()
            if queue:
                found[queue.popleft()] = index - count
        else:
            while sent and found[sent[-1]] >= 0:
                sent.pop()
            if sent and at_ns - requests[sent[-1]].at_ns <= PATIENCE_NS:
                newest = sent.pop()
                closed[newest] = True
                waiting[requests[newest].key].remove(newest)
    return found, closed

"""Rules about responses as wholes: created, done, one at a time, and what their end says.

Theory of operation
-------------------
Two responses that write to the conversation may overlap in the log for two reasons: the second was
created too soon, or the first was forgotten. Which it was is told by what comes next: if the first
goes on, both were active; if nothing comes of it any more, it was never done. A response with
`conversation: "none"` overlaps as it likes; where a server does not say which it is, and the caller
has ever asked for such a one, nothing is held against it.

Messages about the inside of a response go to its `outputs`.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from bench.protocol.grammar.asked import Asked
from bench.protocol.grammar.facts import Breaches, Fact, table

FORGOTTEN_NS: Final = 10_000_000_000
"""A response of which nothing has come for so long while the session went on has no end."""
_AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
_ENDS: Final = ("completed", "cancelled", "incomplete", "failed")


@dataclass(slots=True)
class Stream:
    """Text, transcript, arguments or audio of one part."""

    said: list[str] = field(default_factory=list)
    done: bool = False
    final: str = ""


@dataclass(slots=True)
class Part:
    """A content part; a tool call has one without a place."""

    announced: bool = False
    done: bool = False
    streams: dict[str, Stream] = field(default_factory=dict)


@dataclass(slots=True)
class Output:
    """An output item of a response. `first`: the fact that named it first."""

    first: int
    announced: bool = False
    done: bool = False
    index: int | None = None
    call_id: str = ""
    status: str = ""
    parts: dict[int | None, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Response:
    """A response. `overtaken`: the fact that created another while it ran; -1: none did.

    `calls`: finished arguments, each as (fact, item, text).
    """

    created: int
    announced: bool
    last_ns: int
    done: bool = False
    overtaken: int = -1
    outputs: dict[str, Output] = field(default_factory=dict)
    indices: dict[int, str] = field(default_factory=dict)
    calls: list[tuple[int, str, str]] = field(default_factory=list)


class Responses:
    """The responses of one session.

    `announces` are the rules about announcements that its server is known to make.
    """

    def __init__(self, breaches: Breaches, asked: Asked) -> None:
        self.announces: set[str] = set()
        self.formats_vary = False
        self._breaches = breaches
        self._asked = asked
        self._asks_aside = False
        self._responses: dict[str, Response] = {}
        self._active: dict[str, Response] = {}
        self._unannounced: list[tuple[str, int, tuple[str, str], str]] = []

    def create(self, fact: Fact) -> None:
        """The caller asks for a response."""
        self._asked.sent(fact)
        wanted = table(table(fact.detail).get("response"))
        self._asks_aside |= wanted.get("conversation") == "none"
        self.formats_vary |= bool(table(table(wanted.get("audio")).get("output")).get("format"))

    def created(self, fact: Fact) -> None:
        response_id, detail, tell = fact.response_id, table(fact.detail), self._breaches.tell
        response = self._responses.get(response_id)
        if response is not None:
            if response.announced:
                tell("response_created_once", response_id, f"{response_id} was created again")
            response.announced = True
            return
        response = Response(self._breaches.index, announced=True, last_ns=fact.at_ns)
        self._responses[response_id] = response
        if detail.get("status") in _ENDS:
            text = f"{response_id} was created {detail['status']}"
            tell("status_details", response_id, text)
        conversation = detail.get("conversation")
        if conversation == "default" or (conversation != "none" and not self._asks_aside):
            for other in self._active.values():
                if other.overtaken < 0:
                    other.overtaken = self._breaches.index
            self._active[response_id] = response

    def of(self, fact: Fact) -> Response | None:
        """The response of a message; None where it must not come, or names none."""
        response_id, tell = fact.response_id, self._breaches.tell
        if not response_id:
            return None
        response = self._responses.get(response_id)
        if response is None:
            text = f"{fact.type} of {response_id}, which was never created"
            tell("response_unannounced", response_id, text)
            response = Response(self._breaches.index, announced=False, last_ns=fact.at_ns)
            self._responses[response_id] = response
        if response.done:
            late = "audio_after_done" if fact.type in _AUDIO else "after_done"
            tell(late, response_id, f"{fact.type} after response.done of {response_id}")
            return None
        if response.overtaken >= 0:
            text = f"a response was created while {response_id} was active, and both went on"
            tell("one_active", response_id, text, response.overtaken)
        response.last_ns = fact.at_ns
        return response

    def called(self, fact: Fact, arguments: str) -> None:
        """A tool call of a response is whole; whether it can be read is judged at its end."""
        call = (self._breaches.index, fact.item_id, arguments)
        self._responses[fact.response_id].calls.append(call)

    def done(self, fact: Fact) -> None:
        response_id = fact.response_id
        known = self._responses.get(response_id)
        if known is not None and known.done:
            text = f"{response_id} is done again"
            self._breaches.tell("response_done_once", response_id, text)
            return
        response = self.of(fact)
        if response is None:
            return
        if isinstance(fact.detail, dict):
            self._ends(response_id, response, fact.detail)
        self._close(response_id, response)
        response.done = True
        self._active.pop(response_id, None)

    def end(self, until_ns: int, *, whole: bool) -> None:
        """The session is over. `whole`: it was not cut, so what is missing is missing."""
        for response_id, response in self._responses.items():
            self._close(response_id, response)
            if not whole or response.done or not response.announced:
                continue
            if response.overtaken >= 0 or until_ns - response.last_ns > FORGOTTEN_NS:
                text = f"{response_id} has no response.done"
                self._breaches.tell("response_never_done", response_id, text, response.created)
        for rule, index, key, text in self._unannounced:
            if rule in self.announces:
                self._breaches.tell(rule, key, text, index)

    def _ends(self, response_id: str, response: Response, detail: dict[str, Any]) -> None:
        """What the end of a response says, against what came of it."""
        tell, status, details = self._breaches.tell, detail.get("status"), detail.get("details")
        if status not in _ENDS:
            how = f"with the status {status!r}" if status else "without a status"
            tell("status_details", response_id, f"{response_id} ends {how}")
        elif details and details != status:
            text = f"{response_id} is {status}, and its details are about {details}"
            tell("status_details", response_id, text)
        if status != "completed":
            return  # what was cut is incomplete, its arguments too
        for item_id, output in response.outputs.items():
            if output.status == "incomplete":
                text = f"{response_id} is completed and its item {item_id} incomplete"
                tell("item_status", item_id, text)
        for index, item_id, arguments in response.calls:
            if not _is_json(arguments):
                text = f"the arguments of {item_id} are no JSON: {arguments[:40]!r}"
                tell("arguments_json", item_id, text, index)

    def _close(self, response_id: str, response: Response) -> None:
        """Note what was never announced, and forget what is settled.

        Whether it should have been is known at the session's end: some servers never do.
        """
        for item_id, output in response.outputs.items():
            key = (response_id, item_id)
            parts = [part for place, part in output.parts.items() if place is not None]
            if not output.announced:
                text = f"{item_id} of {response_id} was never announced"
                self._unannounced.append(("output_order", output.first, key, text))
            elif parts and not any(part.announced for part in parts):
                text = f"no part of {item_id} of {response_id} was announced"
                self._unannounced.append(("part_order", output.first, key, text))
        response.outputs, response.indices, response.calls = {}, {}, []


def _is_json(text: str) -> bool:
    """Whether it can be read; nothing at all is no breach (some servers leave it out)."""
    if not text.strip():
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

"""Rules about responses as wholes: created, done, one at a time, and what their end says.

Theory of operation
-------------------
Two responses that write to the conversation may overlap in the log for two reasons: the second was
created too soon, or the first was forgotten. Which it was is told by what comes next: if the first
goes on, both were active; if nothing comes of it any more, it was never done. A response with
`conversation: "none"` overlaps as it likes; where a server does not say which it is, and the caller
has ever asked for such a one, nothing is held against it.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from bench.tracker.event import Event, table
from bench.tracker.input_rules import RequestRules
from bench.tracker.protocol_rules import Violations
from bench.tracker.responses import AUDIO

FORGOTTEN_NS: Final = 10_000_000_000
"""A response of which nothing has come for so long while the session went on has no end."""
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
    """An output item of a response. `first`: the row that named it first."""

    first: int
    announced: bool = False
    done: bool = False
    index: int | None = None
    call_id: str = ""
    status: str = ""
    parts: dict[int | None, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Response:
    """A response. `created`, `overtaken`: rows; `overtaken`: another was created while it ran.

    `calls`: finished arguments, each as (row, item, text).
    """

    created: int
    announced: bool
    last_ns: int
    done: bool = False
    overtaken: int | None = None
    outputs: dict[str, Output] = field(default_factory=dict)
    indices: dict[int, str] = field(default_factory=dict)
    calls: list[tuple[int, str, str]] = field(default_factory=list)


class ResponseRules:
    """The responses of one session as wholes.

    `announces` are the rules about announcements that its server is known to make.
    """

    def __init__(self, violations: Violations, requests: RequestRules) -> None:
        self.announces: set[str] = set()
        self.formats_vary = False
        self._violations = violations
        self._requests = requests
        self._asks_aside = False
        self._responses: dict[str, Response] = {}
        self._active: dict[str, Response] = {}
        self._unannounced: list[tuple[str, int, tuple[str, str], str]] = []

    def create(self, event: Event) -> None:
        """The caller asks for a response."""
        self._requests.sent(event)
        wanted = table(event.body(), "response")
        self._asks_aside |= wanted.get("conversation") == "none"
        self.formats_vary |= bool(table(wanted, "audio", "output").get("format"))

    def created(self, event: Event) -> None:
        response_id, said, tell = event.response_id or "", event.body(), self._violations.tell
        response = self._responses.get(response_id)
        if response is not None:
            if response.announced:
                tell("response_created_once", response_id, f"{response_id} was created again")
            response.announced = True
            return
        response = Response(event.row, announced=True, last_ns=event.at_ns)
        self._responses[response_id] = response
        if said.get("status") in _ENDS:
            text = f"{response_id} was created {said['status']}"
            tell("status_details", response_id, text)
        conversation = said.get("conversation")
        if conversation == "default" or (conversation != "none" and not self._asks_aside):
            for other in self._active.values():
                if other.overtaken is None:
                    other.overtaken = event.row
            self._active[response_id] = response

    def of(self, event: Event) -> Response | None:
        """The response of a message; None where it must not come, or names none."""
        response_id, tell = event.response_id, self._violations.tell
        if not response_id:
            return None
        response = self._responses.get(response_id)
        if response is None:
            text = f"{event.type} of {response_id}, which was never created"
            tell("response_unannounced", response_id, text)
            response = Response(event.row, announced=False, last_ns=event.at_ns)
            self._responses[response_id] = response
        if response.done:
            late = "audio_after_done" if event.type in AUDIO else "after_done"
            tell(late, response_id, f"{event.type} after response.done of {response_id}")
            return None
        if response.overtaken is not None:
            text = f"a response was created while {response_id} was active, and both went on"
            tell("one_active", response_id, text, response.overtaken)
        response.last_ns = event.at_ns
        return response

    def called(self, event: Event, arguments: str) -> None:
        """A tool call of a response is whole; whether it can be read is judged at its end."""
        call = (event.row, event.item_id or "", arguments)
        self._responses[event.response_id or ""].calls.append(call)

    def done(self, event: Event) -> None:
        response_id = event.response_id or ""
        known = self._responses.get(response_id)
        if known is not None and known.done:
            text = f"{response_id} is done again"
            self._violations.tell("response_done_once", response_id, text)
            return
        response = self.of(event)
        if response is None:
            return
        if event.text:
            self._ends(response_id, response, event.body())
        self._settle(response_id, response)
        response.done = True
        self._active.pop(response_id, None)

    def close(self, until_ns: int, *, whole: bool) -> None:
        """The session is over. `whole`: it was not cut, so what is missing is missing."""
        for response_id, response in self._responses.items():
            self._settle(response_id, response)
            if not whole or response.done or not response.announced:
                continue
            if response.overtaken is not None or until_ns - response.last_ns > FORGOTTEN_NS:
                text = f"{response_id} has no response.done"
                self._violations.tell("response_never_done", response_id, text, response.created)
        for rule, row, key, text in self._unannounced:
            if rule in self.announces:
                self._violations.tell(rule, key, text, row)

    def _ends(self, response_id: str, response: Response, said: dict[str, Any]) -> None:
        """What the end of a response says, against what came of it."""
        tell, status, details = self._violations.tell, said.get("status"), said.get("details")
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
        for row, item_id, arguments in response.calls:
            if not _is_json(arguments):
                text = f"the arguments of {item_id} are no JSON: {arguments[:40]!r}"
                tell("arguments_json", item_id, text, row)

    def _settle(self, response_id: str, response: Response) -> None:
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
    """Whether it can be read; nothing at all is no violation (some servers leave it out)."""
    if not text.strip():
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

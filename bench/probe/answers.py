"""Server messages as JSON gave them, and which of them answers a message of the client.

The event rows of a run keep what analysis needs of a message, and the message structs give what is
absent a default: here absence is a finding. A `Received` has the object itself, and anything is
readable, at worst as `(not JSON)` or `(binary)`.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, get_args

import msgspec

from bench.errors import ProtocolError
from bench.probe.findings import NOT_SEEN, REFUSED, SEEN, refused
from bench.protocol.codec import BARE, read_server
from bench.protocol.objects import WireFormat
from bench.protocol.server_extras import AnyServerMessage
from bench.tracker.event import table, word
from bench.voice.audio import AudioFormat
from bench.voice.effective import format_of

NOT_JSON: Final = "(not JSON)"
BINARY: Final = "(binary)"
UNTYPED: Final = "(no type)"


class Received(NamedTuple):
    """One message of the server: when it came (ns), the wire's own type, and its object.

    A type in brackets is one that the wire did not say.
    """

    at_ns: int
    type: str
    body: dict[str, Any]


def read_message(at_ns: int, data: bytes, *, binary: bool = False) -> Received:
    """What a WebSocket message says."""
    try:
        body = read_server(data, [])
    except ProtocolError:
        return Received(at_ns, BINARY if binary else NOT_JSON, {})
    said, code = body.get("type"), body.get("errorType")
    bare = f"{BARE}{code}" if isinstance(code, str) else UNTYPED
    return Received(at_ns, said if isinstance(said, str) else bare, body)


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


_KINDS: Final = get_args(AnyServerMessage)
CURRENT_NAMES: Final = {
    _tag(kind): _tag(kind.__mro__[1]) for kind in _KINDS if kind.__mro__[1] in _KINDS
}
"""Beta spelling → today's: the beta structs are subclasses of what they mean."""


def current_name(kind: str) -> str:
    """Today's name of a message type, whichever way it was spelt."""
    return CURRENT_NAMES.get(kind, kind)


def error_code(body: dict[str, Any]) -> str:
    """An error's code, else its type, else "error"."""
    error = table(body, "error")
    return str(error.get("code") or error.get("type") or body.get("code") or "error")


def error_text(body: dict[str, Any]) -> str:
    """An error in the server's words, or ""."""
    error = body.get("error")
    if isinstance(error, str):
        return error
    return str(table(body, "error").get("message") or body.get("message") or "")


# ── the session object, in both shapes ───────────────────────────────────────────────────────

_FLAT: Final = {
    "output_modalities": "modalities",
    "max_output_tokens": "max_response_output_tokens",
    "audio.input.format": "input_audio_format",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.turn_detection": "turn_detection",
    "audio.output.format": "output_audio_format",
    "audio.output.voice": "voice",
    "audio.output.speed": "speed",
}
ABSENT: Final = msgspec.UNSET


def look(session: dict[str, Any], path: str) -> Any:
    """What a session object says at a dotted path, where beta puts it otherwise; or ABSENT."""
    *tables, last = path.split(".")
    held = table(session, *tables)
    if last in held:
        return held[last]
    return session.get(_FLAT.get(path, path), ABSENT)


def format_at(session: dict[str, Any], side: str) -> AudioFormat | None:
    """The audio format of `side` (input, output) in a session object; None where unreadable."""
    wire = look(session, f"audio.{side}.format")
    if isinstance(wire, dict):
        try:
            wire = msgspec.convert(wire, WireFormat)
        except msgspec.ValidationError:
            return None
    unknown = AudioFormat("?", 1)
    found = format_of(wire, unknown)
    return None if found is unknown else found


# ── what was asked ───────────────────────────────────────────────────────────────────────────


class Exchange(NamedTuple):
    """A client message and what came of it. `state` is `seen`, `refused (code)` or `not seen`.

    `answer` is the object of the message that answered it. `provoking`: an error is what was hoped
    for, so a refusal says nothing against the message.
    """

    label: str
    type: str
    state: str = NOT_SEEN
    answer: dict[str, Any] = {}  # noqa: RUF012 - never written to
    provoking: bool = False

    @property
    def refused(self) -> bool:
        return self.state.startswith(REFUSED)

    def answered(self, answer: dict[str, Any] | None) -> "Exchange":
        """This, now that the answer came; None: that none came."""
        if answer is None:
            return self
        state = refused(error_code(answer)) if answer.get("type") == "error" else SEEN
        return self._replace(state=state, answer=answer)


_INSTEAD: Final = {
    "response.created": "response.output_item.added",
    "session.updated": "session.created",
    "conversation.item.added": "conversation.item.created",
}
"""What servers send in place of a message that they do not know."""


def first_of(received: Iterable[Received], types: Iterable[str]) -> Received | None:
    """The first message of these types, or of those that stand for them."""
    types = {*types, *(_INSTEAD[name] for name in types if name in _INSTEAD)}
    return next((one for one in received if current_name(one.type) in types), None)


def answer_to(
    received: Iterable[Received], event_id: str, types: Iterable[str]
) -> dict[str, Any] | None:
    """The first message of these types, or error that names `event_id` or nothing."""
    relevant = (
        one
        for one in received
        if one.type != "error" or word(one.body, "error", "event_id") in {event_id, ""}
    )
    found = first_of(relevant, (*types, "error"))
    return None if found is None else found.body

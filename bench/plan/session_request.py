"""The session that a scenario asks for: its tables in the API's own shape.

Theory of operation
-------------------
What a service makes of a key that is left out, or of a word of its past, is its own affair, and
live services were seen to make silence of it (`live.md` 5, 6, 10). So nothing of that is left to
them: whoever sets turn detection says `create_response` and `interrupt_response` too, tools go with
`auto_tool_response` where the dialect has it, and a format is an object in today's words, however
the scenario writes it. What the scenario says itself stays.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec

from bench.protocol.codec import left_out
from bench.protocol.dialects import Dialect
from bench.protocol.objects import (
    AudioInput,
    AudioOutput,
    Session,
    SessionAudio,
    TurnDetection,
    WireFormat,
)
from bench.voice.audio import FORMATS

# What people write at the top of [session], and where the API wants it.
SESSION_SHORTHANDS = {
    "turn_detection": ("audio", "input", "turn_detection"),
    "transcription": ("audio", "input", "transcription"),
    "noise_reduction": ("audio", "input", "noise_reduction"),
    "input_format": ("audio", "input", "format"),
    "output_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "tts_model": ("audio", "output", "model"),
}


def session_object(session: dict[str, Any]) -> Session:
    """The typed session of a scenario's `[session]`: shorthands moved to where the API wants them.

    "none" stands for null, which TOML lacks. Raises ValueError (msgspec.ValidationError) where a
    value has the wrong type.
    """
    return msgspec.convert(_nested(session), Session)


def _nested(session: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key, value in session.items():
        place = whole
        *path, last = SESSION_SHORTHANDS.get(key, (key,))
        for step in path:
            place = place.setdefault(step, {})
        if isinstance(value, dict) and isinstance(place.get(last), dict):
            place[last] = {**place[last], **value}
        else:
            place[last] = None if value == "none" else deepcopy(value)
    for side in ("input", "output"):
        place = _table(whole, "audio", side)
        if "format" in place:
            place["format"] = _format(place["format"])
    return whole


def _table(whole: dict[str, Any], *path: str) -> dict[str, Any]:
    """The table at that path; where there is none, an empty one that is nobody's."""
    place: Any = whole
    for step in path:
        place = place.get(step) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}


def _format(asked: Any) -> Any:
    """A format as an object in today's words; what is none stays, for whoever checks it."""
    wire = {"type": asked} if isinstance(asked, str) else asked
    kind = wire.get("type") if isinstance(wire, dict) else None
    known = FORMATS.get(kind) if isinstance(kind, str) else None
    return wire if known is None else {**known.wire, **wire, "type": known.type}


WORDS = sorted(
    {
        field.encode_name
        for struct in (Session, SessionAudio, AudioInput, AudioOutput, TurnDetection, WireFormat)
        for field in msgspec.structs.fields(struct)
    }
    | set(SESSION_SHORTHANDS)
)
"""Every key that a session may have, at any depth."""


def unknown_keys(session: dict[str, Any]) -> list[str]:
    """Dotted keys of `session`, as written, that the API does not know; it would never see them.

    Raises ValueError where `session_object` does.
    """
    held = {}
    for key, value in session.items():
        place = msgspec.to_builtins(session_object({key: value}))
        *path, last = SESSION_SHORTHANDS.get(key, (key,))
        for step in path:
            place = place[step]
        if last in place:
            held[key] = place[last]
    return left_out(session, held)


_INWORLD_ALONE = ("providerData", "temperature", "tts_model")


def suited(session: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """What of `session` can be asked of a service of that dialect: the rest it would refuse.

    A model that stands in the URL cannot be changed (protocol.md 2).
    """
    without = {"model"} if dialect.model_in_url else set()
    without |= set() if dialect.provider_data else set(_INWORLD_ALONE)
    return {key: value for key, value in session.items() if key not in without}


def first_session(session: dict[str, Any], dialect: Dialect) -> Session:
    """What the first session.update asks: `suited`, with what the service wants said besides."""
    whole = _nested(suited(session, dialect))
    _spell_out(whole, dialect, {})
    if dialect.session_type is not None:
        whole.setdefault("type", dialect.session_type)
    if dialect.transcriber is not None:
        heard = whole.setdefault("audio", {}).setdefault("input", {})
        heard.setdefault("transcription", {"model": dialect.transcriber})
    return msgspec.convert(whole, Session)


def changed_sessions(
    changes: Iterable[dict[str, Any]], session: dict[str, Any], dialect: Dialect
) -> tuple[Session, ...]:
    """Later session.updates, made one after another in a session that began with `session`.

    What a change leaves open stays as it is. Those that the service has no key of are left out.
    """
    held = _spell_out(_nested(suited(session, dialect)), dialect, {})
    found = []
    for change in changes:
        whole = _nested(suited(change, dialect))
        held = _spell_out(whole, dialect, held)
        if whole:
            found.append(msgspec.convert(whole, Session))
    return tuple(found)


_DETECTED = {"create_response": True, "interrupt_response": True}
_AUTO_TOOL = "auto_tool_response"


def _spell_out(whole: dict[str, Any], dialect: Dialect, held: dict[str, Any]) -> dict[str, Any]:
    """Say in `whole` what must not be left open; returns what holds then, as `held` did before."""
    said = {**_DETECTED, _AUTO_TOOL: False, **held}
    detection = _table(whole, "audio", "input", "turn_detection")
    if detection:
        said |= {name: detection.setdefault(name, said[name]) for name in _DETECTED}
    if dialect.provider_data and whole.get("tools"):
        whole.setdefault("providerData", {})
    data = _table(whole, "providerData")
    if dialect.provider_data and whole.get("tools") and whole["providerData"] is data:
        data.setdefault(_AUTO_TOOL, said[_AUTO_TOOL])
    return {**said, _AUTO_TOOL: data.get(_AUTO_TOOL, said[_AUTO_TOOL])}

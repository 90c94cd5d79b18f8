"""The session that a scenario asks for: its tables in the API's own shape."""

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
            place[last] = None if value == "none" else value
    return whole


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
    if dialect.session_type is not None:
        whole.setdefault("type", dialect.session_type)
    if dialect.transcriber is not None:
        heard = whole.setdefault("audio", {}).setdefault("input", {})
        heard.setdefault("transcription", {"model": dialect.transcriber})
    return msgspec.convert(whole, Session)

"""The session that a scenario asks for: its tables in the API's own shape."""

from typing import Any

import msgspec

from bench.protocol.objects import Session

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
    return msgspec.convert(whole, Session)

"""One session laid over another: what `session.update` means, key by key.

Theory of operation
-------------------
Dicts merge into dicts, anything else replaces; `null` clears what may be null and is ignored where
there is nothing to clear to. A few things are one value though they look like dicts. Another kind
of detector starts from its own defaults and has its own keys. What is laid over was checked
before; nothing here refuses.
"""

from typing import Any, Final

DETECTION: Final[dict[str, dict[str, Any]]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}


def whole_transcription(asked: dict[str, Any]) -> dict[str, Any]:
    """A transcription object with every key that servers echo."""
    return {"model": None, "language": None, "prompt": None} | asked


# Paths whose value is one thing and is replaced whole, not merged into what was there.
_WHOLE: Final = frozenset({"format", "tool_choice", "truncation", "tracing", "prompt", "voice"})
_NULLABLE: Final = frozenset(
    {
        "transcription",
        "noise_reduction",
        "turn_detection",
        "idle_timeout_ms",
        "tracing",
        "prompt",
        "include",
        "providerData",
        "language",
    }
)


def merged(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `old`: a new dict; `old` stays as it was."""
    new = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if value is None:
            new[name] = None if name in _NULLABLE or name not in old else before
        elif name == "turn_detection":
            new[name] = _detection(before, value)
        elif name == "transcription":
            new[name] = whole_transcription((before or {}) | value)
        elif isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            new[name] = merged(before, value)
        else:
            new[name] = value
    return new


def _detection(before: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    """Turn detection merged: another type starts from its own defaults, and has its own keys."""
    known = DETECTION[change["type"]]
    start = before if before is not None and before["type"] == change["type"] else known
    return start | {key: given for key, given in change.items() if key in known}

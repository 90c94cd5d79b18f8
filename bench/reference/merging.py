"""One session laid over another: what `session.update` means, key by key.

Theory of operation
-------------------
Dicts merge into dicts, anything else replaces, `null` too: one that means absence is not there any
more (`bench.protocol.client`). A few things are one value though they look like dicts. Another kind
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


def merged(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `old`: a new dict; `old` stays as it was."""
    new = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if name == "turn_detection" and value is not None:
            new[name] = _detection(before, value)
        elif name == "transcription" and value is not None:
            new[name] = whole_transcription((before or {}) | value)
        elif isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            new[name] = merged(before, value)
        else:
            new[name] = value
    return new


def _detection(before: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    """Turn detection merged: another type starts from its own defaults, and has its own keys."""
    kind = change.get("type") or (before or DETECTION["server_vad"])["type"]
    known = DETECTION[kind]
    start = before if before is not None and before["type"] == kind else known
    return start | {key: given for key, given in change.items() if key in known}

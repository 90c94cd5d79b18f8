"""The frames in which one session's messages go: text as JSON, unless a habit makes it nearly that.

Theory of operation
-------------------
What a message means is decided before it comes here. Habits of the wire change fields of its JSON,
add unknown fields that no strict reader takes, or put it into a binary frame. Without such habits
a message is encoded and nothing else.
"""

import json
import textwrap
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bench.protocol.codec import encode
from bench.protocol.server import ServerMessage

Framing = Callable[[ServerMessage], str | bytes]

_LINE: Final = 76
"""Letters a line of base64, as MIME has it."""
_INEXACT_MS: Final = 0.4
_URL_SAFE: Final = str.maketrans("+/", "-_")


def framing_of(habits: frozenset[str]) -> Framing:
    """How a session with these habits puts a message into a frame: `bytes` are a binary one."""
    changes = [change for habit, change in _CHANGES.items() if habit in habits]
    unknown = "".join(field for habit, field in _UNKNOWN_FIELDS.items() if habit in habits)
    deep = _DEEP if "deep_nesting" in habits else ""
    head = "\ufeff" if "loose_json" in habits else ""
    binary = "binary_frames" in habits

    def plain(message: ServerMessage) -> str | bytes:
        return encode(message) if binary else encode(message).decode()

    def odd(message: ServerMessage) -> str | bytes:
        whole = msgspec.to_builtins(message)
        for change in changes:
            change(whole)
        added = unknown if whole.get("type", "").endswith(".delta") else unknown + deep
        text = f"{head}{json.dumps(whole)[:-1]}{added}}}"
        return text.encode() if binary else text

    return odd if changes or unknown or deep or head else plain


def _loosen(whole: dict[str, Any]) -> None:
    """Base64 in lines, with the letters of URLs, without padding."""
    if whole["type"].endswith("audio.delta"):
        letters = whole["delta"].rstrip("=").translate(_URL_SAFE)
        whole["delta"] = "\r\n".join(textwrap.wrap(letters, _LINE))


def _unround(whole: dict[str, Any]) -> None:
    """Positions as floats that are not whole, indexes in quotes."""
    for name in ("audio_start_ms", "audio_end_ms"):
        if isinstance(whole.get(name), int):
            whole[name] += _INEXACT_MS
    for name in ("output_index", "content_index"):
        if name in whole:
            whole[name] = str(whole[name])


def _say_error(whole: dict[str, Any]) -> None:
    if isinstance(whole.get("error"), dict) and whole["type"] == "error":
        whole["error"] = whole["error"]["message"]


def _number_code(whole: dict[str, Any]) -> None:
    if isinstance(whole.get("error"), dict) and whole["type"] == "error":
        whole["error"]["code"] = _GRPC_INVALID


def _untype_error(whole: dict[str, Any]) -> None:
    if whole["type"] == "error":
        del whole["type"]


def _drop_ids(whole: dict[str, Any]) -> None:
    if whole["type"].startswith("response."):
        whole.pop("response_id", None)
        whole.pop("item_id", None)


_GRPC_INVALID: Final = 3
_CHANGES: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "loose_base64": _loosen,
    "float_positions": _unround,
    "error_string": _say_error,
    "integer_code": _number_code,
    "missing_ids": _drop_ids,
    # The last: the others look at the type.
    "untyped_error": _untype_error,
}
_UNKNOWN_FIELDS: Final = {
    "lone_surrogates": r',"mood":"\ud83d"',
    "odd_numbers": f',"load":NaN,"left":1e999,"serial":{"9" * 400}',
    "loose_json": ',"note":"two\nlines"',
}
_DEEP: Final = f',"trace":{"[" * 2000}{"]" * 2000}'
"""In all but deltas, which are many."""

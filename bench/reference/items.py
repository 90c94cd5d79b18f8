"""Items that a client may put into a conversation, checked and made whole.

Theory of operation
-------------------
`protocol.md` section 3: a message has a role, and each role its own kinds of part; a call has a
name, an id and arguments; a call's output has the id. Both spellings of assistant parts are taken
and the item form (`output_text`) is what comes back. `status` on the way in has no effect.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final

import msgspec
from msgspec import UNSET

from bench.protocol.objects import Item, Part
from bench.reference.rules import Invalid

_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "tool": ("input_text",),
    "assistant": ("output_text", "text"),
}
_FIELD: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "input_audio": "audio",
    "input_image": "image_url",
}
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "message": ("role", "content"),
    "function_call": ("name", "call_id", "arguments"),
    "function_call_output": ("call_id", "output"),
}


def check_item(item: Item) -> Invalid | None:
    """What is wrong with an item that a client wants to add, or None."""
    if item.type not in _REQUIRED:
        return Invalid("item.type", f"{item.type!r} is none of {', '.join(_REQUIRED)}.")
    for name in _REQUIRED[item.type]:
        if getattr(item, name) is UNSET:
            return Invalid(f"item.{name}", f"A {item.type} needs {name!r}.")
    if item.type != "message" or not isinstance(item.content, list):
        return None
    if item.role not in _PARTS:
        return Invalid("item.role", f"{item.role!r} is none of {', '.join(_PARTS)}.")
    checked = (_check_part(n, part, str(item.role)) for n, part in enumerate(item.content))
    return next(filter(None, checked), None)


def whole_item(item: Item, item_id: str) -> tuple[Item, bytes | None]:
    """A checked item as the conversation keeps it, and the audio that came inside, if any."""
    audio: bytes | None = None
    content = item.content
    if isinstance(content, list):
        for part in content:
            if part.type == "input_audio" and isinstance(part.audio, str):
                audio = (audio or b"") + b64decode(part.audio)
        content = [_kept(part) for part in content]
    status = UNSET if item.type == "function_call_output" else "completed"
    return msgspec.structs.replace(item, id=item_id, content=content, status=status), audio


def _check_part(number: int, part: Part, role: str) -> Invalid | None:
    where = f"item.content[{number}]"
    if part.type not in _PARTS[role]:
        return Invalid(
            f"{where}.type",
            f"{part.type!r} is no content of a {role} message; it takes {', '.join(_PARTS[role])}.",
        )
    field = _FIELD[part.type]
    value = getattr(part, field)
    if not isinstance(value, str):
        return Invalid(f"{where}.{field}", f"A part of type {part.type} needs {field!r}.")
    if field == "audio":
        try:
            b64decode(value, validate=True)
        except (Base64Error, ValueError):
            return Invalid(f"{where}.audio", "The audio is not base64.")
    return None


def _kept(part: Part) -> Part:
    """A part in the item form, its audio left out: that is never in added or done."""
    if part.type == "input_audio":
        spoken = part.transcript if isinstance(part.transcript, str) else None
        return Part(type="input_audio", transcript=spoken)
    if part.type == "text":
        return msgspec.structs.replace(part, type="output_text")
    return part

"""What a message that is nearly right says: text that is nearly JSON, values nearly of their type.

Theory of operation
-------------------
One odd field costs that field, never the session. `read_object` reads what a strict reader refuses:
half a character becomes U+FFFD, a number that is none (NaN, 1e999, 400 digits) null, what is nested
beyond `MOST_DEPTH` null. `repaired` gives a value that a struct refused as what it was meant to be:
base64 without padding, a position as a float or in quotes, an error as a string.

Whatever was done is told as an `Oddity`, by the name that the profile of the reference server, the
report and `bench probe` give it. Only messages that were refused come here.
"""

import binascii
import json
import math
import re
from typing import Any, Final, NamedTuple

import msgspec

from bench.errors import ProtocolError

MOST_DEPTH: Final = 64
MOST_DIGITS: Final = 19
"""Of an integer: what 64 bits hold."""
_SHOWN: Final = 60
_POSITIONS: Final = frozenset({"audio_start_ms", "audio_end_ms", "output_index", "content_index"})
_MOST_POSITION: Final = 2**53


class Oddity(NamedTuple):
    """Something of a message that had to be borne. `example` is what stood there, shortened."""

    quirk: str
    example: str


REFUSED: Final = (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_strict: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def read_strictly(text: bytes | str) -> dict[str, Any]:
    """The JSON object that `text` is. Raises ProtocolError("malformed") where it is none."""
    try:
        whole = _strict.decode(text)
    except REFUSED as broken:
        raise ProtocolError("malformed", f"not JSON: {broken}") from None
    return _as_object(whole)


def read_object(text: bytes | str, odd: list[Oddity]) -> dict[str, Any]:
    """The object that `text` is nearly; what had to be borne is added to `odd`.

    Raises ProtocolError("malformed") where it is no object even so.
    """
    try:
        whole = _strict.decode(text)
    except REFUSED:
        whole = _read_loosely(text, odd)
    return _as_object(whole)


def _as_object(whole: Any) -> dict[str, Any]:
    if not isinstance(whole, dict):
        raise ProtocolError("malformed", f"JSON, but no object: {type(whole).__name__}")
    return whole


# ── text ─────────────────────────────────────────────────────────────────────────────────────

_BOM: Final = "\ufeff"
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_HALF: Final = re.compile("[\ud800-\udfff]")


def _read_loosely(text: bytes | str, odd: list[Oddity]) -> Any:
    words = text if isinstance(text, str) else _characters(text, odd)
    if words.startswith(_BOM):
        words = words.removeprefix(_BOM)
        odd.append(Oddity("loose_json", "a byte order mark"))
    try:
        try:
            whole = _loads(words, odd)
        except RecursionError:
            whole = _loads(_shallow(words, odd), odd)
    except (ValueError, RecursionError) as broken:
        raise ProtocolError("malformed", f"not JSON: {broken}") from None
    return _whole_characters(whole, odd) if "\\u" in words else whole


def _characters(text: bytes, odd: list[Oddity]) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as broken:
        at = broken.start
        odd.append(Oddity("invalid_utf8", repr(text[max(0, at - 20) : at + 20])))
        return text.decode("utf-8", "replace")


def _loads(words: str, odd: list[Oddity]) -> Any:
    """JSON in which numbers that are none are null, and strings may hold line ends."""
    strange: list[str] = []

    def number(digits: str) -> Any:
        return int(digits) if len(digits) <= MOST_DIGITS else strange.append(digits)

    def fraction(digits: str) -> Any:
        value = float(digits)
        return value if math.isfinite(value) else strange.append(digits)

    hooks: dict[str, Any] = {"parse_int": number, "parse_float": fraction}
    hooks["parse_constant"] = strange.append
    try:
        whole = json.loads(words, **hooks)
    except json.JSONDecodeError as broken:
        if "control character" not in broken.msg:
            raise
        strange.clear()
        whole = json.loads(words, strict=False, **hooks)
        odd.append(Oddity("loose_json", "a line end inside a string"))
    if strange:
        odd.append(Oddity("odd_numbers", _short(strange[0])))
    return whole


def _shallow(words: str, odd: list[Oddity]) -> str:
    """JSON text with null for whatever is nested too deep."""
    pieces: list[str] = []
    depth = kept = begins = 0
    for token in _TOKEN.finditer(words):
        mark = token[0]
        if mark in {"[", "{"}:
            depth += 1
            if depth == MOST_DEPTH + 1:
                begins = token.start()
        elif mark in {"]", "}"}:
            if depth == MOST_DEPTH + 1:
                pieces += (words[kept:begins], "null")
                kept = token.end()
            depth -= 1
    odd.append(Oddity("deep_nesting", f"more than {MOST_DEPTH} levels"))
    return "".join((*pieces, words[kept:]))


def _whole_characters(whole: Any, odd: list[Oddity]) -> Any:
    """The same with U+FFFD in place of every half of a character."""
    found: list[str] = []

    def whole_text(text: str) -> str:
        mended, count = _HALF.subn("\ufffd", text)
        if count:
            found.append(text)
        return mended

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return whole_text(value)
        if isinstance(value, list):
            return [walk(one) for one in value]
        if isinstance(value, dict):
            return {whole_text(key): walk(one) for key, one in value.items()}
        return value

    mended = walk(whole)
    if found:
        odd.append(Oddity("lone_surrogates", _short(ascii(found[0]))))
    return mended


# ── messages ─────────────────────────────────────────────────────────────────────────────────


def with_type(whole: dict[str, Any], odd: list[Oddity]) -> dict[str, Any]:
    """The message, an error that does not say that it is one with its type."""
    if isinstance(whole.get("type"), str):
        return whole
    nested = isinstance(whole.get("error"), dict | str)
    if not nested and not {"code", "message"} <= whole.keys():
        return whole
    odd.append(Oddity("untyped_error", _short(json.dumps(whole))))
    return {**whole, "type": "error"}


def repaired(path: str, value: Any, complaint: str, odd: list[Oddity]) -> Any:
    """What `value` at a dotted path was meant to be, None where nobody can tell.

    `complaint` is what msgspec said of it.
    """
    name = path.rpartition(".")[2]
    if isinstance(value, str) and "base64" in complaint:
        return _named("loose_base64", name, value, tidy_base64(value), odd)
    if name in _POSITIONS and "`int" in complaint:
        return _named("float_positions", name, value, _position(value), odd)
    if name == "code" and isinstance(value, int):
        return _named("integer_code", name, value, str(value), odd)
    if path == "error" and isinstance(value, str):
        return _named("error_string", name, value, {"message": value}, odd)
    return None


def _named(quirk: str, name: str, value: Any, meant: Any, odd: list[Oddity]) -> Any:
    if meant is not None:
        odd.append(Oddity(quirk, _short(f"{name}: {value!r}")))
    return meant


def _position(value: Any) -> int | None:
    """The nearest whole number of a float, or of what is written in a string."""
    if isinstance(value, int):
        return None  # it is one, and was refused for its size
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return round(number) if abs(number) < _MOST_POSITION else None


def tidy_base64(loose: str) -> str | None:
    """Base64 as the standard has it, of one with line ends, of URLs or without padding.

    None where it is garbage, or needs no tidying.
    """
    tidy = "".join(loose.split()).replace("-", "+").replace("_", "/").rstrip("=")
    tidy += "=" * (-len(tidy) % 4)
    try:
        binascii.a2b_base64(tidy, strict_mode=True)
    except ValueError:
        return None
    return tidy if tidy != loose else None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"

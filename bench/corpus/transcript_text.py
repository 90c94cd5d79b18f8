"""The text of a file in the encoding that it is in, if that is certain.

Theory of operation
-------------------
A byte order mark decides; UTF-8 is certain by itself; UTF-16 without a mark shows by its zero
bytes. What is left is a code page of one byte a character. It is taken for Windows-1252 only where
its neighbours (`_NEIGHBOURS`: Central Europe, Turkish, Baltic) would read the same, or where the
language is one that Windows-1252 was made for; and where no three letters beyond ASCII stand side
by side, as they do in Greek and Cyrillic. All else is asked for (`--encoding`).
"""

import codecs
import re
from pathlib import Path
from typing import Final

from bench.data_file import MOST_TABLE, DataError, read_bytes
from bench.errors import UsageError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),  # before those of UTF-16
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_WESTERN: Final = frozenset(
    {"af", "ca", "da", "de", "en", "es", "eu", "fi", "fo", "fr", "ga", "gl", "is", "it", "nb", "nl",
     "nn", "no", "pt", "sv"}
)  # fmt: skip
_NEIGHBOURS: Final = ("windows-1250", "windows-1254", "windows-1257")
_BESIDE: Final = re.compile(r"[^\W\d_a-zA-Z]{3}")
_HALF: Final = 0.4  # of every second byte of UTF-16 in a script of Europe, nearly all are zero


class UncertainTextError(Exception):
    """A text that cannot be read, or in more than one way; it says what to do."""


def check_encoding(encoding: str) -> None:
    """UsageError for an encoding that Python does not know, or that is none of text."""
    try:
        if encoding:
            "".encode(encoding)
    except LookupError:
        raise UsageError(
            f"--encoding {encoding!r}: is unknown; give one as in utf-8, utf-16, windows-1252, "
            "shift_jis"
        ) from None


def read_text(path: Path, encoding: str, language: str) -> tuple[str, str]:
    """The text of a file, and the encoding that was detected ("" if stated, or UTF-8).

    `encoding` is the stated one, "" for none. `UncertainTextError` says what to do.
    """
    try:
        raw = read_bytes(path, MOST_TABLE)
    except DataError as error:
        raise UncertainTextError(str(error)) from None
    for mark, name in _MARKS:
        if raw.startswith(mark):  # a mark is surer than what is said of all files at once
            return _decoded(raw, name), "" if name == "utf-8-sig" else name
    if encoding:
        return _decoded(raw, encoding), ""
    if wide := _wide(raw):
        return _decoded(raw, wide), wide
    try:
        return raw.decode(), ""
    except UnicodeDecodeError as error:
        at = error.start
    text = _single_bytes(raw, language)
    if text is None:
        raise UncertainTextError(
            f"is not UTF-8 (byte {at}: 0x{raw[at]:02x}), and its encoding is not certain; say "
            "--encoding, as in --encoding windows-1252"
        )
    return text, "windows-1252"


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeError as error:
        raise UncertainTextError(f"is not {encoding} ({error}); say --encoding") from None


def _wide(raw: bytes) -> str:
    """UTF-16 without a mark, by its zero bytes; "" where it is none."""
    if len(raw) < 4 or len(raw) % 2:
        return ""
    even, odd = raw[::2].count(0) * 2 / len(raw), raw[1::2].count(0) * 2 / len(raw)
    if odd > _HALF > 10 * even:
        return "utf-16-le"
    return "utf-16-be" if even > _HALF > 10 * odd else ""


def _single_bytes(raw: bytes, language: str) -> str | None:
    """Text in Windows-1252, where that is certain."""
    try:
        text = raw.decode("windows-1252")
    except UnicodeDecodeError:
        return None
    western = language.partition("-")[0].lower() in _WESTERN
    alike = all(raw.decode(one, "replace") == text for one in _NEIGHBOURS)
    return text if (western or alike) and not _BESIDE.search(text) else None

"""Files that somebody else wrote: one way to read bytes, text, TOML and JSON of them.

Theory of operation
-------------------
What stands in a file is hostile until it was read. A file is opened only where it is a regular one
(a pipe or a device would never end), is no larger than its kind can be, and is text in UTF-8, with
or without a byte order mark. Whatever its parser raises (syntax, depth, digits, encoding) becomes
`DataError`: one line that says why, without the file's name; `reading` adds name and remedy and
makes it the error of whoever asked.

A parsed document has no number that is not finite, and is no deeper than `MOST_DEPTH`: whoever
walks, copies or writes it needs no guard of his own.
"""

import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bench.errors import BenchError

MIB: Final = 1 << 20
MOST_JSON: Final = 64 * MIB
MOST_TOML: Final = 1 * MIB
MOST_TABLE: Final = 64 * MIB
"""Bytes of a table of text (CSV)."""
MOST_DEPTH: Final = 64
"""Tables and lists within each other."""
_MOST_KEY: Final = 80
_MOST_WHY: Final = 300
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_BOM: Final = "\ufeff"
# The parser's time grows with the square of the parts of a key: `a.a.a.a …`.
_LONG_KEY: Final = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]{0,99}+"|'[^'\n]{0,99}+')[ \t]*+\.[ \t]*+){64}"""
)
_Shape = TypeVar("_Shape")


class DataError(ValueError):
    """What is wrong with a file or its text, in one line without its name."""


class MissingError(DataError):
    """There is no such file."""


@contextmanager
def reading(
    shown: object, kind: type[BenchError], remedy: str, *, missing: str = ""
) -> Iterator[None]:
    """Turn DataError into `kind`: what is read, why it cannot be, and the remedy.

    `missing` is the remedy where there is no such file, if that is another.
    """
    try:
        yield
    except MissingError as error:
        raise kind(f"{shown}: {error}; {missing or remedy}") from None
    except DataError as error:
        raise kind(f"{shown}: {error}; {remedy}") from None


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most so many. DataError for anything else."""
    try:
        # Not to wait for whoever might write into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if stat.S_ISDIR(about.st_mode):
                raise DataError("cannot be read (is a directory)")
            if not stat.S_ISREG(about.st_mode):
                raise DataError("cannot be read (is no regular file but a pipe or a device)")
            raw = file.read(most + 1)
    except FileNotFoundError:
        raise MissingError("no such file") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # a name that no file can have
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read ({error})") from None
    if len(raw) > most:
        raise DataError(
            f"cannot be read (is larger than {most / MIB:g} MiB, the most for its kind)"
        )
    return raw


def text_of(raw: bytes) -> str:
    """Bytes as text. DataError where they are not UTF-8; a byte order mark is left out."""
    if raw.startswith(_UTF16):
        raise DataError("cannot be read (is UTF-16 and not UTF-8; save it as UTF-8)")
    try:
        return raw.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        raise DataError(
            f"cannot be read (no UTF-8 text: {error.reason} at byte {error.start})"
        ) from None


def toml_of(text: str) -> dict[str, Any]:
    """The tables of a TOML text. DataError where it is none."""
    if _LONG_KEY.search(text):
        raise DataError(f"no TOML: a key of more than {MOST_DEPTH} parts")
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise DataError(
            f"no TOML: more than {MOST_DEPTH} tables or lists within each other"
        ) from None
    except ValueError as error:  # among them, of digits: no error of the parser's own
        raise DataError(f"no TOML: {first_line(error)}") from None
    _check_depth(found)
    _check_numbers(found, "")
    return found


def json_of(raw: bytes | str) -> Any:
    """The document of a JSON text. DataError where it is none."""
    text = text_of(raw) if isinstance(raw, bytes) else raw
    try:
        found = msgspec.json.decode(text)
    except RecursionError:
        raise DataError(
            f"cannot be read (no JSON: more than {MOST_DEPTH} lists or objects within each other)"
        ) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise DataError(f"cannot be read (no JSON: {first_line(error)})") from None
    _check_depth(found)
    return found


def read_toml(path: Path, most: int = MOST_TOML) -> dict[str, Any]:
    """The tables of a TOML file. DataError where it is none, or larger."""
    return toml_of(text_of(read_bytes(path, most)))


def read_json_file(path: Path) -> Any:
    """The document of a JSON file. DataError where it is none."""
    return json_of(read_bytes(path, MOST_JSON))


def fitted(document: Any, shape: type[_Shape]) -> _Shape:
    """A document as `shape`. DataError names the key that does not fit."""
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        key = place.strip("`").removeprefix("$").removeprefix(".")
        where = f"{key}: " if key else ""
        raise DataError(f"{where}{what[:1].lower()}{what[1:]}") from None


def _check_depth(document: Any) -> None:
    """DataError for what is too deep."""
    level = [document]
    for _ in range(MOST_DEPTH):
        level = [
            one
            for value in level
            if isinstance(value, dict | list)
            for one in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise DataError(f"more than {MOST_DEPTH} tables or lists within each other")


def _check_numbers(value: Any, key: str) -> None:
    """DataError, with its key, for a number that is not finite or longer than 64 bits."""
    if isinstance(value, dict):
        for name, one in value.items():
            _check_numbers(one, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for one in value:
            _check_numbers(one, key)
    elif isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{key[:_MOST_KEY]}: {value} is no finite number")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataError(f"{key[:_MOST_KEY]}: a number of more than 64 bits")


def first_line(error: object) -> str:
    """What a parser said: its first line, bounded."""
    first = next(iter(str(error).splitlines()), "")
    return first if len(first) <= _MOST_WHY else f"{first[: _MOST_WHY - 1]}…"

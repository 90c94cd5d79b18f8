"""A parquet table of a run folder: checked before it is read, so that what is read is what it is.

Theory of operation
-------------------
Only the footer is looked at first: rows and bytes are bounded, each known column must hold what it
is for, and the needed ones must be there, without a gap where none may be. Then reading it can only
fail over damaged data, which pyarrow says in many ways: `DataError` is made of all of them.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data_file import DataError, MissingError

MOST_ROWS: Final = 200_000_000
MOST_BYTES: Final = 16 << 30
"""Rows and unpacked bytes of a table: a day of a thousand sessions is an eighth of it."""


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


_IS: Final[Mapping[str, Any]] = {
    "int": pa.types.is_integer,
    "float": _is_number,
    "flag": pa.types.is_boolean,
    "figure": lambda kind: _is_number(kind) or pa.types.is_boolean(kind),
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "bytes": lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
}
_WORDS: Final = {
    "int": "whole numbers", "float": "numbers", "flag": "yes or no", "text": "text",
    "bytes": "bytes", "figure": "numbers, or yes or no",
}  # fmt: skip


def kinds_of(schema: pa.Schema) -> dict[str, str]:
    """What the columns of a schema hold, by name."""
    return {
        field.name: next(kind for kind in ("int", *_IS) if _IS[kind](_plain(field.type)))
        for field in schema
    }


def check_table(
    path: Path, kinds: Mapping[str, str], needed: Collection[str] = (), exact: Collection[str] = ()
) -> None:
    """Look at the footer of a parquet file. DataError where it is not such a table.

    `kinds`: what known columns hold (int, float, flag, text, bytes); `needed` must be there;
    of `exact` ones whole numbers are not numbers with a point.
    """
    with reading_table():
        about = os.stat(path)  # noqa: PTH116 - the same for a name that no file can have
        if not stat.S_ISREG(about.st_mode):
            raise DataError("cannot be read (is no regular file)")
        with pq.ParquetFile(path) as file:
            told, schema = file.metadata, file.schema_arrow
            groups = [told.row_group(number) for number in range(told.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            empty = _empty(groups)
    if told.num_rows > MOST_ROWS or size > MOST_BYTES:
        raise DataError(f"cannot be read ({told.num_rows} rows, {MOST_ROWS} are the most)")
    if twice := next((name for name in schema.names if schema.names.count(name) > 1), None):
        raise DataError(f"{twice[:40]}: stands there twice")
    if lost := next((name for name in needed if name not in schema.names), None):
        raise DataError(f"{lost}: there is no such column")
    for field in schema:
        kind = kinds.get(field.name)
        if kind == "int" and field.name not in exact:
            kind = "float"  # with a gap, some wrote them so
        plain = _plain(field.type)
        if (
            told.num_rows
            and kind is not None
            and field.name not in empty
            and not pa.types.is_null(plain)
            and not _IS[kind](plain)
        ):
            raise DataError(f"{field.name}: holds {plain} and not {_WORDS[kind]}")


@contextmanager
def reading_table() -> Iterator[None]:
    """Make DataError of all that pyarrow, and pandas behind it, say of a damaged table."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise MissingError("no such file") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "damaged")
        raise DataError(f"cannot be read ({why[:300]})") from None


def _empty(groups: Sequence[Any]) -> set[str]:
    """Columns in which nothing stands: of what type they are depends on who wrote them."""
    if not groups:
        return set()
    found: dict[str, bool] = {}
    for group in groups:
        for place in range(group.num_columns):
            column = group.column(place)
            counts = column.statistics
            nothing = (
                counts is not None
                and counts.has_null_count
                and (counts.null_count == group.num_rows)
            )
            name = column.path_in_schema
            found[name] = found.get(name, True) and nothing
    return {name for name, nothing in found.items() if nothing}


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind

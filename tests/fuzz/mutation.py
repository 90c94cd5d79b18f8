"""Bad inputs out of good ones: bytes, words and values are changed, taken out, repeated, nested.

Everything is drawn from the generator that is passed in: the same seed makes the same inputs.
"""

import json
from copy import deepcopy
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

NASTY = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", "\u202e".encode(), b"\xed\xa0\x80",
    b"\\ud800",
    b"NaN", b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 400, b"18446744073709551616", b"null",
    b"true", b"[]", b"{}", b'""', b"[red]", b"[/]", b"[" * 300, b"{" * 300, b'{"a":' * 80,
    b"a." * 90,
    b"\r\n", b"\xc2\x85", b"\x7f", b"(a+)+$", b"1979-05-27", b"0x" + b"f" * 40, b"../../x", b"%s%n",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**53, -(2**63), 2**63 - 1, 1.5, 1e308, -1e308, "",
    "x", "\x1b[2J", "\u202e", "[/]", "a" * 3_000, "1e999", [], {}, [[]], [None], {"": None},
    [0] * 50, "0", "\x00",
)  # fmt: skip

COLUMNS = ("x", "\x1b[2J\u202e", 1.5, float("nan"), float("inf"), True, b"\xff", [1], {"a": 1})
INTS = (0, -1, 2**31, 2**62, -(2**63), 2**63 - 1)


def bytes_of(seed: bytes, random: Random) -> bytes:
    """Some seed with a few of its bytes changed."""
    data = bytearray(seed)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at, span = random.randrange(len(data) + 1), random.choice((1, 1, 2, 4, 16, 64))
        match random.randrange(6):
            case 0:
                data[at : at + span] = random.choice(NASTY)
            case 1:
                data[at:at] = random.choice(NASTY)
            case 2:
                del data[at : at + span]
            case 3:
                data[at:at] = data[max(0, at - span) : at] * random.choice((1, 2, 50))
            case 4 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case _:
                data = data[:at] if random.randrange(8) == 0 else data + data[at : at + span]
    return bytes(data)


def document_of(seed: object, random: Random) -> object:
    """A JSON document with one or a few of its values of another kind, gone, or elsewhere."""
    found = json.loads(json.dumps(seed))
    for _ in range(random.choice((1, 1, 2, 4))):
        holder, key = _place(found, random)
        if holder is None:
            return random.choice(VALUES)
        match random.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[random.choice(("", "x", "format", "\x1b[2J"))] = deepcopy(holder[key])
            case 2 if isinstance(holder, list):
                holder.append(deepcopy(holder[key]))
            case _:
                holder[key] = deepcopy(random.choice(VALUES))
    return found


def table_of(seed: bytes, random: Random) -> bytes:
    """A parquet table with a column gone, of another kind, or with other values; or fewer rows."""
    table = pq.read_table(pa.BufferReader(seed))
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(table.num_columns)
        name, rows = table.column_names[at], table.num_rows
        other = random.choice(COLUMNS)
        match random.randrange(6):
            case 0:
                table = table.remove_column(at)
            case 1:
                table = table.slice(0, random.choice((0, 1, rows // 2)))
            case 2:
                table = table.append_column(random.choice((name, "x", "\x1b[2J")), table.column(at))
            case 3:
                table = table.set_column(at, name, pa.nulls(rows, table.schema.field(at).type))
            case 4 if pa.types.is_integer(table.schema.field(at).type):
                table = table.set_column(
                    at, name, pa.array([random.choice(INTS)] * rows, pa.int64())
                )
            case _:
                table = table.set_column(at, name, pa.array([other] * rows))
    out = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(), out)
    return out.getvalue().to_pybytes()


def _place(document: object, random: Random) -> tuple[object, object]:
    """A holder and the key of something in it; (None, None) where there is nothing."""
    here, holder, key = document, None, None
    while isinstance(here, dict | list) and here and (holder is None or random.randrange(4)):
        holder = here
        key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
        here = here[key]
    return holder, key

"""A case on disk: what a run left behind, and what the analysis made of it.

`run.json`, the events, the health and, where there are any, the gauges are all that the analysis
reads of a run. Its tables are kept as Arrow streams under zstd, which take half the room of small
Parquet files, and are Parquet again before they are analysed. `expected.json.zst` is a `Result`.
"""

import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.analysis.pipeline import analyse
from bench.plan.gates import parse_gate
from bench.runs.folder import RunFolder
from bench.verdict.verdict import judge_run

GOLDEN = Path(__file__).parent
TABLES = ("events", "health", "gauges")
EXPECTED = "expected.json.zst"
RUN_KEYS = (
    "format", "metric_version", "workers", "plan", "clock_pairs", "rows_written", "rows_sealed",
    "drained", "interrupted", "ended_by", "interim", "page_reset", "faults", "gauges", "gates",
    "baseline", "reference", "processes", "worker_cores", "neighbours",
)  # fmt: skip
"""What of run.json is kept as it is. Of the scenario only `effective` is: of all else the analysis
knows nothing, and much of it is about the machine that made the run."""
KEYS = {"turns": ("session", "turn"), "sessions": ("session",)}
"""The columns by which a row of each table is known."""
NAMES = ("metric", "rule", "quirk", "gate", "gauge", "path", "kind")
"""Fields by which an entry of a list in a document is known, where all entries differ in them."""
CLOSE = 1e-9
"""Floats may differ by this share, for another machine sums in another order."""
SHOWN, LONGEST = 8, 120
"""How many differences are shown, and how much of a value."""


class Result(NamedTuple):
    """What the analysis makes of a run. A table is {column: [dtype, values]}, a missing value null.

    `summary` and `verdict` are the documents as they are written.
    """

    turns: dict
    sessions: dict
    summary: dict
    verdict: dict


def keep(folder: Path, case: Path) -> None:
    """Store the inputs of the run in `folder`, without what is its machine's or its day's."""
    case.mkdir(parents=True, exist_ok=True)
    run = json.loads((folder / "run.json").read_text())
    kept = {key: run[key] for key in RUN_KEYS if key in run}
    effective = (run.get("scenario") or {}).get("effective") or {}
    if profile := (effective.get("reference") or {}).get("profile"):
        effective["reference"]["profile"] = Path(profile).name
    if "system" not in (host := run.get("host") or {"system": ""}):
        kept["host"] = host  # told by hand
    kept |= {
        "bench_version": "0", "name": case.name, "created": "2026-01-01T00:00:00+00:00",
        "scenario": {"effective": effective},
    }  # fmt: skip
    (case / "run.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n")
    for name in TABLES:
        if (path := folder / f"{name}.parquet").exists():
            table = pq.read_table(path).unify_dictionaries().combine_chunks()
            stream = pa.BufferOutputStream()
            with pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table)
            _write(case / f"{name}.arrow.zst", stream.getvalue())


def _write(path: Path, data) -> None:
    """Compress; ValueError where the data has a path of this machine in it."""
    if str(GOLDEN.parents[1]).encode() in bytes(data):
        raise ValueError(f"{path.name} names a path of this machine: {GOLDEN.parents[1]}")
    path.write_bytes(pa.Codec("zstd", 19).compress(data, asbytes=True))


def analysed(case: Path, folder: Path) -> Result:
    """What the present code makes of a stored run; `folder` is where it works, and is new."""
    folder.mkdir(parents=True)
    shutil.copy(case / "run.json", folder)
    for name in TABLES:
        if (path := case / f"{name}.arrow.zst").exists():
            with pa.input_stream(str(path), compression="zstd") as stream:
                table = pa.ipc.open_stream(stream).read_all()
            pq.write_table(table, folder / f"{name}.parquet")
    analyse(folder)
    place = RunFolder.open(folder)
    verdict = judge_run(folder, [parse_gate(text) for text in place.read()["gates"]], None)
    tables = (_columns(pd.read_parquet(path)) for path in (place.turns, place.sessions))
    return Result(*tables, json.loads(place.summary.read_text()), verdict)


def _columns(table: pd.DataFrame) -> dict:
    return {
        name: [str(table[name].dtype), [None if pd.isna(one) else one for one in column]]
        for name, column in zip(table, (table[name].tolist() for name in table), strict=True)
    }


def write_expected(case: Path, result: Result) -> None:
    _write(case / EXPECTED, msgspec.json.encode(result._asdict()))


def read_expected(case: Path) -> Result:
    with pa.input_stream(str(case / EXPECTED), compression="zstd") as file:
        return Result(**json.loads(file.read()))


# ── differences ──────────────────────────────────────────────────────────────────────────────────

ABSENT = "absent"


class Difference(NamedTuple):
    """One value that is not what it was. `place` leads to it: table, row, column; or keys."""

    place: tuple[str, ...]
    expected: str
    found: str

    @property
    def figure(self) -> str:
        """What differs, wherever it does: the column of a table; of a document its first keys."""
        if self.place[0] in KEYS:
            return f"{self.place[0]}: {self.place[-1]}"
        return " ".join(self.place[:3]).partition(" (")[0]


def differences(expected: Result, found: Result) -> list[Difference]:
    """Every value that differs, the tables' first; of a row or entry that is lost, one."""
    before, after = dict(_leaves(expected)), dict(_leaves(found))
    lost = before.keys() ^ after.keys()
    found = []
    for place in {**before, **after}:
        old, new = (repr(one[place]) if place in one else ABSENT for one in (before, after))
        if place in lost or not _same(before[place], after[place]):
            found.append(Difference(place, old, new))
    return [one for one in found if one.place[:-1] not in lost]


def report(case: str, found: list[Difference]) -> str:
    """The first few differences, and the figures that differ most often."""
    lines = [f"{case}: {len(found)} values differ from what is stored"]
    for place, old, new in found[:SHOWN]:
        lines.append(f"  {', '.join(place)}: expected {old[:LONGEST]}, found {new[:LONGEST]}")
    if len(found) > SHOWN:
        often = Counter(one.figure for one in found).most_common()
        lines += ["  most often:", *(f"    {what} ({times})" for what, times in often[:SHOWN])]
        lines += [f"    and {len(often) - SHOWN} more figures"] * (len(often) > SHOWN)
    return "\n".join(lines)


def _same(old, new) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=CLOSE, abs_tol=CLOSE)
    return isinstance(old, bool) == isinstance(new, bool) and old == new


def _leaves(result: Result):
    """(place, value) of everything in a result; of what has parts, what they are called."""
    for name, keys in KEYS.items():
        table = getattr(result, name)
        rows = [
            " ".join(f"{key} {one}" for key, one in zip(keys, row, strict=True))
            for row in zip(*(table[key][1] for key in keys), strict=True)
        ]
        yield (name, "rows"), rows
        yield from (((name, row), row) for row in rows)
        for column, (dtype, values) in table.items():
            yield (name, "type of", column), dtype
            for row, value in zip(rows, values, strict=True):
                yield (name, row, column), value
    for name in ("summary", "verdict"):
        yield from _parts(getattr(result, name), (name,))


def _parts(value, place: tuple[str, ...]):
    if isinstance(value, dict):
        names, parts = list(value), list(value.values())
    elif isinstance(value, list):
        names, parts = _names(value), value
    else:
        yield place, value
        return
    yield place, len(parts)
    for name, part in zip(names, parts, strict=True):
        yield from _parts(part, (*place, name))


def _names(entries: list) -> list[str]:
    """What the entries of a list are called: by name where they have one, else by number."""
    if all(isinstance(one, dict) for one in entries):
        for key in NAMES:
            names = [_name(one, key) for one in entries]
            if all(names) and len(set(names)) == len(names):
                return names
    return [str(number) for number in range(len(entries))]


def _name(entry: dict, key: str) -> str:
    name = str(entry.get(key) or "")
    more = [str(entry[field]) for field in ("statistic", "filter") if entry.get(field)]
    return f"{name} ({', '.join(more)})" if more and name else name

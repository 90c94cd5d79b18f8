"""The seal: worker logs become `events.parquet` and `health.parquet`, and the rows are counted.

Sealing adds nothing and drops nothing; it sorts rows by session, keeping each session's own order,
and counts them, so that a run can prove that what its workers wrote is what is judged. It can be
done again at any time, from whatever logs there are: that is how a run that was killed is read.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.runs.folder import RunFolder, fault
from bench.runs.log import Damage, HealthRow, digest_of, read_log
from bench.runs.rows import Row

_WORDS = pa.dictionary(pa.int32(), pa.string())
EVENTS = pa.schema(
    [
        pa.field("session", pa.int64(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("at_err_ns", pa.int64(), nullable=False),
        pa.field("read_ns", pa.int64()),
        pa.field("direction", _WORDS, nullable=False),
        pa.field("type", _WORDS, nullable=False),
        pa.field("event_id", pa.string()),
        pa.field("item_id", _WORDS),
        pa.field("response_id", _WORDS),
        pa.field("due_ns", pa.int64()),
        pa.field("media_ns", pa.int64()),
        pa.field("audio_ms", pa.int64()),
        pa.field("audio_ns", pa.int64()),
        pa.field("nbytes", pa.int64(), nullable=False),
        pa.field("envelope", pa.binary()),
        pa.field("detail", pa.string()),
        pa.field("output_index", pa.int64()),
        pa.field("content_index", pa.int64()),
        pa.field("previous_id", pa.string()),
        pa.field("call_id", pa.string()),
    ],
    metadata={"format": "1"},
)
HEALTH = pa.schema(
    [(name, pa.float64() if name.endswith("_share") else pa.int64()) for name in HealthRow._fields],
    metadata={"format": "1"},
)
_BATCH = 65_536
ROWS = "rows"
"""The rule of the fault that what was recorded is not what was sealed."""


def seal(folder: RunFolder) -> dict[str, Any]:
    """Write the two tables, complete `run.json`; returns it.

    Rows acknowledged but not found, or a log whose bytes are not those its worker acknowledged,
    become faults of the run.
    """
    run = folder.read()
    health: list[HealthRow] = []
    tables: list[pa.Table] = []
    faults = [known for known in run["faults"] if known["rule"] != ROWS]
    for path in sorted(folder.logs.glob("worker-*.log")):
        worker = path.stem.removeprefix("worker-")
        damages: list[Damage] = []
        table = _table(path, health, damages.append)
        tables.append(table)
        faults += _compare(worker, table.num_rows, path, run, damages)
    events = pa.concat_tables(tables) if tables else EVENTS.empty_table()
    # Stable: rows of one session stay in the order of its log.
    order = pc.sort_indices(
        events.append_column("order", pa.array(range(events.num_rows), pa.int64())),
        sort_keys=[("session", "ascending"), ("order", "ascending")],
    )
    _replace(events.take(order), folder.events)
    columns: list[Any] = list(zip(*health, strict=True)) or [[] for _ in HealthRow._fields]
    seconds = [pa.array(c, f.type) for c, f in zip(columns, HEALTH, strict=True)]
    _replace(pa.table(seconds, HEALTH), folder.health)
    pairs = [[row.at_ns, row.realtime_ns] for row in health]
    return folder.update(rows_sealed=events.num_rows, clock_pairs=pairs, faults=faults)


def _replace(table: pa.Table, path: Path) -> None:
    """Write a table in one step: whoever is ended meanwhile leaves what was there."""
    draft = path.with_suffix(".part")
    try:
        pq.write_table(table, draft, compression="zstd")
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _table(path: Path, health: list[HealthRow], on_damage: Callable[[Damage], None]) -> pa.Table:
    rows = _rows(path, health.append, on_damage)
    batches = []
    while batch := list(islice(rows, _BATCH)):
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(zip(*batch, strict=True), EVENTS, strict=True)
        ]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=EVENTS))
    return pa.Table.from_batches(batches, EVENTS).unify_dictionaries()


def _rows(
    path: Path, on_health: Callable[[HealthRow], None], on_damage: Callable[[Damage], None]
) -> Iterator[Row]:
    for record in read_log(path, on_damage):
        if isinstance(record, HealthRow):
            on_health(record)
        else:
            yield record


def _compare(
    worker: str, found: int, path: Path, run: dict[str, Any], damages: list[Damage]
) -> list[dict[str, Any]]:
    """What is amiss with a log.

    That a worker never acknowledged is told by the run, and so is why its last record is cut.
    """
    written = run["rows_written"].get(worker)
    digest = run.get("digests", {}).get(worker)
    whole = written is None or (found == written and digest in {None, digest_of(path)})
    if whole and all(damage.torn for damage in damages):
        return []
    text = f"worker {worker} wrote {written} rows and " if written is not None else ""
    text += f"{found} were sealed" if text else f"{found} rows of worker {worker} were sealed"
    for at, size, torn in damages:
        text += f"; its log is {'cut short' if torn else 'damaged'} after byte {at} of {size}"
    return [fault(ROWS, text, "check the disk for space and errors, and run again")]

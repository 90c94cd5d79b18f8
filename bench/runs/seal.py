"""The seal: worker logs become `events.parquet` and `health.parquet`, and the rows are counted.

Sealing adds nothing and drops nothing; it sorts rows by session, keeping each session's own order,
and counts them, so that a run can prove that what its workers wrote is what is judged. It can be
done again at any time, from whatever logs there are: that is how a run that was killed is read.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.data_file import reading
from bench.errors import RunFolderError
from bench.runs.folder import RunFolder, fault
from bench.runs.log import HealthRow, digest_of, read_log
from bench.runs.rows import Row
from bench.runs.table_file import reading_table

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


def seal(folder: RunFolder) -> dict[str, Any]:
    """Write the two tables, complete `run.json`; returns it.

    Rows acknowledged but not found, or a log whose bytes are not those its worker acknowledged,
    become faults of the run.
    """
    run = folder.read()
    health: list[HealthRow] = []
    tables: list[pa.Table] = []
    faults = [known for known in run["faults"] if known["rule"] != "rows"]
    for path in sorted(folder.logs.glob("worker-*.log")):
        worker = path.stem.removeprefix("worker-")
        table = _table(path, health)
        tables.append(table)
        faults += _compare(worker, table.num_rows, path, run)
    events = pa.concat_tables(tables) if tables else EVENTS.empty_table()
    # Stable: rows of one session stay in the order of its log.
    order = pc.sort_indices(
        events.append_column("order", pa.array(range(events.num_rows), pa.int64())),
        sort_keys=[("session", "ascending"), ("order", "ascending")],
    )
    pq.write_table(events.take(order), folder.events, compression="zstd")
    columns: list[Any] = list(zip(*health, strict=True)) or [[] for _ in HealthRow._fields]
    pq.write_table(
        pa.table([pa.array(c, f.type) for c, f in zip(columns, HEALTH, strict=True)], HEALTH),
        folder.health,
    )
    pairs = [[row.at_ns, row.realtime_ns] for row in health]
    return folder.update(rows_sealed=events.num_rows, clock_pairs=pairs, faults=faults)


def _table(path: Path, health: list[HealthRow]) -> pa.Table:
    rows = _rows(path, health.append)
    batches = []
    with reading(path, RunFolderError, "remove this log, and what is left can be sealed"):
        while batch := list(islice(rows, _BATCH)):
            with reading_table():  # a number beyond 64 bits
                arrays = [
                    pa.array(column, field.type)
                    for column, field in zip(zip(*batch, strict=True), EVENTS, strict=True)
                ]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=EVENTS))
    return pa.Table.from_batches(batches, EVENTS).unify_dictionaries()


def _rows(path: Path, on_health: Callable[[HealthRow], None]) -> Iterator[Row]:
    for record in read_log(path):
        if isinstance(record, HealthRow):
            on_health(record)
        else:
            yield record


def _compare(worker: str, found: int, path: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    written = run["rows_written"].get(worker)
    if written is None:
        return []  # never acknowledged: that is a fault of its own, reported by the run
    digest = run.get("digests", {}).get(worker)
    if found == written and digest in {None, digest_of(path)}:
        return []
    text = f"worker {worker} wrote {written} rows and {found} were sealed"
    return [fault("rows", text, "check the disk for space and errors, and run again")]

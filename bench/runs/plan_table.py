"""`plan.parquet`: who starts when and says what, computed before a run and kept with it.

A row a slot of the schedule, in its order: `slot`, `start_ns` and `leave_ns` (from the start of the
run; null: at the end of the load), and of its first session `script`, `setting`, `turns`, `lines`,
the ids of what is said, and `gaps_ns`, how long the caller thinks before each. A later session of a
slot is drawn from the seeds, its slot and its number in the slot, whatever else happens. The digest
is of all of these and of the corpus: two runs with one digest are one plan, whatever their workers
and their target.
"""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data_file import DataError, reading
from bench.errors import RunFolderError
from bench.plan.arrivals import Slot
from bench.plan.planned_slot import PlannedSlot
from bench.runs.folder import RunFolder
from bench.runs.table_file import check_table, kinds_of, reading_table

_SCHEMA: Final = pa.schema(
    [
        pa.field("slot", pa.int64(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("leave_ns", pa.int64()),
        pa.field("script", pa.string(), nullable=False),
        pa.field("setting", pa.string(), nullable=False),
        pa.field("turns", pa.int64(), nullable=False),
        pa.field("lines", pa.list_(pa.string()), nullable=False),
        pa.field("gaps_ns", pa.list_(pa.int64()), nullable=False),
    ]
)
_SLOTS: Final = pa.schema([_SCHEMA.field(name) for name in ("slot", "start_ns", "leave_ns")])


def write_plan(folder: RunFolder, rows: Sequence[PlannedSlot]) -> None:
    """Write the table of a run."""
    columns = list(zip(*rows, strict=True)) or [()] * len(_SCHEMA)
    arrays = [pa.array(each, field.type) for each, field in zip(columns, _SCHEMA, strict=True)]
    pq.write_table(pa.table(arrays, _SCHEMA), folder.plan, compression="zstd")


def read_slots(folder: RunFolder) -> tuple[Slot, ...]:
    """The schedule of a run. RunFolderError where it is not kept, or cannot be read."""
    with reading(folder.plan, RunFolderError, "give a run that has its plan, or its scenario"):
        check_table(folder.plan, kinds_of(_SLOTS), _SLOTS.names)
        with reading_table():
            table = pq.read_table(folder.plan, columns=_SLOTS.names)
            rows = list(zip(*(table[name].to_pylist() for name in _SLOTS.names), strict=True))
        if [row[0] for row in rows] != list(range(len(rows))):
            raise DataError("slot: they are not 0, 1, 2, …")
        if any(row[1] is None for row in rows):
            raise DataError("start_ns: has a gap")
    return tuple(Slot(int(start), leave) for _, start, leave in rows)

"""The history: what runs measured, kept by commit, branch, target and scenario.

Theory of operation
-------------------
One SQLite file, because CI asks for just that: it comes with Python, a whole history is one file to
cache or to keep as an artifact, and a transaction makes two jobs that add at once wait for each
other instead of losing a run. DuckDB would be one more dependency, and lets one process write where
the next gets an error; a folder of parquet files needs no lock, but a line over a year would open a
thousand of them. Two machines that share no file each keep their own, and `merge` makes one of
them: a run is known by its key (`bench.runs.history_record`), so adding it again, or from both
sides, changes nothing.

A run is stored as it was judged, invalid ones too; what is drawn is decided by who reads it. The
file's header says whose it is (`application_id`) and of which format (`user_version`).
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.data_file import first_line, fitted, reading
from bench.errors import UsageError
from bench.runs.history_record import CAPACITY, Entry, Figure, Record

FORMAT: Final = 1
_OURS: Final = 0x52564248  # "RVBH": written into the header of the file
_PATIENCE_S: Final = 60.0
"""How long an add waits for others; each takes milliseconds."""
_MOST_S: Final = 20.0
"""How long a transaction may take; reading ten thousand runs takes one."""
_STEPS: Final = 100_000
_SCHEMA: Final = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, created TEXT NOT NULL,
        scenario TEXT NOT NULL, scenario_sha256 TEXT NOT NULL, workload TEXT NOT NULL,
        corpus TEXT NOT NULL, corpus_sha256 TEXT NOT NULL, target TEXT NOT NULL,
        dialect TEXT NOT NULL, concurrency TEXT NOT NULL, metric_version INTEGER NOT NULL,
        bench_version TEXT NOT NULL, host TEXT NOT NULL, verdict TEXT NOT NULL,
        "commit" TEXT NOT NULL, branch TEXT NOT NULL
    )""",
    """CREATE TABLE figures (
        run INTEGER NOT NULL REFERENCES runs(id), metric TEXT NOT NULL, filter TEXT NOT NULL,
        statistic TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER NOT NULL,
        unit TEXT NOT NULL, PRIMARY KEY (run, metric, filter, statistic)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {_OURS}",
    f"PRAGMA user_version = {FORMAT}",
)
_RUN_COLUMNS: Final = ", ".join(f'"{name}"' for name in Entry._fields)
_FIGURE_COLUMNS: Final = ", ".join(Figure._fields)


class Wanted(NamedTuple):
    """Which runs and figures are read; an empty one means all.

    `filter` is that of the figures: "" those of whole runs, None all. `since` is an instant in ISO
    8601 and UTC, as `created` of an entry. `statistics` choose none of a capacity's: those are
    tiers, whose names nobody can foresee, and all of them are read.
    """

    scenario: str = ""
    target: str = ""
    branch: str = ""
    metrics: Sequence[str] = ()
    statistics: Sequence[str] = ()
    filter: str | None = None
    since: str = ""


def add(store: Path, records: Sequence[Record]) -> list[bool]:
    """Add runs, all of them or, on an error, none; which of them were new.

    Makes the file where there is none. UsageError where it cannot be written or is no history.
    """
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{store}: cannot be written ({error.strerror}); give --store") from None
    with _opened(store, fresh=True) as base:
        return [_insert(base, each) for each in records]


def merge(store: Path, other: Path) -> int:
    """Add what another history has; how many runs of it were new."""
    entries, figures = read(other, Wanted())
    of: dict[str, list[Figure]] = {entry.key: [] for entry in entries}
    for figure in figures:
        of[figure.run].append(figure)
    return sum(add(store, [Record(entry, of[entry.key]) for entry in entries]))


def read(store: Path, wanted: Wanted) -> tuple[list[Entry], list[Figure]]:
    """The runs in order of time, and their figures.

    UsageError where there is no history, or one of another format.
    """
    if not store.is_file():
        raise UsageError(f"{store}: no history here; begin one with 'bench history add RUN'")
    chosen, values = _chosen(wanted)
    of, more = _among(
        {
            "metric": wanted.metrics,
            "filter": () if wanted.filter is None else (wanted.filter,),
        }
    )
    if wanted.statistics:
        among, names = _among({"statistic": wanted.statistics})
        of, more = f"{of} AND (metric = ? OR {among})", [*more, CAPACITY, *names]
    with _opened(store, fresh=False) as base:
        runs = base.execute(
            f"SELECT {_RUN_COLUMNS} FROM runs WHERE {chosen} ORDER BY created, key",  # noqa: S608 - names of this file; every value is bound
            values,
        ).fetchall()
        figures = base.execute(
            f"SELECT key, {', '.join(Figure._fields[1:])} FROM figures "  # noqa: S608 - the same
            f"JOIN runs ON runs.id = figures.run WHERE {of} AND {chosen}",
            [*more, *values],
        ).fetchall()
    with reading(store, UsageError, "give one that `bench history add` made"):
        return fitted(runs, list[Entry]), fitted(figures, list[Figure])


def _chosen(wanted: Wanted) -> tuple[str, list[str]]:
    """The condition on runs, and the values it binds."""
    asked = {"scenario": wanted.scenario, "target": wanted.target, "branch": wanted.branch}
    among, values = _among({column: [value] if value else [] for column, value in asked.items()})
    return f"{among} AND created >= ?", [*values, wanted.since]


def _among(columns: dict[str, Sequence[str]]) -> tuple[str, list[str]]:
    """The condition that columns hold one of some values, and those values; all where none."""
    words = ["1"]
    values: list[str] = []
    for column, wanted in columns.items():
        if wanted:
            words.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
    return " AND ".join(words), values


def _insert(base: sqlite3.Connection, record: Record) -> bool:
    marks = ", ".join("?" * len(Entry._fields))
    found = base.execute(
        f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608 - names of this file
        record.entry,
    )
    if not found.rowcount:
        return False
    marks = ", ".join("?" * len(Figure._fields))
    base.executemany(
        f"INSERT INTO figures ({_FIGURE_COLUMNS}) VALUES ({marks})",  # noqa: S608 - names of this file
        [(found.lastrowid, *figure[1:]) for figure in record.figures],
    )
    return True


@contextmanager
def _opened(store: Path, *, fresh: bool) -> Iterator[sqlite3.Connection]:
    """A transaction on the file, committed unless something is raised.

    `fresh` makes the tables where there are none, and keeps other writers out from the start: two
    jobs that both find no file must not both make it.
    """
    try:
        with closing(sqlite3.connect(store, timeout=_PATIENCE_S, isolation_level=None)) as base:
            base.execute("PRAGMA trusted_schema = OFF")  # nothing in the file is run as code
            base.execute("BEGIN IMMEDIATE" if fresh else "BEGIN")
            ends = time.monotonic() + _MOST_S  # a view in the file may never end
            base.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)
            if fresh and not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA:
                    base.execute(statement)
            _check(base, store)
            yield base
            base.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise UsageError(
            f"{store}: cannot be used ({first_line(error)}); give another place with --store"
        ) from None
    except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
        raise UsageError(
            f"{store}: is no history ({first_line(error)}); give one that `bench history add` made"
        ) from None


def _check(base: sqlite3.Connection, store: Path) -> None:
    (ours,) = base.execute("PRAGMA application_id").fetchone()
    (found,) = base.execute("PRAGMA user_version").fetchone()
    if ours != _OURS:
        raise UsageError(f"{store}: is no history; give one that `bench history add` made")
    if found != FORMAT:
        raise UsageError(
            f"{store}: a history of format {found}, this version reads {FORMAT}; "
            "use the bench version that made it, or begin another with --store"
        )

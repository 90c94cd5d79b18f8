"""The append-only log of one worker: rows as they happen, readable whatever happens.

Theory of operation
-------------------
A log is a file of records: four bytes of length (little-endian), then a msgpack array that is one
`Row` or one `HealthRow`. Appending encodes into a buffer; `flush`, called once a second by the
worker's loop and by every `MOST_PENDING`-th row, hands the buffer to the kernel. So the hot path
pays about a microsecond a row and never waits for a disk, and no flush takes as long as a send may
be late. A worker that is killed loses at most the last second: a record cut short at the end of a
file is dropped by the reader, and what was written but is not there shows in the count that the
worker acknowledged.

Nothing is rounded, reordered or left out, but for credentials that the target has said back: those
are taken out before a record leaves the process. They are looked for in a whole buffer at once,
which costs a row next to nothing. Columns, types and order are the business of `seal`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.errors import RunFolderError
from bench.runs.redaction import Secrets
from bench.runs.rows import Row

MOST_PENDING = 256
"""Rows of a flush: a second's worth of a thousand sessions at once would stop them for 20 ms."""


class HealthRow(NamedTuple):
    """One second of one worker. `*_ns` are the worst of the second, shares are 0..1.

    send_late_ns:    a chunk sent after it was due
    read_late_ns:    a message read after it had arrived (`client_lag`)
    collections:     garbage collections
    run_wait_share:  time in which this process could have run and another had the core
    pressure_share:  time in which anything on the host waited for a core (PSI)
    rtt_ns, unread, unsent:  the worst of any connection; bytes in the kernel's queues
    retransmits, disorder:   segments sent again, and come out of order, on all connections
    throttled_share: time in which the CPU quota held the container still, summed over its cores
    """

    worker: int
    at_ns: int
    realtime_ns: int
    sessions_intended: int
    sessions_open: int
    hub_lag_ns: int
    cpu_share: float
    gc_pause_ns: int
    steal_share: float
    involuntary_switches: int
    open_files: int
    rows: int
    send_late_ns: int = 0
    read_late_ns: int = 0
    collections: int = 0
    run_wait_share: float = 0.0
    pressure_share: float = 0.0
    rtt_ns: int = 0
    unread: int = 0
    unsent: int = 0
    retransmits: int = 0
    disorder: int = 0
    throttled_share: float = 0.0


class Log:
    """An open log. `rows` counts every row appended or promised.

    `before_flush` is called before a flush: whoever reserves places fills them then. `secrets` are
    never written.
    """

    def __init__(self, path: Path, secrets: Secrets = Secrets()) -> None:  # noqa: B008 - immutable
        self._secrets = secrets
        self.rows = 0
        self.before_flush: Callable[[], None] | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._pending: list[bytes] = []
        self._hash = hashlib.sha256()
        try:
            self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from None

    def append(self, row: Row) -> None:
        """One more row."""
        self.rows += 1
        self._add(row)
        if len(self._pending) >= MOST_PENDING:
            self.flush()

    def reserve(self) -> int:
        """Keep the next place for a row that `fill` brings before the log is flushed."""
        self.rows += 1
        self._pending.append(b"")
        return len(self._pending) - 1

    def fill(self, place: int, row: tuple[object, ...]) -> None:
        """The row (its values in order) of a place that was reserved since the last flush."""
        text = self._encode(row)
        self._pending[place] = len(text).to_bytes(4, "little") + text

    def health(self, row: HealthRow) -> None:
        """One more second of health: not counted among the rows."""
        self._add(row)

    def _add(self, record: Row | HealthRow) -> None:
        text = self._encode(record)
        self._pending.append(len(text).to_bytes(4, "little") + text)

    def flush(self) -> None:
        """Hand everything to the kernel."""
        if self.before_flush is not None:
            self.before_flush()
        if not self._pending:
            return
        data = b"".join(self._pending)
        if self._secrets and self._secrets.may_be_in(data):
            data = b"".join(map(self._redacted, self._pending))
        self._pending.clear()
        self._hash.update(data)
        while data:
            data = data[os.write(self._file, data) :]

    def _redacted(self, record: bytes) -> bytes:
        """A record without what may not be written."""
        if not self._secrets.may_be_in(record):
            return record
        text = self._encode(self._secrets.hide_all(_decode(record[4:])))
        return len(text).to_bytes(4, "little") + text

    def close(self) -> str:
        """Flush, make it durable, close; returns the digest."""
        self.flush()
        os.fsync(self._file)
        os.close(self._file)
        return self._hash.hexdigest()


_decode = msgspec.msgpack.Decoder(list).decode
_ROW_FIELDS = len(Row._fields)


def read_log(path: Path) -> Iterator[Row | HealthRow]:
    """Every whole record of a log, in order; a record cut short at the end is left out."""
    data = memoryview(path.read_bytes())
    at = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + size > len(data):
            return
        values = _decode(data[at + 4 : at + 4 + size])
        yield Row(*values) if len(values) == _ROW_FIELDS else HealthRow(*values)
        at += 4 + size


def digest_of(path: Path) -> str:
    """The SHA-256 of a log on disk, to compare with what its worker acknowledged."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The append-only log of one worker: rows as they happen, readable whatever happens.

Theory of operation
-------------------
A log is a file of records: four bytes of length (little-endian), then a msgpack array that is one
`Row` or one `HealthRow`. Appending encodes into a buffer; `flush`, called once a second by the
worker's loop and by every `MOST_PENDING`-th row, hands the buffer to the kernel. So the hot path
pays about a microsecond a row and never waits for a disk, and no flush takes as long as a send may
be late. A worker that is killed loses at most the last second: the reader goes up to the first byte
that makes no record, and what was written but is not there shows in the count that the worker
acknowledged.

A write that fails ends the log: it may have left a torn record, behind which nothing would ever be
read. That is told once, as an error, and what is appended from then on is only counted.

Nothing is rounded, reordered or left out, but for credentials that the target has said back: those
are taken out before a record leaves the process. They are looked for in a whole buffer at once,
which costs a row next to nothing. Columns, types and order are the business of `seal`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec

from bench.errors import FolderLostError, RunFolderError
from bench.runs.redaction import Secrets
from bench.runs.rows import Row

MOST_PENDING = 256
"""Rows of a flush: a second's worth of a thousand sessions at once would stop them for 20 ms."""
LARGE = 1 << 16
"""Bytes of a row that waits for no other: what waits is to be small, whatever a server says."""


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
        self._path = path
        self._broken = False
        try:
            self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from None

    def append(self, row: Row) -> None:
        """One more row. FolderLostError, once, where it cannot be written."""
        self.rows += 1
        if self._add(row) > LARGE or len(self._pending) >= MOST_PENDING:
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

    def _add(self, record: Row | HealthRow) -> int:
        text = self._encode(record)
        self._pending.append(len(text).to_bytes(4, "little") + text)
        return len(text)

    def flush(self) -> None:
        """Hand everything to the kernel. FolderLostError, once, where it takes no more."""
        if self.before_flush is not None:
            self.before_flush()
        if not self._pending:
            return
        data = b"".join(self._pending)
        if self._secrets and self._secrets.may_be_in(data):
            data = b"".join(map(self._redacted, self._pending))
        self._pending.clear()
        if self._broken:
            return
        self._hash.update(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._lost(error) from None

    def _redacted(self, record: bytes) -> bytes:
        """A record without what may not be written."""
        if not self._secrets.may_be_in(record):
            return record
        text = self._encode(self._secrets.hide_all(_decode(record[4:])))
        return len(text).to_bytes(4, "little") + text

    def _lost(self, error: OSError) -> FolderLostError:
        self._broken = True
        return FolderLostError(
            f"{self._path.name}: cannot be written any more ({error.strerror})",
            "leave the run folder in place, with room on its disk, and run again",
        )

    def close(self) -> str | None:
        """Flush, make it durable, close; returns the digest, None where it is broken.

        FolderLostError, unless it was raised before, where that cannot be.
        """
        try:
            self.flush()
            if not self._broken:
                os.fsync(self._file)
        except OSError as error:
            raise self._lost(error) from None
        finally:
            os.close(self._file)
        return None if self._broken else self._hash.hexdigest()


class Damage(NamedTuple):
    """Where a log ends to be one: after `at` bytes of `size`. `torn`: its last record is cut."""

    at: int
    size: int
    torn: bool


def read_log(
    path: Path, on_damage: Callable[[Damage], None] = lambda _: None
) -> Iterator[Row | HealthRow]:
    """Every record of a log, in order, up to the first bytes that make none of this version."""
    data = memoryview(path.read_bytes())
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        record = data[at + 4 : at + 4 + size]
        if at + 4 > len(data) or len(record) < size:
            on_damage(Damage(at, len(data), torn=True))
            return
        found = _record(record)
        if found is None:
            on_damage(Damage(at, len(data), torn=False))
            return
        yield found
        at += 4 + size


_INT64 = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
_KINDS: dict[object, object] = {
    int: Annotated[int, _INT64],
    int | None: Annotated[int, _INT64] | None,
}


def _stored(kind: type[NamedTuple]) -> Callable[[memoryview], Any]:
    """Reads a record of that kind, whose numbers are those that a table can hold."""
    hints = get_type_hints(kind)
    fields = [(name, _KINDS.get(hints[name], hints[name])) for name in kind._fields]
    shape: Any = NamedTuple("Stored", fields)  # type: ignore[misc]
    shape.__new__.__defaults__ = tuple(kind._field_defaults.values())
    decode = msgspec.msgpack.Decoder(shape).decode
    return lambda data: kind._make(decode(data))


_row: Callable[[memoryview], Row] = _stored(Row)
_health: Callable[[memoryview], HealthRow] = _stored(HealthRow)


_decode = msgspec.msgpack.Decoder(list).decode


def _record(data: memoryview) -> Row | HealthRow | None:
    try:
        return _row(data)
    except ValueError:
        pass
    try:
        return _health(data)
    except ValueError:
        return None


def digest_of(path: Path) -> str:
    """The SHA-256 of a log on disk, to compare with what its worker acknowledged."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

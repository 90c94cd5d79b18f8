"""The truth log: every event that was sent, when it was due, and the instants around its send.

Theory of operation
-------------------
JSON lines. A line with an `event_id` is one event: what, whose, `due_ns` on the behaviour's
schedule, `before_ns` and `after_ns` on the monotonic clock around the call that handed it to the
kernel (or to the connection's buffer, where the peer does not read). What a client received can be
joined by `event_id`, and no arrival is earlier than its `before_ns`. A line with `draws` is one
session, written when it ends; one with `status` is an upgrade that was refused.

Lines are collected in memory and written once a second and at the end: the loop that sends never
waits for a disk between two events.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.errors import UsageError


class SentEvent(Struct, gc=False):
    """One event that was sent. Ids are "" where the event has none."""

    session_key: str
    session_id: str
    event_id: str
    type: str
    response_id: str
    item_id: str
    cause: str
    due_ns: int
    before_ns: int
    after_ns: int


class EndedSession(Struct):
    """One session that ended: its number, its draws as `[name, n, value]`, and how it closed."""

    session_key: str
    session_id: str
    number: int
    dialect: str
    opened_ns: int
    ended_ns: int
    close_code: int | None
    events: int
    draws: list[Any]


class RefusedUpgrade(Struct):
    """One upgrade that was refused: its number among all, when, and with which HTTP status."""

    number: int
    at_ns: int
    status: int


class TruthLog:
    """An open truth log; `path` None writes nothing. UsageError if it cannot be made."""

    def __init__(self, path: Path | None) -> None:
        self._lines: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode
        try:
            self._file = None if path is None else path.open("wb", buffering=0)
        except OSError as error:
            raise UsageError(
                f"{path}: cannot write the truth log: {error.strerror or error}"
            ) from None

    def note(self, line: SentEvent | EndedSession | RefusedUpgrade) -> None:
        """Keep a line for the next flush."""
        if self._file is not None:
            self._lines.append(self._encode(line))

    def flush(self) -> None:
        """Write what was noted."""
        if self._file is not None and self._lines:
            lines, self._lines = self._lines, []
            self._file.write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Write what was noted, and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

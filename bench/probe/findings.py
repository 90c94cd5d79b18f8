"""What a probe found out: rows, costs, and the file that they are kept in.

Shape of the file (and of `--json`), format 1::

    {"format": 1, "target": "inworld", "dialect": "inworld", "when": "2026-11-24T12:00:00Z",
     "seconds": 21.4,
     "cost":  {"sessions", "audio_s", "messages", "responses", "limit_s"},    stated beforehand
     "spent": {"sessions", "audio_s", "messages", "responses", "received", "reply_s"},
     "rows": [{"group", "name", "state", "value", "detail"}, …],
     "messages": {"session.update": "seen", "rate_limits.updated": "not seen", …},
     "troubles": ["tools: HTTP 429", …]}

A `state` is `seen`, `refused (code)` or `not seen`, and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bench.errors import RunFolderError
from bench.probe.answers import NOT_SEEN, SEEN
from bench.voice.audio import NS_PER_MS

FORMAT: Final = 1
FILE_NAME: Final = "probe.json"


class Row(Struct, frozen=True, kw_only=True):
    """One thing found out. `value` is for reading, `detail` says how it was found."""

    group: str
    name: str
    state: str
    value: str = ""
    detail: str = ""


def told(group: str, name: str, value: str, detail: str = "") -> Row:
    """The row of something that was seen if there is a value for it."""
    state = SEEN if value else NOT_SEEN
    return Row(group=group, name=name, state=state, value=value, detail=detail)


class Sighting(NamedTuple):
    """Something was observed: what it amounts to, and where or how."""

    value: str = ""
    detail: str = ""


def duration(value_ns: float) -> str:
    """A length of time in whole ms."""
    return f"{value_ns / NS_PER_MS:.0f} ms"


class Cost(Struct, frozen=True, kw_only=True):
    """What a probe may cost at most: sessions, seconds of audio sent, messages sent, responses."""

    sessions: int
    audio_s: float
    messages: int
    responses: int
    limit_s: float

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.audio_s:.0f} s of audio sent, about {self.messages} "
            f"messages and {self.responses} responses, at most {self.limit_s:.0f} s"
        )


class Spent(Struct, frozen=True, kw_only=True):
    """What it did cost; `received` messages and `reply_s` seconds of audio came back."""

    sessions: int
    audio_s: float
    messages: int
    responses: int
    received: int
    reply_s: float

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.audio_s:.1f} s of audio and {self.messages} messages "
            f"sent, {self.responses} responses, {self.received} messages and "
            f"{self.reply_s:.1f} s of audio received"
        )


class Probe(Struct, frozen=True, kw_only=True):
    """The findings about one target. `messages` gives the state of each message by its type."""

    format: int = FORMAT
    target: str
    dialect: str
    when: str
    seconds: float
    cost: Cost
    spent: Spent
    rows: tuple[Row, ...]
    messages: dict[str, str]
    troubles: tuple[str, ...] = ()

    def group(self, name: str) -> dict[str, Row]:
        """The rows of one group by name."""
        return {row.name: row for row in self.rows if row.group == name}

    def to_json(self) -> str:
        """The findings as the module's text shapes them, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def lines(self) -> Iterator[str]:
        """The findings for a terminal, group by group, columns aligned."""
        yield f"{self.target} ({self.dialect}), {self.when}, {self.seconds:.1f} s: {self.spent}"
        yield from (f"trouble  {trouble}" for trouble in self.troubles)
        groups = dict.fromkeys(row.group for row in self.rows)
        name = max((len(row.name) for row in self.rows), default=0)
        state = max((len(row.state) for row in self.rows), default=0)
        for group in groups:
            yield ""
            yield group
            for row in self.group(group).values():
                told = "; ".join(filter(None, (row.value, row.detail)))
                yield f"  {row.name:<{name}}  {row.state:<{state}}  {told}".rstrip()


def keep(probe: Probe, path: Path) -> None:
    """Write the findings. RunFolderError where that cannot be."""
    try:
        path.write_text(probe.to_json() + "\n", "utf-8")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from None

"""The report of a probe: what was found out, what it cost, and the file that it is kept in.

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
from typing import Final

import msgspec
from msgspec import Struct

from bench.errors import RunFolderError
from bench.probe.findings import Finding
from bench.probe.probe_cost import Cost, Spent

FORMAT: Final = 1
FILE_NAME: Final = "probe.json"


class Probe(Struct, frozen=True, kw_only=True):
    """The findings about one target. `messages` gives the state of each message by its type."""

    format: int = FORMAT
    target: str
    dialect: str
    when: str
    seconds: float
    cost: Cost
    spent: Spent
    rows: tuple[Finding, ...]
    messages: dict[str, str]
    troubles: tuple[str, ...] = ()

    def group(self, name: str) -> dict[str, Finding]:
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

"""What a report is drawn from: the tables and documents of one sealed run folder, read once.

Theory of operation
-------------------
The report computes no figure of its own: statistics come from summary.json, verdicts from
verdict.json, samples from turns.parquet and sessions.parquet. Events are only shown (the slowest
turns, the errors, how late sends were), and only the columns and sessions that are needed are read,
so a run of a million events costs little memory.

`run.json`, `summary.json`, `verdict.json`, `turns.parquet` and `sessions.parquet` must be there;
health, events, gauges and `probe.json` may be missing, and the figures that need them say so or are
not there. So may any column or key that older folders have not: it counts as unknown.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd
import pyarrow.parquet as pq

from bench.analysis.tables import read_table
from bench.errors import GateError
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import WAITS
from bench.report.text import NOTHING, interval, measured, missing
from bench.runs.folder import RunFolder
from bench.runs.gauges import Gauges, read_gauges
from bench.runs.json_file import read_json, read_summary, read_verdict
from bench.tracker.utterances import WRITTEN

# What every event's timeline needs; the energy envelope is the one large column, and is left out.
_EVENT_COLUMNS: Final = (
    "session", "at_ns", "at_err_ns", "read_ns", "direction", "type", "event_id", "item_id",
    "response_id", "due_ns", "media_ns", "audio_ms", "audio_ns", "nbytes", "detail",
)  # fmt: skip
Made = TypeVar("Made")


class Statistic(NamedTuple):
    """One row of the summary. `value`, `low` and `high` are None where there is no data.

    `longest`: of a quantile that too few turns reached, how long the longest wait was.
    """

    metric: str
    filter: str
    statistic: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    longest: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return not missing(self.value)

    @property
    def number(self) -> float:
        """The value of one that is known."""
        return float(self.value or 0.0)

    @property
    def shown(self) -> str:
        """The value with its unit; "no data", or "not reached", where there is none."""
        return measured(self.value, self.n, self.unit, self.longest)

    @property
    def bounds(self) -> str:
        """Its 95 % interval in brackets; empty where it is not known."""
        return interval(self.low, self.high, self.unit)

    @property
    def whole(self) -> str:
        """The value and its interval: `1 013 ms [980, 1 060]`."""
        return f"{self.shown} {self.bounds}".rstrip()

    @property
    def cell(self) -> str | tuple[str, str]:
        """The value over its interval, for a table; a dash without samples."""
        if not self.n:
            return NOTHING
        return (self.shown, self.bounds) if self.bounds else self.shown


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder, read. `health`, `events_file`, `probe`, `gauges`: None where it has none."""

    name: str
    about: dict[str, Any]
    summary: dict[str, Any]
    verdict: dict[str, Any]
    turns: pd.DataFrame
    sessions: pd.DataFrame
    health: pd.DataFrame | None
    events_file: Path | None
    probe: dict[str, Any] | None = None
    gauges: Gauges | None = None

    @property
    def plan(self) -> dict[str, Any]:
        """Intended sessions and the instants of the phases."""
        return dict(self.about.get("plan") or {})

    @property
    def scenario(self) -> dict[str, Any]:
        """The effective scenario; durations are nanoseconds."""
        return dict((self.about.get("scenario") or {}).get("effective") or {})

    @property
    def origin_ns(self) -> int:
        """Where the page's time axis has its zero: the start of the run."""
        start = self.plan.get("start_ns")
        if start is not None:
            return int(start)
        for table, column in ((self.sessions, "started_ns"), (self.turns, "speech_onset_ns")):
            if column in table and table[column].notna().any():
                return int(table[column].min())
        return 0

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The turns whose speech began in the measured phase."""
        return self.turns[self.turns["measured"].astype(bool)]

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The measured turns that the run did not itself cut short: what the summary is over."""
        measured = self.measured
        return measured[texts(measured, "outcome") != "cut"]

    @cached_property
    def wait(self) -> str:
        """The metric of how long callers waited: the first of `WAITS` with a sample."""
        turns = self.counted
        return next((name for name in WAITS if numbers(turns, name).notna().any()), str(WAITS[0]))

    @property
    def settings(self) -> list[str]:
        """The settings of a sweep by label; those of a run without one are none."""
        return [str(label) for label in self.summary.get("settings") or [] if str(label)]

    @property
    def voiced(self) -> bool:
        """Whether answers are voices; False where all were to come in writing."""
        return self.counted.empty or not flag(self.counted, "textual").all()

    @cached_property
    def listened(self) -> pd.DataFrame:
        """The counted turns that the server's VAD had to hear: neither typed nor committed."""
        turns = self.counted
        return turns[(texts(turns, "role") != WRITTEN) & ~flag(turns, "manual")]

    @cached_property
    def _statistics(self) -> dict[tuple[str, str], dict[str, Statistic]]:
        """Every row of the summary, by metric and filter ("" of the whole run), then statistic."""
        found: dict[tuple[str, str], dict[str, Statistic]] = {}
        for row in self.summary.get("rows") or []:
            where = "" if row.get("filter") in {None, "", "all"} else str(row["filter"])
            one = Statistic(
                metric=row["metric"],
                filter=where,
                statistic=row["statistic"],
                value=row.get("value"),
                low=row.get("low"),
                high=row.get("high"),
                n=int(row.get("n") or 0),
                unit=row.get("unit") or "",
                longest=row.get("longest"),
            )
            found.setdefault((one.metric, where), {}).setdefault(one.statistic, one)
        return found

    def statistics(self, metric: str, where: str = "") -> dict[str, Statistic]:
        """The rows of one metric by statistic: of the whole run, or of the filter `where`."""
        return self._statistics.get((metric, where), {})

    def statistic(self, metric: str, word: str, where: str = "") -> Statistic:
        """One row of the summary; one without value and samples where there is no such row."""
        return self.statistics(metric, where).get(word) or Statistic(metric, where, word)

    def unfiltered(self) -> dict[str, dict[str, Statistic]]:
        """The rows of the whole run by metric and statistic."""
        return {metric: rows for (metric, where), rows in self._statistics.items() if not where}

    def events(
        self,
        *,
        columns: Collection[str] = _EVENT_COLUMNS,
        sessions: Collection[int] | None = None,
        types: Collection[str] | None = None,
        directions: Collection[str] | None = None,
    ) -> pd.DataFrame:
        """Events in log order, of the sessions, types and directions asked for; empty if none."""
        if self.events_file is None:
            return pd.DataFrame(columns=list(columns))
        wanted = (("session", sessions), ("type", types), ("direction", directions))
        filters = [(name, "in", sorted(values)) for name, values in wanted if values is not None]
        if any(not values for _, _, values in filters):
            return pd.DataFrame(columns=list(columns))
        table = pq.read_table(self.events_file, columns=list(columns), filters=filters or None)
        return _plain_types(table.to_pandas(ignore_metadata=True))


def read_run(folder: Path) -> Run:
    """The run in `folder`. RunFolderError names the file that is missing or unreadable."""
    about = RunFolder(folder).read()
    health, events = folder / "health.parquet", folder / "events.parquet"
    probe = folder / "probe.json"
    return Run(
        name=folder.resolve().name,
        about=about,
        summary=read_summary(folder / "summary.json"),
        verdict=read_verdict(folder / "verdict.json"),
        turns=_table(folder / "turns.parquet"),
        sessions=_table(folder / "sessions.parquet"),
        health=_table(health) if health.exists() else None,
        events_file=events if events.exists() else None,
        probe=_probe(probe) if probe.exists() else None,
        gauges=read_gauges(RunFolder(folder)),
    )


def _probe(path: Path) -> dict[str, Any]:
    remedy = "remove it, or probe the target again"
    return read_json(path, None, missing=remedy, broken=remedy)


def _table(path: Path) -> pd.DataFrame:
    return _plain_types(read_table(path, None, nullable=False))


def _plain_types(table: pd.DataFrame) -> pd.DataFrame:
    """Dictionary columns as strings: unused categories would turn up, empty, in every count."""
    for name in table.columns:
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table[name] = table[name].astype("str")
    return table


def once(make: Callable[[Run], Made]) -> Callable[[Run], Made]:
    """`make`, called once for each run: for what charts, tables and sentences share."""
    known: WeakKeyDictionary[Run, Made] = WeakKeyDictionary()

    @wraps(make)
    def made(run: Run) -> Made:
        if run not in known:
            known[run] = make(run)
        return known[run]

    return made


def flag(table: pd.DataFrame, name: str) -> pd.Series:
    """A column of yes and no; unknown, and a column that is not there, count as no."""
    if name not in table:
        return pd.Series(data=False, index=table.index, dtype=bool)
    return table[name].map(lambda value: value is not pd.NA and bool(value == 1)).astype(bool)


def numbers(table: pd.DataFrame, name: str) -> pd.Series:
    """A numeric column as float; NaN where there is none, and for a column that is not there."""
    if name not in table:
        return pd.Series(data=float("nan"), index=table.index, dtype=float)
    return pd.to_numeric(table[name], errors="coerce").astype(float)


def texts(table: pd.DataFrame, name: str) -> pd.Series:
    """A column of text; empty where there is none, and for a column that is not there."""
    if name not in table:
        return pd.Series(data="", index=table.index, dtype=object)
    return table[name].astype(object).where(table[name].notna(), "").map(str)


def said_ns(turns: pd.DataFrame) -> pd.Series:
    """The instant at which each turn was said, in ns: its last word, or its asking if typed."""
    return numbers(turns, "said_ns").fillna(numbers(turns, "speech_offset_ns"))


def gate_of(entry: Mapping[str, Any]) -> Gate | None:
    """The gate that an entry of the verdict judges; None where this version cannot read it."""
    try:
        return parse_gate(str(entry.get("gate", "")))
    except GateError:
        return None


def listed(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The entries under `key`; empty where there are none, and where the key is not there."""
    return [entry for entry in document.get(key) or [] if isinstance(entry, dict)]

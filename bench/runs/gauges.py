"""What a server said of itself during a run: `gauges.parquet`, and its figures.

A row is one sample of one series (a name and its label set), as the server's Prometheus endpoint
gave it. The figures are over the measured phase: of a gauge the mean and the largest of its
samples, of a counter the same of its rate a second, for its own value says nothing. What is
neither finite nor inside the phase is in no figure, and a series without a sample has none.

The file's metadata names the counters, so that it can be read without the endpoint.
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data_file import DataError, fitted, json_of, reading
from bench.errors import RunFolderError
from bench.runs.folder import RunFolder
from bench.runs.table_file import check_table, kinds_of, reading_table
from bench.voice.audio import NS_PER_S

CPU_BUSY: Final = "node_cpu_busy_seconds_total"
"""Seconds in which a core of the host was busy, averaged over its cores: made of node_exporter's
`node_cpu_seconds_total`, which has a series for every core and state."""
_WORDS: Final = pa.dictionary(pa.int32(), pa.string())
_SCHEMA: Final = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("name", _WORDS, nullable=False),
        pa.field("labels", _WORDS, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
_UNITS: Final = (
    (r"DCGM_FI_DEV_GPU_UTIL|nvidia_gpu_duty_cycle|amd_gpu_gfx_activity", "%"),
    (r"DCGM_FI_PROF_GR_ENGINE_ACTIVE|nv_gpu_utilization|sglang:token_usage|.*_(ratio|perc)", "1"),
    (r"DCGM_FI_DEV_FB_USED", "MiB"),
    (r".*_bytes", "B"),
    (r".*_seconds", "s"),
)
"""Units of gauges by name. 1 is a share of one."""


Span = tuple[int | None, int | None]
"""From (with it) and to (without it), monotonic ns; None is an open end."""


class Series(NamedTuple):
    """What is sampled. `labels` is `a="b",c="d"` in the order of names; empty where there are none.

    Two samples of a series differ in time and value alone.
    """

    name: str
    labels: str = ""


class Readings(NamedTuple):
    """The samples of a series: instants in monotonic ns, rising, and a value each."""

    at_ns: Sequence[int]
    levels: Sequence[float]


class GaugeFigure(NamedTuple):
    """A series over a span of time. `gauge` is what it is called: see `called`.

    `unit` is "" where the name does not say one; `n` counts samples, of a counter rates.
    """

    gauge: str
    name: str
    labels: str
    unit: str
    mean: float
    max: float
    n: int


class Gauges(NamedTuple):
    """A `gauges.parquet`, read: its series, and the names among them that are counters."""

    series: Mapping[Series, Readings]
    counters: frozenset[str]


def write_gauges(folder: RunFolder, gauges: Gauges) -> None:
    """Write the file of a run, samples in order of series and time."""
    rows = [
        (at_ns, series.name, series.labels, value)
        for series, found in gauges.series.items()
        for at_ns, value in zip(found.at_ns, found.levels, strict=True)
    ]
    columns: list[Any] = list(zip(*rows, strict=True)) or [[] for _ in _SCHEMA]
    told = {"format": "1", "counters": json.dumps(sorted(gauges.counters))}
    arrays = [pa.array(each, field.type) for each, field in zip(columns, _SCHEMA, strict=True)]
    pq.write_table(pa.table(arrays, _SCHEMA.with_metadata(told)), folder.gauges, compression="zstd")


def read_gauges(folder: RunFolder) -> Gauges | None:
    """The file of a run; None where it has none. RunFolderError where it is unreadable."""
    if not folder.gauges.exists():
        return None
    shown = f"{folder.path.name}/{folder.gauges.name}"
    with reading(shown, RunFolderError, "remove it, and the run is judged without"):
        check_table(folder.gauges, kinds_of(_SCHEMA), _SCHEMA.names)
        with reading_table():
            table = pq.read_table(folder.gauges)
            told = (table.schema.metadata or {})[b"counters"]
            rows = list(zip(*(table[name].to_pylist() for name in _SCHEMA.names), strict=True))
        counters = fitted(json_of(told), list[str])
        if any(one is None for row in rows for one in row):
            raise DataError("has a gap")
    found: dict[Series, tuple[list[int], list[float]]] = {}
    for at_ns, name, labels, value in rows:
        mine = found.setdefault(Series(name, labels), ([], []))
        mine[0].append(at_ns)
        mine[1].append(value)
    return Gauges({one: Readings(*columns) for one, columns in found.items()}, frozenset(counters))


def gauge_means(folder: Path, span: Span | None = None) -> dict[str, dict[str, Any]]:
    """The gauges of a run: `{name: {"mean": x, "max": y, "unit": u}}`; empty where it watched none.

    By the name of the metric, or by name and labels where it has several series. In the endpoint's
    own units; of a counter a second. Over the measured phase, or over `span`: from and to in
    monotonic ns. RunFolderError where the folder is unreadable.
    """
    place = RunFolder.open(folder)
    gauges = read_gauges(place)
    if gauges is None:
        return {}
    plan = place.read().get("plan") or {}
    measured = plan.get("measured_from_ns"), plan.get("measured_to_ns")
    found = gauge_figures(gauges, span or measured)
    return {one.gauge: {"mean": one.mean, "max": one.max, "unit": one.unit} for one in found}


def gauge_figures(gauges: Gauges, span: Span) -> list[GaugeFigure]:
    """The figures of every series over `span`, in the file's order; an end of None is open."""
    names = [series.name for series in gauges.series]
    found = []
    for series, readings in gauges.series.items():
        counter = series.name in gauges.counters
        kept = _within(readings, span)
        values = (rates(kept) if counter else kept).levels
        if not values:
            continue
        mean = _pace(kept) if counter else math.fsum(values) / len(values)
        found.append(
            GaugeFigure(
                called(series, names), *series, unit_of(series.name, counter=counter), mean,
                max(values), len(values),
            )
        )  # fmt: skip
    return found


def called(series: Series, names: Collection[str]) -> str:
    """What a series is called: its name, and its labels where `names` has that name again."""
    alone = sum(name == series.name for name in names) < 2
    return series.name if alone or not series.labels else f"{series.name}{{{series.labels}}}"


def rates(readings: Readings) -> Readings:
    """Of a counter the rate a second between each two samples, at the later one."""
    steps = _steps(readings)
    return Readings(
        [step.to_ns for step in steps],
        [step.grown * NS_PER_S / (step.to_ns - step.from_ns) for step in steps],
    )


def unit_of(name: str, *, counter: bool) -> str:
    """The unit of a metric's figures, by its name; "" where that does not say."""
    if counter and name.endswith("cpu_usage_seconds_total"):
        return "cores"
    if counter:
        return "1" if name == CPU_BUSY else "cores" if name.endswith("cpu_seconds_total") else "/s"
    return next((unit for pattern, unit in _UNITS if re.fullmatch(pattern, name)), "")


class _Step(NamedTuple):
    """By how much a counter grew between two samples."""

    from_ns: int
    to_ns: int
    grown: float


def _steps(readings: Readings) -> list[_Step]:
    """Of a counter its growth between each two samples; one that falls has begun anew at zero."""
    at, values = readings
    return [
        _Step(then, now, after if after < before else after - before)
        for then, now, before, after in zip(at, at[1:], values, values[1:], strict=False)
        if now > then
    ]


def _pace(readings: Readings) -> float:
    """The mean rate of a counter: longer gaps between samples weigh more."""
    steps = _steps(readings)
    spent = sum(step.to_ns - step.from_ns for step in steps)
    return math.fsum(step.grown for step in steps) * NS_PER_S / spent


def _within(readings: Readings, span: Span) -> Readings:
    """The finite samples of a span."""
    begin, stop = span
    kept = [
        (at, value)
        for at, value in zip(*readings, strict=True)
        if (begin is None or at >= begin) and (stop is None or at < stop) and math.isfinite(value)
    ]
    return Readings([at for at, _ in kept], [value for _, value in kept])

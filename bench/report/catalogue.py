"""The catalogue: every metric of the run with its definition, statistics, intervals and n."""

from typing import Final

from bench.plan.metrics import METRICS
from bench.report.panel import Cell, Table
from bench.report.run import Run, Statistic
from bench.report.words import NOTHING, interval, missing, plain, quantity

_QUANTILES: Final = ("p50", "p90", "p95", "p99", "mean", "max")


def metric_tables(run: Run) -> list[Table]:
    """Every metric with its definition and statistics, by kind; those without data at the end."""
    found: dict[str, dict[str, Statistic]] = {}
    for row in run.rows():
        if not row.filter:
            found.setdefault(row.metric, {}).setdefault(row.statistic, row)
    timed = [name for name in METRICS if METRICS[name].kind in {"interval", "value"}]
    counted = [name for name in METRICS if METRICS[name].kind in {"share", "count"}]
    others = [name for name in found if name not in METRICS]
    tables = [_quantiles(found, timed), _shares(found, [*counted, *others])]
    lacking = [name for name in METRICS if not _has_data(found.get(name, {}))]
    if lacking:
        tables.append(
            Table(
                "Without a sample in this run",
                ("metric", "definition"),
                [[name, METRICS[name].about] for name in lacking],
            )
        )
    return [table for table in tables if table.rows]


def _has_data(statistics: dict[str, Statistic]) -> bool:
    return any(row.n > 0 or not missing(row.value) for row in statistics.values())


def _quantiles(found: dict[str, dict[str, Statistic]], names: list[str]) -> Table:
    rows: list[list[Cell]] = []
    for name in names:
        statistics = found.get(name, {})
        if not _has_data(statistics):
            continue
        metric = METRICS[name]
        cells = [_cell(statistics.get(word), metric.unit) for word in _QUANTILES]
        n = max(row.n for row in statistics.values())
        unit = "ratio" if metric.unit == "ratio" else metric.unit
        rows.append([(name, metric.about), unit, *cells, plain(n, "1")])
    return Table(
        "Times and values",
        ("metric", "unit", *_QUANTILES, "n"),
        rows,
        numeric=frozenset(range(2, 3 + len(_QUANTILES))),
        note="Small brackets are 95 % intervals. ∞: so many waited in vain that the value lies "
        "beyond every wait.",
    )


def _cell(row: Statistic | None, unit: str) -> Cell:
    if row is None:
        return NOTHING
    value = plain(row.value, unit)
    if missing(row.value) and row.n:
        value = "∞"  # as in the interval: some waited in vain, and their share is beyond this
    spread = interval(row.low, row.high, unit)
    return (value, spread) if spread else value


def _shares(found: dict[str, dict[str, Statistic]], names: list[str]) -> Table:
    rows: list[list[Cell]] = []
    for name in names:
        about = METRICS[name].about if name in METRICS else ""
        for statistic, row in found.get(name, {}).items():
            if missing(row.value):
                continue
            unit = "/s" if statistic == "rate" else row.unit
            spread = interval(row.low, row.high, unit)
            value = quantity(row.value, unit)
            rows.append(
                [(name, about), statistic, (value, spread) if spread else value, plain(row.n, "1")]
            )
    return Table(
        "Shares and counts",
        ("metric", "statistic", "value", "n"),
        rows,
        numeric=frozenset({2, 3}),
    )

"""A history in the words of other trackers, each by the rules of its own documents.

Theory of operation
-------------------
github-action-benchmark and Bencher keep a history themselves and want the figures of one run: they
get the latest valid run of every line. Otava and Prometheus read a history: they get all of it.
Names hold all that keeps two lines apart, so that no tracker joins what does not belong together.
Nothing is rounded. What a format cannot say is left out, and counted by `left_out`.

github-action-benchmark  a list of {name, unit, value, range, extra}; a file has one direction, so
    there are two formats (README of benchmark-action/github-action-benchmark, "Minimal setup" and
    its `customBiggerIsBetter`, `customSmallerIsBetter`; `range` is read as `± 1.5` by its
    extractRangeInfo.ts)
bmf                      {benchmark: {measure: {value, lower_value, upper_value}}}; the name of a
    measure has at most 64 letters (https://bencher.dev/docs/reference/bencher-metric-format)
otava                    CSV with a header: time, then attributes, then a column per figure, each
    cell a number (the CsvImporter of Apache Otava; a test in its otava.yaml names the columns)
openmetrics              see `bench.analysis.history.openmetrics`
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench.analysis.history.openmetrics import openmetrics
from bench.analysis.history.series import Group, Line, Point, name_of
from bench.errors import UsageError
from bench.plan.metrics import METRICS

_MEASURE: Final = 64


def smaller_is_better(groups: Sequence[Group]) -> str:
    """github-action-benchmark, `customSmallerIsBetter`: the latest run of each line."""
    return _action(groups, "lower")


def bigger_is_better(groups: Sequence[Group]) -> str:
    """github-action-benchmark, `customBiggerIsBetter`."""
    return _action(groups, "higher")


def _action(groups: Sequence[Group], better: str) -> str:
    rows = []
    for name, line, point in _latest(groups):
        if _better(line) != better:
            continue
        entry = point.entry
        row = {"name": f"{name} {_figure(line)}", "unit": line.unit, "value": point.value}
        if point.low is not None and point.high is not None:
            # One number either side is all the format has: the farther end of the interval.
            row["range"] = f"± {max(point.high - point.value, point.value - point.low):.6g}"
        row["extra"] = "\n".join(
            f"{word}: {value}"
            for word, value in (
                ("95 % interval", _interval(point)), ("n", point.n), ("verdict", entry.verdict),
                ("run", entry.created), ("commit", entry.commit), ("branch", entry.branch),
                ("metric version", entry.metric_version), ("bench", entry.bench_version),
                ("host", entry.host),
            ) if value != ""
        )  # fmt: skip
        rows.append(row)
    return _json(rows)


def bmf(groups: Sequence[Group]) -> str:
    """Bencher Metric Format: the latest run of each line.

    The benchmark is the setting with the metric, the measure its statistic with the unit: at
    Bencher a measure has one unit.
    """
    report: dict[str, dict[str, dict[str, float]]] = {}
    for name, line, point in _latest(groups):
        ends = {"lower_value": point.low, "upper_value": point.high}
        measure = f"{line.statistic} ({line.unit})"[:_MEASURE]
        benchmark = f"{name} {line.metric}{_only(line)}"
        report.setdefault(benchmark, {})[measure] = {
            "value": point.value,
            **{word: end for word, end in ends.items() if end is not None},
        }
    return _json(report)


def otava(groups: Sequence[Group]) -> str:
    """Apache Otava's CSV of one setting: a row per valid run, a column per figure that all have.

    UsageError where there are several settings: a file is one test there.
    """
    if len(groups) > 1:
        three = "; ".join(name_of(group, groups) for group in groups[:3])
        raise UsageError(
            f"--format otava: a file holds one line of runs, and there are {len(groups)} ({three}"
            f"{'; …' if len(groups) > 3 else ''}); choose with --scenario, --target and --branch"
        )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for group in groups:
        valid = [entry for entry in group.entries if entry.verdict != "invalid"]
        whole = [line for line in group.lines if _is_whole(line)]
        attributes = ["commit", "branch", "target", "bench_version", "run"]
        writer.writerow(["time", *attributes, *(_column(line) for line in whole)])
        for at, entry in enumerate(valid):
            told = [entry.commit, entry.branch, entry.target, entry.bench_version, entry.key]
            writer.writerow(
                [entry.created, *told, *(repr(line.points[at].value) for line in whole)]
            )
    return out.getvalue()


def _is_whole(line: Line) -> bool:
    """Whether every valid run has a point: an empty cell is an error to Otava."""
    return all(why == "invalid" for _, why in line.aside)


# ── shared by those that want the latest run ─────────────────────────────────────────────────────


def _latest(groups: Sequence[Group]) -> Iterator[tuple[str, Line, Point]]:
    """The figures of the latest valid run of each setting, each with the setting's name."""
    for group in groups:
        name = name_of(group, groups)
        valid = [entry for entry in group.entries if entry.verdict != "invalid"]
        for line in group.lines:
            if line.points and line.points[-1].entry == valid[-1]:
                yield name, line, line.points[-1]


def _figure(line: Line) -> str:
    return f"{line.statistic}({line.metric}){_only(line)}"


def _column(line: Line) -> str:
    only = f"_{line.filter.replace('=', '_')}" if line.filter else ""
    return f"{line.metric}_{line.statistic}{only}"


def _only(line: Line) -> str:
    return f" {{{line.filter}}}" if line.filter else ""


def _better(line: Line) -> str:
    metric = METRICS.get(line.metric)
    return metric.better if metric else "lower"


def _interval(point: Point) -> str:
    if point.low is None and point.high is None:
        return ""
    ends = ("-∞" if point.low is None else f"{point.low:.6g}",
            "∞" if point.high is None else f"{point.high:.6g}")  # fmt: skip
    return f"[{', '.join(ends)}]"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Final[dict[str, Callable[[Sequence[Group]], str]]] = {
    "github-action-benchmark": smaller_is_better,
    "github-action-benchmark-bigger": bigger_is_better,
    "bmf": bmf,
    "otava": otava,
    "openmetrics": openmetrics,
}


def left_out(groups: Sequence[Group], asked: str) -> str:
    """What a format has no place for, in one sentence; empty where it says all."""
    if asked.startswith("github-action-benchmark"):
        better, other = (
            ("lower", "-bigger") if asked == "github-action-benchmark" else ("higher", "")
        )
        missing = sum(_better(line) != better for _, line, _ in _latest(groups))
        where = f"figures of the other direction: --format github-action-benchmark{other}"
        return f"{missing} {where}" if missing else ""
    if asked == "otava":
        gaps = [_column(line) for group in groups for line in group.lines if not _is_whole(line)]
        return f"columns that some run lacks: {', '.join(gaps)}" if gaps else ""
    return ""

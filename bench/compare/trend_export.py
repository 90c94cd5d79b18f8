"""A history in the words of other trackers, each by the rules of its own documents.

Theory of operation
-------------------
github-action-benchmark and Bencher keep a history themselves and want the figures of one commit:
they get the latest valid runs (`_now`). Otava and Prometheus read a history: they get all of it.
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
openmetrics              what `promtool tsdb create-blocks-from openmetrics` reads into Prometheus:
    OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): units are base units
    and end the name, the points of a metric are in order of time and metrics are not interleaved,
    and the text ends with `# EOF`. Commits are no labels of figures, for each would begin a line of
    its own: they are in `bench_run_info`
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from bench.compare.trend import Group, Line, Point, Setting, better, name_of
from bench.plan.metrics import METRICS
from bench.runs.history_record import Entry

_MEASURE: Final = 64
_UNITS: Final = {
    "ms": ("seconds", 1e-3),
    "%": ("ratio", 1e-2),
    "ratio": ("ratio", 1.0),
    "/s": ("per_second", 1.0),
    "1": ("", 1.0),
}
"""What OpenMetrics calls a unit, and the factor to it; one that is not here has no name there."""
_DIRECTIONS: Final = {
    "github-action-benchmark": ("lower", "github-action-benchmark-bigger"),
    "github-action-benchmark-bigger": ("higher", "github-action-benchmark"),
}
"""What is better in a format that has one direction, and the format for the rest."""


def github_action(groups: Sequence[Group], direction: str) -> str:
    """github-action-benchmark: the latest runs of the metrics of which that direction is better.

    `lower` is its `customSmallerIsBetter`, `higher` its `customBiggerIsBetter`.
    """
    rows = []
    for name, line, point in _latest(groups):
        if better(line.metric) != direction:
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
    """Bencher Metric Format: the latest runs.

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
    """Apache Otava's CSV of the setting with the latest run: a file is one test there."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for group in groups[:1]:
        columns, rows = _whole(group)
        attributes = ["commit", "branch", "target", "bench_version", "run"]
        writer.writerow(["time", *attributes, *(_column(line) for line in columns)])
        values = [{point.entry.key: point.value for point in line.points} for line in columns]
        for entry in rows:
            known = [entry.commit, entry.branch, entry.target, entry.bench_version, entry.key]
            cells = [repr(of_run[entry.key]) for of_run in values]
            writer.writerow([entry.created, *known, *cells])
    return out.getvalue()


def _whole(group: Group) -> tuple[list[Line], list[Entry]]:
    """The figures that most valid runs have, and the runs that have them all.

    An empty cell is an error to Otava, so that either the column goes or the row.
    """
    valid = [entry for entry in group.entries if entry.verdict != "invalid"]
    columns = [line for line in group.lines if 2 * len(line.points) > len(valid)]
    has = [{point.entry.key for point in line.points} for line in columns]
    return columns, [entry for entry in valid if all(entry.key in of_line for of_line in has)]


# ── OpenMetrics ──────────────────────────────────────────────────────────────────────────────────


def openmetrics(groups: Sequence[Group]) -> str:
    """The whole text. The ends of intervals are gauges of their own."""
    families: dict[str, tuple[str, str, list[str]]] = {}
    for group in groups:
        for line in group.lines:
            unit, factor = _UNITS.get(line.unit, ("", 1.0))
            for part, about in (("", ""), ("_low", "lower end of"), ("_high", "upper end of")):
                name = "_".join(["bench", line.metric + part, *([unit] if unit else [])])
                sentence = _help(line.metric, about)
                samples = families.setdefault(name, (unit, sentence, []))[2]
                samples += _samples(name, line, part.removeprefix("_") or "value", factor)
    text = []
    for name, (unit, sentence, samples) in families.items():
        if samples:
            text.append(f"# TYPE {name} gauge")
            text += [f"# UNIT {name} {unit}"] if unit else []
            text += [f"# HELP {name} {_escaped(sentence)}", *samples]
    return "\n".join([*text, *_info(groups), "# EOF", ""])


def _samples(name: str, line: Line, part: str, factor: float) -> Iterator[str]:
    labels = _labels(
        {**_setting_labels(line.setting), "statistic": line.statistic, "filter": line.filter}
    )
    before = 0
    for point in line.points:
        value, at = getattr(point, part), _at(point.entry)
        # Two runs begun in one second would be one sample twice: the first of them is kept.
        if value is not None and at > before:
            before = at
            yield f"{name}{labels} {value * factor!r} {at}"


def _info(groups: Sequence[Group]) -> Iterator[str]:
    """What each run was, as an info metric: commits as labels of figures would cut every line."""
    yield "# TYPE bench_run info"
    yield "# HELP bench_run What was run, by which versions, and how it was judged."
    for group in groups:
        for entry in group.entries:
            labels = {
                **_setting_labels(group.setting), "run": entry.key, "commit": entry.commit,
                "verdict": entry.verdict, "bench_version": entry.bench_version, "host": entry.host,
            }  # fmt: skip
            yield f"bench_run_info{_labels(labels)} 1 {_at(entry)}"


def _setting_labels(setting: Setting) -> dict[str, str]:
    """The labels that keep lines apart; digests by their beginning, as git shows commits."""
    told = {**setting._asdict(), "workload": setting.workload[:12]}
    told["corpus_sha256"] = setting.corpus_sha256[:12]
    return {name: str(value) for name, value in told.items()}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(metric: str, about: str) -> str:
    known = METRICS.get(metric)
    meaning = known.about if known else metric
    return f"95 % interval, {about}: {meaning}" if about else meaning


def _at(entry: Entry) -> int:
    """When a run began, in seconds since 1970."""
    return int(datetime.fromisoformat(entry.created).timestamp())


# ── shared by those that want the latest runs ────────────────────────────────────────────────────


def _latest(groups: Sequence[Group]) -> Iterator[tuple[str, Line, Point]]:
    """The figures of the latest valid runs, each with its setting's name."""
    for group, entry in _now(groups):
        for line in group.lines:
            if line.points and line.points[-1].entry == entry:
                yield name_of(group, groups), line, line.points[-1]


def _now(groups: Sequence[Group]) -> list[tuple[Group, Entry]]:
    """The latest valid run of each setting, of those that ran at the commit of the latest of all.

    A tracker books what it gets under the commit it is called for: a scenario that was last run
    weeks ago has nothing to say of that one. Without a commit it is the latest run alone.
    """
    last = []
    for group in groups:
        valid = [entry for entry in group.entries if entry.verdict != "invalid"]
        last += [(group, valid[-1])] if valid else []
    newest = max((entry for _, entry in last), key=lambda entry: entry.created, default=None)
    return [
        (group, entry)
        for group, entry in last
        if newest and (entry == newest or (entry.commit and entry.commit == newest.commit))
    ]


def _figure(line: Line) -> str:
    return f"{line.statistic}({line.metric}){_only(line)}"


def _column(line: Line) -> str:
    only = f"_{line.filter.replace('=', '_')}" if line.filter else ""
    return f"{line.metric}_{line.statistic}{only}"


def _only(line: Line) -> str:
    return f" {{{line.filter}}}" if line.filter else ""


def _interval(point: Point) -> str:
    if point.low is None and point.high is None:
        return ""
    ends = ("-∞" if point.low is None else f"{point.low:.6g}",
            "∞" if point.high is None else f"{point.high:.6g}")  # fmt: skip
    return f"[{', '.join(ends)}]"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Final[dict[str, Callable[[Sequence[Group]], str]]] = {
    "github-action-benchmark": partial(github_action, direction="lower"),
    "github-action-benchmark-bigger": partial(github_action, direction="higher"),
    "bmf": bmf,
    "otava": otava,
    "openmetrics": openmetrics,
}


def left_out(groups: Sequence[Group], asked: str) -> list[str]:
    """What a format has no place for, in a few sentences; none where it says all."""
    said = []
    if asked == "otava":
        for group in groups[:1]:
            columns, rows = _whole(group)
            valid = sum(entry.verdict != "invalid" for entry in group.entries)
            rare = [_column(line) for line in group.lines if line not in columns]
            said += [f"figures that most runs lack: {', '.join(rare)}"] if rare else []
            gaps = valid - len(rows)
            said += [f"{_counted(gaps, 'run')} without a figure that most have"] if gaps else []
        said += [_others([name_of(group, groups) for group in groups[1:]])]
    elif asked != "openmetrics":
        shown = [group for group, _ in _now(groups)]
        said += [
            _stale(groups),
            _others([name_of(one, groups) for one in groups if one not in shown]),
        ]
    if asked in _DIRECTIONS:
        direction, other = _DIRECTIONS[asked]
        missing = sum(better(line.metric) != direction for _, line, _ in _latest(groups))
        said += (
            [f"{_counted(missing, 'figure')} of the other direction: --format {other}"]
            if missing
            else []
        )
    return [sentence for sentence in said if sentence]


def _stale(groups: Sequence[Group]) -> str:
    """That the figures are not of the latest run, for a tracker would book them as if they were."""
    every = [entry for group in groups for entry in group.entries]
    latest = max(every, key=lambda entry: entry.created, default=None)
    newest = max((entry.created for _, entry in _now(groups)), default="")
    if latest is None or latest.verdict != "invalid" or newest == latest.created:
        return ""
    commit = f" at {latest.commit[:10]}" if latest.commit else ""
    told = (
        f"these figures are of {newest[:16].replace('T', ' ')}" if newest else "no other is valid"
    )
    return f"the latest run{commit}, which was invalid: {told}"


def _others(names: Sequence[str]) -> str:
    """The settings that are not in the file."""
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"runs of other lines: {'; '.join(names[:2])}{more}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

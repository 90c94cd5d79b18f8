"""What the command line prints of a history: runs, lines as sparklines, change points."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Final

from rich.console import Console

from bench.cli.console import print_table, say
from bench.compare.change_points import Change
from bench.compare.trend import (
    AT_LEAST,
    INVALID,
    NO_DATA,
    NOT_REACHED,
    Group,
    Line,
    Setting,
    name_of,
    silence,
    size,
    worse,
)
from bench.report.sparkline import sparkline
from bench.report.text import count, quantity
from bench.runs.history_record import Entry

_MOST_RUNS: Final = 12
_WIDEST: Final = 40
"""Runs of a sparkline: the latest. A terminal of 100 columns has room for them and the names."""
_MARKS: Final = {INVALID: "×", NO_DATA: " ", NOT_REACHED: "∞", AT_LEAST: "≥"}


def print_groups(found: Sequence[Group], console: Console) -> None:
    """Every setting: what it is, its latest runs, its lines, and what changed in them."""
    if len(found) > 1:
        apart = f"{len(found)} settings, whose runs must not be joined: {_apart(found)} differ\n"
        say(console, apart)
    for group in found:
        say(console, name_of(group, found))
        _print_runs(group, console)
        if group.lines:
            _print_lines(group, console)
        for line in _changes(group):
            say(console, line)
        say(console, "")


def _apart(found: Sequence[Group]) -> str:
    """In what settings differ, in words."""
    said = {"workload": "the scenario's text or options", "metric_version": "metric definitions",
            "corpus_sha256": "the corpus's content"}  # fmt: skip
    names = [
        said.get(name, name)
        for name in Setting._fields
        if len({getattr(group.setting, name) for group in found}) > 1
    ]
    return ", ".join(names)


def _print_runs(group: Group, console: Console) -> None:
    """The latest runs, with the first line's figure."""
    columns = ["when (UTC)", "commit", "verdict"]
    first = group.lines[0] if group.lines else None
    values = {point.entry.key: point for point in first.points} if first else {}
    aside = {entry.key: why for entry, why in first.aside} if first else {}
    if first:
        columns += [f">~{first.statistic} {first.metric}", ">n"]
    rows = []
    for entry in group.entries[-_MOST_RUNS:]:
        cells = [_when(entry), entry.commit[:10] or "–", entry.verdict]
        if first:
            point = values.get(entry.key)
            cells.append(quantity(point.value, first.unit) if point else aside[entry.key])
            cells.append(str(point.n) if point else "")
        rows.append(cells)
    earlier = len(group.entries) - _MOST_RUNS
    print_table(console, columns, rows, caption=f"and {earlier} earlier" if earlier > 0 else "")


def _print_lines(group: Group, console: Console) -> None:
    rows = []
    for line in group.lines:
        latest = quantity(line.points[-1].value, line.unit) if line.points else "–"
        name = f"{line.statistic} {line.metric}" + (f" {{{line.filter}}}" if line.filter else "")
        rows.append((name, _bars(group, line), latest, str(len(line.points))))
    runs = count(min(len(group.entries), _WIDEST), "run")
    print_table(console, ("~figure", f"latest {runs}", ">latest", ">runs"), rows)


def _bars(group: Group, line: Line) -> str:
    """A bar for each run; × invalid, ∞ not reached, ≥ at least, blank without data.

    From lowest to highest, but never finer than the intervals: what they hold is drawn level.
    """
    values: dict[str, float | str] = {point.entry.key: point.value for point in line.points}
    values |= {entry.key: _MARKS[why] for entry, why in line.aside}
    wide = [point.high - point.low for point in line.points
            if point.low is not None and point.high is not None]  # fmt: skip
    shown = [values[entry.key] for entry in group.entries[-_WIDEST:]]
    return sparkline(shown, median(wide) if wide else 0.0)


def _changes(group: Group) -> Iterator[str]:
    found = [(line, change) for line in group.lines for change in line.changes]
    for line, change in found:
        yield sentence(line, change)
    why = {silence(line) for line in group.lines} - {""}
    if not found and len(why) == 1:
        yield f"no change points: {why.pop()}"
    elif not found:
        yield "no change points" if group.lines else "no figures of those that were asked for"


def sentence(line: Line, change: Change) -> str:
    """A change: when, of what, from what to what, by how much, between which commits, how sure."""
    last, first = line.points[change.at - 1].entry, line.points[change.at].entry
    step, unit = size(line, change)
    commits = f" between {last.commit[:10]} and {first.commit[:10]}" if first.commit else ""
    return (
        f"change    {_when(first)}  {line.statistic}({line.metric}) "
        f"{quantity(change.before, line.unit)} → {quantity(change.after, line.unit)}, "
        f"{step:+.1f} {unit}, {'worse' if worse(line, change) else 'better'}{commits}; "
        f"p = {change.p:.1g}, {change.runs_before} runs before, {change.runs_after} after"
    )


def document(found: Sequence[Group]) -> dict[str, Any]:
    """The same for a script: settings, each with its runs and its lines."""
    return {
        "groups": [
            {
                **group.setting._asdict(),
                "runs": [_run(entry) for entry in group.entries],
                "lines": [_line(line) for line in group.lines],
            }
            for group in found
        ]
    }


def _run(entry: Entry) -> dict[str, Any]:
    names = ("key", "created", "commit", "verdict", "bench_version", "host", "scenario_sha256")
    return {name: getattr(entry, name) for name in names}


def _line(line: Line) -> dict[str, Any]:
    return {
        "metric": line.metric,
        "filter": line.filter,
        "statistic": line.statistic,
        "unit": line.unit,
        "points": [
            {"run": point.entry.key, "value": point.value, "low": point.low, "high": point.high,
             "n": point.n}
            for point in line.points
        ],
        "aside": [{"run": entry.key, "why": why} for entry, why in line.aside],
        "changes": [_change(line, change) for change in line.changes],
        "lacking": silence(line),
    }  # fmt: skip


def _change(line: Line, change: Change) -> dict[str, Any]:
    step, unit = size(line, change)
    last, first = line.points[change.at - 1].entry, line.points[change.at].entry
    return {
        "created": first.created,
        "commit_before": last.commit,
        "commit": first.commit,
        "before": change.before,
        "after": change.after,
        "change": step,
        "change_unit": unit,
        "worse": worse(line, change),
        "p": change.p,
        "runs_before": change.runs_before,
        "runs_after": change.runs_after,
    }


def _when(entry: Entry) -> str:
    return entry.created[:16].replace("T", " ")

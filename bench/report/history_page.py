"""The page of a history: has a figure changed, when, and by how much.

Theory of operation
-------------------
One section for each setting (`bench.compare.trend`), since lines of different settings
are never joined, and in it one figure for each metric: p50 and p95 with their intervals, over the
runs in order of time. A change of level is an upright line with its size. What changed at one run
is one *event*, in however many lines it shows. Runs without a point (invalid, not reached, or a
capacity that is "at least" so much) are crosses at the foot. The sentence above each figure says
all that it shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.compare.change_points import ALPHA, FEWEST, LEAST, Change
from bench.compare.trend import (
    Group,
    Line,
    Point,
    name_of,
    silence,
)
from bench.plan.metrics import METRICS
from bench.report.history_chart import Event, events_of, is_worse, line_figure, size_words
from bench.report.page import filled, put_out
from bench.report.panels import Cell, Columns, Panel, Table, table_of
from bench.report.text import (
    NOTHING,
    capital,
    count,
    listing,
    moment,
    plain,
    quantity,
    with_interval,
)
from bench.runs.history_record import Entry

_CAPTION: Final = "Every run in order of time"


def write_history(groups: Sequence[Group], path: Path) -> None:
    """Write the page of some settings. UsageError where it cannot be written."""
    put_out(path, render(groups), f"--html {path}")


def render(groups: Sequence[Group]) -> str:
    """The whole page as text."""
    return filled("history.html", context(groups))


def context(groups: Sequence[Group]) -> dict[str, Any]:
    """What the template is filled with."""
    names = [name_of(group, groups) for group in groups]
    found = [event for group in groups for event in events_of(group.lines)]
    bad = sum(is_worse(event) for event in found)
    runs = sum(len(group.entries) for group in groups)
    told = any(not silence(line) for group in groups for line in group.lines)
    return {
        "title": f"History: {listing(dict.fromkeys(one.setting.scenario for one in groups))}",
        "verdict": capital(count(len(found), "change")) if told else "Too few runs to tell",
        "role": "limit" if bad else "good" if told else "quiet",
        "why": f"{capital(count(runs, 'run'))} in {count(len(groups), 'setting')}; "
        f"{count(bad, 'change')} for the worse.",
        "groups": [
            _section(f"setting-{at}", name, group)
            for at, (name, group) in enumerate(zip(names, groups, strict=True))
        ],
        "least": LEAST,
        "alpha": ALPHA,
        "fewest": FEWEST,
    }


def _section(key: str, name: str, group: Group) -> dict[str, Any]:
    one = group.setting
    return {
        "key": key,
        "name": name,
        "answer": f"{capital(count(len(group.entries), 'run'))} from {_day(group.entries[0])} to "
        f"{_day(group.entries[-1])}; workload {one.workload[:7]}, corpus {one.corpus} "
        f"{one.corpus_sha256[:7]}, dialect {one.dialect}, metric definitions "
        f"{one.metric_version}.",
        "changes": _changes_table(events_of(group.lines)),
        "panels": [_panel(key, group, lines) for lines in _by_metric(group)],
        "runs": _runs_table(group),
    }


def _by_metric(group: Group) -> list[list[Line]]:
    """The lines of each metric and filter together, in their order."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in group.lines:
        found.setdefault((line.metric, line.filter), []).append(line)
    return list(found.values())


# ── one metric ───────────────────────────────────────────────────────────────────────────────────


def _panel(key: str, group: Group, lines: Sequence[Line]) -> Panel:
    first = lines[0]
    only = f" ({first.filter})" if first.filter else ""
    points = [point for line in lines for point in line.points]
    share = "the share of " if first.statistic == "share" else ""
    return Panel(
        f"{key}-{first.metric}{first.filter and '-' + first.filter}",
        f"Has {share}{first.metric.replace('_', ' ')}{only} changed?",
        " ".join(_answer(line) for line in lines),
        [(_caption(points), line_figure(group.entries, lines))] if points else (),
        notes=[METRICS[first.metric].about] if first.metric in METRICS else (),
    )


def _caption(points: Sequence[Point]) -> str:
    """What is drawn: intervals, and open ones, where there are any."""
    known = [(point.low is not None) + (point.high is not None) for point in points]
    if not any(known):
        return _CAPTION
    arrows = ", an arrow where one has no end" if 1 in known else ""
    return f"{_CAPTION}; whiskers are 95 % intervals{arrows}"


def _answer(line: Line) -> str:
    """What a line does, in words."""
    if not line.points:
        return f"{capital(line.statistic)}: no data."
    last = line.points[-1]
    now = with_interval(last.value, last.low, last.high, line.unit)
    told = f"{line.statistic} is {now} in the latest of {count(len(line.points), 'run')}"
    if not line.changes:
        return f"{capital(told)}: {silence(line) or 'no change is shown'}."
    return f"{capital(told)}. " + " ".join(_sentence(line, change) for change in line.changes)


def _sentence(line: Line, change: Change) -> str:
    rose = "rose" if change.after > change.before else "fell"
    commits = _commits(line, change)
    return (
        f"It {rose} by {size_words(line, change).lstrip('+−')} from "
        f"{quantity(change.before, line.unit)} to {quantity(change.after, line.unit)} on "
        f"{_day(line.points[change.at].entry)}{commits and f', between {commits}'}"
        f" ({_p(change)})."
    )


def _commits(line: Line, change: Change, between: str = " and ") -> str:
    before, after = line.points[change.at - 1].entry.commit, line.points[change.at].entry.commit
    return f"{before[:10] or 'unknown'}{between}{after[:10]}" if after else ""


def _p(change: Change) -> str:
    told = "p < 1e-9" if change.p < 1e-9 else f"p = {change.p:.1g}"
    return told.replace(" ", "\u00a0").replace("-", "\u2011")  # never broken between lines


# ── tables ───────────────────────────────────────────────────────────────────────────────────────


def _changes_table(events: Sequence[Event]) -> Table | None:
    """A row for each change, the latest event first; what it is of stands in its first row."""
    rows = [
        (line, change, number == 0, is_worse(event))
        for event in reversed(events)
        for number, (line, change) in enumerate(event[1])
    ]
    columns: Columns = {
        "since": lambda row: _day(row[0].points[row[1].at].entry) if row[2] else "",
        "commits": lambda row: (_commits(row[0], row[1], " → ") or NOTHING) if row[2] else "",
        "figure": lambda row: f"{row[0].statistic} {row[0].metric}",
        "change": lambda row: size_words(row[0], row[1]),
        "from": lambda row: quantity(row[1].before, row[0].unit),
        "to": lambda row: quantity(row[1].after, row[0].unit),
        "p": lambda row: _p(row[1]),
        "runs before / after": lambda row: f"{row[1].runs_before} / {row[1].runs_after}",
    }
    return table_of(
        "Changes, the latest first; one commit's stand together",
        columns,
        rows,
        numeric=[*columns][3:],
        tone=lambda row: "limit" if row[3] else "",
    )


def _runs_table(group: Group) -> Table:
    """Every run, the latest first, with its figures: one column a metric."""
    together = _by_metric(group)
    cells = [_cells(lines) for lines in together]
    several = len({entry.host for entry in group.entries}) > 1
    rows: list[list[Cell]] = [
        [
            (_minute(entry), entry.host) if several else _minute(entry),
            entry.commit[:10] or NOTHING,
            entry.verdict,
            *(of_run.get(entry.key, NOTHING) for of_run in cells),
        ]
        for entry in reversed(group.entries)
    ]
    names = [f"{lines[0].metric}, {lines[0].unit}" for lines in together]
    tones = ["quiet" if entry.verdict == "invalid" else "" for entry in reversed(group.entries)]
    caption = f"All {count(len(rows), 'run')} with their figures"
    numeric = frozenset({0, 1, *range(3, 3 + len(names))})
    return Table(caption, ["UTC", "commit", "verdict", *names], rows, numeric, tones)


def _cells(lines: Sequence[Line]) -> dict[str, Cell]:
    """By run: the first statistic of a metric, and the others under it."""
    told: dict[str, dict[str, str]] = {}
    for line in lines:
        for point in line.points:
            told.setdefault(point.entry.key, {})[line.statistic] = plain(point.value, line.unit)
    first, *others = (line.statistic for line in lines)
    return {
        key: (has.get(first, NOTHING), listing(f"{one} {has.get(one, NOTHING)}" for one in others))
        if others
        else has[first]
        for key, has in told.items()
    }


def _minute(entry: Entry) -> str:
    return entry.created[:16].replace("T", " ")


def _day(entry: Entry) -> str:
    return moment(entry.created).split(",", 1)[0]

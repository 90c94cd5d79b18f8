"""Lines: the runs of a history whose figures may be joined, in order of time.

Theory of operation
-------------------
Two runs are of one line when they share all of `Setting`: the workload (scenario with its options),
the corpus, target and dialect, concurrency, branch and the version of the metric definitions. A
figure that changed because one of these did is another figure, so there is another line and no
change point between them (measurement.md, flaws F22 and F23). The host is not among them, for a CI
has many; where hosts differ it is in the hover of each point.

A run that was invalid is no point of its line: it is kept beside it (`aside`), to be marked. Nor is
a quantile that was never reached, which has samples and no value, nor a capacity that is
"at least" so much.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from bench.analysis.tables import Floats
from bench.compare.change_points import FEWEST, Change, find_in_all, standard_errors
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS
from bench.runs.history_record import CAPACITY, Entry, Figure

HEADLINE: Final = (*(one.name for one in METRICS.values() if "trend" in one.uses), CAPACITY)
"""The figures that are shown where none is asked for, if the history has them."""
STATISTICS: Final = ("p50", "p95", "share")


class Setting(NamedTuple):
    """What the runs of one line share."""

    scenario: str
    workload: str
    target: str
    dialect: str
    concurrency: str
    corpus: str
    corpus_sha256: str
    branch: str
    metric_version: int


INVALID: Final = "invalid"
NO_DATA: Final = "no data"
NOT_REACHED: Final = "not reached: too many turns timed out"
AT_LEAST: Final = "at least"
"""Why a run has no point on a line."""


class Point(NamedTuple):
    """One figure of one run. `low` and `high` are None where the interval is open."""

    entry: Entry
    value: float
    low: float | None
    high: float | None
    n: int


class Line(NamedTuple):
    """One statistic of one metric over the runs of a setting.

    `aside` are runs of the setting without a point, each with the reason. `changes` is what
    `with_changes` found: their indices are those of `points`.
    """

    setting: Setting
    metric: str
    filter: str
    statistic: str
    unit: str
    points: Sequence[Point]
    aside: Sequence[tuple[Entry, str]]
    changes: Sequence[Change] = ()


class Group(NamedTuple):
    """A setting with all its runs, in order of time, and its lines."""

    setting: Setting
    entries: Sequence[Entry]
    lines: Sequence[Line]


def setting_of(entry: Entry) -> Setting:
    """What a run must share with the others of its line."""
    return Setting(**{name: getattr(entry, name) for name in Setting._fields})


def groups(entries: Sequence[Entry], figures: Iterable[Figure]) -> list[Group]:
    """The lines of a history by setting; the setting with the latest run comes first.

    `entries` are in order of time. Lines are in the order of `METRICS`, unfiltered before filtered.
    """
    of_line: dict[tuple[Setting, str, str, str], dict[str, Figure]] = {}
    setting = {entry.key: setting_of(entry) for entry in entries}
    for figure in figures:
        where = (setting[figure.run], figure.metric, figure.filter, figure.statistic)
        of_line.setdefault(where, {})[figure.run] = figure
    mine: dict[Setting, list[Entry]] = {}
    for entry in entries:
        mine.setdefault(setting[entry.key], []).append(entry)
    latest = sorted(mine, key=lambda one: mine[one][-1].created, reverse=True)
    places = sorted(of_line, key=lambda where: _place(*where[1:]))
    return [
        Group(one, mine[one], [_line(where, mine[one], of_line[where]) for where in places
                               if where[0] == one])
        for one in latest
    ]  # fmt: skip


def _place(metric: str, only: str, statistic: str) -> tuple[str, int, str, int, str]:
    """Where a line stands among the others; what this version does not know comes last."""
    known = list(METRICS).index(metric) if metric in METRICS else len(METRICS)
    order = list(QUANTILES).index(statistic) if statistic in QUANTILES else len(QUANTILES)
    return only, known, metric, order, statistic


def _line(
    where: tuple[Setting, str, str, str], entries: Sequence[Entry], found: dict[str, Figure]
) -> Line:
    points, aside = [], []
    for entry in entries:
        figure = found.get(entry.key)
        if entry.verdict == "invalid":
            aside.append((entry, INVALID))
        elif figure is None:
            aside.append((entry, NO_DATA))
        elif figure.value is None:
            aside.append((entry, AT_LEAST if figure.metric == CAPACITY else NOT_REACHED))
        else:
            points.append(Point(entry, figure.value, figure.low, figure.high, figure.n))
    unit = next(iter(found.values())).unit
    return Line(*where, unit, points, aside)


def with_changes(found: Sequence[Group]) -> list[Group]:
    """The same groups with the change points of their lines, all of which are told together."""
    every = [line for group in found for line in group.lines]
    changes = iter(find_in_all([_measured(line) for line in every]))
    return [
        group._replace(lines=[line._replace(changes=next(changes)) for line in group.lines])
        for group in found
    ]


def _measured(line: Line) -> tuple[Floats, Floats]:
    """The values of a line and their standard errors."""
    values = _column(point.value for point in line.points)
    low, high = (_column(getattr(point, end) for point in line.points) for end in ("low", "high"))
    return values, standard_errors(low, values, high)


def _column(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def better(metric: str) -> str:
    """What is better of a metric, "higher" or "lower"; of one that is not known here, lower."""
    if metric == CAPACITY:
        return "higher"
    return METRICS[metric].better if metric in METRICS else "lower"


def worse(line: Line, change: Change) -> bool:
    """Whether a change is for the worse."""
    return (change.after > change.before) != (better(line.metric) == "higher")


def size(line: Line, change: Change) -> tuple[float, str]:
    """How large a change is: of shares in points, of all else in percent of what was before."""
    step = change.after - change.before
    if line.unit == "%" or not change.before:
        return step, "points" if line.unit == "%" else line.unit
    return 100 * step / abs(change.before), "%"


def silence(line: Line) -> str:
    """Why a line has no change points, where it cannot have any; else empty."""
    few = FEWEST - len(line.points)
    return f"{few} more runs before a change can be told" if few > 0 else ""


def name_of(group: Group, others: Sequence[Group]) -> str:
    """A name for a setting: short, and longer where another of `others` would have the same."""
    one = group.setting
    name = _short(one)
    if sum(_short(other.setting) == name for other in others) < 2:
        return name
    return (
        f"{name}, workload {one.workload[:7]}, corpus {one.corpus_sha256[:7]}, {one.dialect}, "
        f"definitions {one.metric_version}"
    )


def _short(one: Setting) -> str:
    branch = f", branch {one.branch}" if one.branch else ""
    return f"{one.scenario} against {one.target}, {one.concurrency}{branch}"

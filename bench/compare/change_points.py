"""Change points: where a line of runs leaves its level and stays at another.

Theory of operation
-------------------
`ruptures` finds candidates: the piecewise constant line that fits best (KernelCPD with the linear
kernel, which is PELT on means, exact and in C), with a penalty so small that it misses none. Then
the weakest is dropped until each that is left is significant between its neighbours, as Hunter
does (Fleming et al. 2023, doi:10.1145/3578244.3583719; its heir Apache Otava pins another numpy
than the rest of this program and brings BigQuery, PostgreSQL and Slack with it).

* A level has `LEAST` runs at least, so a line of fewer than `FEWEST` has no change points. Shorter
  levels are candidates all the same: without them, two new runs would take an old one along.
* Latencies are compared by ratio: logarithms where all values are above zero.
* One run that stands alone is an outlier and no level: it counts as no farther off than three
  times the noise from the median of the five runs around it. As it is, one run of twice the
  latency would hide a later change of 10 % for ever.
* p is that of Student's t between the two levels, times the ways of choosing it, for what is tried
  was chosen because it looked best: the places of the line, and where the level beside it ends at
  another change, which was chosen with it, half as many times the places once more.
* It is corrected for the lines that are told together, too, by Holm's way (`find_in_all`): of forty
  flat lines, each as rarely wrong as one in a hundred, a third of all pages would tell a change.
  Holm and not Benjamini-Hochberg, because lines of the same runs rise and fall together and one
  false alarm is already too many: it holds whatever depends on what, and what is bounded is the
  chance of any alarm at all. `ALPHA` is strict because lines are looked at again with every run.
* Noise is how runs differ from their level, over the whole line. Where runs are few that is hardly
  known, and may be small by chance: the intervals of the runs themselves count as `PRIOR` more
  runs, but only ever upwards. They cannot stand in for it: a run's interval knows nothing of
  another hour or another host (measurement.md, section 6).

It refuses to know what a point is: indices in, indices out.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bench.analysis.tables import Floats
from bench.errors import UsageError
from bench.stats.distribution import student_beyond

LEAST: Final = 3
"""Runs of one level: two may be one bad hour."""
FEWEST: Final = 2 * LEAST
_SHORTEST: Final = 2
ALPHA: Final = 0.01
PRIOR: Final = 4.0
_OUTLYING: Final = 3.0
_AROUND: Final = 5
_MAD_TO_SD: Final = 1.4826  # of normal noise: 1 / Phi^-1(3/4)


class Change(NamedTuple):
    """A change of level. `at` is the index of the first run at the new one.

    `before` and `after` are medians of the runs at either level, in the unit of the line. `p` is
    corrected for places and for the lines that were told with it.
    """

    at: int
    before: float
    after: float
    p: float
    runs_before: int
    runs_after: int


class _Levels(NamedTuple):
    """One way to cut a line: the bounds of its levels, ends included, and p of each change."""

    bounds: list[int]
    p: list[float]


def find_in_all(lines: Sequence[tuple[Floats, Floats]]) -> list[list[Change]]:
    """The change points of each of the lines that are told together, in order.

    A line is its values, without NaN, and their standard errors, NaN where unknown. Lines that are
    too short to have any correct nothing.
    """
    tried = [_ways(values, errors) for values, errors in lines]
    least = [min((max(way.p) for way in ways), default=1.0) for ways in tried]
    left = sum(len(values) >= FEWEST for values, _ in lines)
    found: list[list[Change]] = [[] for _ in lines]
    for place in sorted(range(len(lines)), key=least.__getitem__):
        if not tried[place] or least[place] * left > ALPHA:
            break
        way = next(way for way in tried[place] if max(way.p) * left <= ALPHA)
        found[place] = _changes(lines[place][0], way, left)
        left -= 1
    return found


def _changes(values: Floats, way: _Levels, lines: int) -> list[Change]:
    return [
        Change(
            at=at,
            before=float(np.median(values[first:at])),
            after=float(np.median(values[at:last])),
            p=p * lines,
            runs_before=at - first,
            runs_after=last - at,
        )
        for (first, at, last), p in zip(_spans(way.bounds), way.p, strict=True)
    ]


def _ways(values: Floats, errors: Floats) -> list[_Levels]:
    """The ways to cut a line: by all candidates, then without the weakest, and so on to one."""
    if len(values) < FEWEST:
        return []
    if (values > 0).all():
        line, errors = np.log(values), errors / values
    else:
        line = values
    within = float(np.mean(np.square(errors[~np.isnan(errors)]))) if _known(errors) else 0.0
    rough = _noise(_roughness(line) ** 2, len(line), within)
    calm = _without_outliers(line, np.sqrt(rough))
    bounds = [0, *_candidates(calm, np.sqrt(rough)), len(line)]
    ways = []
    while len(bounds) > 2:
        ways.append(_Levels(bounds, [_p(calm, bounds, n, within) for n in range(len(bounds) - 2)]))
        weakest = int(np.argmax(ways[-1].p))
        bounds = [*bounds[: weakest + 1], *bounds[weakest + 2 :]]
    return ways


def _known(errors: Floats) -> bool:
    return bool((~np.isnan(errors)).any())


def _roughness(line: Floats) -> float:
    """The noise by how runs differ from the one before, which a change of level hardly touches."""
    return float(_MAD_TO_SD * np.median(np.abs(np.diff(line))) / np.sqrt(2))


def _noise(variance: float, freedom: int, within: float) -> float:
    """A variance of few degrees of freedom, raised towards that within runs where it is smaller."""
    return max(variance, (freedom * variance + PRIOR * within) / (freedom + PRIOR))


def _without_outliers(line: Floats, noise: float) -> Floats:
    """The line with no run farther from its neighbours' median than noise explains."""
    mirrored = np.pad(line, _AROUND // 2, mode="reflect")
    middle = np.median(sliding_window_view(mirrored, _AROUND), axis=-1)
    return np.clip(line, middle - _OUTLYING * noise, middle + _OUTLYING * noise)


def _candidates(line: Floats, noise: float) -> list[int]:
    """Where the best piecewise constant fit has its steps."""
    if np.ptp(line) == 0:
        return []
    try:
        from ruptures import KernelCPD  # noqa: PLC0415 - slow to import
    except ImportError:
        raise UsageError(
            "change points need ruptures, which has no release for this Python; use 3.11 to 3.13"
        ) from None
    scale = noise or float(np.ptp(line)) / 1e3
    fit = KernelCPD(kernel="linear", min_size=_SHORTEST).fit((line / scale)[:, np.newaxis])
    found = fit.predict(pen=2 * np.log(len(line)))
    return [int(at) for at in found[:-1]]


def _spans(bounds: Sequence[int]) -> list[tuple[int, int, int]]:
    """Each change with the ends of the levels on either side."""
    return list(zip(bounds, bounds[1:], bounds[2:], strict=False))


def _p(line: Floats, bounds: Sequence[int], place: int, within: float) -> float:
    """How likely noise alone makes a change this clear, anywhere in the line.

    1 where either level is too short to be one.
    """
    first, at, last = _spans(bounds)[place]
    if min(at - first, last - at) < LEAST:
        return 1.0
    levels = [line[start:end] for start, end in pairwise(bounds)]
    left = sum(float(np.sum(np.square(level - level.mean()))) for level in levels)
    freedom = len(line) - len(levels)
    noise = np.sqrt(_noise(left / freedom, freedom, within))
    step = abs(line[at:last].mean() - line[first:at].mean())
    error = noise * np.sqrt(1 / (at - first) + 1 / (last - at))
    if error == 0:
        return 0.0 if step else 1.0
    chosen = float(len(line) - FEWEST + 1)
    if len(levels) > 2:
        chosen *= max(1.0, chosen / 2)
    return min(1.0, chosen * 2 * float(student_beyond(step / error, freedom)))


def standard_errors(low: Floats, value: Floats, high: Floats) -> Floats:
    """Standard errors of values from their 95 % intervals; NaN where there is none.

    An end that is missing beside one that is known was never reached: the other end counts.
    """
    below, above = value - low, high - value
    half = np.where(np.isnan(above), below, np.where(np.isnan(below), above, (below + above) / 2))
    return half / 1.96

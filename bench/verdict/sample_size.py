"""Are there enough samples to decide a gate, and which run would have enough?

Theory of operation
-------------------
What counts is the *effective* number of samples (`quantile`): turns of one session resemble each
other, and a hundred of them may be worth forty. A quantile is seen beyond only with as many of them
as the exact binomial asks for (p99: 299).

An interval narrows with the square root of its samples, so a quantile whose interval reaches past
the limit by `reach` while its value lies `gap` from it needs (reach / gap)² times as many. A
share's exact interval is tried with more and more samples until it clears the limit. All of it
supposes that the value stays where it is, and that more sessions are like those that there are:
hence "about".

*The run that is advised* is to decide, and not to come as near as before: an interval that just
reaches the limit on average lies over it every other time. So it is given room (`_SURE`, `_SPARE`),
and its samples are reckoned from what is known of the run that there was (`Ran`): turns come in
proportion to its duration; sessions follow one another, as often as they did, or as the turns of a
whole one allow; and where turns of a session resemble each other, more turns of the same sessions
are worth little. Where no duration is enough, it takes more sessions at once, which is another load
and has another baseline.
"""

import math
from typing import Any, Final, NamedTuple

from bench.plan.declaration import Metric
from bench.plan.gates import Gate, needed
from bench.plan.metrics import METRICS
from bench.stats.proportion import ALIKE, FEW_SESSIONS, exact

MOST_TIMES: Final = 100.0
"""More samples than so many times those that there are is no advice."""
_SURE: Final = (1 + 1.2816 / 1.96) ** 2
"""So many times as many, and an interval that just reached a limit clears it nine times in ten."""
_SPARE: Final = 1.25
"""Of a mere number of samples: another run of that length has a few less."""
_STEP: Final = 1.02


class Ran(NamedTuple):
    """A run, as far as advice is reckoned from it.

    measured_s, warmup_s: how long was measured, and what came before
    held:      sessions held at once; None: they arrived by themselves
    started:   sessions begun
    attempted: turns measured
    turns:     of a whole session; 0: nobody knows
    """

    measured_s: float
    warmup_s: float
    held: int | None
    started: int
    attempted: int
    turns: int

    def sessions(self, measured_s: float) -> float:
        """How many sessions are begun in a run like it that measures so long."""
        whole = self.warmup_s + self.measured_s
        if self.held is None:
            return max(1.0, self.started * (self.warmup_s + measured_s) / whole)
        ended = max(0, self.started - self.held) / whole
        if not ended and self.turns:  # nobody knows when the first ends, but for its turns
            ended = self.attempted / max(1.0, self.measured_s) / self.turns
            return max(float(self.held), ended * (self.warmup_s + measured_s))
        return self.held + ended * (self.warmup_s + measured_s)


def wanted(gate: Gate) -> int:
    """Samples without which a quantile is not seen beyond, or a mean is no mean; 0: any will do."""
    if gate.statistic == "mean":
        return FEW_SESSIONS
    return 0 if gate.promised is None else needed(gate.promised)


def effective(row: dict[str, Any]) -> float:
    """Independent samples, where the row says how many; else its samples."""
    known = row.get("effective")
    return float(row["n"] if known is None else known)


class Case(NamedTuple):
    """A gate, the statistic that it is about, and its limit in the metric's unit.

    `row` is one of the summary or an entry of a verdict: `value`, `low`, `high`, `n`, and
    `effective` and `longest` where they are known.
    """

    gate: Gate
    row: dict[str, Any]
    limit: float

    @property
    def metric(self) -> Metric:
        return METRICS[self.gate.metric]

    @property
    def effective(self) -> float:
        return effective(self.row)

    @property
    def short(self) -> int:
        """How many of the samples that are wanted are wanting."""
        return max(0, math.ceil(wanted(self.gate) - self.effective - 1e-9))

    @property
    def alone(self) -> bool:
        """There is a value and no interval: the samples are of a single session."""
        row = self.row
        return row["value"] is not None and row["low"] is None and row["high"] is None

    @property
    def by_value(self) -> bool:
        """The value alone decides: of counts, and of extremes that have no interval."""
        statistic = self.gate.statistic
        extreme = statistic == "max" or (statistic == "min" and self.row["low"] is None)
        return self.metric.kind == "count" or extreme


def advice(case: Case, ran: Ran | None) -> str:
    """What it takes to decide an open gate: "about 12 more sessions like these: --duration 90s …".

    None: nothing is known of the run, and samples are told.
    """
    of = case.metric.of
    if case.metric.kind == "share" and case.limit in {0.0, 100.0}:
        return f"another limit: no number of samples shows exactly {case.limit:g} %"
    if any(one.key == "session" for one in case.gate.where):
        return "a gate on more than one session: its turns are too alike, however many they are"
    times = _times_wanted(case)
    if times is None:
        return "more sessions than can be told from these"
    if case.alone and not case.short:
        return f"{FEW_SESSIONS} sessions or more{_asked(case, ran)}"
    if of == "event":
        return f"a longer run{_asked(case, ran)}"
    have = case.row["n"] if of == "session" or ran is None else ran.started
    count = max(1, math.ceil(have * (times - 1) - 1e-9))
    more = f"about {count} more {of if ran is None else 'session'}{'s' if count > 1 else ''}"
    return more if ran is None else f"{more} like these{_asked(case, ran)}"


def _times_wanted(case: Case) -> float | None:
    """How many times as many samples would do on average; None: it cannot be told."""
    if case.short:
        return _times_short(case)
    return max(1.0, FEW_SESSIONS / case.effective) if case.alone else _times(case)


# ── the run that would decide ────────────────────────────────────────────────────────────────────


def _asked(case: Case, ran: Ran | None) -> str:
    """The options of that run, as a part of a sentence; empty where none can be told."""
    enough = _surely(case)
    if ran is None or enough is None:
        return ""
    length = _length(case, enough, ran)
    if length is not None:
        return f": --duration {_written(length)} should decide it"
    if ran.held is None or case.gate.against_baseline:
        return ""
    most = math.ceil(ran.held * enough / case.effective)
    return f": --sessions {most}, which is another load, should decide it; no duration would"


def _surely(case: Case) -> float | None:
    """Effective samples with which it is decided nine times in ten; None: it cannot be told."""
    least = _SPARE * wanted(case.gate)
    if case.short or case.alone:
        return least
    clear = _times(case)
    if clear is None:
        return None
    certain = case.metric.kind == "share" and case.row["value"] in {0.0, 100.0}
    return max(least, case.effective * clear * (_SPARE if certain else _SURE))


def _length(case: Case, enough: float, ran: Ran) -> float | None:
    """How many seconds must be measured for `enough` effective samples; None: no number will do.

    Of few sessions nobody knows how alike their turns are, and the usual is supposed.
    """
    n, by_session = case.row["n"], case.metric.of == "session"
    now = ran.sessions(ran.measured_s)
    some = case.effective
    known = now >= FEW_SESSIONS and not case.alone and some >= FEW_SESSIONS
    each = max(1.0, n / now)
    alike = min(1.0, (n / some - 1) / (each - 1)) if known and each > 1 else ALIKE
    times = 1.0
    while times <= MOST_TIMES:
        times *= _STEP
        sessions = ran.sessions(times * ran.measured_s)
        turns = times * n
        worth = turns / (1 + max(0.0, turns / sessions - 1) * alike)
        if by_session:
            worth = n * sessions / now
        if worth >= enough and sessions >= _SPARE * FEW_SESSIONS:
            return times * ran.measured_s
    return None


def _written(seconds: float) -> str:
    """A duration as an option has it: whole seconds, and whole minutes beyond ten."""
    return f"{math.ceil(seconds)}s" if seconds <= 600 else f"{math.ceil(seconds / 60)}m"


# ── how many times as many ───────────────────────────────────────────────────────────────────────


def _times_short(case: Case) -> float:
    """How many times as many samples are enough of them.

    Of few sessions each is taken for one sample; from `FEW_SESSIONS` on their turns count.
    """
    some = case.effective
    if some >= FEW_SESSIONS or case.gate.statistic == "mean":
        return wanted(case.gate) / some
    return max(wanted(case.gate) / float(case.row["n"]), FEW_SESSIONS / some)


def _times(case: Case) -> float | None:
    """How many times as many samples take the interval off the limit; None: it cannot be told."""
    if case.row["value"] is None:
        return None
    value, limit = float(case.row["value"]), case.limit
    if case.metric.kind == "share":
        return _share_times(value / 100, limit / 100, case.effective)
    far = case.row["high" if value < limit else "low"]
    if far is None or value == limit:
        return None
    times = ((far - value) / (limit - value)) ** 2
    return times if times <= MOST_TIMES else None


def _share_times(share: float, limit: float, n: float) -> float | None:
    if not 0 <= share <= 1:  # words wrong may be more than were said
        return None
    fewest, most = 1.0, 2.0
    while not _clears(share, limit, n * most):
        fewest, most = most, 2 * most
        if most > MOST_TIMES:
            return None
    for _ in range(20):
        middle = (fewest + most) / 2
        fewest, most = (fewest, middle) if _clears(share, limit, n * middle) else (middle, most)
    return most


def _clears(share: float, limit: float, n: float) -> bool:
    """Whether the exact interval of a share of so many samples leaves the limit outside."""
    low, high = exact(share, n)
    return not low <= limit <= high

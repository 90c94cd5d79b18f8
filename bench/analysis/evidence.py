"""What validity rules look at, and what they answer."""

from typing import Any, NamedTuple

import msgspec
import pandas as pd

from bench.analysis.sessions import span
from bench.analysis.stamps import Stamps
from bench.analysis.tables import Flags, integers
from bench.plan.duration import Duration
from bench.plan.scenario import Health
from bench.tracker.event import NEVER


class Check(NamedTuple):
    """What one rule found. Times are seconds since the start of the run; None: always, never."""

    rule: str
    ok: bool
    value: float | None
    bound: float | None
    unit: str
    text: str
    remedy: str = ""
    from_s: float | None = None
    to_s: float | None = None


class Evidence(NamedTuple):
    """A run, as far as rules look.

    `stamps` are of all rows of its log; `sessions` needs session, worker, slot and outcome.
    """

    run: dict[str, Any]
    stamps: Stamps
    health: pd.DataFrame
    sessions: pd.DataFrame
    summary: dict[str, Any]

    @property
    def effective(self) -> dict[str, Any]:
        """The scenario as it was run; empty where run.json does not say."""
        return (self.run.get("scenario") or {}).get("effective") or {}

    @property
    def bounds(self) -> Health:
        """`[health]` of the scenario, defaults where it does not say."""
        return msgspec.convert(self.effective.get("health") or {}, Health, dec_hook=_duration)

    @property
    def start_ns(self) -> int:
        """The zero of `from_s` and `to_s`: the start of the run."""
        return self.stamps.start_ns(self.run["plan"])

    def measured_seconds(self) -> Flags:
        """Which seconds of health lie in the measured phase."""
        begin, stop = span(self.run["plan"])
        at = integers(self.health["at_ns"], NEVER)
        return (at >= begin) & (at < stop)

    def measured_health(self) -> pd.DataFrame:
        """Those seconds."""
        return self.health[self.measured_seconds()]


def check(
    rule: str,
    text: str,
    remedy: str,
    *,
    ok: bool,
    measured: tuple[float | None, float | None, str] = (None, None, ""),
    when: tuple[float | None, float | None] = (None, None),
) -> Check:
    """What a rule found. `measured`: value, bound and unit.

    `remedy` says what to do, `when` from and to which second, where the rule does not hold.
    """
    value, bound, unit = measured
    found = Check(rule, ok, value, bound, unit, text)
    return found if ok else found._replace(remedy=remedy, from_s=when[0], to_s=when[1])


def _duration(kind: type, value: object) -> object:
    if kind is Duration and isinstance(value, int):
        return Duration(value)
    raise NotImplementedError(kind)

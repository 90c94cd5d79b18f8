"""What is declared of a metric, and the four ways to declare one.

A metric is two named instants (`plan.instants`) and a direction, a value that the analysis reckons,
a share, or a count. `plan.metrics` is the table of all of them.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypedDict, Unpack

from bench.plan.instants import INSTANTS


class Metric(NamedTuple):
    """One figure. An interval has `start` and `end`; a value or a share is what `about` says.

    kind:       `interval` and `value` have quantiles; `share` is a percentage; `count` counts
    of:         what one sample belongs to: `turn`, `session`, `event` or `word`
    needs:      what a script must do for it to exist (see `bench.voice.scripts.SCRIPTS`)
    signed:     an interval that may be negative, for nothing orders its two instants
    turns:      words for the turns that it is about, all of which must fit (see `measure.about`):
                those that have it unless something failed; none: every turn
    over:       of a share: what it is of: `turns`, `attempts` or `words` (of which it may pass
                100 %), `disturbances` (which are in no table of turns)
    only_grows: a count of what must not happen: a longer run never makes it smaller
    wait:       rank among the waits of a caller for an answer: of those that a run has the first
    uses:       words for where it is one of a few, see `USES`
    label:      its short name on pages and terminals
    colour:     its role in `bench.report.theme`
    acknowledges:  the client message from whose send to its acknowledgement it goes
    """

    name: str
    kind: str
    of: str
    unit: str
    better: str
    about: str
    start: str = ""
    end: str = ""
    needs: str = ""
    signed: bool = False
    turns: frozenset[str] = frozenset()
    over: str = ""
    only_grows: bool = False
    wait: int = 0
    uses: frozenset[str] = frozenset()
    label: str = ""
    colour: str = "ink"
    acknowledges: str = ""


USES: Final = {
    "decides": "it decides a comparison, beside the wait",
    "trend": "a history shows it unless others are asked for",
    "calibrated": "a calibration says what the harness adds to it",
    "table": "the result table of the terminal has it",
    "by_setting": "settings of a sweep are compared by it",
}
_ALONE: Final = frozenset({"text", "asked", "outputs", "some"})
"""Words of an instant that say by themselves which turns an interval to it is about."""


class Facts(TypedDict, total=False):
    """What else may be declared of a metric, see `Metric`; `turns` and `uses` as words in a row."""

    of: str
    better: str
    needs: str
    turns: str
    over: str
    only_grows: bool
    wait: int
    uses: str
    label: str
    colour: str
    acknowledges: str


def interval(name: str, span: str, about: str, /, **facts: Unpack[Facts]) -> Metric:
    """The time in ms over a `span`: "one instant → another".

    `turns` beside those that its instants say; the instants also say whether it may be negative.
    """
    first, last = (INSTANTS[word] for word in span.split(" → "))
    words = {first.turns, last.turns, facts.get("turns", "")} - {""}
    needs = facts.get("needs", "")
    if last.turns in _ALONE:
        words = {last.turns}
    elif needs:
        words = {"interruption" if needs == "interruption" else "some"}
    metric = Metric(name, "interval", "turn", "ms", "lower", about, first.name, last.name)
    signed = first.unordered or last.unordered
    return _with(metric._replace(turns=frozenset(words), signed=signed), facts)


def value(name: str, unit: str, about: str, /, **facts: Unpack[Facts]) -> Metric:
    """A figure that the analysis reckons as `about` says; which turns have it the word `turns`."""
    turns = "some" if facts.get("needs") else facts.get("turns", "")
    metric = Metric(name, "value", "turn", unit, "lower", about, turns=frozenset(turns.split()))
    return _with(metric, facts)


def share(name: str, better: str, about: str, /, **facts: Unpack[Facts]) -> Metric:
    """A percentage, with what it is of (`over`)."""
    return _with(Metric(name, "share", "turn", "%", better, about, over="turns"), facts)


def count(name: str, of: str, better: str, about: str, /, **facts: Unpack[Facts]) -> Metric:
    """How many there were."""
    return _with(Metric(name, "count", of, "1", better, about), facts)


def _with(metric: Metric, facts: Mapping[str, Any]) -> Metric:
    """The metric with the facts that need no thought."""
    given: dict[str, Any] = {name: one for name, one in facts.items() if name != "turns"}
    given["uses"] = frozenset(facts.get("uses", "").split())
    given.setdefault("label", metric.name.replace("_", " "))
    return metric._replace(**given)


def number(value: float) -> str:
    """A figure as a reader compares it: four digits below a hundred, whole units above."""
    return f"{value:.0f}" if abs(value) > 100 else f"{value:.4g}"

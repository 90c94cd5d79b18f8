"""What is declared of a metric, and the four ways to declare one.

A metric is two named instants (`plan.instants`) and a direction, a value that the analysis reckons,
a share, or a count. `plan.metrics` is the table of all of them.
"""

from typing import Final, NamedTuple

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


def interval(
    name: str, span: str, about: str, *, of: str = "turn", needs: str = "", turns: str = "",
    uses: str = "", wait: int = 0,
) -> Metric:  # fmt: skip
    """The time in ms over a `span`: "one instant → another".

    `turns` beside those that its instants say; the instants also say whether it may be negative.
    """
    first, last = (INSTANTS[word] for word in span.split(" → "))
    words = {first.turns, last.turns, turns} - {""}
    if last.turns in _ALONE:
        words = {last.turns}
    elif needs:
        words = {"interruption" if needs == "interruption" else "some"}
    return Metric(
        name, "interval", of, "ms", "lower", about, first.name, last.name, needs,
        signed=first.unordered or last.unordered, turns=frozenset(words), wait=wait,
        uses=frozenset(uses.split()),
    )  # fmt: skip


def value(
    name: str, unit: str, about: str, *, of: str = "turn", better: str = "lower", needs: str = "",
    turns: str = "", uses: str = "",
) -> Metric:  # fmt: skip
    """A figure that the analysis reckons as `about` says; which turns have it the word `turns`."""
    return Metric(
        name, "value", of, unit, better, about, needs=needs,
        turns=frozenset({"some"} if needs else turns.split()), uses=frozenset(uses.split()),
    )  # fmt: skip


def share(
    name: str, better: str, about: str, *, of: str = "turn", needs: str = "", over: str = "turns",
    uses: str = "",
) -> Metric:  # fmt: skip
    """A percentage, with what it is of (`over`)."""
    return Metric(
        name, "share", of, "%", better, about, needs=needs, over=over, uses=frozenset(uses.split())
    )


def count(
    name: str, of: str, better: str, about: str, *, needs: str = "", only_grows: bool = False
) -> Metric:
    """How many there were."""
    return Metric(name, "count", of, "1", better, about, needs=needs, only_grows=only_grows)


def number(value: float) -> str:
    """A figure as a reader compares it: four digits below a hundred, whole units above."""
    return f"{value:.0f}" if abs(value) > 100 else f"{value:.4g}"

"""Gates: a sentence about a statistic that is true or not.

Grammar::

    gate       = ["soft"] statistic "(" metric ["{" filter "}"] ")" operator limit
    statistic  = "p50" | "p90" | "p95" | "p99" | "p99.9" | "mean" | "min" | "max"
               | "share" | "count" | "rate"
    operator   = "<" | "<=" | ">" | ">=" | "=="          (== for counts alone)
    limit      = number [unit] | "baseline" [("+" | "-") number "%"]
    unit       = "ms" | "s" | "%" | "/s"
    filter     = see `bench.plan.turn_filter`

Examples: ``p95(first_audio_latency) < 800 ms``, ``share(answered) >= 99.5 %``,
``p50(endpointing_delay) <= baseline + 10 %``, ``soft p99(first_audio_latency{turn>1}) < 1 s``.

A *soft* gate is judged and shown like any other and decides nothing.

A gate is checked against the metric table before anything starts: a metric that does not exist, a
statistic that does not fit its kind, a metric that the script can never yield or a filter that
nothing can meet is an error.
"""

import math
import operator
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from bench.errors import GateError, nearest
from bench.plan.declaration import Metric
from bench.plan.metrics import METRICS
from bench.plan.turn_filter import COMPARE, OF_SESSIONS, Condition, Known, parse_where, unmeetable

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
STATISTICS = {
    "interval": (*QUANTILES, "mean", "min", "max"),
    "value": (*QUANTILES, "mean", "min", "max"),
    "share": ("share",),
    "count": ("count", "rate"),
}
OPERATORS = COMPARE | {"==": operator.eq}
_UNITS = {
    "ms": {"": 1.0, "ms": 1.0, "s": 1000.0},
    "%": {"": 1.0, "%": 1.0},
    "ratio": {"": 1.0},
    "/s": {"": 1.0, "/s": 1.0},
}
_UNITS["1"] = {"": 1.0, "/s": 1.0}

CONFIDENCE = 0.95
"""Of every interval, and so of every verdict."""
FEW_SESSIONS = 5
"""From fewer sessions not more than one turn of each counts: how alike they are cannot be told."""

_MOST_TEXT = 1_000
"""Characters of a gate."""
_MOST_LIMIT = 1e12
_NAMED = 8
"""So many names a refusal lists."""

_SENTENCE = re.compile(
    r"""\s*(?P<soft>soft\s+)?(?P<statistic>[A-Za-z][A-Za-z0-9.]*)
        \s*\(\s*(?P<metric>[A-Za-z_][A-Za-z0-9_]*)\s*(\{(?P<inside>[^{}]*)\}\s*)?\)
        \s*(\{(?P<behind>[^{}]*)\})?
        \s*(?P<operator>[^\sA-Za-z0-9.+-]+)\s*(?P<limit>.+?)\s*""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?P<number>-?[0-9]+(\.[0-9]+)?)\s*(?P<unit>%|ms|s|/s|[A-Za-z/]*)")
_BASELINE = re.compile(r"baseline(\s*(?P<sign>[+-])\s*(?P<percent>[0-9]+(\.[0-9]+)?)\s*%)?")


class Gate(NamedTuple):
    """One gate. `limit` is in the metric's unit, or None where the baseline gives it.

    `percent` is what is added to the baseline's value (negative: taken away); `where` says which
    turns it is about, all where it is empty; a `soft` gate decides nothing.
    """

    text: str
    statistic: str
    metric: str
    operator: str
    limit: float | None
    percent: float = 0.0
    where: tuple[Condition, ...] = ()
    soft: bool = False

    @property
    def figure(self) -> str:
        """What it is about, as in p95(first_audio_latency{turn>1})."""
        only = f"{{{', '.join(map(str, self.where))}}}" if self.where else ""
        return f"{self.statistic}({self.metric}{only})"

    @property
    def upper(self) -> bool:
        """Whether the limit is one that may not be passed upwards."""
        return self.operator in {"<", "<="}

    @property
    def promised(self) -> float | None:
        """The share of samples that a quantile wants on the right side; None: it is no quantile."""
        q = QUANTILES.get(self.statistic)
        return q if q is None or self.upper else 1 - q

    @property
    def against_baseline(self) -> bool:
        return self.limit is None

    def holds(self, value: float, limit: float) -> bool:
        """Whether `value` is on the right side of `limit`."""
        return bool(OPERATORS[self.operator](value, limit))


def needed(q: float) -> int:
    """Samples, none of them beyond a limit, that show at 95 % that the quantile is not either.

    p99: 299, p95: 59, p90: 29, p50: 5 (exact binomial; smallest n with q^n ≤ 5 %).
    """
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(q))


def parse_gate(text: str) -> Gate:
    """One gate from its sentence. GateError quotes it and names the word that is wrong."""
    if len(text) > _MOST_TEXT:
        raise GateError(f"gate {text[:40]!r}…: {len(text)} characters; {_MOST_TEXT} are the most")
    match = _SENTENCE.fullmatch(text)
    if not match:
        raise GateError(
            f"gate {text!r}: a gate reads statistic(metric) operator limit, "
            "as in 'p95(first_audio_latency) < 800 ms'"
        )
    statistic, name, operator = match["statistic"], match["metric"], match["operator"]
    every = sorted({word for words in STATISTICS.values() for word in words})
    if statistic not in every:
        raise GateError(f"gate {text!r}: no statistic {statistic!r}; {nearest(statistic, every)}")
    if name not in METRICS:
        raise GateError(f"gate {text!r}: no metric {name!r}; {nearest(name, METRICS)}")
    if operator not in OPERATORS:
        raise GateError(f"gate {text!r}: no operator {operator!r}; {nearest(operator, OPERATORS)}")
    metric = METRICS[name]
    if statistic not in STATISTICS[metric.kind]:
        raise GateError(
            f"gate {text!r}: {name} is of the kind {metric.kind}; "
            f"it has {', '.join(STATISTICS[metric.kind])}, not {statistic}"
        )
    if operator == "==" and metric.kind != "count":
        raise GateError(
            f"gate {text!r}: {name} is measured and not counted, so it never equals a limit; "
            "write < or >"
        )
    limit, percent = _limit(text, metric, match["limit"])
    _check_range(text, metric, statistic, match["limit"], limit)
    where = _where(text, match, metric, against_baseline=limit is None)
    soft = match["soft"] is not None
    return Gate(" ".join(text.split()), statistic, name, operator, limit, percent, where, soft)


def _check_range(
    text: str, metric: Metric, statistic: str, words: str, limit: float | None
) -> None:
    """GateError for a limit that nothing could meet, or nothing could miss."""
    if limit is None:
        return
    if statistic == "count" and words.endswith("/s"):
        raise GateError(
            f"gate {text!r}: a count has no unit; write rate({metric.name}) for {words}"
        )
    if metric.kind == "count" and limit < 0:
        raise GateError(f"gate {text!r}: nothing is counted below 0")
    if (
        metric.kind == "share"
        and not 0 <= limit <= 100
        and metric.over in {"turns", "disturbances"}
    ):
        raise GateError(f"gate {text!r}: a share is from 0 to 100 %, not {limit:g} %")


def _where(
    text: str, match: re.Match[str], metric: Metric, *, against_baseline: bool
) -> tuple[Condition, ...]:
    """The filter, which may stand inside of the parentheses or behind them; and whether it fits."""
    inside, behind = match["inside"], match["behind"]
    if inside is not None and behind is not None:
        raise GateError(f"gate {text!r}: has two filters; put all conditions into one")
    if inside is None and behind is None:
        return ()
    where = parse_where(inside if behind is None else behind, text)
    if against_baseline:
        raise GateError(
            f"gate {text!r}: a baseline has no filtered figures; give a number as its limit"
        )
    keys = {one.key for one in where}
    if metric.kind == "count":
        raise GateError(f"gate {text!r}: {metric.name} is counted over the whole run, unfiltered")
    if metric.of == "event" and (len(where) > 1 or keys != {"worker"} or where[0].operator != "="):
        raise GateError(f"gate {text!r}: {metric.name} can be asked for by worker=N alone")
    if metric.of == "session" and not keys <= set(OF_SESSIONS):
        raise GateError(
            f"gate {text!r}: {metric.name} is a session's; it can be asked for by "
            f"{', '.join(OF_SESSIONS)}"
        )
    if metric.over == "disturbances":
        raise GateError(f"gate {text!r}: {metric.name} is a share of disturbances, not of turns")
    return where


def _limit(text: str, metric: Metric, words: str) -> tuple[float | None, float]:
    if match := _BASELINE.fullmatch(words):
        percent = _number(text, match["percent"] or "0")
        return None, -percent if match["sign"] == "-" else percent
    match = _NUMBER.fullmatch(words)
    units = _UNITS[metric.unit]
    if not match or match["unit"] not in units:
        valid = " or ".join(unit for unit in units if unit) or "no unit"
        raise GateError(
            f"gate {text!r}: {words!r} is no limit for {metric.name}; "
            f"give a number in {valid}, or 'baseline + n %'"
        )
    return _number(text, match["number"]) * units[match["unit"]], 0.0


def _number(text: str, digits: str) -> float:
    value = float(digits)
    if abs(value) > _MOST_LIMIT:
        raise GateError(
            f"gate {text!r}: {digits[:20]}… is beyond every figure; give a smaller limit"
        )
    return value


def check_gates(gates: Collection[Gate], *, yields: Collection[str], script: str) -> None:
    """GateError for a gate on a metric that `script` can never yield.

    `yields` are the `needs` words that the script satisfies; "*" satisfies all of them (a script
    of the user's own, of which nothing is known).
    """
    for gate in gates:
        needs = METRICS[gate.metric].needs
        if needs and needs not in yields and "*" not in yields:
            raise GateError(
                f"gate {gate.text!r}: script {script!r} has no {needs}, so {gate.metric} can "
                "never have a sample; remove the gate or choose another script"
            )


def check_filters(gates: Collection[Gate], known: Known) -> None:
    """GateError for a gate whose filter nothing in a run can meet, given what is `known` of it."""
    for gate in gates:
        if wrong := unmeetable(gate.where, known):
            said = " and ".join(map(str, wrong))
            raise GateError(f"gate {gate.text!r}: nothing can have {said}; {_there(wrong, known)}")


def _there(wrong: Sequence[Condition], known: Known) -> str:
    """The remedy: what there is of the key of these conditions."""
    key, possible = wrong[0].key, known.get(wrong[0].key)
    if possible is None:
        return f"leave one condition on the {key} out"
    if isinstance(possible, range):
        first, last = possible[0], possible[-1]
        return f"here {key} is {first}" + (f" to {last}" if last > first else "")
    if not any(possible):
        return f"this run has no {key} by name; leave the condition out"
    close = get_close_matches(str(wrong[0].value), possible, n=1, cutoff=0.5)
    if close and [one.operator for one in wrong] == ["="]:
        return f"did you mean {close[0]!r}?"
    names = sorted(filter(None, possible))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    one_of = "one of " if len(names) > 1 else ""
    return f"here {key} is {one_of}{', '.join(names[:_NAMED])}{more}"

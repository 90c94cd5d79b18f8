"""Numbers, counts, dates and names as people read them; and text that is inert in Markdown.

Units always, no false digits, thin spaces between thousands. NaN and None are "no data", never 0.
Where a number came from it does not know. It is light to import: the terminal says the same words.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bench.capacity.loads import amount, load_interval
from bench.plan.metrics import METRICS

THIN: Final = "\u202f"  # narrow no-break space: between thousands, and before a unit
NOTHING: Final = "\u2013"  # an en dash: a cell without a value
TIMES: Final = "\u00d7"
_MINUS: Final = "\u2212"
NO_DATA: Final = "no data"
NOT_REACHED: Final = "not reached"
"""Of a quantile: so many turns timed out that it lies beyond the longest wait."""
LONGEST: Final = 600
"""Characters of one text in Markdown; what is longer is cut with an ellipsis."""

_SUFFIX: Final = {
    "ms": f"{THIN}ms",
    "s": f"{THIN}s",
    "%": f"{THIN}%",
    "/s": f"{THIN}per s",
    "ratio": "",
    "1": "",
}
_BYTES: Final = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def missing(value: float | None) -> bool:
    """Whether there is no number."""
    return value is None or math.isnan(value)


def plain(value: float | None, unit: str = "") -> str:
    """A number without its unit: about three digits, and no more than it can mean."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    size = abs(value)
    if size == 0.0:
        return "0"
    if float(size).is_integer():
        digits = 0
    elif unit in {"ratio", "1"}:
        digits = 2
    elif unit == "%":
        digits = 1 if 1 <= size < 99.95 else 2  # 99.96 % is not 100 %
    else:
        digits = 0 if size >= 100 else (1 if size >= 10 else 2)
    text = f"{size:,.{digits}f}".replace(",", THIN)
    negative = value < 0 and float(f"{size:.{digits}f}") != 0.0
    return f"{_MINUS}{text}" if negative else text


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit, or "no data"."""
    if missing(value):
        return NO_DATA
    return plain(value, unit) + _SUFFIX.get(unit, f"{THIN}{unit}" if unit else "")


def scale(unit: str, largest: float) -> tuple[float, str]:
    """By what values are divided for a reader, and their unit then: shares in %, bytes as suits."""
    if unit == "1":
        return 0.01, "%"
    if unit == "B":
        return next(((size, name) for name, size in _BYTES if largest >= size), (1.0, "B"))
    return 1.0, unit


def scaled(value: float, unit: str) -> str:
    """A figure of a server's gauge with the unit that suits it: `81.8 MB`, `42 %`."""
    size, name = scale(unit, abs(value))
    return quantity(value / size, name)


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """A confidence interval in brackets, without unit; empty where there is none.

    An end that is missing beside one that is known is infinite: there are too few samples, or too
    many timeouts, to bound it.
    """
    if missing(low) and missing(high):
        return ""
    bottom = f"{_MINUS}∞" if missing(low) else plain(low, unit)
    return f"[{bottom}, {'∞' if missing(high) else plain(high, unit)}]"


def measured(value: float | None, n: int, unit: str, longest: float | None = None) -> str:
    """A statistic of `n` samples; one with samples and no value was not reached by enough of them.

    Then it is more than the `longest` wait, where that is known.
    """
    if not missing(value) or not n:
        return quantity(value, unit)
    return NOT_REACHED if missing(longest) else f">\u00a0{quantity(longest, unit)}"


def with_interval(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """A number, its unit and its interval: `1 013 ms [980, 1 060]`."""
    return " ".join(part for part in (quantity(value, unit), interval(low, high, unit)) if part)


def sample_size(n: int) -> str:
    """`n = 97`, never broken between lines."""
    return f"n\u00a0=\u00a0{plain(n, '1')}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 turn`, `1 000 turns`, `no turns`."""
    words = noun if number == 1 else (plural or f"{noun}s")
    return f"{plain(number, '1') if number else 'no'} {words}"


def share(part: int, whole: int) -> str:
    """A share of a whole as a percentage, or "no data" of nothing."""
    return quantity(100.0 * part / whole, "%") if whole else NO_DATA


def capital(sentence: str) -> str:
    """A sentence with a capital, unless it begins with a name such as p95(first_audio_latency)."""
    first = sentence.split(" ", 1)[0].rstrip(".,:;")
    return sentence[:1].upper() + sentence[1:] if first.isalpha() else sentence


def listing(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def clip(text: object, length: int = 160) -> str:
    """One line of at most `length` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def seconds(nanoseconds: float) -> str:
    """A duration in the unit that suits it: `250 ms`, `30 s`, `12 min`, `3 h 05 min`."""
    value = nanoseconds / 1e9
    if value < 1:
        return quantity(value * 1000, "ms")
    if value < 120:
        return f"{value:.1f}".removesuffix(".0") + f"{THIN}s"
    minutes = round(value / 60)
    if minutes < 120:
        return f"{minutes}{THIN}min"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def moment(iso: str) -> str:
    """An ISO instant as a date and a time in UTC; what is no instant is shown as it stands."""
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if parsed.tzinfo is not None:
        parsed = parsed.astimezone(UTC)
    return f"{parsed.day} {parsed:%B %Y, %H:%M:%S} UTC"


def setting(value: Any) -> str:
    """A setting's value as people write it: `audio/pcm 24000`, `semantic_vad low`, `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and "type" in value:
        rest = [str(part) for key, part in value.items() if key != "type" and part is not None]
        return clip(" ".join([str(value["type"]), *rest]), 60)
    if isinstance(value, dict | list):
        return clip(json.dumps(value, ensure_ascii=False), 60)
    return clip(value, 60)


# ── the harness's own error, beside the figures of a run ─────────────────────────────────────────


def trust_lines(run: Mapping[str, Any], rows: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    """`first audio p95 812 ms ± 6 (harness bias +2)`, a line a calibrated metric; or why not.

    `run` is run.json, whose `calibration` is what `bench calibrate` once measured at this load (see
    `bench.analysis.calibration`); `rows` are the summary's by (metric, statistic).
    """
    known = run.get("calibration") or {}
    metrics = known.get("metrics")
    if not metrics:
        yield known.get("why") or "timing error not measured yet: run `bench calibrate`"
        return
    for name, error in metrics.items():
        value = (rows.get((name, "p95")) or {}).get("value")
        if value is None or name not in METRICS:
            continue
        shown = f"{value:.0f} ms" if abs(value) >= 100 else f"{value:.1f} ms"
        yield (
            f"{METRICS[name].label} p95 {shown} ± {fine(error['p99_abs_ms'])} "
            f"(harness bias {fine(error['bias_ms'], sign='+')})"
        )


def calibrated_at(run: Mapping[str, Any]) -> str:
    """At which load the errors were measured, where they were."""
    known = run.get("calibration") or {}
    if not known.get("metrics"):
        return ""
    return f"calibrated with {known['sessions']} sessions a worker, this run held {known['held']}"


def fine(value: float | None, sign: str = "") -> str:
    """A small number of ms: two digits that mean something, and no more."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    return f"{value:{sign}.{digits}f}"


# ── changes: the rows of a comparison ────────────────────────────────────────────────────────────


def value_of(row: dict[str, Any], side: str) -> str:
    """The value of a side; ∞ where it has a p and no value, for too many turns timed out."""
    value = row[side]
    if value is None and row["p"] is not None:
        return plain(math.inf)
    return quantity(value, row["unit"])


def change_of(row: dict[str, Any]) -> tuple[str, str]:
    """The change and its interval, as a page or a terminal shows them: in % where it is a ratio."""
    if row["low"] is None or row["high"] is None:
        return NOTHING, NOTHING
    if row["ratio"] is not None:
        change, low, high = (100 * (row[key] - 1) for key in ("ratio", "ratio_low", "ratio_high"))
        return f"{signed(change)} %", f"{signed(low)} to {signed(high)}"
    return (
        f"{signed(row['difference'])}{_unit(row)}",
        f"{signed(row['low'])} to {signed(row['high'])}",
    )


def detectable_of(row: dict[str, Any]) -> str:
    """The smallest change that would have been called, in the unit of `change_of`."""
    smallest = row["smallest_detectable"]
    if row.get("blind"):
        return "nothing"
    if smallest is None or lacking(row):
        return NOTHING
    if row["ratio"] is not None:
        return f"{100 * smallest / row['b']:.1f} %"
    return f"{smallest:,.1f}{_unit(row)}"


def _unit(row: dict[str, Any]) -> str:
    """A share changes by points, not by percent; a count has no unit."""
    return {"%": " pts", "1": "", "ratio": ""}.get(row["unit"], f" {row['unit']}")


def signed(value: float) -> str:
    """A change with its sign: two digits of what is small, none of what is large or nothing."""
    size = abs(value)
    if size < 0.005:
        return "0"
    return f"{value:+.2f}" if size < 1 else f"{value:+.1f}" if size < 100 else f"{value:+.0f}"


def lacking(row: dict[str, Any]) -> bool:
    """Whether it was not asked if it changed; `reason` says what is wanting.

    Of a *blind* row it was asked, and only a change beyond the whole figure would have been called.
    """
    return row["verdict"] == "inconclusive" and bool(row["reason"]) and not row.get("blind")


def chance_of(row: dict[str, Any]) -> str:
    """The corrected p as it is read: two digits, and no more zeros than matter."""
    p = row["p_holm"]
    if p is None or lacking(row):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def held(side: dict[str, Any]) -> str:
    """A capacity with its interval, as in `24 [21, 26]`, `≥ 24`, `none found`."""
    if side["capacity"] is None:
        return "none found"
    if side["at_least"]:
        return f"≥\u00a0{amount(side['capacity'])}"
    return f"{amount(side['capacity'])} {load_interval(side['low'], side['high'])}".rstrip()


# ── Markdown: GitHub's and GitLab's dialect ──────────────────────────────────────────────────────

_MARKUP: Final = re.compile(
    # Not every underscore: names of metrics are to be read, and inside a word it marks nothing.
    r"[\\`*\[\]|~$#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
    # Nor is an address to become a link.
    r"|:(?=//)|(?<=www)\."
)


def inert(text: object) -> str:
    """Any text as one line of Markdown that shows just that text, in or out of a table."""
    line = "".join(letter for letter in clip(text, LONGEST) if letter.isprintable())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", line)


def markdown_row(cells: Iterable[str]) -> str:
    """One line of a table; its cells are Markdown already."""
    return f"| {' | '.join(cells)} |"

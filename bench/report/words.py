"""Numbers as people read them: units always, no false digits, thin spaces between thousands.

What it refuses to know: where a number came from. NaN and None are "no data", never 0.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from bench.digits import THIN, grouped

NOTHING: Final = "\u2013"  # an en dash: a cell without a value
TIMES: Final = "\u00d7"
_MINUS: Final = "\u2212"
NO_DATA: Final = "no data"
BEYOND: Final = "beyond every wait"

_SUFFIX: Final = {
    "ms": f"{THIN}ms",
    "s": f"{THIN}s",
    "%": f"{THIN}%",
    "/s": f"{THIN}per s",
    "ratio": "",
    "1": "",
}


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
    text = grouped(size, digits)
    negative = value < 0 and float(f"{size:.{digits}f}") != 0.0
    return f"{_MINUS}{text}" if negative else text


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit, or "no data"."""
    if missing(value):
        return NO_DATA
    return plain(value, unit) + _SUFFIX.get(unit, f"{THIN}{unit}" if unit else "")


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """A confidence interval in brackets, without unit; empty where there is none.

    An end that is missing beside one that is known lies beyond every wait: infinite.
    """
    if missing(low) and missing(high):
        return ""
    bottom = f"{_MINUS}∞" if missing(low) else plain(low, unit)
    return f"[{bottom}, {'∞' if missing(high) else plain(high, unit)}]"


def measured(value: float | None, n: int, unit: str, longest: float | None = None) -> str:
    """A statistic of `n` samples. Without a value, but with samples, it lies beyond every wait.

    Then it is more than the `longest` of them, where that is known.
    """
    if not missing(value) or not n:
        return quantity(value, unit)
    return BEYOND if missing(longest) else f">\u00a0{quantity(longest, unit)}"


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

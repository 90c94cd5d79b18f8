"""How a number in digits may be said, in English: "20" is "twenty", "$5" is "five dollars".

Theory of operation
-------------------
A service writes numbers as it likes, and a corpus as its maker liked; neither is what was said. A
numeral has several *readings* (1999 is a year, a quantity or four digits), and which one was said
only the other text can tell: whoever compares two texts tries them. The first reading is the usual
one. What is said in another language has readings here too, which match nothing in it.

Texts are folded already (`units`): digits are 0 to 9, letters small.
"""

import re
from collections.abc import Iterator
from typing import Final

_ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_POWERS: Final = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_LONGEST: Final = 12
"""Digits of a quantity; what has more is told digit by digit."""
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_MONEY: Final = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"),
}  # fmt: skip
_PENCE: Final = {"penny": "pence"}
NUMERAL: Final = re.compile(
    r"(?<!\w)(?P<money>[$€£]\s?)?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
    r"(?:\.(?P<part>\d+)|:(?P<minutes>[0-5]\d))?(?P<order>st|nd|rd|th)?(?P<percent>\s?%)?"
    r"(?:(?=\s?[ap]\.?\s?m\b)|(?!\w))"
)
_HOURS: Final = "|".join((*_ONES[1:], *filter(None, _TENS), "o'clock"))
_HALF_OF_DAY: Final = re.compile(
    rf"((?<=\d)|\b(?:{_HOURS})\s)"
    r"\s*([ap])\.?\s?m\b\.?"
)


def spelled(text: str) -> str:
    """A text in which what stands beside numbers is spelled alike: "3pm" is "3 p m"."""
    return _HALF_OF_DAY.sub(r"\1 \2 m ", text).replace("per cent", "percent")


def readings(found: re.Match[str]) -> list[str]:
    """The ways to say a `NUMERAL`, the usual one first; each is of words with blanks in between."""
    whole = found["whole"].replace(",", "")
    ways = list(_ways(whole, found))
    return list(dict.fromkeys([*ways, _literal(found)]))


def _ways(whole: str, found: re.Match[str]) -> Iterator[str]:
    if found["money"]:
        yield from _money(whole, found["part"] or "", *_MONEY[found["money"].strip()])
        return
    if found["minutes"]:
        yield from _time(whole, found["minutes"])
        return
    said = list(_ordinals(whole) if found["order"] else _numbers(whole))
    if part := found["part"]:
        digits = _digits(part)
        said = [f"{one} {point}{digits}" for one in said[:2] for point in ("point ", "")]
    percent = " percent" if found["percent"] else ""
    yield from (f"{one}{percent}" for one in said)


def _literal(found: re.Match[str]) -> str:
    """As it is written, marks apart."""
    words = [found["whole"].replace(",", ""), found["part"], found["minutes"]]
    return " ".join(word for word in words if word) + (found["order"] or "")


def _numbers(digits: str) -> Iterator[str]:
    """A whole number: as a quantity, in pairs of digits (years, numbers of houses), digit by digit.

    "oh" is a zero within.
    """
    if len(digits) <= _LONGEST and (digits == "0" or not digits.startswith("0")):
        plain = _cardinal(int(digits))
        yield plain
        if "hundred " in plain:
            yield plain.replace("hundred ", "hundred and ")
        if 0 < int(digits) % 1000 < 100 < int(digits):
            yield plain.replace("thousand ", "thousand and ")
    if len(digits) == 4 and not digits.startswith("0"):
        left, right = _cardinal(int(digits[:2])), int(digits[2:])
        last = f"oh {_ONES[right]}" if 0 < right < 10 else _cardinal(right)
        yield f"{left} {last if right else 'hundred'}"
    if len(digits) == 3 and not digits.startswith("0") and digits[1] != "0":
        yield f"{_ONES[int(digits[0])]} {_cardinal(int(digits[1:]))}"
    yield _digits(digits)
    yield _digits(digits).replace("zero", "oh")


def _ordinals(digits: str) -> Iterator[str]:
    for one in list(_numbers(digits))[:2]:
        before, blank, last = one.rpartition(" ")
        usual = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
        yield f"{before}{blank}{_ORDINALS.get(last, usual)}"


def _money(whole: str, part: str, unit: str, small: str) -> Iterator[str]:
    count = next(_numbers(whole))
    units = unit if whole == "1" else f"{unit}s"
    if not part.strip("0"):
        yield f"{count} {units}"
        yield from (f"{one} {each}" for one in _numbers(whole) for each in (units, unit))
        return
    if len(part) == 2:
        cents = _cardinal(int(part))
        smalls = small if int(part) == 1 else _PENCE.get(small, f"{small}s")
        yield f"{count} {units} {cents}"
        yield f"{count} {cents}"
        yield from (f"{count} {units} {and_}{cents} {smalls}" for and_ in ("and ", ""))
    yield f"{count} point {_digits(part)} {units}"


def _time(hours: str, minutes: str) -> Iterator[str]:
    hour, late = next(_numbers(hours)), int(minutes)
    if late:
        yield f"{hour} oh {_ONES[late]}" if late < 10 else f"{hour} {_cardinal(late)}"
        return
    yield from (f"{hour} o'clock", hour, f"{hour} hundred")


def _cardinal(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    for power, name in _POWERS:
        if number >= power:
            count, rest = divmod(number, power)
            return f"{_cardinal(count)} {name}" + (f" {_cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def _digits(digits: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in digits)

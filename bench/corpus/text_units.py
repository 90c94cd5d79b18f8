"""A text as it is compared: folded, and cut into units, which are words or characters.

Theory of operation
-------------------
*Folded*: NFKC (full-width letters and digits are plain ones, marks are composed), case folded,
digits of all scripts 0 to 9, invisible format characters gone, punctuation and symbols of all
scripts blanks, apostrophes inside words kept. Traditional and simplified characters differ, and so
do words with and without vowel signs.

*Units*: a script that is written with blanks has words. One that is written without them (`_BARE`)
has none that could be counted without a dictionary: there every character is a unit, with the marks
that belong to it. Words of another script in such a text stay words. Whether a text is compared by
words or by characters is what most of its units are (`by_character`).

*Numbers* in a text of Latin letters, or of none, may be said in several ways (`numerals`): `parts`
has them all, and `spoken` the usual one. Of other scripts they are compared as they are written.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from bench.corpus.numerals import NUMERAL, readings, spelled

_BARE: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, symbols of Khmer
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007), (0x3021, 0x302D), (0x3031, 0x303C),  # signs among Han
    (0x3041, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF),  # Han
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9FF), (0xAA60, 0xAADF),  # Javanese, more of Myanmar, Tai Viet
    (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip
"""Scripts without blanks between words, by their blocks. Korean has blanks, Tibetan marks."""
_SMALL: Final = 0x0400
"""A block that is larger has no marks."""
_LETTERS_OF_A_WORD: Final = {"ideographic": 2, "other": 4}
_APOSTROPHES: Final = dict.fromkeys((0x2019, 0x2018, 0x02BC, 0x0060, 0x00B4, 0x2032), "'")
"""Quotation marks, modifier letter, accents and prime, which people type for it."""
_LATIN: Final = re.compile(r"[A-Za-zªº\u00c0-\u024f\u1e00-\u1eff]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"[0-9]")


def _class(*spans: tuple[int, int]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in spans)


_MARKS: Final = "".join(
    chr(code)
    for first, last in _BARE
    if last - first < _SMALL
    for code in range(first, last + 1)
    if unicodedata.category(chr(code)).startswith("M")
)
_UNIT: Final = re.compile(rf"[{_class(*_BARE)}][{_MARKS}]*|[^\s{_class(*_BARE)}]+")
_BARE_UNIT: Final = re.compile(rf"[{_class(*_BARE)}]")
_ALPHABETIC: Final = re.compile(rf"[{_class(*(span for span in _BARE if span[1] < 0x2E80))}]")


class _Folding(dict[int, str | None]):
    """What becomes of a character, found once: itself, a blank, a digit, or nothing (None)."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        kind = unicodedata.category(char)
        found: str | None = char
        if kind == "Nd":
            found = str(unicodedata.decimal(char))
        elif kind == "Cf" or unicodedata.name(char, "").startswith("VARIATION SELECTOR"):
            found = None
        self[code] = found
        return found


class _Parting(dict[int, str]):
    """What becomes of a folded character once numbers are read: itself or a blank."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kept = char == "'" or unicodedata.category(char)[0] in "LMN"
        self[code] = char if kept else " "
        return self[code]


_FOLDING: Final = _Folding(_APOSTROPHES)
_PARTING: Final = _Parting()


class Part(NamedTuple):
    """A stretch of a text: the ways to say it, each as units with blanks in between.

    Of what is no number there is one. `literal`: a number as it is written, which is its last way.
    """

    ways: tuple[str, ...]
    literal: str = ""


def parts(text: str) -> list[Part]:
    """A text, cut at its numbers; all ways of all parts, joined by blanks, are ways to say it."""
    folded = _folded(text)
    latin = folded.isascii() or all(map(_LATIN.match, _LETTER.findall(folded)))
    if latin:
        folded = spelled(folded)
    if not _DIGIT.search(folded):
        words = _cut(folded)
        return [Part((words,))] if words else []
    if not latin:
        return [_digits_alone(one) for one in _cut(folded).split()]
    found: list[Part] = []
    at = 0
    for number in NUMERAL.finditer(folded):
        found.append(Part((_cut(folded[at : number.start()]),)))
        ways = tuple(_cut(way) for way in readings(number))
        found.append(Part(ways, number[0].replace(",", "").replace(" ", "")))
        at = number.end()
    found.append(Part((_cut(folded[at:]),)))
    return [part for part in found if part.ways != ("",)]


def _digits_alone(unit: str) -> Part:
    """A unit of a text whose numbers have no readings here."""
    return Part((unit,), unit if unit.isdecimal() else "")


@lru_cache(maxsize=1 << 16)
def spoken(text: str) -> str:
    """A text as its units with a blank in between, numbers said the usual way.

    "Don't --stop, ROVER 20!" is "don't stop rover twenty".
    """
    return " ".join(part.ways[0] for part in parts(text))


def by_character(units: str) -> bool:
    """Whether units, with blanks in between, are characters rather than words: most of them are."""
    every = units.split()
    return 2 * sum(bool(_BARE_UNIT.match(unit)) for unit in every) > len(every)


def weight(units: str) -> float:
    """How many words such units are worth: two ideographs are about one, four other characters."""
    return sum(_weight(unit) for unit in units.split())


def _weight(unit: str) -> float:
    if not _BARE_UNIT.match(unit):
        return 1.0
    kind = "other" if _ALPHABETIC.match(unit) else "ideographic"
    return 1 / _LETTERS_OF_A_WORD[kind]


def _folded(text: str) -> str:
    # Folding may decompose and removing may bring together: composed again in the end.
    folded = unicodedata.normalize("NFKC", text.translate(_FOLDING)).casefold()
    return unicodedata.normalize("NFKC", folded.translate(_FOLDING))


def _cut(folded: str) -> str:
    units = (unit.strip("'") for unit in _UNIT.findall(folded.translate(_PARTING)))
    return " ".join(unit for unit in units if any(char.isalnum() for char in unit))

"""Which turns a gate is about: the filter in its braces.

Grammar::

    filter     = condition {"," condition}
    condition  = key operator value
    key        = "script" | "setting" | "role" | "utterance" | "phase" | "stage"      words
               | "turn" | "worker" | "session"                              numbers
    operator   = "=" | "!="  of both, "~" of words, "<" "<=" ">" ">=" of numbers
    value      = a word, or anything in double quotes

``~`` searches for a regular expression as RE2 has them: what a search takes grows with the length
of the text and no faster, so none hangs; there is no look-around and no reference back. `phase` is
warmup, hold or drain: when a turn began; without it a gate is about the turns that were measured,
as all figures are. `stage` is the stage of the load in which a turn began. A session's own figures
can be asked for by script, setting, worker and session; those of the generator by worker alone.

Conditions that nothing in a run can meet are found before it starts (`unmeetable`), as far as the
plan knows what will be there.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import re2

from bench.errors import GateError

WORDS: Final = ("script", "setting", "role", "utterance", "phase", "stage")
NUMBERS: Final = ("turn", "worker", "session")
PHASES: Final = ("warmup", "hold", "drain")
ROLES: Final = ("line", "interruption", "sound", "text")
"""What the turns of stock scripts are: `sound` is one without words, `text` one that is typed."""
OF_SESSIONS: Final = ("script", "setting", "worker", "session")
"""Keys that a session has, too."""

_MOST_PATTERN: Final = 200
"""Characters of a regular expression."""
_SILENT: Final = re2.Options()
_SILENT.log_errors = False
_SILENT.max_mem = 8 << 20


@lru_cache(maxsize=256)
def pattern_of(text: str) -> Any:
    """A regular expression, compiled. ValueError says why it is none."""
    if len(text) > _MOST_PATTERN:
        raise ValueError(f"{len(text)} characters; {_MOST_PATTERN} are the most")
    try:
        return re2.compile(text, _SILENT)
    except (re2.error, UnicodeError) as error:
        why = error.args[0] if isinstance(error, re2.error) else str(error)
        raise ValueError(why.decode() if isinstance(why, bytes) else why) from None


COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The comparisons that gates and their filters have in common."""
_HOLDS: Final = COMPARE | {
    "=": operator.eq,
    "!=": operator.ne,
    "~": lambda value, pattern: pattern_of(pattern).search(value),
}
_OPERATORS: Final = {
    "word": ("=", "!=", "~"),
    "number": ("=", "!=", "<", "<=", ">", ">="),
}
_MOST: Final = 10**9
"""No number in a filter is larger (nine digits), nor any number that it asks for."""
_CONDITION: Final = re.compile(
    r"""\s*(?P<key>[A-Za-z_]+)\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*
        (?:"(?P<quoted>[^"]*)"|(?P<bare>[^,"\s]+))\s*""",
    re.VERBOSE,
)


class Condition(NamedTuple):
    """One condition. `value` is a number where the key is one's."""

    key: str
    operator: str
    value: str | int

    def __str__(self) -> str:
        quoted = f'"{self.value}"' if isinstance(self.value, str) else str(self.value)
        return f"{self.key}{self.operator}{quoted}"

    def holds(self, value: str | int) -> bool:
        """Whether it is true of `value`, which is a number where the key is one's."""
        return bool(_HOLDS[self.operator](value, self.value))


Known = Mapping[str, Sequence[str] | range]
"""By key: the values that a run can have. A key that is not in it may have any."""


def unmeetable(where: Iterable[Condition], known: Known) -> list[Condition]:
    """The conditions on a key that no value of it can meet together; empty where all can be met."""
    by_key: dict[str, list[Condition]] = {}
    for one in where:
        by_key.setdefault(one.key, []).append(one)
    for key, together in by_key.items():
        tried = _tried(together, known.get(key, range(_MOST) if key in NUMBERS else None))
        if tried is not None and not any(
            all(one.holds(value) for one in together) for value in tried
        ):
            return together
    return []


def _tried(
    together: Sequence[Condition], possible: Sequence[str] | range | None
) -> Sequence[str | int] | None:
    """Values of which one meets the conditions if any value does; None: that cannot be told."""
    if isinstance(possible, range):  # the least that meets all is a bound, or next to one
        bounds = {*(one.value for one in together), *possible[:1]}
        return [
            at + step
            for at in bounds
            for step in (-1, 0, 1)
            if isinstance(at, int) and at + step in possible
        ]
    if possible is not None:
        return possible
    return [one.value for one in together if one.operator == "="] or None


def parse_where(text: str, gate: str) -> tuple[Condition, ...]:
    """The conditions of a filter. GateError quotes the gate and names the word that is wrong."""
    found, at = [], 0
    while True:
        match = _CONDITION.match(text, at)
        if match is None:
            raise GateError(
                f"gate {gate!r}: {text[at:].strip() or 'nothing'!r} is no condition; write as in "
                '{script=barge_in, turn>1, utterance~"digits"}'
            )
        found.append(_condition(match, gate))
        at = match.end()
        if at == len(text):
            return tuple(found)
        if text[at] != ",":
            raise GateError(f"gate {gate!r}: {text[at:]!r} behind a condition; put a comma there")
        at += 1


def _condition(match: re.Match[str], gate: str) -> Condition:
    key, operator = match["key"], match["operator"]
    value = match["quoted"] if match["bare"] is None else match["bare"]
    kind = "word" if key in WORDS else "number" if key in NUMBERS else ""
    if not kind:
        raise GateError(
            f"gate {gate!r}: no key {key!r}; valid are: {', '.join((*WORDS, *NUMBERS))}"
        )
    if operator not in _OPERATORS[kind]:
        valid = " ".join(_OPERATORS[kind])
        raise GateError(f"gate {gate!r}: {key} is a {kind}; it takes {valid}, not {operator}")
    if kind == "number":
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise GateError(f"gate {gate!r}: {key} is a number, not {value!r}")
        return Condition(key, operator, int(value))
    if key == "phase" and (value not in PHASES or operator != "="):
        raise GateError(f"gate {gate!r}: write phase=, and one of {', '.join(PHASES)}")
    if operator == "~":
        try:
            pattern_of(value)
        except ValueError as error:
            raise GateError(f"gate {gate!r}: {value!r} is no regular expression: {error}") from None
    return Condition(key, operator, value)

"""Which turns a gate is about: the filter in its braces.

Grammar::

    filter     = condition {"," condition}
    condition  = key operator value
    key        = "script" | "setting" | "role" | "utterance" | "phase"      words
               | "turn" | "worker" | "session"                              numbers
    operator   = "=" | "!="  of both, "~" of words, "<" "<=" ">" ">=" of numbers
    value      = a word, or anything in double quotes

``~`` searches for a regular expression. `phase` is warmup, hold or drain: when a turn began;
without it a gate is about the turns that were measured, as all figures are. A session's own figures
can be asked for by script, setting, worker and session; those of the generator by worker alone.
"""

import re
from typing import Final, NamedTuple

from bench.errors import GateError

WORDS: Final = ("script", "setting", "role", "utterance", "phase")
NUMBERS: Final = ("turn", "worker", "session")
PHASES: Final = ("warmup", "hold", "drain")
OF_SESSIONS: Final = ("script", "setting", "worker", "session")
"""Keys that a session has, too."""

_OPERATORS: Final = {
    "word": ("=", "!=", "~"),
    "number": ("=", "!=", "<", "<=", ">", ">="),
}
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
            re.compile(value)
        except re.error as error:
            raise GateError(f"gate {gate!r}: {value!r} is no regular expression: {error}") from None
    return Condition(key, operator, value)

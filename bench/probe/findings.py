"""One thing found out by a probe: the row of a report, and what it may say."""

from typing import Final, NamedTuple

from msgspec import Struct

from bench.voice.audio import NS_PER_MS

SEEN: Final = "seen"
NOT_SEEN: Final = "not seen"
REFUSED: Final = "refused"


def refused(code: str) -> str:
    """The state of what was answered by an error."""
    return f"{REFUSED} ({code})"


class Finding(Struct, frozen=True):
    """One thing found out. `value` is for reading, `detail` says how it was found."""

    group: str
    name: str
    state: str
    value: str = ""
    detail: str = ""


def finding(group: str, name: str, value: str, detail: str = "") -> Finding:
    """The row of something that was seen if there is a value for it."""
    state = SEEN if value else NOT_SEEN
    return Finding(group, name, state, value, detail)


class Occurrence(NamedTuple):
    """Something was observed: what it amounts to, and where or how."""

    value: str = ""
    detail: str = ""


def duration(value_ns: float) -> str:
    """A length of time in whole ms."""
    return f"{value_ns / NS_PER_MS:.0f} ms"

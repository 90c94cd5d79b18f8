"""The facts that a tracker is told: one event row, and one delta of the agent's audio."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

NEVER: Final = 2**63 - 1
"""An instant after all others."""
ALWAYS: Final = -(2**63)
"""An instant before all others."""
MOST_MS: Final = 2**40
"""Beyond it (35 years) what is said in ms is no place or length in a session, and was not said."""
MISSING: Final = object()
"""What an object does not say at all, which is not null."""

_decode = msgspec.json.Decoder().decode


class Event(NamedTuple):
    """A row of `bench.runs.rows`, as far as trackers look at it.

    row:    its number in the log
    place:  where it stands in the order of the wire: 2 * row, and for what was sent one less than
            that of the first row that may answer it
    audio_ns:     length of the audio carried; None: none, or not known
    previous_id:  previous_item_id; None where null
    """

    row: int
    place: int
    at_ns: int
    at_err_ns: int
    direction: str
    type: str
    item_id: str | None = None
    response_id: str | None = None
    media_ns: int | None = None
    audio_ms: int | None = None
    nbytes: int = 0
    detail: str | None = None
    call_id: str | None = None
    audio_ns: int | None = None
    output_index: int | None = None
    content_index: int | None = None
    previous_id: str | None = None

    @property
    def sent_ns(self) -> int:
        """When a sent message began to leave: before the system call."""
        return self.at_ns - self.at_err_ns

    @property
    def text(self) -> str:
        """Its detail as it is; empty where it has none."""
        return self.detail or ""

    def body(self) -> dict[str, Any]:
        """Its detail as an object; empty where it has none, or one that is no object."""
        return body_of(self.text)


@dataclass(slots=True)
class AudioDelta:
    """Audio of the agent: as it arrived, and what `playout` and `responses` found out about it.

    first_window, last_window:  its audible windows of 10 ms; -1: none
    played:           it reached the player; else the next five mean nothing
    start_ns:         when it began to play
    gap_ns:           how long its reply had paused before it
    queued_ns:        of the first of a run, how long it waited for what was still playing
    held_ns:          of the first of a run, how long the jitter buffer held it back
    cut_ns:           when the player is emptied next; NEVER: it is not
    padding, filler:  it is no answer
    before_ns:        audio of the answer before it
    """

    row: int
    at_ns: int
    at_err_ns: int
    response_id: str | None
    item_id: str | None
    audio_ns: int
    envelope: bytes | None
    first_window: int
    last_window: int
    played: bool = False
    start_ns: int = NEVER
    gap_ns: int = 0
    queued_ns: int = 0
    held_ns: int = 0
    cut_ns: int = NEVER
    padding: bool = False
    filler: bool = False
    before_ns: int = 0

    @property
    def end_ns(self) -> int:
        """When it has played."""
        return self.start_ns + self.audio_ns

    @property
    def silent(self) -> bool:
        """Digital silence: every level byte is 0."""
        return isinstance(self.envelope, bytes) and not any(self.envelope)


def body_of(text: str) -> dict[str, Any]:
    """A detail as an object; empty where it is empty, no object, or no JSON."""
    try:
        found = _decode(text) if text else None
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def dig(body: Any, *path: str) -> Any:
    """What lies at a path of nested objects; `MISSING` where nothing does."""
    for key in path:
        if not isinstance(body, dict) or key not in body:
            return MISSING
        body = body[key]
    return body


def table(value: Any, *names: str) -> dict[str, Any]:
    """The table that `names` lead to inside `value`, or {} where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def word(value: Any, *names: str) -> str:
    """The string that `names` lead to inside `value`, or "" where there is none."""
    found = table(value, *names[:-1]).get(names[-1])
    return found if isinstance(found, str) else ""


def milliseconds(said: Any) -> int | None:
    """What was said in ms, as ns; None where it is no number, or none that can be (`MOST_MS`)."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not abs(said) <= MOST_MS:
        return None
    return round(said * 1_000_000)

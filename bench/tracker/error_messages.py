"""Error messages of the server, and which turn each spoils.

Errors that are nobody's fault (a cancel that came when the reply had just ended), those that the
script provoked, and refusals of what no answer hangs on (`ASIDE`) are no turn's.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from bench.protocol.error_codes import BENIGN, PROVOKED
from bench.tracker.turn import Turn
from bench.tracker.utterances import Timeline


def is_race(code: Any) -> bool:
    """Whether an error of that code says of a message only that it came when all was over."""
    return code in BENIGN


def is_provoked(event_id: Any) -> bool:
    """Whether an error that names this event_id was the script's own purpose."""
    return str(event_id).endswith(PROVOKED)


class ErrorMessage(NamedTuple):
    """One error message: when it came, and what it says (`code`, `message`, `event_id`)."""

    at_ns: int
    said: dict[str, Any]


def tell_errors(
    turns: Sequence[Turn],
    owner: Timeline,
    errors: Iterable[ErrorMessage],
    aside_ids: Collection[str],
) -> None:
    """Tell every turn of the first error in it; `aside_ids` are those of messages of `ASIDE`."""
    for error in errors:
        name, code = str(error.said.get("event_id")), error.said.get("code")
        place = owner.last(error.at_ns)
        if place < 0 or is_race(code) or is_provoked(name) or name in aside_ids:
            continue
        if not turns[place].error:
            message = error.said.get("message")
            turns[place].error = str(code or "") + (f": {message}" if message else "")

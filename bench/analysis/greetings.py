"""Who spoke first: responses that began before their caller had said anything, asked for by nobody.

Some deployments let the agent speak first. A caller that was told so hears it out before its script
begins; any other talks over it, and its first turn may be answered late or not at all.
"""

from typing import Any

from bench.tracker.tracker import Tracker


class Greetings:
    """The sessions whose microphone was open, and which of them were greeted."""

    def __init__(self) -> None:
        self._sessions = self._heard = 0
        self._unasked: list[int] = []
        self._missing: list[int] = []

    def add(self, session: int, tracker: Tracker) -> None:
        """A session whose tracker is closed."""
        self._sessions += tracker.opened
        self._heard += tracker.greeting == "bench.greeted"
        if tracker.greeting == "bench.ungreeted":
            self._missing.append(session)
        elif tracker.opened and not tracker.greeting and tracker.spoke_first:
            self._unasked.append(session)

    def counts(self) -> dict[str, Any]:
        """How many were greeted unasked, and which first; how many waited for it in vain."""
        return {
            "sessions": self._sessions,
            "heard": self._heard,
            "unasked": _told(self._unasked),
            "missing": _told(self._missing),
        }


def _told(sessions: list[int]) -> dict[str, Any]:
    return {"count": len(sessions), "first": min(sessions, default=None)}

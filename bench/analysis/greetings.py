"""Who spoke first: responses that began before their caller had said anything, asked for by nobody.

Some deployments let the agent speak first. A caller that was told so hears it out before its script
begins; any other talks over it, and its first turn may be answered late or not at all.
"""

from collections.abc import Mapping
from typing import Any

from bench.tracker.tracker import Tracker


def greetings(trackers: Mapping[int, Tracker]) -> dict[str, Any]:
    """How many sessions were greeted unasked, and which first; how many waited for it in vain.

    Only sessions count whose microphone was open (`sessions`).
    """
    opened = {number: told for number, told in trackers.items() if told.opened}
    missed = [number for number, told in trackers.items() if told.greeting == "bench.ungreeted"]
    unasked = [number for number, told in opened.items() if told.spoke_first and not told.greeting]
    return {
        "sessions": len(opened),
        "heard": sum(told.greeting == "bench.greeted" for told in trackers.values()),
        "unasked": _told(unasked),
        "missing": _told(missed),
    }


def _told(sessions: list[int]) -> dict[str, Any]:
    return {"count": len(sessions), "first": min(sessions, default=None)}

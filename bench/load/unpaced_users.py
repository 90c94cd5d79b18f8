"""Users of a team's locustfile that never pause: they take the core that times the callers."""

from collections.abc import Iterable
from typing import Any

from locust import TaskSet, User


def unpaced_notes(kinds: Iterable[Any], callers: type) -> list[str]:
    """A sentence for each user class, `callers` and their kin apart, that never waits."""
    return [
        f"the locustfile's {kind.__name__} has no wait_time: its tasks follow one another without "
        "a pause, on the core that times the callers; give it one, as in wait_time = between(1, 5)"
        for kind in kinds
        if not issubclass(kind, callers) and _never_waits(kind)
    ]


def _never_waits(kind: Any) -> bool:
    """Whether neither the class nor a set of its tasks says how long to wait: Locust takes 0 s."""
    sets: list[Any] = [one for one in kind.tasks if isinstance(one, type)]
    paced = any(one.wait_time is not TaskSet.wait_time for one in sets)
    return kind.wait_time is User.wait_time and not paced

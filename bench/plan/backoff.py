"""How long a slot waits after a session that failed: a target that refuses is not to be stormed."""

from random import Random
from typing import Final

from bench.voice.audio import NS_PER_S

FIRST_NS: Final = NS_PER_S
MOST_NS: Final = 30 * NS_PER_S


def backoff_ns(failures: int, slot: int) -> int:
    """The wait after so many sessions of a slot that failed in a row (1 and more), ns.

    It doubles from 1 s up to 30 s, a quarter more or less, so that slots do not come all at once;
    the same slot waits as long in every run.
    """
    spread = Random(f"backoff {slot} {failures}").uniform(0.75, 1.25)
    return round(min(MOST_NS, FIRST_NS << min(failures - 1, 10)) * spread)

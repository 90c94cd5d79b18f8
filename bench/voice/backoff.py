"""How long to wait before another try: a target that refuses, or is full, is not to be stormed."""

from random import Random
from typing import Final

from bench.voice.audio import NS_PER_S

FIRST_NS: Final = NS_PER_S
MOST_NS: Final = 30 * NS_PER_S


def backoff_ns(failures: int, who: int | str, most_ns: int = MOST_NS) -> int:
    """The wait after so many failures in a row (1 and more), ns; `who` is a slot, or a session.

    It doubles from 1 s up to `most_ns`, a quarter more or less, so that they do not come all at
    once; the same one waits as long in every run.
    """
    spread = Random(f"backoff {who} {failures}").uniform(0.75, 1.25)
    return round(min(most_ns, FIRST_NS << min(failures - 1, 10)) * spread)

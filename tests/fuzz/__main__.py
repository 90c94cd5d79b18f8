"""`make fuzz`: a million bad inputs in a quarter of an hour at most; how many is said at the end.

What failed is named, and its input is kept in seeds/; the exit code is then 1.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz.engine import Tried, work

INPUTS = 1_030_000


def main() -> int:
    """Fuzz on so many processes; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="targets; none: all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="in all, at most")
    parser.add_argument("--minutes", type=float, default=15.0, help="in all, at most")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    scale = asked.inputs / INPUTS / asked.processes
    spawned = get_context("spawn")
    with ProcessPoolExecutor(asked.processes, mp_context=spawned) as pool:
        parts = [
            pool.submit(work, asked.names, asked.seed * 1000 + n, scale, asked.minutes * 60)
            for n in range(asked.processes)
        ]
        found: list[Tried] = [tried for part in parts for tried in part.result()]
    for name in dict.fromkeys(tried.name for tried in found):
        same = [tried for tried in found if tried.name == name]
        count, took = sum(one.inputs for one in same), max(one.seconds for one in same)
        print(f"{name:24}{count:>9} inputs  {took:5.0f} s")
        for failure in dict.fromkeys(text for one in same for text in one.failures):
            print(failure, file=sys.stderr)
    failed = sum(len(tried.failures) for tried in found)
    print(f"{sum(tried.inputs for tried in found)} inputs, {failed} kinds of failure")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bad inputs, each read by whoever reads such things; bounded in number, time and memory.

An input that raises anything but our own error, takes longer than `MOST_S`, or more memory than
`MOST_BYTES` allows, is written to seeds/NAME/ and named. The same seed tries the same inputs.
"""

import hashlib
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from bench.errors import BenchError
from tests.fuzz.targets import SEEDS, Target, targets

MOST_S = 5.0
MOST_BYTES = 6 << 30
ENOUGH = 5
"""Failures of a target after which it is left."""


class Tried(NamedTuple):
    """What came of a target."""

    name: str
    inputs: int
    seconds: float
    failures: tuple[str, ...]


class TooLongError(Exception):
    """An input took longer than it may."""


def attempt(target: Target, data: bytes) -> str:
    """Read one input; "" where that ended as it should, else what happened."""

    def stop(*_: object) -> None:
        raise TooLongError(f"took longer than {MOST_S} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_S)
    try:
        target.read(data)
    except BenchError as error:
        return "" if "\n" not in str(error).strip() else f"of several lines: {error}"
    except Exception:  # noqa: BLE001 - that is what is sought
        return traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return ""


def inputs(target: Target, random: Random, most: int) -> Iterator[bytes]:
    """At most so many: what is kept first, then new ones."""
    yield from target.seeds[:most]
    for _ in range(most - len(target.seeds)):
        yield target.make(random)


def fuzz(target: Target, *, seed: int, most: int, seconds: float, keep: bool) -> Tried:
    """Try a target until it had so many inputs, or so long."""
    began, failures, done = time.monotonic(), {}, 0
    for data in inputs(target, Random(f"{seed} {target.name}"), most):
        if time.monotonic() - began > seconds or len(failures) >= ENOUGH:
            break
        done += 1
        if told := attempt(target, data):
            where = told.strip().splitlines()
            if (kind := " ".join(where[-1:] + where[-4:-3])) in failures:
                continue
            failures[kind] = told
            if keep:
                name = hashlib.sha256(data).hexdigest()[:12]
                (SEEDS / target.name).mkdir(parents=True, exist_ok=True)
                (SEEDS / target.name / f"found-{name}").write_bytes(data)
                failures[kind] = f"seeds/{target.name}/found-{name}\n{told}"
    return Tried(target.name, done, time.monotonic() - began, tuple(failures.values()))


def work(names: list[str], seed: int, scale: float, seconds: float) -> list[Tried]:
    """Fuzz the targets of those names (none: all), in a process of its own."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with tempfile.TemporaryDirectory(prefix="bench-fuzz-") as place:
        every = [one for one in targets(Path(place)) if not names or one.name in names]
        ends = time.monotonic() + seconds
        return [
            fuzz(one, seed=seed, most=max(1, round(one.share * scale)), keep=True,
                 seconds=min(seconds / 4, ends - time.monotonic()))
            for one in every
        ]  # fmt: skip

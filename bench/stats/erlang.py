"""Erlang B and C: how many calls a number of slots takes, and how many slots calls need.

Theory of operation
-------------------
Calls come independently of each other (Poisson) and each holds one slot. *Offered load* in erlangs
is calls a second times the mean length of a call in seconds: the slots that would be busy if there
were always one free.

*Erlang B*: a call that finds no slot is turned away. Its blocking depends on the mean length of a
call only, whatever the lengths are like. *Erlang C*: it waits, as long as it takes. That supposes
exponential lengths; calls of even lengths wait less, so it errs on the safe side for them.

Blocking of n slots at a erlangs follows 1/B(n) = 1 + n/a · 1/B(n-1), with B(0) = 1. Unrolled, that
is a sum of running products n/a · (n-1)/a · …: every term is positive, so nothing cancels, and a
million of them take milliseconds. Where the sum is beyond a float, blocking is below 1e-308: zero.
Blocking falls with every slot and rises with the load, so both inverses are found by bisection.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.optimize import brentq

MOST_SLOTS: Final = 1_000_000


def blocking(slots: int, erlangs: float) -> float:
    """Share (0 to 1) of calls turned away, by Erlang B.

    ValueError for a load that is negative or no number, and for more than `MOST_SLOTS` slots.
    """
    _check(slots, erlangs)
    if slots == 0:
        return 1.0
    if erlangs == 0:
        return 0.0
    with np.errstate(over="ignore"):
        terms = np.cumprod(np.arange(slots, 0, -1) / erlangs)
        return float(1 / (1 + terms.sum()))


def waiting(slots: int, erlangs: float) -> float:
    """Share (0 to 1) of calls that have to wait, by Erlang C; 1 where the load fills the slots."""
    _check(slots, erlangs)
    if erlangs >= slots:
        return 1.0
    blocked = blocking(slots, erlangs)
    return blocked / (1 - erlangs / slots * (1 - blocked))


def mean_wait(slots: int, erlangs: float, length_s: float) -> float:
    """Mean wait of all calls in seconds; infinite where the load fills the slots.

    `length_s`: mean length of a call in seconds.
    """
    waits = waiting(slots, erlangs)
    return waits * length_s / (slots - erlangs) if erlangs < slots else math.inf


def waiting_longer(slots: int, erlangs: float, length_s: float, wait_s: float) -> float:
    """Share (0 to 1) of calls that wait longer than `wait_s` seconds."""
    waits = waiting(slots, erlangs)
    return waits * math.exp(-(slots - erlangs) * wait_s / length_s) if erlangs < slots else 1.0


def slots_for_blocking(erlangs: float, target: float) -> int:
    """The least slots that turn away at most `target` (0 to 1, both excluded) of the calls.

    ValueError where that takes more than `MOST_SLOTS`.
    """
    _check_share(target)
    return _least_slots(erlangs, target, lambda slots: blocking(slots, erlangs))


def slots_for_wait(erlangs: float, length_s: float, wait_s: float, target: float) -> int:
    """The least slots where at most `target` of the calls wait longer than `wait_s` seconds.

    ValueError where that takes more than `MOST_SLOTS`.
    """
    _check_share(target)
    return _least_slots(
        erlangs, target, lambda slots: waiting_longer(slots, erlangs, length_s, wait_s)
    )


def erlangs_for_blocking(slots: int, target: float) -> float:
    """The greatest load in erlangs of which `slots` turn away at most `target` (0 to 1)."""
    _check_share(target)
    _check(slots, 0.0)
    if slots == 0:
        return 0.0
    # Carried load is below the slots: a (1 - B) < n, so a < n / (1 - target).
    found = brentq(lambda load: blocking(slots, load) - target, 0.0, slots / (1 - target))
    return float(found)


def _least_slots(erlangs: float, target: float, lost: Callable[[int], float]) -> int:
    """The least slots where `lost`, which falls with every slot, is at most `target`."""
    _check(0, erlangs)
    if erlangs == 0:
        return 0
    enough = max(1, math.ceil(min(erlangs, MOST_SLOTS)))
    while lost(enough) > target:
        if enough == MOST_SLOTS:
            raise ValueError(f"{erlangs:g} erlangs need more than {MOST_SLOTS:,} slots")
        enough = min(2 * enough, MOST_SLOTS)
    lacking = 0
    while enough - lacking > 1:
        middle = (enough + lacking) // 2
        if lost(middle) > target:
            lacking = middle
        else:
            enough = middle
    return enough


def _check(slots: int, erlangs: float) -> None:
    if not 0 <= slots <= MOST_SLOTS:
        raise ValueError(f"{slots} slots; give 0 to {MOST_SLOTS:,}")
    if not (math.isfinite(erlangs) and erlangs >= 0):
        raise ValueError(f"{erlangs} erlangs; give a number from 0")


def _check_share(target: float) -> None:
    if not 0 < target < 1:
        raise ValueError(f"a share of {target}; give one between 0 and 1")

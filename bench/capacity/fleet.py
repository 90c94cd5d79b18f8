"""A fleet for so many calls: slots, nodes, utilisation and cost in every corner of what is known.

Theory of operation
-------------------
Calls an hour times their mean length is the offered load; Erlang B or C say how many slots it needs
(`bench.stats.erlang`), and what a node holds says how many nodes those are. Any call may go to any
node that has a free slot.

Two figures are uncertain: how long a session is and how many a node holds. All is computed once
with their values and once at each corner of their intervals (short or long sessions, many or few to
a node); the interval of a result goes from its least to its greatest corner. That is wide: where
the two errors are independent it covers more than 95 %, and at least 90 % whatever they do.
"""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, NamedTuple

from msgspec import Struct

from bench.capacity.document import Bounds
from bench.stats.erlang import (
    MOST_SLOTS,
    blocking,
    mean_wait,
    slots_for_blocking,
    slots_for_wait,
    waiting_longer,
)

HOURS_A_MONTH: Final = 730


class ServiceTarget(NamedTuple):
    """What is promised of the calls: how many may be turned away, or wait too long.

    `share`: 0 to 1. `wait_s`: seconds after which a wait is too long; None: calls do not wait.
    """

    share: float
    wait_s: float | None = None


class Headroom(NamedTuple):
    """What is added: whole nodes, and a share (0.2 for 20 %) of the slots."""

    nodes: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        return f"n+{self.nodes}" if self.nodes else f"{100 * self.share:g} %" if self.share else ""


class NodeCapacity(NamedTuple):
    """What a node holds, in sessions, or with `measured_s` in session starts a second.

    `measured_s`: length in seconds of the sessions that were started so often. `high` null: it
    holds at least so many. `remarks`: what one has to know of it.
    """

    holds: Bounds
    tier: str = ""
    measured_s: Bounds | None = None
    remarks: tuple[str, ...] = ()


class FleetFigures(Struct, frozen=True, kw_only=True):
    """A number of nodes and how it fares. Percentages are 0 to 100.

    `lost`: percent of calls turned away, or waiting longer than promised; `lost_one_down`: the same
    with a node less. `mean_wait_s` is null for Erlang B; a bound of it is null where waits have no
    end. Costs are null without a price.
    """

    nodes: Bounds
    utilisation: Bounds
    lost: Bounds
    lost_one_down: Bounds
    mean_wait_s: Bounds | None
    cost_per_hour: Bounds | None
    cost_per_month: Bounds | None


class Corner(NamedTuple):
    """A case: seconds of a session, whole sessions that a node holds (infinite: no end known)."""

    length_s: float
    sessions: float


def exactly(value: float) -> Bounds:
    """A figure without an error."""
    return Bounds(value=value, low=value, high=value)


# ── corners ──────────────────────────────────────────────────────────────────────────────────────


def corners_of(node: NodeCapacity, length_s: Bounds) -> list[Corner]:
    """First the case of the values, then the corners."""
    value = node.holds.value or 0.0
    lengths = [length_s.value or 0.0, *_filled(length_s)]
    fewest, most = _filled(node.holds)
    most = math.inf if node.holds.high is None else most
    pairs = [(lengths[0], value), *product(lengths[1:], (fewest, most))]
    if node.measured_s is None:
        return [Corner(length, _whole(holds)) for length, holds in pairs]
    if node.measured_s == length_s:  # one length, in both: its error is the same
        return [Corner(length, _whole(length * starts)) for length, starts in pairs]
    measured = [node.measured_s.value or 0.0, *_filled(node.measured_s)]
    return [
        Corner(lengths[0], _whole(measured[0] * value)),
        *(
            Corner(length, _whole(starts * took))
            for (length, starts), took in product(pairs[1:], measured[1:])
        ),
    ]


def _filled(bounds: Bounds) -> tuple[float, float]:
    """(low, high); its value where one is not known."""
    value = bounds.value or 0.0
    return (
        value if bounds.low is None else bounds.low,
        value if bounds.high is None else bounds.high,
    )


def _whole(sessions: float) -> float:
    """Whole sessions; what lacks a bit for lack of bits is whole."""
    return sessions if math.isinf(sessions) else math.floor(sessions + 1e-9)


def span(figures: Sequence[float], *, open_low: bool = False) -> Bounds:
    """The first of some figures, from the least to the greatest of them; null for no end."""
    value, low, high = figures[0], min(figures), max(figures)
    return Bounds(
        value=None if math.isinf(value) else value,
        low=None if open_low or math.isinf(low) else low,
        high=None if math.isinf(high) else high,
    )


# ── slots, nodes, fleets ─────────────────────────────────────────────────────────────────────────


def slots_needed(erlangs: float, length_s: float, target: ServiceTarget) -> int:
    """Slots that keep the promise at so many erlangs. ValueError for more than can be computed."""
    if target.wait_s is None:
        return slots_for_blocking(erlangs, target.share)
    return slots_for_wait(erlangs, length_s, target.wait_s, target.share)


def nodes_needed(slots: int, corner: Corner, headroom: Headroom) -> int:
    """Nodes that have so many slots, and the headroom."""
    wanted = math.ceil(slots * (1 + headroom.share) - 1e-9)
    return max(1, math.ceil(wanted / corner.sessions)) + headroom.nodes


def fleet_of(
    counts: Sequence[int],
    nodes: Bounds,
    corners: Sequence[Corner],
    offered: Sequence[float],
    target: ServiceTarget,
    price: float | None,
) -> FleetFigures:
    """How so many nodes fare in each corner."""
    cases = list(zip(counts, corners, offered, strict=True))

    def over(figure: Callable[[int, float, Corner], float], less: int = 0) -> Bounds:
        return span(
            [figure(_slots_of(count - less, corner), load, corner) for count, corner, load in cases]
        )

    def lost(slots: int, load: float, corner: Corner) -> float:
        if target.wait_s is None:
            return 100 * blocking(slots, load)
        return 100 * waiting_longer(slots, load, corner.length_s, target.wait_s)

    def utilisation(slots: int, load: float, corner: Corner) -> float:
        if math.isinf(corner.sessions):
            return 0.0
        carried = load * (1 - blocking(slots, load)) if target.wait_s is None else load
        return 100 * min(carried / slots, 1.0)

    def wait(slots: int, load: float, corner: Corner) -> float:
        return mean_wait(slots, load, corner.length_s)

    return FleetFigures(
        nodes=nodes,
        utilisation=over(utilisation),
        lost=over(lost),
        lost_one_down=over(lost, less=1),
        mean_wait_s=None if target.wait_s is None else over(wait),
        cost_per_hour=None if price is None else times(nodes, price),
        cost_per_month=None if price is None else times(nodes, price * HOURS_A_MONTH),
    )


def _slots_of(nodes: int, corner: Corner) -> int:
    """Slots of so many nodes; as many as can be computed where a node has no known end."""
    return int(min(nodes * corner.sessions, MOST_SLOTS)) if nodes else 0


def times(bounds: Bounds, factor: float) -> Bounds:
    """A figure in another unit."""
    value, low, high = (
        None if end is None else end * factor for end in (bounds.value, bounds.low, bounds.high)
    )
    return Bounds(value=value, low=low, high=high)

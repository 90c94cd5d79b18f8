"""From a capacity to a fleet: erlangs, slots, nodes, utilisation and cost, each with its interval.

Theory of operation
-------------------
Calls an hour times their mean length is the offered load; Erlang B or C say how many slots it needs
(`bench.stats.erlang`), and what a node holds says how many nodes those are. Any call may go to any
node that has a free slot.

Two figures are uncertain: how long a session is and how many a node holds. All is computed once
with their values and once at each corner of their intervals (short or long sessions, many or few to
a node); the interval of a result goes from its least to its greatest corner. That is wide: where
the two errors are independent it covers more than 95 %, and at least 90 % whatever they do.

Two fleets are told. *Needed*: as many nodes as each case asks for, headroom included. *Planned*:
what can be signed for, the nodes of the worst corner; its utilisation and blocking are told over
all corners, for it is bought before anybody knows which one is true.
"""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from bench.capacity.document import Bounds, CapacityResult, TierCapacity
from bench.errors import UsageError
from bench.plan.gates import nearest
from bench.stats.erlang import (
    MOST_SLOTS,
    blocking,
    mean_wait,
    slots_for_blocking,
    slots_for_wait,
    waiting_longer,
)

HOURS_A_MONTH: Final = 730
_OTHER_LENGTH: Final = 0.1
"""How far, as a share, a session's length may be from the measured one without a remark."""


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


class CapacityPlan(Struct, frozen=True, kw_only=True):
    """What `bench plan-capacity` answers. `nodes` is without headroom, the fleets are with it.

    `at_most`: a node holds at least so many sessions, so all nodes are upper bounds.
    """

    model: Literal["erlang_b", "erlang_c"]
    calls_per_hour: float
    target_percent: float
    wait_s: float | None
    tier: str
    headroom: str
    price_per_node_hour: float | None
    at_most: bool
    session_s: Bounds
    sessions_per_node: Bounds
    erlangs: Bounds
    slots: Bounds
    nodes: Bounds
    needed: FleetFigures
    planned: FleetFigures
    remarks: list[str]
    sentence: str


class _Corner(NamedTuple):
    """A case: seconds of a session, whole sessions that a node holds (infinite: no end known)."""

    length_s: float
    sessions: float


def exactly(value: float) -> Bounds:
    """A figure without an error."""
    return Bounds(value=value, low=value, high=value)


def tier_of(result: CapacityResult, wanted: str | None, name: str) -> TierCapacity:
    """The tier that is planned with. UsageError where it is unknown, or must be named."""
    tiers = {tier.tier: tier for tier in result.tiers}
    if not tiers:
        raise UsageError(f"{name}: tiers: there is none; search again with `bench capacity`")
    if wanted is not None and wanted not in tiers:
        raise UsageError(f"{name}: tiers: no tier {wanted!r}; {nearest(wanted, tiers)}")
    if wanted is None and len(tiers) > 1:
        raise UsageError(f"{name}: has {len(tiers)} tiers; give --tier: {', '.join(tiers)}")
    return tiers[wanted] if wanted is not None else result.tiers[0]


def node_capacity(result: CapacityResult, wanted: str | None, name: str) -> NodeCapacity:
    """What the target of a search holds of a tier. UsageError where that cannot be planned with."""
    need_complete(result, name)
    tier = tier_of(result, wanted, name)
    if not tier.capacity or tier.low is None:
        key = "low" if tier.capacity else "capacity"
        found = "is 0" if tier.capacity == 0 else "is not known"
        why = f" ({tier.said[0]})" if tier.said else ""
        raise UsageError(
            f"{name}: tiers: {key} of {tier.tier!r} {found}{why}; search again, or give "
            "--sessions-per-node"
        )
    remarks = []
    if not tier.confirmed:
        remarks.append(f"no hold has confirmed the capacity of {tier.tier}")
    if tier.at_least:
        limit = f" (limit: {tier.limit})" if tier.limit else ""
        remarks.append(
            f"the target held {tier.capacity:.4g} {result.unit} and might hold more{limit}: "
            "as many nodes suffice, fewer may"
        )
    open_end = tier.at_least or tier.high is None
    holds = Bounds(
        value=tier.capacity,
        low=min(tier.low, tier.capacity),
        high=None if open_end else max(tier.high or 0.0, tier.capacity),
    )
    measured = None
    if result.load == "arrivals":
        measured = session_length(result, name, "--sessions-per-node")
    return NodeCapacity(holds, tier.tier, measured, tuple(remarks))


def session_length(result: CapacityResult, name: str, remedy: str = "--session-length") -> Bounds:
    """Seconds of a whole session, as measured.

    UsageError where that is not known; `remedy` is the option that does without.
    """
    need_complete(result, name)
    length = result.workload.session_s
    if not length.value or (length.low is not None and length.low <= 0):
        raise UsageError(f"{name}: workload.session_s: is not known; give {remedy}")
    return length


def need_complete(result: CapacityResult, name: str) -> None:
    """UsageError where the search has not ended."""
    if not result.complete:
        raise UsageError(
            f"{name}: complete: the search has not ended; let `bench capacity --resume` end it"
        )


def make_plan(
    calls_per_hour: float,
    target: ServiceTarget,
    node: NodeCapacity,
    length_s: Bounds,
    *,
    headroom: Headroom = Headroom(),  # noqa: B008 - immutable
    price: float | None = None,
) -> CapacityPlan:
    """The plan for so many calls of `length_s` seconds. `price`: of a node-hour.

    UsageError for more slots than can be computed and for a node that holds no session.
    """
    corners = _corners(node, length_s)
    if min(corner.sessions for corner in corners) < 1:
        least = node.holds.value if node.holds.low is None else node.holds.low
        per = "sessions" if node.measured_s is None else "session starts a second"
        raise UsageError(
            f"a node holds {node.holds.value:.3g} {per} (at least {least:.3g}): less than one "
            "whole session is sure, and no number of nodes is enough; search again, or say with "
            "--sessions-per-node what a node is sure to hold"
        )
    offered = [calls_per_hour * corner.length_s / 3600 for corner in corners]
    try:
        slots = [
            _slots(load, at.length_s, target) for load, at in zip(offered, corners, strict=True)
        ]
    except ValueError as error:
        raise UsageError(
            f"--calls-per-hour {calls_per_hour:,.10g}: {error}; plan for a part of the calls"
        ) from None
    bare = [_nodes(count, at, Headroom()) for count, at in zip(slots, corners, strict=True)]
    full = [_nodes(count, at, headroom) for count, at in zip(slots, corners, strict=True)]
    open_end = node.holds.high is None
    needed, planned = (
        _fleet(counts, nodes, corners, offered, target, price)
        for counts, nodes in (
            (full[:1] * len(corners), _span(full, open_low=open_end)),
            ([max(full)] * len(corners), exactly(max(full))),
        )
    )
    plan = CapacityPlan(
        model="erlang_b" if target.wait_s is None else "erlang_c",
        calls_per_hour=calls_per_hour,
        target_percent=100 * target.share,
        wait_s=target.wait_s,
        tier=node.tier,
        headroom=str(headroom),
        price_per_node_hour=price,
        at_most=open_end,
        session_s=_span([corner.length_s for corner in corners]),
        sessions_per_node=_span([corner.sessions for corner in corners]),
        erlangs=_span(offered),
        slots=_span(slots),
        nodes=_span(bare, open_low=open_end),
        needed=needed,
        planned=planned,
        remarks=[*node.remarks, *_remarks(node, length_s, corners[0], target)],
        sentence="",
    )
    return msgspec.structs.replace(plan, sentence=_sentence(plan))


# ── corners ──────────────────────────────────────────────────────────────────────────────────────


def _corners(node: NodeCapacity, length_s: Bounds) -> list[_Corner]:
    """First the case of the values, then the corners."""
    value = node.holds.value or 0.0
    lengths = [length_s.value or 0.0, *_filled(length_s)]
    fewest, most = _filled(node.holds)
    most = math.inf if node.holds.high is None else most
    pairs = [(lengths[0], value), *product(lengths[1:], (fewest, most))]
    if node.measured_s is None:
        return [_Corner(length, _whole(holds)) for length, holds in pairs]
    if node.measured_s == length_s:  # one length, in both: its error is the same
        return [_Corner(length, _whole(length * starts)) for length, starts in pairs]
    measured = [node.measured_s.value or 0.0, *_filled(node.measured_s)]
    return [
        _Corner(lengths[0], _whole(measured[0] * value)),
        *(
            _Corner(length, _whole(starts * took))
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


def _span(figures: Sequence[float], *, open_low: bool = False) -> Bounds:
    """The first of some figures, from the least to the greatest of them; null for no end."""
    value, low, high = figures[0], min(figures), max(figures)
    return Bounds(
        value=None if math.isinf(value) else value,
        low=None if open_low or math.isinf(low) else low,
        high=None if math.isinf(high) else high,
    )


# ── slots, nodes, fleets ─────────────────────────────────────────────────────────────────────────


def _slots(erlangs: float, length_s: float, target: ServiceTarget) -> int:
    if target.wait_s is None:
        return slots_for_blocking(erlangs, target.share)
    return slots_for_wait(erlangs, length_s, target.wait_s, target.share)


def _nodes(slots: int, corner: _Corner, headroom: Headroom) -> int:
    wanted = math.ceil(slots * (1 + headroom.share) - 1e-9)
    return max(1, math.ceil(wanted / corner.sessions)) + headroom.nodes


def _fleet(
    counts: Sequence[int],
    nodes: Bounds,
    corners: Sequence[_Corner],
    offered: Sequence[float],
    target: ServiceTarget,
    price: float | None,
) -> FleetFigures:
    """How so many nodes fare in each corner."""
    cases = list(zip(counts, corners, offered, strict=True))

    def over(figure: Callable[[int, float, _Corner], float], less: int = 0) -> Bounds:
        return _span(
            [figure(_slots_of(count - less, corner), load, corner) for count, corner, load in cases]
        )

    def lost(slots: int, load: float, corner: _Corner) -> float:
        if target.wait_s is None:
            return 100 * blocking(slots, load)
        return 100 * waiting_longer(slots, load, corner.length_s, target.wait_s)

    def utilisation(slots: int, load: float, corner: _Corner) -> float:
        if math.isinf(corner.sessions):
            return 0.0
        carried = load * (1 - blocking(slots, load)) if target.wait_s is None else load
        return 100 * min(carried / slots, 1.0)

    def wait(slots: int, load: float, corner: _Corner) -> float:
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


def _slots_of(nodes: int, corner: _Corner) -> int:
    """Slots of so many nodes; as many as can be computed where a node has no known end."""
    return int(min(nodes * corner.sessions, MOST_SLOTS)) if nodes else 0


def times(bounds: Bounds, factor: float) -> Bounds:
    """A figure in another unit."""
    value, low, high = (
        None if end is None else end * factor for end in (bounds.value, bounds.low, bounds.high)
    )
    return Bounds(value=value, low=low, high=high)


# ── what is said of it ───────────────────────────────────────────────────────────────────────────


def _remarks(
    node: NodeCapacity, length_s: Bounds, first: _Corner, target: ServiceTarget
) -> list[str]:
    told = []
    if length_s.low != length_s.high or node.holds.low != node.holds.high:
        told.append(
            "intervals span the corners: shortest and longest sessions, most and fewest to a node"
        )
    measured = node.measured_s
    if measured is not None and measured.value:
        told.append(
            f"the capacity is {node.holds.value:.3g} session starts a second; by Little's law, "
            f"times {minutes(measured.value)}, that is {first.sessions:.0f} sessions in flight"
        )
    if length_s.low is None or length_s.high is None:
        told.append("the session length has no interval: it is taken as exact")
    if target.wait_s is not None:
        told.append(
            "Erlang C supposes exponential session lengths and callers who never give up; "
            "sessions of even length wait less"
        )
    return told


def other_length(length_s: float, measured: Bounds) -> str:
    """A remark where calls are of another length than the sessions that were measured, or ""."""
    if not measured.value or abs(length_s / measured.value - 1) <= _OTHER_LENGTH:
        return ""
    return (
        f"the capacity was measured with sessions of {minutes(measured.value)}, not of "
        f"{minutes(length_s)}: a target that slows down over a session may hold another number"
    )


def minutes(seconds: float) -> str:
    """A length as people say it: "45 s", "3.2 min"."""
    return f"{seconds:.3g} s" if seconds < 60 else f"{seconds / 60:.3g} min"


def _sentence(plan: CapacityPlan) -> str:
    """The plan in one sentence that can be signed."""
    slots, nodes, each = plan.slots, plan.nodes, plan.sessions_per_node
    promise = f" at {plan.target_percent:g} % blocking"
    if plan.wait_s is not None:
        share = f"{plan.target_percent:g} %"
        promise = f", for at most {share} of them to wait longer than {plan.wait_s:g} s"
    least = f"at least {each.value:,.0f}" if plan.at_most else f"{each.value:,.0f}"
    need = f"{_nodes_told(nodes, at_most=plan.at_most)} of {least} sessions"
    order = ""
    if plan.planned.nodes != nodes:
        extra = f" with {plan.headroom}" if plan.headroom else ""
        upper = "" if nodes.low == nodes.high else " at the upper end"
        order = f"; {plan.planned.nodes.value:,.0f}{extra}{upper}"
    return (
        f"{plan.calls_per_hour:,.10g} calls an hour of {minutes(plan.session_s.value or 0)} need "
        f"{slots.value:,.0f} {'slot' if slots.value == 1 else 'slots'}{_interval(slots)}{promise}: "
        f"{need}{order}, "
        f"where {_share_told(plan.planned.lost)} of the calls {_fate(plan)}, and "
        f"{_share_told(plan.planned.lost_one_down)} with one node lost."
    )


def _nodes_told(nodes: Bounds, *, at_most: bool) -> str:
    noun = "node" if nodes.value == 1 else "nodes"
    if at_most:
        return f"at most {nodes.value:,.0f} {noun} [{nodes.high:,.0f} at worst]"
    return f"{nodes.value:,.0f} {noun}{_interval(nodes)}"


def _interval(bounds: Bounds) -> str:
    return "" if bounds.low == bounds.high else f" [{bounds.low:,.0f}, {bounds.high:,.0f}]"


def _share_told(lost: Bounds) -> str:
    """What can be promised: the worst corner, rounded up to two digits."""
    worst = lost.high or 0.0
    if worst < 0.01:
        return "less than 0.01 %"
    step = 10.0 ** (math.floor(math.log10(worst)) - 1)
    return f"at most {min(math.ceil(worst / step - 1e-9) * step, 100.0):.3g} %"


def _fate(plan: CapacityPlan) -> str:
    return "are turned away" if plan.wait_s is None else "wait that long"


def digits(value: float) -> str:
    """A figure with as many digits as matter; what is next to nothing is "< 0.01"."""
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"

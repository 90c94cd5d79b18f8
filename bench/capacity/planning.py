"""From a capacity to a plan: what `bench plan-capacity` answers, in figures and in a sentence.

Two fleets are told (`bench.capacity.fleet`). *Needed*: as many nodes as each case asks for,
headroom included. *Planned*: what can be signed for, the nodes of the worst corner; its utilisation
and blocking are told over all corners, for it is bought before anybody knows which one is true.
"""

import math
from typing import Final, Literal

import msgspec
from msgspec import Struct

from bench.capacity.document import Bounds, CapacityResult, TierCapacity
from bench.capacity.fleet import (
    Corner,
    FleetFigures,
    Headroom,
    NodeCapacity,
    ServiceTarget,
    corners_of,
    exactly,
    fleet_of,
    nodes_needed,
    slots_needed,
    span,
)
from bench.errors import UsageError, nearest

_OTHER_LENGTH: Final = 0.1
"""How far, as a share, a session's length may be from the measured one without a remark."""


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
    corners = corners_of(node, length_s)
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
            slots_needed(load, at.length_s, target)
            for load, at in zip(offered, corners, strict=True)
        ]
    except ValueError as error:
        raise UsageError(
            f"--calls-per-hour {calls_per_hour:,.10g}: {error}; plan for a part of the calls"
        ) from None
    bare = [nodes_needed(count, at, Headroom()) for count, at in zip(slots, corners, strict=True)]
    full = [nodes_needed(count, at, headroom) for count, at in zip(slots, corners, strict=True)]
    open_end = node.holds.high is None
    needed, planned = (
        fleet_of(counts, nodes, corners, offered, target, price)
        for counts, nodes in (
            (full[:1] * len(corners), span(full, open_low=open_end)),
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
        session_s=span([corner.length_s for corner in corners]),
        sessions_per_node=span([corner.sessions for corner in corners]),
        erlangs=span(offered),
        slots=span(slots),
        nodes=span(bare, open_low=open_end),
        needed=needed,
        planned=planned,
        remarks=[*node.remarks, *_remarks(node, length_s, corners[0], target)],
        sentence="",
    )
    return msgspec.structs.replace(plan, sentence=_sentence(plan))


# ── what is said of it ───────────────────────────────────────────────────────────────────────────


def _remarks(
    node: NodeCapacity, length_s: Bounds, first: Corner, target: ServiceTarget
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

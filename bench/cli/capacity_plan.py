"""The verb `plan-capacity`: how many nodes so many calls need, from a measured capacity."""

from collections.abc import Callable

import msgspec
from rich.console import Console

from bench.capacity.document import Bounds, capacity_file, read_capacity
from bench.capacity.fleet import Headroom, NodeCapacity, ServiceTarget, exactly, times
from bench.capacity.planning import (
    CapacityPlan,
    digits,
    make_plan,
    node_capacity,
    other_length,
    session_length,
)
from bench.cli.console import out, print_json, print_table, say
from bench.cli.verbs import PlanOptions
from bench.errors import UsageError


def plan_verb(options: PlanOptions) -> None:
    """Plan and print."""
    target = _target(options)
    _check_sources(options)
    node, session_s = _node_and_length(options)
    plan = make_plan(
        options.calls_per_hour,
        target,
        node,
        session_s,
        headroom=Headroom(*(options.headroom or ())),
        price=options.price_per_node_hour,
    )
    if options.as_json:
        print_json(msgspec.to_builtins(plan))
    else:
        print_plan(plan, out)


def _node_and_length(options: PlanOptions) -> tuple[NodeCapacity, Bounds]:
    """(what a node holds, seconds of a session): as given, else as measured."""
    sessions, given_s = options.sessions_per_node, options.session_length
    if sessions is not None and given_s is not None:
        return NodeCapacity(exactly(sessions)), exactly(given_s)
    if options.file is None:
        raise UsageError(
            "--from: give the capacity.json of `bench capacity`, or both --sessions-per-node and "
            "--session-length"
        )
    result, name = read_capacity(options.file), str(capacity_file(options.file))
    if sessions is not None:
        return NodeCapacity(exactly(sessions)), session_length(result, name)
    node = node_capacity(result, options.tier, name)
    if given_s is None:
        return node, session_length(result, name)
    if said := other_length(given_s, result.workload.session_s):
        node = node._replace(remarks=(*node.remarks, said))
    return node, exactly(given_s)


def _check_sources(options: PlanOptions) -> None:
    """UsageError for an option that is not read beside the others."""
    if options.sessions_per_node is not None:
        if options.tier is not None:
            raise UsageError("--tier: is not read with --sessions-per-node; give one of them")
        if options.file is not None and options.session_length is not None:
            raise UsageError(
                "--from: nothing of it is used with both --sessions-per-node and "
                "--session-length; leave one of the three out"
            )
    if options.file is None and options.tier is not None:
        raise UsageError("--tier: is that of a capacity.json; give it with --from")


def _target(options: PlanOptions) -> ServiceTarget:
    """What is promised: how many calls may be turned away, or how many wait for how long."""
    wait, share = options.wait, options.share
    if options.blocking is not None:
        if wait is not None or share is not None:
            raise UsageError(
                "--blocking: turned-away calls do not wait; give --blocking, or --wait and --share"
            )
        return ServiceTarget(options.blocking)
    if wait is None or share is None:
        lacking = "--blocking" if wait is share else "--share" if share is None else "--wait"
        raise UsageError(f"{lacking}: give --blocking 1%, or both --wait 2s and --share 5%")
    return ServiceTarget(share, wait)


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def print_plan(plan: CapacityPlan, console: Console) -> None:
    """The plan as a short table, what one has to know of it, and the sentence."""
    if plan.wait_s is None:
        model, lost = "Erlang B", "turned away, %"
    else:
        model, lost = "Erlang C", f"waiting over {plan.wait_s:g} s, %"
    extra = f" with {plan.headroom}" if plan.headroom else ""
    needed, planned = plan.needed, plan.planned
    rows: list[tuple[str, Bounds | None, Bounds | None, Callable[[float], str]]] = [
        ("session length, min", times(plan.session_s, 1 / 60), None, digits),
        ("sessions a node", plan.sessions_per_node, None, _count),
        ("offered load, erlangs", plan.erlangs, None, digits),
        ("slots", plan.slots, None, _count),
        *([("nodes", plan.nodes, None, _count)] if plan.headroom else []),
        (f"nodes{extra}", needed.nodes, planned.nodes, _count),
        ("utilisation, %", needed.utilisation, planned.utilisation, digits),
        (lost, needed.lost, planned.lost, digits),
        ("  with one node lost", needed.lost_one_down, planned.lost_one_down, digits),
    ]
    if plan.wait_s is not None:
        rows.append(("mean wait, s", needed.mean_wait_s, planned.mean_wait_s, digits))
    if needed.cost_per_hour is not None:
        rows.append(("cost an hour", needed.cost_per_hour, planned.cost_per_hour, _money))
        rows.append(("cost a month (730 h)", needed.cost_per_month, planned.cost_per_month, _money))
    tier = f", tier {plan.tier}" if plan.tier else ""
    print_table(
        console,
        ("", ">needed", "interval", ">planned", "interval"),
        [(name, *_cells(one, show), *_cells(two, show)) for name, one, two, show in rows],
        title=f"{plan.calls_per_hour:,.10g} calls an hour, {model}{tier}",
    )
    for remark in plan.remarks:
        say(console, f"remark  {remark}")
    say(console, plan.sentence, style="bold")


def _cells(bounds: Bounds | None, show: Callable[[float], str]) -> tuple[str, str]:
    """(the figure, its interval) as they are shown; nothing where there is no interval to tell."""
    if bounds is None:
        return "", ""
    value = "∞" if bounds.value is None else show(bounds.value)
    if bounds.low == bounds.high == bounds.value:
        return value, ""
    low = "…" if bounds.low is None else show(bounds.low)
    high = "…" if bounds.high is None else show(bounds.high)
    return value, "" if low == high == value else f"[{low}, {high}]"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _money(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"

"""The verb `plan-capacity`: how many nodes so many calls need, from a measured capacity."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from bench.cli.console import Json, out
from bench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.capacity.document import Bounds
    from bench.capacity.planning import CapacityPlan, Headroom, NodeCapacity, ServiceTarget

EXAMPLE: Final = (
    "Example: bench plan-capacity --calls-per-hour 3000 --blocking 1% --from capacity.json "
    "--headroom n+1"
)
_PERCENT: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_SPARE_NODES: Final = re.compile(r"\s*n\s*\+\s*([0-9]{1,4})\s*", re.IGNORECASE)


def plan_capacity(
    calls_per_hour: Annotated[float, typer.Option(help="Calls that come in the busy hour.")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="The capacity.json of `bench capacity`.")
    ] = None,
    blocking: Annotated[
        str | None, typer.Option(help='Calls that may be turned away: "1%" (Erlang B).')
    ] = None,
    wait: Annotated[
        str | None, typer.Option(help='Calls wait instead (Erlang C), no longer than this: "2s" …')
    ] = None,
    share: Annotated[str | None, typer.Option(help='… but for this share of them: "5%".')] = None,
    tier: Annotated[str | None, typer.Option(help="Whose capacity, where it has several.")] = None,
    session_length: Annotated[
        str | None, typer.Option(help='Length of a call, as in "3m", in place of the measured.')
    ] = None,
    sessions_per_node: Annotated[
        float | None, typer.Option(help="Sessions of a node, in place of the measured.")
    ] = None,
    headroom: Annotated[
        str | None, typer.Option(help='What is added: "n+1" (nodes) or "20%" (slots).')
    ] = None,
    price_per_node_hour: Annotated[
        float | None, typer.Option(help="Price of a node for an hour.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many slots and nodes so many calls need, what they cost, and how surely."""
    from bench.capacity.planning import make_plan  # noqa: PLC0415

    _need_positive("--calls-per-hour", calls_per_hour, "calls; give how many come in an hour")
    if price_per_node_hour is not None:
        _need_positive("--price-per-node-hour", price_per_node_hour, "is no price; give 2.5 or so")
    target = _target(blocking, wait, share)
    spare = _headroom(headroom)
    given = None if session_length is None else _seconds("--session-length", session_length)
    _check_sources(from_, tier, sessions_per_node, given)
    node, length = _node_and_length(from_, tier, sessions_per_node, given)
    plan = make_plan(
        calls_per_hour, target, node, length, headroom=spare, price=price_per_node_hour
    )
    if as_json:
        import msgspec  # noqa: PLC0415

        print(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode())
    else:
        print_plan(plan, out)


def _node_and_length(
    file: Path | None, tier: str | None, sessions: float | None, given_s: float | None
) -> "tuple[NodeCapacity, Bounds]":
    """(what a node holds, seconds of a session): as given, else as measured."""
    from bench.capacity.document import capacity_file, read_capacity  # noqa: PLC0415
    from bench.capacity.planning import (  # noqa: PLC0415
        NodeCapacity,
        exactly,
        node_capacity,
        other_length,
        session_length,
    )

    if sessions is not None and given_s is not None:
        return NodeCapacity(exactly(sessions)), exactly(given_s)
    if file is None:
        raise UsageError(
            "--from: give the capacity.json of `bench capacity`, or both --sessions-per-node and "
            "--session-length"
        )
    result, name = read_capacity(file), str(capacity_file(file))
    if sessions is not None:
        return NodeCapacity(exactly(sessions)), session_length(result, name)
    node = node_capacity(result, tier, name)
    if given_s is None:
        return node, session_length(result, name)
    if said := other_length(given_s, result.workload.session_s):
        node = node._replace(remarks=(*node.remarks, said))
    return node, exactly(given_s)


def _check_sources(
    file: Path | None, tier: str | None, sessions: float | None, given_s: float | None
) -> None:
    """UsageError for an option that is not read beside the others, or that means nothing."""
    if sessions is not None:
        if not (math.isfinite(sessions) and sessions >= 1 and sessions == int(sessions)):
            raise UsageError(
                f"--sessions-per-node {sessions:g}: give a whole number of sessions from 1"
            )
        if tier is not None:
            raise UsageError("--tier: is not read with --sessions-per-node; give one of them")
        if file is not None and given_s is not None:
            raise UsageError(
                "--from: nothing of it is used with both --sessions-per-node and "
                "--session-length; leave one of the three out"
            )
    if file is None and tier is not None:
        raise UsageError("--tier: is that of a capacity.json; give it with --from")


def _target(blocking: str | None, wait: str | None, share: str | None) -> "ServiceTarget":
    from bench.capacity.planning import ServiceTarget  # noqa: PLC0415

    if blocking is not None:
        if wait is not None or share is not None:
            raise UsageError(
                "--blocking: turned-away calls do not wait; give --blocking, or --wait and --share"
            )
        return ServiceTarget(_share("--blocking", blocking))
    if wait is None or share is None:
        lacking = "--blocking" if wait is share else "--share" if share is None else "--wait"
        raise UsageError(f"{lacking}: give --blocking 1%, or both --wait 2s and --share 5%")
    return ServiceTarget(_share("--share", share), _seconds("--wait", wait, least=0.0))


def _share(option: str, text: str) -> float:
    """A percentage above 0 and below 100, as a share."""
    match = _PERCENT.fullmatch(text)
    if not match:
        raise UsageError(f"{option} {text!r}: is no percentage; write it with its sign, as in 1%")
    value = float(match[1])
    if not 0 < value < 100:
        raise UsageError(f"{option} {text!r}: give more than 0 % and less than 100 %")
    return value / 100


def _headroom(text: str | None) -> "Headroom":
    from bench.capacity.planning import Headroom  # noqa: PLC0415

    if text is None:
        return Headroom()
    if nodes := _SPARE_NODES.fullmatch(text):
        return Headroom(nodes=int(nodes[1]))
    if not _PERCENT.fullmatch(text):
        raise UsageError(f"--headroom {text!r}: give spare nodes, as in n+1, or a share, as in 20%")
    return Headroom(share=_share("--headroom", text))


def _seconds(option: str, text: str, least: float | None = None) -> float:
    """A duration in seconds, above zero or at least `least`."""
    from bench.plan.duration import Duration  # noqa: PLC0415

    try:
        value = Duration.parse(text) / 1e9
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if least is None and value <= 0:
        raise UsageError(f"{option} {text!r}: must be above zero")
    return value


def _need_positive(option: str, value: float, why: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option} {value:g}: {why}, above zero")


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def print_plan(plan: "CapacityPlan", console: Console) -> None:
    """The plan as a short table, what one has to know of it, and the sentence."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from bench.capacity.planning import digits, times  # noqa: PLC0415

    if plan.wait_s is None:
        model, lost = "Erlang B", "turned away, %"
    else:
        model, lost = "Erlang C", f"waiting over {plan.wait_s:g} s, %"
    tier = f", tier {plan.tier}" if plan.tier else ""
    title = f"{plan.calls_per_hour:,.10g} calls an hour, {model}{tier}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("needed", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("planned", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)

    def row(
        name: str, one: "Bounds | None", two: "Bounds | None", show: "Callable[[float], str]"
    ) -> None:
        cells = [_cells(bounds, show) for bounds in (one, two)]
        table.add_row(name, *cells[0], *cells[1])

    extra = f" with {plan.headroom}" if plan.headroom else ""
    needed, planned = plan.needed, plan.planned
    row("session length, min", times(plan.session_s, 1 / 60), None, digits)
    row("sessions a node", plan.sessions_per_node, None, _count)
    row("offered load, erlangs", plan.erlangs, None, digits)
    row("slots", plan.slots, None, _count)
    if plan.headroom:
        row("nodes", plan.nodes, None, _count)
    row(f"nodes{extra}", needed.nodes, planned.nodes, _count)
    row("utilisation, %", needed.utilisation, planned.utilisation, digits)
    row(lost, needed.lost, planned.lost, digits)
    row("  with one node lost", needed.lost_one_down, planned.lost_one_down, digits)
    if plan.wait_s is not None:
        row("mean wait, s", needed.mean_wait_s, planned.mean_wait_s, digits)
    if needed.cost_per_hour is not None:
        row("cost an hour", needed.cost_per_hour, planned.cost_per_hour, _money)
        row("cost a month (730 h)", needed.cost_per_month, planned.cost_per_month, _money)
    console.print(table)
    for remark in plan.remarks:
        console.print(f"remark  {remark}", highlight=False, markup=False, soft_wrap=True)
    console.print(plan.sentence, highlight=False, markup=False, soft_wrap=True, style="bold")


def _cells(bounds: "Bounds | None", show: "Callable[[float], str]") -> tuple[str, str]:
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

"""The charts of a capacity search: figures of its runs against the load, and the load over time.

Each point leads to the report of its run, which lies beside the page. A void run is hollow; the run
beyond the limit, which goes through several loads, is a diamond at its highest. A run without a
value is a cross at the foot of a figure, one whose quantile was not reached an arrow at its head.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from statistics import mean
from typing import Final, NamedTuple
from urllib.parse import quote

import plotly.graph_objects as go

from bench.capacity.document import CapacityResult, LoadProbe, TierCapacity
from bench.capacity.loads import load_interval, load_words
from bench.plan.gates import Gate
from bench.plan.metrics import METRICS
from bench.report.capacity_tables import least, loads, verdict_of
from bench.report.marks import Upright, safe, uprights, whiskers
from bench.report.text import NOT_REACHED, count, interval, quantity
from bench.report.theme import blank, colour, metric_colour

LINK: Final = "link"
"""Traces whose points lead to a page: their customdata is [words, address] (see script.html)."""
HEIGHT: Final = 340
_BANDS: Final = ("heard", "commit", "vad", "thinking", "caller")
"""A tier's colour: its band and its crossing."""
_VERDICTS: Final = {
    "pass": ("holds", "good"), "open": ("open", "doubt"), "fail": ("does not hold", "limit"),
    "beyond": ("beyond the limit", "caller"), "void": ("void", "cut"),
}  # fmt: skip
"""By verdict: its word, and its colour over the time of the search."""


class Value(NamedTuple):
    """What a probe adds to a figure; without a value `not_reached` says whether it had samples."""

    value: float | None
    low: float | None = None
    high: float | None = None
    not_reached: bool = False


class Series(NamedTuple):
    """One figure of all probes; `role` is a colour, or a metric that has one.

    Where it is `sparse`, no mark stands for a probe without it.
    """

    name: str
    unit: str
    role: str
    of: Callable[[LoadProbe], Value]
    sparse: bool = False

    @property
    def tint(self) -> str:
        """Its colour."""
        return metric_colour(self.role) if self.role in METRICS else colour(self.role)

    def shown(self, at: Value) -> str:
        """A value with its interval, in words."""
        if at.value is None:
            return NOT_REACHED if at.not_reached else "no value"
        return f"{quantity(at.value, self.unit)} {interval(at.low, at.high, self.unit)}".rstrip()


Across = Callable[[LoadProbe], float]
"""Where a probe stands on the axis of loads."""


def load_of(probe: LoadProbe) -> float:
    """The load that was asked for."""
    return probe.load


def in_flight(probe: LoadProbe) -> float:
    """The sessions that there were; the load where that is not known."""
    return probe.load if probe.sessions_in_flight is None else probe.sessions_in_flight


def by_load(probes: Sequence[LoadProbe]) -> list[LoadProbe]:
    """The probes by load, like loads in order of time."""
    return sorted(probes, key=lambda one: (one.load, one.number))


def is_counted(probe: LoadProbe) -> bool:
    """Whether a probe says what the target does at its load: neither void nor beyond the limit."""
    return not probe.void and probe.purpose != "beyond"


def report_of(probe: LoadProbe) -> str:
    """Where the report of a run lies, seen from the page."""
    return f"./{quote(probe.run, safe='')}/report.html"


def worst_of(probe: LoadProbe, result: CapacityResult) -> str:
    """What a run says of all tiers: the worst of their verdicts, or why it says none."""
    if not is_counted(probe):
        return "void" if probe.void else "beyond"
    said = {verdict_of(probe, tier.tier) for tier in result.tiers}
    return next((word for word in ("fail", "open", "pass") if word in said), "open")


# ── against the load ─────────────────────────────────────────────────────────────────────────────


def against_load(
    result: CapacityResult,
    series: Sequence[Series],
    *,
    tiers: Sequence[TierCapacity] = (),
    limits: Sequence[tuple[str, Gate]] = (),
    across: Across = load_of,
    height: int = HEIGHT,
) -> go.Figure:
    """Figures of every probe against its load, with the `limits` and the crossings of `tiers`.

    One figure is points alone, several are lines through the means of like loads.
    """
    figure = blank(height, showlegend=len(series) > 1)
    found = [at for one in series for at in map(one.of, result.probes)]
    ends = [end for at in found for end in (at.value, at.low, at.high) if end is not None]
    top = 1.08 * (max(ends, default=1.0) or 1.0)
    for one in series:
        if len(series) > 1:
            figure.add_trace(_line(result, one, across))
        _add_points(figure, result, one, across, top)
    levels = [gate.limit for _, gate in limits if gate.limit is not None]
    head = max([1.04 * top, *(1.15 * level for level in levels)])
    unit = {"/s": "a second", "1": "", "ratio": ""}.get(series[0].unit, series[0].unit)
    figure.update_yaxes(title={"text": unit}, range=[-0.03 * head, head])
    _add_limits(figure, result, limits)
    right = max(across(probe) for probe in result.probes)
    crossings = [end for tier in tiers for end in (tier.high, tier.capacity) if end is not None]
    edge = 1.06 * (max([right, *crossings]) or 1.0)
    name = load_words(result.load) if across is load_of else "sessions in flight"
    figure.update_xaxes(title={"text": name}, range=[0, edge])
    _add_crossings(figure, tiers, edge)
    return figure


def _add_points(
    figure: go.Figure, result: CapacityResult, series: Series, across: Across, top: float
) -> None:
    """Every probe: a point with its whisker, or a mark where it has no value."""
    found = [(probe, series.of(probe)) for probe in by_load(result.probes)]
    kinds = {
        series.name: [(probe, at) for probe, at in found if at.value is not None],
        NOT_REACHED: [(probe, at) for probe, at in found if at.value is None and at.not_reached],
        "no value": [(probe, at) for probe, at in found if at.value is None and not at.not_reached],
    }
    if series.sparse:
        del kinds["no value"]
    for kind, mine in kinds.items():
        if not mine:
            continue
        values = [at.value if at.value is not None else top * at.not_reached for _, at in mine]
        edge = colour("axis") if kind == "no value" else series.tint
        # An interval without an end goes to the head of the figure, or to its foot.
        ends = [
            (None, None)
            if at.value is None or (at.low is None and at.high is None)
            else (at.low or 0.0, 1.04 * top if at.high is None else at.high)
            for _, at in mine
        ]
        figure.add_trace(
            go.Scatter(
                x=[across(probe) for probe, _ in mine],
                y=values,
                mode="markers",
                name=kind if kind == series.name else f"{series.name}: {kind}",
                meta=LINK,
                showlegend=False,
                cliponaxis=kind == series.name,
                marker={
                    "size": 9,
                    "symbol": [_symbol(probe, kind == series.name, at) for probe, at in mine],
                    "color": series.tint,
                    "line": {"width": 1.5, "color": edge},
                },
                error_y=whiskers(values, ends, series.tint, thickness=1.2, width=3),
                customdata=[
                    [_hover(result, probe, f"{safe(series.name, 48)}: {series.shown(at)}"),
                     report_of(probe)] for probe, at in mine
                ],
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
        )  # fmt: skip


def _symbol(probe: LoadProbe, has_value: bool, at: Value) -> str:  # noqa: FBT001 - a table
    if not has_value and not at.not_reached:
        return "x-thin-open"
    shape = (
        "triangle-up" if at.not_reached else "diamond" if probe.purpose == "beyond" else "circle"
    )
    return f"{shape}-open" if probe.void else shape


def _hover(result: CapacityResult, probe: LoadProbe, what: str) -> str:
    """What a point says; a click leads on."""
    run = f"run {probe.number}, {probe.purpose} at {loads(probe.load, result)}"
    told = [
        f"<b>{what}</b>",
        f"{run}, {count(probe.turns, 'turn')}",
        *(f"{safe(tier.tier, 24)}: {verdict_of(probe, tier.tier)}" for tier in result.tiers),
        *([f"void: {safe(probe.void, 60)}"] if probe.void else []),
        "click: its report",
    ]
    return "<br>".join(told)


def _line(result: CapacityResult, series: Series, across: Across) -> go.Scatter:
    """A line through the means of like loads, to lead the eye; void and beyond are not on it."""
    points = sorted(
        (across(probe), value)
        for probe in result.probes
        if is_counted(probe) and (value := series.of(probe).value) is not None
    )
    means = [(x, mean(y for _, y in same)) for x, same in groupby(points, key=lambda at: at[0])]
    return go.Scatter(
        x=[x for x, _ in means], y=[y for _, y in means], mode="lines", name=series.name,
        line={"color": series.tint, "width": 1.5}, hoverinfo="skip",
    )  # fmt: skip


def _add_crossings(figure: go.Figure, tiers: Sequence[TierCapacity], edge: float) -> None:
    """The interval of each tier's capacity as a band, and the capacity as an upright line."""
    lines = []
    for place, tier in enumerate(tiers):
        role = _BANDS[place % len(_BANDS)]
        if not tier.capacity:
            continue
        if not tier.at_least and (tier.low is not None or tier.high is not None):
            figure.add_vrect(
                tier.low or 0.0, edge if tier.high is None else tier.high,
                fillcolor=colour(role), opacity=0.14, line_width=0, layer="below",
            )  # fmt: skip
        ends = "" if tier.at_least else load_interval(tier.low, tier.high)
        text = f"{safe(tier.tier, 20)} {least(tier)} {ends}".rstrip()
        lines.append(Upright(tier.capacity, text, role, "solid"))
    uprights(figure, lines, 0.0, edge)


def _add_limits(
    figure: go.Figure, result: CapacityResult, limits: Sequence[tuple[str, Gate]]
) -> None:
    """A dashed line at every limit, with the tier that sets it."""
    levels: dict[float, list[str]] = {}
    for tier, gate in limits:
        if gate.limit is None:
            continue
        unit = "%" if gate.statistic == "share" else METRICS[gate.metric].unit
        own = f"{gate.statistic} {METRICS[gate.metric].label}"
        what = safe(tier, 20) if len(result.tiers) > 1 else own
        text = f"{what} {safe(gate.operator)} {quantity(gate.limit, unit)}"
        levels.setdefault(gate.limit, []).append(text)
    for place, (at, texts) in enumerate(sorted(levels.items(), reverse=True)):
        figure.add_hline(at, line={"color": colour("limit"), "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=(0.99 if place % 2 else 0.01), xref="paper", y=at,
            xanchor="right" if place % 2 else "left", yanchor="bottom",
            text=", ".join(texts), showarrow=False,
            font={"size": 11, "color": colour("limit")},
        )  # fmt: skip


# ── over time ────────────────────────────────────────────────────────────────────────────────────


def over_time(result: CapacityResult) -> go.Figure:
    """Every run as a bar from its start to its end, as high as its load; void ones are hollow."""
    figure = blank(HEIGHT, barmode="overlay", showlegend=True)
    minutes = sum(probe.seconds for probe in result.probes) >= 300
    scale = 60.0 if minutes else 1.0
    bars: dict[str, list[tuple[float, LoadProbe]]] = {}
    at = 0.0
    for probe in result.probes:
        bars.setdefault(worst_of(probe, result), []).append((at, probe))
        at += probe.seconds
    for verdict, (word, role) in _VERDICTS.items():
        rows, hollow = bars.get(verdict, []), verdict == "void"
        if not rows:
            continue
        figure.add_trace(
            go.Bar(
                x=[(begin + probe.seconds / 2) / scale for begin, probe in rows],
                width=[probe.seconds / scale for _, probe in rows],
                y=[probe.load for _, probe in rows],
                name=word,
                meta=LINK,
                marker={
                    "color": colour("paper" if hollow else role),
                    "line": {"width": 1.5, "color": colour(role if hollow else "paper")},
                },
                customdata=[
                    [_hover(result, probe, loads(probe.load, result)), report_of(probe)]
                    for _, probe in rows
                ],
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": "minutes of load" if minutes else "seconds of load"})
    figure.update_yaxes(title={"text": load_words(result.load)}, rangemode="tozero")
    return figure

"""The page of a capacity search: how much does it hold, what breaks first, and what is beyond?

Theory of operation
-------------------
It is drawn from `capacity.json` alone and computes no figure. Each point of a figure and each row
of the table leads to the report of its run, which lies beside the page. A run that is void is
hollow; the run beyond the limit, which goes through several loads, is a diamond at its highest. A
run without a value is a cross at the foot of a figure, and one whose value lies beyond every wait
an arrow at its head.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import plotly.graph_objects as go

from bench.capacity.document import CapacityResult, LoadProbe, ScalabilityFacts, TierCapacity
from bench.capacity.loads import amount, load_interval, load_words
from bench.errors import GateError
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import METRICS
from bench.report.capacity_tables import (
    Line,
    answer_lines,
    loads,
    money,
    notes_of,
    peak_line,
    probe_rows,
    tier_line,
    verdict_of,
    workload_line,
)
from bench.report.marks import METRIC_WORDS, safe
from bench.report.page import filled, put
from bench.report.panel import Panel, Table
from bench.report.theme import blank, colour, metric_colour
from bench.report.words import (
    capital,
    clip,
    count,
    interval,
    listing,
    moment,
    quantity,
    seconds,
)
from bench.stats.scalability import law

PAGE: Final = "capacity.html"
LINK: Final = "link"
"""Traces whose points lead to a page: their customdata is [words, address] (see script.html)."""
_HEIGHT: Final = 340
_SMALL: Final = 220
_ROW: Final = 17  # px: a label above a figure
_LEGEND: Final = 26  # px
_BANDS: Final = ("heard", "commit", "ear", "thinking", "caller")
"""A tier's colour: its band, its crossing and the labels of its limits."""
_VERDICTS: Final = {
    "pass": ("holds", "good"), "open": ("open", "doubt"), "fail": ("does not hold", "limit"),
    "beyond": ("beyond the limit", "caller"), "void": ("void", "cut"),
}  # fmt: skip
"""By verdict: its word, and its colour over the time of the search."""
_CURVE: Final = 120
"""Points of the fitted curve."""


class _Value(NamedTuple):
    """What a probe adds to a figure; without a value `beyond` says that it is beyond every wait."""

    value: float | None
    low: float | None = None
    high: float | None = None
    beyond: bool = False


class _Series(NamedTuple):
    """One figure of all probes. Where it is `sparse`, no mark stands for a probe without it."""

    name: str
    unit: str
    role: str
    of: Callable[[LoadProbe], _Value]
    sparse: bool = False


def write_capacity_page(result: CapacityResult, folder: Path) -> Path:
    """Write capacity.html into the folder of the search; returns its path.

    RunFolderError where it cannot be written.
    """
    return put(folder / PAGE, render(result))


def render(result: CapacityResult) -> str:
    """The whole page as text."""
    return filled("capacity.html", context(result))


def context(result: CapacityResult) -> dict[str, Any]:
    """What the template is filled with."""
    spent = result.spent
    cost = "" if spent.cost is None else f", cost {money(spent.cost)}"
    return {
        "title": f"Capacity of {result.target.name}: {result.scenario.name}",
        "verdict": _headline(result),
        "role": _role(result),
        "answers": [
            {"line": tier_line(result, tier), "notes": notes_of(tier)} for tier in result.tiers
        ],
        "incomplete": not result.complete,
        "facts": [
            ("Target", f"{result.target.name} ({result.target.dialect})"),
            ("When", moment(result.created)),
            ("Scenario", f"{result.scenario.name}, workload {result.scenario.workload[:7]}"),
            ("Corpus", f"{result.corpus.name} {result.corpus.sha256[:7]}"),
            (
                "Spent",
                (
                    f"{seconds(spent.seconds * 1e9)} of load, "
                    f"{quantity(spent.session_minutes, 'session-minutes')}{cost}"
                ),
            ),
        ],
        "panels": _panels(result),
    }


def _headline(result: CapacityResult) -> str:
    """The capacity, in large; of several tiers each."""
    found = [tier for tier in result.tiers if tier.capacity]
    if not found:
        return "No capacity was found"
    if len(result.tiers) > 1:
        unit = "sessions" if result.load == "sessions" else "session starts a second"
        return f"{listing(f'{tier.tier} {_least(tier)}' for tier in result.tiers)} {unit}"
    (tier,) = found
    holds = "Holds" if tier.confirmed else "May hold"
    return f"{holds} {'at least ' if tier.at_least else ''}{loads(tier.capacity or 0.0, result)}"


def _least(tier: TierCapacity) -> str:
    """A capacity in short: `24`, `≥ 24`, `none`."""
    if not tier.capacity:
        return "none"
    return ("≥\u00a0" if tier.at_least else "") + amount(tier.capacity)


def _role(result: CapacityResult) -> str:
    if not result.tiers or any(not one.capacity for one in result.tiers):
        return "limit"
    sure = result.complete and all(one.confirmed and not one.at_least for one in result.tiers)
    return "good" if sure else "doubt"


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def _panels(result: CapacityResult) -> list[Panel]:
    panels = [_beyond(result)]
    if not result.probes:
        return panels
    panels += [
        *_objectives(result),
        _stages(result),
        _throughput(result),
        *_gauges(result),
        _runs(result),
    ]
    return panels


def _beyond(result: CapacityResult) -> Panel:
    """What lies beyond, how it recovered, and of which workload all this is."""
    own = {tier_line(result, tier) for tier in result.tiers}
    own |= {note for tier in result.tiers for note in notes_of(tier)}
    own |= {workload_line(result), peak_line(result)}
    rest: list[Line] = [line for line in answer_lines(result) if line.text not in own]
    return Panel(
        "beyond",
        "For which workload is that, and what is beyond?",
        f"{capital(workload_line(result))}.",
        notes=[capital(line.text) for line in rest],
    )


def _objectives(result: CapacityResult) -> list[Panel]:
    """First audio and good turns, then every other objective, against the load."""
    series = [
        (
            "first-audio", "How long is first audio waited for?",
            _Series("p95 of first audio", "ms", "arrival", _figure_of("first_audio_p95")),
            ("p95", "first_audio_latency"),
        ),
        (
            "good-turns", "How many turns are good?",
            _Series("good turns", "%", "heard", _figure_of("good_turns")),
            ("share", "good_turns"),
        ),
    ]  # fmt: skip
    shown = {objective for *_, objective in series}
    panels = [
        _against(result, key, question, one, _limits(result, objective))
        for key, question, one, objective in series
    ]
    for gate in _gates(result):
        if (gate.statistic, gate.metric) in shown and not gate.where:
            continue
        metric = METRICS.get(gate.metric)
        unit = "%" if gate.statistic == "share" or metric is None else metric.unit
        name = f"{gate.statistic} of {gate.metric.replace('_', ' ')}"
        role = "arrival" if gate.metric not in METRICS else ""
        panels.append(
            _against(
                result,
                f"objective-{len(panels)}",
                f"How is {gate.figure} along the load?",
                _Series(name, unit, role or gate.metric, _gate_value(gate.text)),
                [(tier.tier, gate) for tier in result.tiers if gate.text in tier.gates],
            )
        )
    return panels


def _gates(result: CapacityResult) -> list[Gate]:
    """Every objective once; one that this version cannot read is left out."""
    found = []
    for text in dict.fromkeys(text for tier in result.tiers for text in tier.gates):
        try:
            found.append(parse_gate(text))
        except GateError:
            continue
    return found


def _limits(result: CapacityResult, objective: tuple[str, str]) -> list[tuple[str, Gate]]:
    """The limits that the tiers set to a figure of all turns: (tier, gate)."""
    return [
        (tier.tier, gate)
        for gate in _gates(result)
        for tier in result.tiers
        if gate.text in tier.gates
        and (gate.statistic, gate.metric) == objective
        and not gate.where
        and gate.limit is not None
    ]


def _figure_of(name: str) -> Callable[[LoadProbe], _Value]:
    def of(probe: LoadProbe) -> _Value:
        one = getattr(probe.figures, name)
        return _Value(one.value, one.low, one.high, one.value is None and bool(one.n))

    return of


def _gate_value(text: str) -> Callable[[LoadProbe], _Value]:
    def of(probe: LoadProbe) -> _Value:
        for tier in probe.tiers.values():
            for gate in tier.gates:
                if gate.gate == text:
                    return _Value(gate.value, gate.low, gate.high)
        return _Value(None)

    return of


def _against(
    result: CapacityResult,
    key: str,
    question: str,
    series: _Series,
    limits: Sequence[tuple[str, Gate]],
) -> Panel:
    """A panel of one figure against the load, with its limits and the tiers' crossings."""
    figure = _plot(result, [series], result.tiers)
    _limit_lines(figure, result, limits)
    drawn = ["whiskers are 95 % intervals"]
    if limits:
        drawn.append("dashed is the limit")
    if any(tier.capacity for tier in result.tiers):
        drawn.append("shaded is the interval of the capacity, an upright line the capacity")
    caption = f"{capital(series.name)} against {load_words(result.load)}: {'; '.join(drawn)}"
    return Panel(key, question, _range_of(result, series), [(caption, figure)])


def _range_of(result: CapacityResult, series: _Series) -> str:
    """The sentence of a figure: its value at the least and at the greatest load that counts."""
    known = [
        (probe, series.of(probe))
        for probe in _by_load(result.probes)
        if not probe.void and probe.purpose != "beyond"
    ]
    known = [(probe, value) for probe, value in known if value.value is not None]
    if not known:
        return f"{capital(series.name)}: no run that counts has a value."
    first, last = known[0], known[-1]
    told = [_said(result, series, *first)]
    if last[0].load != first[0].load:
        told.append(_said(result, series, *last))
    return f"{capital(series.name)}: {listing(told)}."


def _said(result: CapacityResult, series: _Series, probe: LoadProbe, at: _Value) -> str:
    ends = interval(at.low, at.high, series.unit)
    value = f"{quantity(at.value, series.unit)} {ends}".rstrip()
    return f"{value} at {loads(probe.load, result)}"


def _stages(result: CapacityResult) -> Panel:
    series = [
        _Series("endpointing", "ms", "ear", _figure_of("endpointing_p95")),
        _Series("generation", "ms", "thinking", _figure_of("generation_p95")),
    ]
    grown = [tier for tier in result.tiers if tier.stage and tier.capacity]
    told = listing(f"tier {tier.tier} breaks in {tier.stage}" for tier in grown)
    ranges = " ".join(_range_of(result, one) for one in series)
    return Panel(
        "stages",
        "In which stage does the time go?",
        f"{capital(told)}. {ranges}" if told else ranges,
        [(
            (f"p95 of each stage against {load_words(result.load)}; a line goes through the means "
            "of like loads. Quantiles of stages do not add up to that of first audio"),
            _plot(result, series, result.tiers),
        )],
    )  # fmt: skip


def _throughput(result: CapacityResult) -> Panel:
    """Good turns a second against sessions in flight, with the fitted law where it was."""
    series = _Series(
        "good turns a second", "/s", "heard", lambda probe: _Value(probe.good_turns_per_s)
    )
    figure = _plot(result, [series], (), _in_flight)
    caption = "Good turns a second against sessions in flight"
    told = peak_line(result)
    fit = result.scalability
    xs = [
        _in_flight(probe)
        for probe in result.probes
        if not probe.void and probe.purpose != "beyond" and probe.good_turns_per_s
    ]
    if fit is not None and xs and (curve := _curve(fit, min(xs), max(xs))) is not None:
        figure.add_trace(curve)
        head = max(figure.layout.yaxis.range[1], 1.06 * max(curve.y))
        figure.update_yaxes(range=[-0.03 * head, head])
        _legend(figure)
        caption += ", and the universal scalability law fitted to them, as far as was measured"
        if fit.peak is not None and fit.peak.value is not None and fit.peak.value <= max(xs):
            ends = load_interval(fit.peak.low, fit.peak.high)
            _upright(figure, fit.peak.value, f"peak {amount(fit.peak.value)} {ends}", "muted", 0)
    notes = ["Where the line bends is a description of it, and no capacity."]
    if fit is not None:
        notes.append(
            f"Fitted to {count(fit.loads, 'load')}: {_coefficients(fit)}; the interval of each "
            "is in brackets."
        )
    answer = f"{capital(told)}." if told else _range_of(result, series)
    return Panel("throughput", "Does more load bring more good turns?", answer,
                 [(caption, figure)], notes=notes)  # fmt: skip


def _coefficients(fit: ScalabilityFacts) -> str:
    told = (
        ("good turns a second of one session", fit.rate),
        ("contention", fit.contention),
        ("coherency", fit.coherency),
    )
    return listing(
        f"{name} is not determined" if one.value is None or one.high is None
        else f"{name} {amount(one.value)} {load_interval(one.low, one.high)}"
        for name, one in told
    )  # fmt: skip


def _curve(fit: ScalabilityFacts, low: float, high: float) -> go.Scatter | None:
    """The law within the loads that were measured; None where a coefficient is not known."""
    rate, contention, coherency = fit.rate.value, fit.contention.value, fit.coherency.value
    if rate is None or contention is None or coherency is None or high <= low:
        return None
    at = [low + (high - low) * step / _CURVE for step in range(_CURVE + 1)]
    return go.Scatter(
        x=at,
        y=[law(load, rate, contention, coherency) for load in at],
        mode="lines",
        name="fitted law",
        line={"color": colour("muted"), "width": 1.5},
        hovertemplate="fitted law<br>%{x:.3g}: %{y:.3g}<extra></extra>",
    )


def _gauges(result: CapacityResult) -> list[Panel]:
    """A figure for each of the server's own gauges; no panel where there are none."""
    names = list(dict.fromkeys(name for probe in result.probes for name in probe.gauges))
    if not names:
        return []
    figures = []
    for name in names:
        series = _Series(name, "", "thinking", _gauge_of(name), sparse=True)
        plot = _plot(result, [series], (), height=_SMALL)
        figures.append((clip(name, 90), plot))
    return [
        Panel(
            "gauges",
            "What did the server say of itself?",
            f"{capital(count(len(names), 'gauge'))} of the server against "
            f"{load_words(result.load)}: the mean of a run, and a whisker up to its highest. One "
            "that stays far from full while objectives break says that it is not what limits.",
            figures,
        )
    ]


def _gauge_of(name: str) -> Callable[[LoadProbe], _Value]:
    def of(probe: LoadProbe) -> _Value:
        gauge = probe.gauges.get(name)
        return _Value(None) if gauge is None else _Value(gauge.mean, gauge.mean, gauge.max)

    return of


def _runs(result: CapacityResult) -> Panel:
    spent = result.spent
    return Panel(
        "runs",
        "What was run, and when?",
        f"{capital(count(len(result.probes), 'run'))} in {seconds(spent.seconds * 1e9)} of load "
        f"and {quantity(spent.session_minutes, 'session-minutes')}.",
        [(("Load over the time under load, one run after another, by what it said; pauses between "
          "runs are left out"), _timeline(result))],
        [_runs_table(result)],
    )  # fmt: skip


def _runs_table(result: CapacityResult) -> Table:
    """All runs by load, each leading to its report."""
    rows = probe_rows(result)
    names = list(rows[0][1])
    tiers = [tier.tier for tier in result.tiers]
    return Table(
        "Every run by load, with its report",
        ["run", *(name.replace("\n", " ") for name in names)],
        [[(str(probe.number), probe.purpose), *row.values()] for probe, row in rows],
        frozenset(
            place
            for place, name in enumerate(names, 1)
            if not name.startswith(("verdict", "server"))
        ),
        ["quiet" if _void(probe) else _tone(probe, tiers) for probe, _ in rows],
        [report_of(probe) for probe, _ in rows],
    )


def _tone(probe: LoadProbe, tiers: Sequence[str]) -> str:
    return "limit" if _worst(probe, tiers) == "fail" else ""


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def report_of(probe: LoadProbe) -> str:
    """Where the report of a run lies, seen from the page."""
    return f"./{quote(probe.run, safe='')}/report.html"


def _void(probe: LoadProbe) -> bool:
    return bool(probe.void)


def _in_flight(probe: LoadProbe) -> float:
    return probe.load if probe.sessions_in_flight is None else probe.sessions_in_flight


def _load_of(probe: LoadProbe) -> float:
    return probe.load


def _by_load(probes: Sequence[LoadProbe]) -> list[LoadProbe]:
    return sorted(probes, key=lambda one: (one.load, one.number))


def _plot(
    result: CapacityResult,
    series: Sequence[_Series],
    tiers: Sequence[TierCapacity],
    across: Callable[[LoadProbe], float] = _load_of,
    height: int = _HEIGHT,
) -> go.Figure:
    """Figures of every probe against its load, with the crossings of `tiers`.

    One figure is points alone, several are lines through the means of like loads.
    """
    figure = blank(height)
    most = max(
        (end for one in series for probe in result.probes for end in _ends(one.of(probe))),
        default=1.0,
    )
    top = 1.08 * (most or 1.0)
    for one in series:
        if len(series) > 1:
            figure.add_trace(_line(result, one, across))
        for trace in _points(result, one, across, top):
            figure.add_trace(trace)
    right = max(across(probe) for probe in result.probes)
    ends = [end for tier in tiers for end in (tier.high, tier.capacity) if end is not None]
    edge = 1.06 * (max([right, *ends]) or 1.0)
    name = load_words(result.load) if across is _load_of else "sessions in flight"
    figure.update_xaxes(title={"text": name}, range=[0, edge])
    units = {"/s": "a second", "1": "", "ratio": ""}
    unit = units.get(series[0].unit, series[0].unit)
    figure.update_yaxes(title={"text": unit}, range=[-0.03 * top, 1.04 * top])
    if len(series) > 1:
        _legend(figure)
    _crossings(figure, tiers, edge)
    return figure


def _legend(figure: go.Figure) -> None:
    figure.update_layout(
        showlegend=True, legend={"yref": "container", "y": 1, "yanchor": "top"},
        margin={"t": figure.layout.template.layout.margin.t + _LEGEND},
        height=figure.layout.height + _LEGEND,
    )  # fmt: skip


def _ends(at: _Value) -> list[float]:
    return [end for end in (at.value, at.low, at.high) if end is not None]


def _tint(series: _Series) -> str:
    """The colour of a figure: its role is one of the theme's, or a metric."""
    return metric_colour(series.role) if series.role in METRICS else colour(series.role)


def _points(
    result: CapacityResult, series: _Series, across: Callable[[LoadProbe], float], top: float
) -> list[go.Scatter]:
    """Every probe: a point with its whisker, or a mark where it has no value."""
    tint = _tint(series)
    found = [(probe, series.of(probe)) for probe in _by_load(result.probes)]
    known = [(probe, at) for probe, at in found if at.value is not None]
    traces = []
    if known:
        traces.append(
            _marks(
                result, series, across, known, [float(at.value or 0.0) for _, at in known],
                name=series.name,
                marker={
                    "size": 9,
                    "symbol": [_symbol(probe) for probe, _ in known],
                    "color": tint,
                    "line": {"width": 1.5, "color": tint},
                },
                error_y={
                    "type": "data", "symmetric": False, "color": tint, "thickness": 1.2, "width": 3,
                    "array": [_up(at, top) for _, at in known],
                    "arrayminus": [_down(at) for _, at in known],
                },
            )
        )  # fmt: skip
    for word, beyond, y, symbol in (
        ("beyond every wait", True, top, "triangle-up"),
        ("no value", False, 0.0, "x-thin"),
    ):
        without = [(one, at) for one, at in found if at.value is None and at.beyond is beyond]
        if series.sparse and not beyond:
            continue
        if without:
            marker = {
                "size": 10,
                "symbol": [
                    f"{symbol}-open" if one.void or not beyond else symbol for one, _ in without
                ],
                "color": tint,
                "line": {"width": 2, "color": tint if beyond else colour("axis")},
            }
            traces.append(
                _marks(result, series, across, without, [y] * len(without),
                       name=f"{series.name}: {word}", marker=marker, cliponaxis=False)
            )  # fmt: skip
    return traces


def _marks(
    result: CapacityResult,
    series: _Series,
    across: Callable[[LoadProbe], float],
    found: Sequence[tuple[LoadProbe, _Value]],
    y: Sequence[float],
    **look: Any,
) -> go.Scatter:
    return go.Scatter(
        x=[across(probe) for probe, _ in found],
        y=y,
        mode="markers",
        meta=LINK,
        showlegend=False,
        customdata=[
            [_hover(result, series, probe, at), report_of(probe)] for probe, at in found
        ],
        hovertemplate="%{customdata[0]}<extra></extra>",
        **look,
    )  # fmt: skip


def _symbol(probe: LoadProbe) -> str:
    shape = "diamond" if probe.purpose == "beyond" else "circle"
    return f"{shape}-open" if probe.void else shape


def _up(at: _Value, top: float) -> float:
    """How far a whisker goes up; to the head of the figure where the interval has no end."""
    if at.value is None or (at.low is None and at.high is None):
        return 0.0
    return max(0.0, (1.04 * top if at.high is None else at.high) - at.value)


def _down(at: _Value) -> float:
    if at.value is None or (at.low is None and at.high is None):
        return 0.0
    return max(0.0, at.value - (at.low or 0.0))


def _hover(result: CapacityResult, series: _Series, probe: LoadProbe, at: _Value) -> str:
    """What a point says; a click leads on."""
    if at.value is None:
        value = "beyond every wait" if at.beyond else "no value"
    else:
        ends = interval(at.low, at.high, series.unit)
        value = f"{quantity(at.value, series.unit)} {ends}".rstrip()
    told = [
        f"<b>{safe(series.name, 48)}: {value}</b>",
        (
            f"run {probe.number}, {probe.purpose} at {loads(probe.load, result)}, "
            f"{count(probe.turns, 'turn')}"
        ),
        *(f"{safe(tier.tier, 24)}: {verdict_of(probe, tier.tier)}" for tier in result.tiers),
        *([f"void: {safe(probe.void, 60)}"] if probe.void else []),
        "click: its report",
    ]
    return "<br>".join(told)


def _line(
    result: CapacityResult, series: _Series, across: Callable[[LoadProbe], float]
) -> go.Scatter:
    """A line through the means of like loads, to lead the eye; void and beyond are not on it."""
    points = sorted(
        (across(probe), value)
        for probe in result.probes
        if not probe.void and probe.purpose != "beyond"
        and (value := series.of(probe).value) is not None
    )  # fmt: skip
    means = [(x, mean(y for _, y in same)) for x, same in groupby(points, key=lambda at: at[0])]
    return go.Scatter(
        x=[x for x, _ in means],
        y=[y for _, y in means],
        mode="lines",
        name=series.name,
        line={"color": _tint(series), "width": 1.5},
        hoverinfo="skip",
    )


def _crossings(figure: go.Figure, tiers: Sequence[TierCapacity], edge: float) -> None:
    """The interval of each tier's capacity as a band, and the capacity as an upright line."""
    rows = 0
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
        text = f"{safe(tier.tier, 20)} {_least(tier)} {ends}".rstrip()
        _upright(figure, tier.capacity, text, role, rows, right=tier.capacity > 0.5 * edge)
        rows += 1
    if rows > 1:
        more = _ROW * (rows - 1)
        margin = figure.layout.margin.t or figure.layout.template.layout.margin.t
        figure.update_layout(margin={"t": margin + more}, height=figure.layout.height + more)


def _upright(
    figure: go.Figure, at: float, text: str, role: str, row: int, *, right: bool = True
) -> None:
    """An upright line with a label above the figure; `right`: the label ends at the line."""
    figure.add_vline(x=at, line={"color": colour(role), "width": 1.5})
    figure.add_annotation(
        x=at, y=1, yref="paper", yshift=_ROW * row, xanchor="right" if right else "left",
        yanchor="bottom", text=text, showarrow=False, font={"size": 11, "color": colour(role)},
    )  # fmt: skip


def _limit_lines(
    figure: go.Figure, result: CapacityResult, limits: Sequence[tuple[str, Gate]]
) -> None:
    """A dashed line at every limit, with the tier that sets it; the axis reaches beyond it."""
    several = len(result.tiers) > 1
    levels: dict[float, list[str]] = {}
    for tier, gate in limits:
        if gate.limit is None:
            continue
        unit = "%" if gate.statistic == "share" else METRICS[gate.metric].unit
        word = METRIC_WORDS.get(gate.metric, gate.metric.replace("_", " "))
        what = safe(tier, 20) if several else f"{gate.statistic} {word}"
        text = f"{what} {safe(gate.operator)} {quantity(gate.limit, unit)}"
        levels.setdefault(gate.limit, []).append(text)
    for place, (level, texts) in enumerate(sorted(levels.items(), reverse=True)):
        figure.add_hline(level, line={"color": colour("limit"), "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=(0.99 if place % 2 else 0.01), xref="paper", y=level,
            xanchor="right" if place % 2 else "left", yanchor="bottom",
            text=", ".join(texts), showarrow=False, bgcolor=colour("paper"),
            font={"size": 11, "color": colour("limit")},
        )  # fmt: skip
    if levels:
        top = max(figure.layout.yaxis.range[1], 1.15 * max(levels))
        figure.update_yaxes(range=[-0.03 * top, top])


def _worst(probe: LoadProbe, tiers: Sequence[str]) -> str:
    """What a run says of all tiers: the worst of their verdicts, or why it says none."""
    if probe.void:
        return "void"
    if probe.purpose == "beyond":
        return "beyond"
    said = {verdict_of(probe, tier) for tier in tiers}
    return next((word for word in ("fail", "open", "pass") if word in said), "open")


def _timeline(result: CapacityResult) -> go.Figure:
    """Every run as a bar from its start to its end, as high as its load; void ones are hollow."""
    figure = blank(_HEIGHT)
    tiers = [tier.tier for tier in result.tiers]
    bars: dict[str, list[tuple[float, LoadProbe]]] = {}
    at = 0.0
    for probe in result.probes:
        bars.setdefault(_worst(probe, tiers), []).append((at, probe))
        at += probe.seconds
    minutes = at >= 300
    scale = 60.0 if minutes else 1.0
    load = _Series("load", "", "caller", lambda probe: _Value(probe.load))
    for verdict, (word, role) in _VERDICTS.items():
        rows = bars.get(verdict, [])
        if not rows:
            continue
        hollow = verdict == "void"
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
                    [_hover(result, load, probe, load.of(probe)), report_of(probe)]
                    for _, probe in rows
                ],
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": "minutes of load" if minutes else "seconds of load"})
    figure.update_yaxes(title={"text": load_words(result.load)}, rangemode="tozero")
    figure.update_layout(barmode="overlay")
    _legend(figure)
    return figure

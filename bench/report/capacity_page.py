"""The page of a capacity search: how many callers does it hold, what ends it, and what is beyond?

Theory of operation
-------------------
It is drawn from `capacity.json` alone and computes nothing. Each point and each row of the table
leads to the report of its run, which lies beside the page.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import plotly.graph_objects as go

from bench.capacity.document import BoundedFigure, CapacityResult, LoadProbe
from bench.plan.gates import parse_gate
from bench.report.capacity_tables import probe_rows, sentences
from bench.report.page import filled, put
from bench.report.panel import Panel, Table
from bench.report.theme import blank, colour

PAGE: Final = "capacity.html"
_HEIGHT: Final = 340
_TONES: Final = {"pass": "good", "fail": "limit", "open": "doubt"}
_WORDS: Final = {"pass": "holds", "fail": "does not hold", "open": "open"}


def write_capacity_page(result: CapacityResult, folder: Path) -> Path:
    """Write capacity.html into the folder of the search; returns its path.

    RunFolderError where it cannot be written.
    """
    return put(folder / PAGE, filled("capacity.html", context(result)))


def context(result: CapacityResult) -> dict[str, Any]:
    """What the template is filled with."""
    told = list(sentences(result))
    sure = bool(result.tiers) and all(one.confirmed for one in result.tiers)
    first = result.tiers[0] if result.tiers else None
    holds = first is not None and bool(first.capacity)
    verdict = "No capacity was found"
    if first is not None and first.capacity:
        least = "at least " if first.at_least else ""
        unit = "sessions" if result.load == "sessions" else "starts a second"
        verdict = f"Holds {least}{first.capacity:g} {unit}"
    return {
        "title": f"Capacity of {result.target.name}: {result.scenario.name}",
        "verdict": verdict,
        "role": "good" if holds and sure else "doubt" if holds else "limit",
        "why": told[0] if told else "",
        "panels": _panels(result, told),
    }


def _panels(result: CapacityResult, told: Sequence[str]) -> list[Panel]:
    load = "sessions" if result.load == "sessions" else "session starts a second"
    panels = [Panel("answer", "How many callers does it hold?", told[0], notes=told[1:])]
    if not result.probes:
        return panels
    panels += [
        Panel(
            "latency", "How long is first audio waited for?",
            "p95 of first audio at each load that was tried, and the limit where there is one.",
            [(f"First audio p95 against {load}", _against(
                result, load, "first audio p95, ms", lambda one: one.figures.first_audio_p95,
                _limit(result, "first_audio_latency"), "arrival",
            ))],
        ),
        Panel(
            "good", "How many turns are good?",
            "Turns that were answered and met every limit of the first tier.",
            [(f"Good turns against {load}", _against(
                result, load, "good turns, %", lambda one: one.figures.good_turns,
                _limit(result, "good_turns"), "heard",
            ))],
        ),
        Panel(
            "stages", "In which stage does the time go?",
            "p95 of endpointing and of generation along the load.",
            [(f"Stages against {load}", _stages(result, load))],
        ),
        Panel(
            "throughput", "Does more load bring more good turns?",
            "Good turns a second against the load: where the line bends is a description, and "
            "no capacity.",
            [(f"Good turns a second against {load}", _against(
                result, load, "good turns a second", _rate, None, "heard",
            ))],
        ),
    ]  # fmt: skip
    if any(probe.gauges for probe in result.probes):
        panels.append(
            Panel(
                "gauges",
                "What did the server say of itself?",
                "Means of its own gauges at each load, each as a share of its highest.",
                [(f"Gauges against {load}", _gauges(result, load))],
            )
        )
    panels.append(
        Panel(
            "runs",
            "What was run, and when?",
            f"{len(result.probes)} runs, {result.spent.seconds / 60:.1f} minutes of load, "
            f"{result.spent.session_minutes:.0f} session-minutes.",
            [("Load over time, by what it said", _timeline(result, load))],
            [_table(result)],
        )
    )
    return panels


def _limit(result: CapacityResult, metric: str) -> float | None:
    """The limit of the first gate of the first tier on that metric."""
    for text in result.objectives[0].gates if result.objectives else ():
        gate = parse_gate(text)
        if gate.metric == metric and (metric != "first_audio_latency" or gate.statistic == "p95"):
            return gate.limit
    return None


def _rate(probe: LoadProbe) -> BoundedFigure:
    return BoundedFigure(
        value=probe.good_turns_per_s, low=None, high=None, unit="/s", n=probe.turns
    )


def _against(
    result: CapacityResult,
    load: str,
    name: str,
    figure_of: Callable[[LoadProbe], BoundedFigure],
    limit: float | None,
    role: str,
) -> go.Figure:
    """A figure of every run against its load, with the limit and the crossing's interval."""
    figure = blank(_HEIGHT)
    probes = [one for one in result.probes if one.purpose != "beyond"]
    known = [(one, figure_of(one)) for one in probes]
    known = [(one, found) for one, found in known if found.value is not None]
    figure.add_trace(
        go.Scatter(
            x=[one.load for one, _ in known],
            y=[found.value for _, found in known],
            mode="markers",
            marker={
                "size": 9, "color": colour(role), "line": {"width": 2, "color": colour(role)},
                "symbol": ["circle-open" if one.void else "circle" for one, _ in known],
            },
            error_y={
                "type": "data", "symmetric": False, "color": colour(role), "thickness": 1,
                "array": [_reach(found.high, found.value) for _, found in known],
                "arrayminus": [_reach(found.value, found.low) for _, found in known],
            },
            customdata=[f"run {one.number}, {one.purpose}" for one, _ in known],
            hovertemplate="%{customdata}<br>%{x:g}: %{y:.4g}<extra></extra>",
        )
    )  # fmt: skip
    if limit is not None:
        figure.add_hline(limit, line={"color": colour("limit"), "width": 1, "dash": "dash"})
    for tier in result.tiers[:1]:
        if tier.low is not None and tier.high is not None and tier.capacity:
            figure.add_vrect(
                tier.low, tier.high, fillcolor=colour("shade"), line_width=0, layer="below"
            )
            figure.add_vline(tier.capacity, line={"color": colour("axis"), "width": 1})
    figure.update_xaxes(title={"text": load}, rangemode="tozero")
    figure.update_yaxes(title={"text": name}, rangemode="tozero")
    return figure


def _reach(end: float | None, start: float | None) -> float:
    return 0.0 if end is None or start is None else max(0.0, end - start)


def _stages(result: CapacityResult, load: str) -> go.Figure:
    figure = blank(_HEIGHT, showlegend=True, legend={"orientation": "h", "y": 1.12})
    probes = sorted(
        (one for one in result.probes if not one.void and one.purpose != "beyond"),
        key=lambda one: one.load,
    )
    loads = [one.load for one in probes]
    for name, role, values in (
        ("endpointing", "ear", [one.figures.endpointing_p95.value for one in probes]),
        ("generation", "thinking", [one.figures.generation_p95.value for one in probes]),
    ):
        figure.add_trace(
            go.Scatter(
                x=loads, y=values, mode="lines+markers", name=name, line={"color": colour(role)}
            )
        )
    figure.update_xaxes(title={"text": load}, rangemode="tozero")
    figure.update_yaxes(title={"text": "p95, ms"}, rangemode="tozero")
    return figure


def _gauges(result: CapacityResult, load: str) -> go.Figure:
    figure = blank(_HEIGHT, showlegend=True, legend={"orientation": "h", "y": 1.12})
    roles = ("arrival", "ear", "thinking", "commit", "player", "caller", "heard", "doubt")
    names = list(dict.fromkeys(name for probe in result.probes for name in probe.gauges))
    for place, name in enumerate(names):
        points = sorted(
            (one.load, one.gauges[name].mean or 0.0)
            for one in result.probes if name in one.gauges and one.purpose != "beyond"
        )  # fmt: skip
        most = max((value for _, value in points), default=0.0) or 1.0
        figure.add_trace(
            go.Scatter(
                x=[at for at, _ in points], y=[100 * value / most for _, value in points],
                mode="lines+markers", name=f"{name} (100 % = {most:.4g})",
                line={"color": colour(roles[place % len(roles)])},
            )
        )  # fmt: skip
    figure.update_xaxes(title={"text": load}, rangemode="tozero")
    figure.update_yaxes(title={"text": "% of the highest"}, rangemode="tozero")
    return figure


def _timeline(result: CapacityResult, load: str) -> go.Figure:
    """Every run as a bar from its start to its end, as high as its load."""
    figure, at = blank(_HEIGHT, showlegend=True, legend={"orientation": "h", "y": 1.12}), 0.0
    bars: dict[str, list[tuple[float, float, float, str]]] = {}
    for probe in result.probes:
        words = {one.verdict for one in probe.tiers.values()}
        worst = next((word for word in ("fail", "open", "pass") if word in words), "open")
        name = "void" if probe.void else _WORDS[worst]
        hover = f"run {probe.number}, {probe.purpose} at {probe.load:g}: {name}"
        bars.setdefault(name, []).append((at, probe.seconds, probe.load, hover))
        at += probe.seconds
    roles = {_WORDS[word]: role for word, role in _TONES.items()} | {"void": "cut"}
    for name, rows in bars.items():
        figure.add_trace(
            go.Bar(
                x=[(begin + length / 2) / 60 for begin, length, _, _ in rows],
                width=[length / 60 for _, length, _, _ in rows],
                y=[height for _, _, height, _ in rows],
                name=name, marker={"color": colour(roles[name])},
                customdata=[hover for *_, hover in rows],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title={"text": "minutes of load"})
    figure.update_yaxes(title={"text": load}, rangemode="tozero")
    return figure


def _table(result: CapacityResult) -> Table:
    """All runs, each leading to its report."""
    rows = list(probe_rows(result))
    names = list(rows[0][1])
    return Table(
        "Every run, by load",
        ["run", *names],
        [[str(probe.number), *row.values()] for probe, row in rows],
        frozenset(range(len(names))),
        ["quiet" if probe.void else "" for probe, _ in rows],
        [f"{quote(probe.run)}/report.html" for probe, _ in rows],
    )

"""The page of two compared capacities: the verdict, the curves of both sides, the tiers.

It is drawn from the document of `bench.capacity.comparison` alone, and computes no figure.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from bench.capacity.loads import amount, load_words
from bench.report.changes import held
from bench.report.comparing import ROLES, put_page
from bench.report.marks import safe
from bench.report.page import filled
from bench.report.panel import Cell, Panel, Table
from bench.report.theme import blank, colour
from bench.report.words import NOTHING, capital, interval, moment, quantity

_SIDES: Final = {"a": ("A", "heard", "solid"), "b": ("B", "ear", "dash")}
_QUESTIONS: Final = {
    "first_audio_p95": ("How long is first audio waited for?", "p95 of first audio", "ms"),
    "good_turns": ("How many turns are good?", "good turns", "%"),
}
_LABEL: Final = 17  # px: a label above a figure
_HEIGHT: Final = 360

Step = dict[str, Any]


def write_capacity_comparison_page(found: dict[str, Any], folder: Path) -> Path:
    """Write `comparison.html` into `folder`. UsageError where it cannot be written."""
    return put_page(render(found), folder)


def render(found: dict[str, Any]) -> str:
    """The whole page as text."""
    sides = found["sides"]
    told = {
        "title": f"{found['verdict']}: {sides['a']['name']} against {sides['b']['name']}",
        "verdict": found["verdict"],
        "role": ROLES[found["verdict"]],
        "why": capital(found["reasons"][0]),
        "reasons": [],  # the table of tiers says of each what it came to
        "scenario": sides["a"]["scenario"],
        "sides": [
            (
                f"{_SIDES[name][0]}: {side['name']}",
                f"{side['target']}, {side['probes']} runs, {moment(side['created'])}",
            )
            for name, side in sides.items()
        ],
        "deciding": _tiers(found),
        "remarks": [capital(remark) + "." for remark in found["remarks"]],
        "panels": [panel for name in _QUESTIONS if (panel := _panel(found, name)) is not None],
        "margin": f"{found['margin']['percent']:g} %",
    }
    return filled("capacity_comparison.html", told)


def _tiers(found: dict[str, Any]) -> Table:
    rows = found["tiers"]
    return Table(
        f"Each tier's capacity, in {load_words(found['load'])}, with its 95 % interval",
        ("tier", "verdict", "A", "B", "change", "what ends A", "what ends B"),
        [
            [
                row["tier"], row["verdict"], held(row["a"]), held(row["b"]), row["said"],
                *(_end(row[side]) for side in _SIDES),
            ]
            for row in rows
        ],
        numeric=frozenset({2, 3}),
        tones=[
            {"regressed": "limit", "inconclusive": "quiet"}.get(row["verdict"], "") for row in rows
        ],
    )  # fmt: skip


def _end(side: dict[str, Any]) -> Cell:
    """What keeps a side from more: the objective that breaks first with its stage, or the limit."""
    return side["binding"] or side["limit"] or NOTHING, side["stage"]


def _panel(found: dict[str, Any], name: str) -> Panel | None:
    """A figure of both sides against the load; None where neither side has a value."""
    question, words, unit = _QUESTIONS[name]
    curves: dict[str, list[Step]] = found["curves"][name]
    if not any(step["value"] is not None for steps in curves.values() for step in steps):
        return None
    figure = blank(_HEIGHT)
    top = 1.08 * max(
        end
        for steps in curves.values()
        for step in steps
        for end in (step["value"], step["low"], step["high"], 1.0)
        if end is not None
    )
    for side, steps in curves.items():
        for band in _bands(steps):
            figure.add_trace(_band(band, side, top))
    for side, steps in curves.items():
        figure.add_trace(_line(steps, side, unit))
    figure.update_xaxes(title={"text": load_words(found["load"])}, rangemode="tozero")
    figure.update_yaxes(title={"text": unit}, range=[-0.02 * top, top])
    figure.update_layout(legend={"yref": "container", "y": 1, "yanchor": "top"})
    _crossings(figure, found)
    caption = (
        f"{capital(words)} against {load_words(found['load'])}. The band joins the 95 % intervals "
        "of the runs at each load, up to the head where one has no end; an upright line is a "
        "capacity, shaded its 95 % interval. Void runs and those beyond the limit are left out"
    )
    said = [
        f"{_SIDES[side][0]} {_said(known[0], unit)} at {amount(known[0]['load'])}"
        + (f" and {_said(known[-1], unit)} at {amount(known[-1]['load'])}" if known[1:] else "")
        for side, steps in curves.items()
        if (known := [step for step in steps if step["value"] is not None])
    ]
    return Panel(name, question, f"{capital(words)}: {'; '.join(said)}.", [(caption, figure)])


def _said(step: Step, unit: str) -> str:
    return f"{quantity(step['value'], unit)} {interval(step['low'], step['high'], unit)}".rstrip()


def _bands(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Neighbouring loads of which an interval is known."""
    for known, band in groupby(
        steps, key=lambda step: step["low"] is not None or step["high"] is not None
    ):
        if known:
            yield list(band)


def _band(band: Sequence[Step], side: str, top: float) -> go.Scatter:
    """The area between both ends; one that is missing lies at the foot, or at the head, `top`."""
    _, role, _ = _SIDES[side]
    high = [top if step["high"] is None else step["high"] for step in band]
    low = [step["low"] or 0.0 for step in band]
    x = [step["load"] for step in band]
    return go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself", mode="lines", line={"width": 0}, fillcolor=colour(role), opacity=0.22,
        hoverinfo="skip", showlegend=False, name=f"band {side}",
    )  # fmt: skip


def _line(steps: Sequence[Step], side: str, unit: str) -> go.Scatter:
    word, role, dash = _SIDES[side]
    return go.Scatter(
        x=[step["load"] for step in steps],
        y=[step["value"] for step in steps],
        mode="lines+markers",
        name=word,
        line={"color": colour(role), "width": 2, "dash": dash},
        marker={"size": 8},
        customdata=[[_said(step, unit)] for step in steps],
        hovertemplate=f"<b>{word} %{{customdata[0]}}</b><br>at %{{x:.4g}}<extra></extra>",
        showlegend=True,
    )


def _crossings(figure: go.Figure, found: dict[str, Any]) -> None:
    """The capacity of each tier and side as an upright line, its interval shaded."""
    loads = [step["load"] for steps in found["curves"]["good_turns"].values() for step in steps]
    ends = [
        end
        for row in found["tiers"]
        for side in _SIDES
        for end in (row[side]["capacity"], row[side]["high"])
    ]
    edge = 1.06 * max([1.0, *loads, *(end for end in ends if end is not None)])
    figure.update_xaxes(range=[0, edge])
    rows = 0
    for row in found["tiers"]:
        for side, (word, role, dash) in _SIDES.items():
            told = row[side]
            if not told["capacity"]:
                continue
            if not told["at_least"]:
                figure.add_vrect(
                    told["low"] or 0.0, edge if told["high"] is None else told["high"],
                    fillcolor=colour(role), opacity=0.12, line_width=0, layer="below",
                )  # fmt: skip
            figure.add_vline(
                x=told["capacity"], line={"color": colour(role), "width": 1.5, "dash": dash}
            )
            figure.add_annotation(
                x=told["capacity"], y=1, yref="paper", yshift=_LABEL * rows, showarrow=False,
                xanchor="right" if told["capacity"] > 0.5 * edge else "left", yanchor="bottom",
                text=f"{word} {safe(row['tier'], 20)} {held(told)}",
                font={"size": 11, "color": colour(role)},
            )  # fmt: skip
            rows += 1
    more = _LABEL * (rows + 1)
    top = figure.layout.template.layout.margin.t or 0
    figure.update_layout(margin={"t": top + more}, height=_HEIGHT + more)

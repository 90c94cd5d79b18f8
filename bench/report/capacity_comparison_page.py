"""The page of two compared capacities: the verdict, the curves of both sides, the tiers.

It is drawn from the document of `bench.capacity.comparison` alone, and computes no figure. A is the
candidate, B what it is compared with.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from bench.capacity.loads import amount, load_words
from bench.report.compare_page import PAGE, TONES, head_of
from bench.report.marks import Upright, safe, uprights
from bench.report.page import filled, put_out
from bench.report.panels import Cell, Panel, Table, table_of
from bench.report.text import NOTHING, capital, held, interval, moment, quantity
from bench.report.theme import blank, colour

_SIDES: Final = {"a": ("A", "heard", "solid"), "b": ("B", "vad", "dash")}
_QUESTIONS: Final = {
    "first_audio_p95": ("How long is first audio waited for?", "p95 of first audio", "ms"),
    "good_turns": ("How many turns are good?", "good turns", "%"),
}

Step = dict[str, Any]


def write_capacity_comparison_page(found: dict[str, Any], folder: Path) -> Path:
    """Write `comparison.html` into `folder`. UsageError where it cannot be written."""
    return put_out(folder / PAGE, render(found), f"--out {folder}")


def render(found: dict[str, Any]) -> str:
    """The whole page as text."""
    return filled(
        "capacity_comparison.html",
        head_of(found)
        | {
            "why": capital(found["reasons"][0]),
            "reasons": [],  # the table of tiers says of each what it came to
            "sides": {
                f"{_SIDES[name][0]}: {side['name']}": (
                    f"{side['target']}, {side['probes']} runs, {moment(side['created'])}"
                )
                for name, side in found["sides"].items()
            },
            "deciding": _tiers(found),
            "panels": [panel for name in _QUESTIONS if (panel := _panel(found, name)) is not None],
            "margin": f"{found['margin']['percent']:g} %",
        },
    )


def _tiers(found: dict[str, Any]) -> Table | None:
    def end(side: dict[str, Any]) -> Cell:
        """What keeps a side from more: what breaks first with its stage, or the limit."""
        return side["binding"] or side["limit"] or NOTHING, side["stage"]

    return table_of(
        f"Each tier's capacity, in {load_words(found['load'])}, with its 95 % interval",
        {
            "tier": lambda row: row["tier"],
            "verdict": lambda row: row["verdict"],
            "A": lambda row: held(row["a"]),
            "B": lambda row: held(row["b"]),
            "change": lambda row: row["said"],
            "what ends A": lambda row: end(row["a"]),
            "what ends B": lambda row: end(row["b"]),
        },
        found["tiers"],
        numeric=("A", "B"),
        tone=lambda row: TONES.get(row["verdict"], ""),
    )


def _panel(found: dict[str, Any], name: str) -> Panel | None:
    """A figure of both sides against the load; None where neither side has a value."""
    question, words, unit = _QUESTIONS[name]
    curves: dict[str, list[Step]] = found["curves"][name]
    steps = [step for side in curves.values() for step in side]
    if all(step["value"] is None for step in steps):
        return None
    ends = [step[end] for step in steps for end in ("value", "low", "high")]
    top = 1.08 * max(end for end in (*ends, 1.0) if end is not None)
    figure = blank(360)
    for side, mine in curves.items():
        _add_bands(figure, mine, side, top)
    for side, mine in curves.items():
        figure.add_trace(_line(mine, side, unit))
    figure.update_xaxes(title={"text": load_words(found["load"])})
    figure.update_yaxes(title={"text": unit}, range=[-0.02 * top, top])
    _crossings(figure, found, [step["load"] for step in steps])
    caption = (
        f"{capital(words)} against {load_words(found['load'])}. The band joins the 95 % intervals "
        "of the runs at each load, up to the head where one has no end; an upright line is a "
        "capacity, shaded its 95 % interval. Void runs and those beyond the limit are left out"
    )
    said = []
    for side, mine in curves.items():
        known = [step for step in mine if step["value"] is not None]
        ends_of = known[:1] + known[1:][-1:]
        told = " and ".join(f"{_said(step, unit)} at {amount(step['load'])}" for step in ends_of)
        said += [f"{_SIDES[side][0]} {told}"] if told else []
    return Panel(name, question, f"{capital(words)}: {'; '.join(said)}.", [(caption, figure)])


def _said(step: Step, unit: str) -> str:
    return f"{quantity(step['value'], unit)} {interval(step['low'], step['high'], unit)}".rstrip()


def _add_bands(figure: go.Figure, steps: Sequence[Step], side: str, top: float) -> None:
    """Areas between both ends over neighbouring loads of which an interval is known.

    An end that is missing lies at the foot, or at the head, `top`.
    """
    for known, band in groupby(
        steps, key=lambda step: step["low"] is not None or step["high"] is not None
    ):
        if not known:
            continue
        mine = list(band)
        x = [step["load"] for step in mine]
        high = [top if step["high"] is None else step["high"] for step in mine]
        low = [step["low"] or 0.0 for step in mine]
        figure.add_trace(
            go.Scatter(
                x=[*x, *reversed(x)], y=[*high, *reversed(low)], fill="toself", mode="lines",
                line={"width": 0}, fillcolor=colour(_SIDES[side][1]), opacity=0.22,
                hoverinfo="skip", showlegend=False, name=f"band {side}",
            )
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


def _crossings(figure: go.Figure, found: dict[str, Any], loads: Sequence[float]) -> None:
    """The capacity of each tier and side as an upright line, its interval shaded."""
    told = [(side, row["tier"], row[side]) for row in found["tiers"] for side in _SIDES]
    ends = [one[end] for *_, one in told for end in ("capacity", "high")]
    edge = 1.06 * max(end for end in (1.0, *loads, *ends) if end is not None)
    lines = []
    for side, tier, one in told:
        word, role, dash = _SIDES[side]
        if not one["capacity"]:
            continue
        if not one["at_least"]:
            figure.add_vrect(
                one["low"] or 0.0, edge if one["high"] is None else one["high"],
                fillcolor=colour(role), opacity=0.12, line_width=0, layer="below",
            )  # fmt: skip
        label = f"{word} {safe(tier, 20)} {held(one)}"
        lines.append(Upright(one["capacity"], label, role, dash))
    figure.update_xaxes(range=[0, edge])
    uprights(figure, lines, 0.0, edge)

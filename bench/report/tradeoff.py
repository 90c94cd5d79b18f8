"""Wait against false cut-offs: the figure that decides the setting of a VAD.

Theory of operation
-------------------
A VAD that answers sooner cuts more callers off in mid-sentence. Each setting is a point: across the
share of turns it cut into several, up how long it takes to notice the end of speech. Down and left
is better, so only settings on the lower left edge are worth choosing between: the *front*, those
that no other setting beats in both.

Each point has its number and name beside it, placed so that no label covers another on a phone or
on a desk; a name that fits nowhere leaves its number, which the table under the figure explains.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bench.report.marks import safe
from bench.report.placing import Box, Line, Spot, places
from bench.report.run import Statistic
from bench.report.theme import blank, colour
from bench.report.words import missing, plain, with_interval

_HEIGHT: Final = 500
_MARGIN: Final = {"l": 58, "r": 14, "t": 12, "b": 50}
# The figure's own width, margins taken off, on a phone of 360 px and on a desk.
_WIDTHS: Final = (256.0, 960.0)
_PIECES: Final = 16
_FAR: Final = 8.0  # times: beyond it points would crowd
_TICKS: Final = (50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000, 20_000)
# A line of the figure in its own units: (x, x), (y, y).
Stroke = tuple[tuple[float, float], tuple[float, float]]


class Choice(NamedTuple):
    """One setting: its place in the sweep (from 1), its name, and what it does to a call."""

    number: int
    name: str
    label: str
    cut: Statistic | None
    half: Statistic | None
    most: Statistic | None

    @property
    def drawn(self) -> bool:
        """Whether both coordinates are known."""
        return not (
            self.cut is None
            or self.half is None
            or missing(self.cut.value)
            or missing(self.half.value)
        )

    @property
    def across(self) -> float:
        """Turns cut into several, in %."""
        return float(self.cut.value or 0.0) if self.cut else 0.0

    @property
    def up(self) -> float:
        """Endpointing delay at p50, in ms."""
        return float(self.half.value or 0.0) if self.half else 0.0


def front(choices: Sequence[Choice]) -> list[Choice]:
    """Those that no other beats in both, from the quickest to the most patient."""
    kept = [
        choice
        for choice in choices
        if not any(beats(other, choice) for other in choices if other is not choice)
    ]
    return sorted(kept, key=lambda choice: (choice.up, choice.across))


def beats(one: Choice, other: Choice) -> bool:
    """Whether `one` is at least as good in both and better in one."""
    as_good = one.up <= other.up and one.across <= other.across
    return as_good and (one.up < other.up or one.across < other.across)


class Frame(NamedTuple):
    """The axes: cut-offs from a little left of 0 to `right`, delays from `bottom` to `top` in ms.

    Delays that lie far apart stand on a logarithmic axis, for one slow p95 would press all points
    into a corner.
    """

    right: float
    bottom: float
    top: float
    logarithmic: bool

    def across(self, x: float) -> float:
        """Where a share stands, from the left, as a share of the width."""
        return (x + 0.03 * self.right) / (1.03 * self.right)

    def down(self, y: float) -> float:
        """Where a delay stands, from the top, as a share of the height."""
        if not self.logarithmic:
            return (self.top - y) / (self.top - self.bottom)
        return math.log(self.top / max(y, self.bottom)) / math.log(self.top / self.bottom)

    def axis(self, y: float) -> float:
        """A delay as plotly wants it of an annotation or a range."""
        return math.log10(y) if self.logarithmic else y


def frame(choices: Sequence[Choice]) -> Frame:
    """Axes that end beyond every interval and every p95."""
    right = max([1.0, *(max(choice.across, _high(choice.cut)) for choice in choices)])
    top = max([1.0, *(max(choice.up, _value(choice.most)) for choice in choices)])
    least = min(choice.up for choice in choices)
    right = min(103.0, 1.06 * right)
    if least > 0 and top > _FAR * least:
        return Frame(right, 0.6 * least, 1.15 * top, logarithmic=True)
    return Frame(right, min(0.0, least), 1.08 * top, logarithmic=False)


def trade_off(choices: Sequence[Choice]) -> go.Figure:
    """Table of settings → the trade-off figure."""
    best, axes = front(choices), frame(choices)
    figure = blank(_HEIGHT, showlegend=False, margin=_MARGIN)
    _reach(figure, choices)
    figure.add_trace(
        go.Scatter(
            x=[choice.across for choice in best],
            y=[choice.up for choice in best],
            mode="lines",
            line={"width": 1.5, "color": colour("ear"), "dash": "dot"},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[choice.across for choice in choices],
            y=[choice.up for choice in choices],
            mode="markers",
            name="setting",
            marker={
                "size": 12,
                "color": [colour("ear" if choice in best else "paper") for choice in choices],
                "line": {"width": 2, "color": colour("ear")},
            },
            customdata=[_hover(choice) for choice in choices],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    _labels(figure, choices, best, axes)
    figure.add_annotation(
        x=0, y=0, xref="paper", yref="paper", xanchor="left", yanchor="bottom", xshift=6, yshift=4,
        text="<b>↙ better</b>", showarrow=False, font={"size": 13, "color": colour("good")},
    )  # fmt: skip
    figure.update_xaxes(
        range=[-0.03 * axes.right, axes.right], title={"text": "turns cut into several"},
        ticksuffix=" %", showgrid=True, automargin=False, nticks=6,
    )  # fmt: skip
    figure.update_yaxes(
        range=[axes.axis(axes.bottom), axes.axis(axes.top)],
        title={"text": "end of speech noticed after, ms"},
        automargin=False,
    )
    if axes.logarithmic:
        ticks = [at for at in _TICKS if axes.bottom <= at <= axes.top]
        figure.update_yaxes(
            type="log", tickvals=ticks, ticktext=[plain(at) for at in ticks],
            title={"text": "end of speech noticed after, ms (logarithmic)"},
        )  # fmt: skip
    return figure


def _high(row: Statistic | None) -> float:
    return float(row.high) if row is not None and row.high is not None else 0.0


def _value(row: Statistic | None) -> float:
    return float(row.value) if row is not None and row.value is not None else 0.0


def _strokes(choice: Choice) -> list[Stroke]:
    """The interval of the cut-offs and the line from p50 to p95."""
    found = []
    if choice.cut is not None and choice.cut.low is not None and choice.cut.high is not None:
        found.append(((choice.cut.low, choice.cut.high), (choice.up, choice.up)))
    if choice.most is not None and choice.most.value is not None:
        found.append(((choice.across, choice.across), (choice.up, choice.most.value)))
    return found


def _reach(figure: go.Figure, choices: Sequence[Choice]) -> None:
    """Intervals and lines up to p95, pale under the points, in one trace with gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    for choice in choices:
        for across, up in _strokes(choice):
            x += [*across, None]
            y += [*up, None]
    if not x:
        return
    figure.add_trace(
        go.Scatter(
            x=x, y=y, mode="lines", line={"width": 2, "color": colour("ear")}, opacity=0.4,
            hoverinfo="skip",
        )
    )  # fmt: skip
    tops = [choice for choice in choices if choice.most and choice.most.value is not None]
    if tops:
        figure.add_trace(
            go.Scatter(
                x=[choice.across for choice in tops],
                y=[_value(choice.most) for choice in tops],
                mode="markers",
                name="p95",
                marker={
                    "symbol": "line-ew", "size": 11,
                    "line": {"width": 2, "color": colour("ear")},
                },
                opacity=0.6,
                customdata=[_hover(choice) for choice in tops],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )  # fmt: skip


def _lines(choices: Sequence[Choice], best: Sequence[Choice], axes: Frame) -> list[Line]:
    """What labels had better not cross: intervals, lines up to p95, and the line along the front.

    The last in short pieces, so that each takes no more room than it has.
    """
    found = [
        Line((axes.across(x[0]), axes.across(x[1])), (axes.down(y[0]), axes.down(y[1])))
        for choice in choices
        for x, y in _strokes(choice)
    ]
    for one, other in pairwise(best):
        x = np.linspace(axes.across(one.across), axes.across(other.across), _PIECES + 1)
        y = np.linspace(axes.down(one.up), axes.down(other.up), _PIECES + 1)
        found += [
            Line((float(x[at]), float(x[at + 1])), (float(y[at]), float(y[at + 1])))
            for at in range(_PIECES)
        ]
    return found


def _labels(
    figure: go.Figure, choices: Sequence[Choice], best: Sequence[Choice], axes: Frame
) -> None:
    """The number and name of each setting beside its point; the number alone where none fits."""
    height = _HEIGHT - _MARGIN["t"] - _MARGIN["b"]
    spots = [
        Spot(
            axes.across(choice.across),
            axes.down(choice.up),
            f"{choice.number} {choice.name}",
            str(choice.number),
        )
        for choice in choices
    ]
    corner = Box(0, height - 26, 84, height)
    found = places(
        spots, _lines(choices, best, axes), widths=_WIDTHS, height=height, taken=[corner]
    )
    for choice, place in zip(choices, found, strict=True):
        name = f" {safe(choice.name)}" if place and place.whole else ""
        figure.add_annotation(
            x=choice.across, y=axes.axis(choice.up), ax=place.right if place else 0,
            ay=place.down if place else -16, xanchor=place.anchor if place else "center",
            yanchor="middle", text=f"<b>{choice.number}</b>{name}",
            showarrow=True, arrowhead=0, arrowwidth=1, arrowcolor=colour("axis"), standoff=8,
            font={"size": 12, "color": colour("ink" if choice in best else "muted")},
        )  # fmt: skip


def _hover(choice: Choice) -> str:
    cut, half, most = choice.cut, choice.half, choice.most
    lines = [f"<b>{choice.number} {safe(choice.label)}</b>"]
    if half is not None:
        lines.append(f"p50 {with_interval(half.value, half.low, half.high, 'ms')}")
    if most is not None:
        lines.append(f"p95 {with_interval(most.value, most.low, most.high, 'ms')}")
    if cut is not None:
        lines.append(
            f"cut {with_interval(cut.value, cut.low, cut.high, '%')} of {plain(cut.n, '1')} turns"
        )
    return "<br>".join(lines)

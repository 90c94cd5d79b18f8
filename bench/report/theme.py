"""How the page looks: colours that mean one thing each, and the template every figure shares.

Theory of operation
-------------------
A colour is a role, not a taste: the colour of first audio is the same in the curves, in the stages
and in the timelines of single turns. Figures are drawn in the light colours. The page's script
swaps every light colour for its dark partner when the reader's system is dark, and back for print;
the stylesheet takes both sets as CSS variables from `stylesheet_colours`. So there is one table of
colours, and every light colour is distinct (the swap depends on it).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bench.plan.metrics import METRICS


class Colour(NamedTuple):
    """One role's colour on white and on black paper, as #rrggbb."""

    light: str
    dark: str
    means: str


COLOURS: Final = {
    "ink": Colour("#1b1f24", "#e8eaed", "text"),
    "muted": Colour("#59636e", "#a3adb8", "text that explains"),
    "grid": Colour("#e4e7eb", "#2b3138", "grid lines and rules"),
    "axis": Colour("#9aa3ad", "#5c6671", "axes and the line of truth"),
    "paper": Colour("#fefefe", "#15181c", "the page"),
    "card": Colour("#f6f7f9", "#1d2126", "boxes on the page"),
    "shade": Colour("#eef0f3", "#22272d", "time that is not measured"),
    "heard": Colour("#1f5fbf", "#7db4ff", "what the caller hears: the agent's voice"),
    "arrival": Colour("#0b8573", "#48cbb3", "what arrives: audio deltas of the agent"),
    "vad": Colour("#b7791f", "#f0b455", "the server's VAD: speech events and endpointing"),
    "thinking": Colour("#7a5bb5", "#b79df0", "the server between commit and response"),
    "commit": Colour("#b06a8c", "#e3a3c2", "the server's commit"),
    "player": Colour("#86a9dc", "#42689e", "waiting in the caller's player"),
    "caller": Colour("#46515e", "#b6c0cb", "the caller's own voice; sessions held"),
    "limit": Colour("#b3261e", "#ff8a80", "limits, bounds, failures"),
    "good": Colour("#1e7a3c", "#6fd08c", "within the limit"),
    "void": Colour("#8e3b8a", "#e59be0", "a run that proves nothing"),
    "doubt": Colour("#8a5a00", "#e8b64c", "not enough is known"),
    "cut": Colour("#aab2bc", "#4d5661", "cut short by the run itself: no fault"),
}

# Parts of the wait that are no metric, by their column (`bench.plan.stages`).
_PARTS: Final = {
    "asking_ns": "caller",
    "tools_ns": "caller",
    "jitter_buffer_ns": "player",
    "queued_ns": "player",
    "underrun_before_onset_ns": "doubt",
}

OUTCOME_COLOURS: Final = {
    "ok": "good",
    "late": "vad",
    "missed": "thinking",
    "timeout": "limit",
    "overloaded": "doubt",
    "error": "limit",
    "rejected": "commit",
    "dropped": "caller",
    "cut": "cut",
}

VERDICT_COLOURS: Final = {
    "pass": "good",
    "fail": "limit",
    "invalid": "void",
    "inconclusive": "doubt",
}

FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def colour(role: str) -> str:
    """The light colour of a role; the page knows its dark partner."""
    return COLOURS[role].light


def metric_colour(name: str) -> str:
    """The light colour of a metric, or of a column that is a part of the wait; else ink."""
    return colour(METRICS[name].colour if name in METRICS else _PARTS.get(name, "ink"))


def dark_of_light() -> dict[str, str]:
    """The swap: light colour → dark colour."""
    return {entry.light: entry.dark for entry in COLOURS.values()}


def stylesheet_colours(*, dark: bool) -> str:
    """The colours as CSS custom properties, `--role: #rrggbb;`."""
    return " ".join(
        f"--{role}: {entry.dark if dark else entry.light};" for role, entry in COLOURS.items()
    )


def _axis(**more: Any) -> dict[str, Any]:
    return {
        "gridcolor": colour("grid"),
        "linecolor": colour("axis"),
        "zeroline": False,
        "showline": False,
        "ticks": "",
        "automargin": True,
        "title": {"font": {"size": 12, "color": colour("muted")}, "standoff": 8},
        "tickfont": {"size": 12, "color": colour("muted")},
        "separatethousands": True,
        **more,
    }


TEMPLATE: Final = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": colour("ink")},
        "colorway": [colour("heard"), colour("arrival"), colour("vad"), colour("thinking")],
        "xaxis": _axis(ticks="outside", tickcolor=colour("axis"), showline=True),
        "yaxis": _axis(),
        "margin": {"l": 48, "r": 16, "t": 28, "b": 44},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": colour("paper"),
            "bordercolor": colour("axis"),
            "font": {"family": FONT, "size": 12, "color": colour("ink")},
            "align": "left",
            "namelength": 0,
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12, "color": colour("ink")},
            "itemclick": "toggle",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "separators": ".\u202f",
        "dragmode": False,
        "bargap": 0.0,
    }
)


def blank(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the page's look, `height` CSS pixels tall; it is as wide as its box."""
    return go.Figure(layout={"template": TEMPLATE, "height": height, "autosize": True, **layout})


def stacked(height: int, shares: Sequence[float], gap: float, **layout: Any) -> go.Figure:
    """Empty axes one above another that share their x; `shares` are their parts of the height."""
    figure = make_subplots(
        rows=len(shares), cols=1, shared_xaxes=True, row_heights=list(shares), vertical_spacing=gap
    )
    figure.update_layout(template=TEMPLATE, height=height, autosize=True, **layout)
    return figure

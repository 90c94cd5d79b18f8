"""The page of a comparison: the verdict, what changed, at which waits, which stage carries it.

It is drawn from the document of `bench.compare.sides` alone, and computes no figure: the same
file makes the same page years later. A is the candidate, B the baseline it is compared with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from bench.report.marks import whiskers
from bench.report.page import filled, put_out
from bench.report.panels import Cell, Panel, Table, table_of
from bench.report.text import (
    NOTHING,
    capital,
    chance_of,
    change_of,
    count,
    detectable_of,
    listing,
    moment,
    quantity,
    signed,
    value_of,
)
from bench.report.theme import blank, colour

PAGE: Final = "comparison.html"
ROLES: Final = {
    "improved": "good", "unchanged": "good", "regressed": "limit", "inconclusive": "doubt",
}  # fmt: skip
TONES: Final = {"regressed": "limit", "inconclusive": "quiet"}
_SIDES: Final = {"b": ("baseline", "caller", "dash"), "a": ("candidate", "heard", "solid")}
_DIFFERENCE: Final = "candidate less baseline"
_CARRIES: Final = 5.0
"""Percent of the whole that a stage must carry to be named."""


def write_page(found: dict[str, Any], folder: Path) -> Path:
    """Write `comparison.html` into `folder`. UsageError where it cannot be written."""
    return put_out(folder / PAGE, render(found), f"--out {folder}")


def render(found: dict[str, Any]) -> str:
    """The whole page as text."""
    why, *others = found["reasons"]
    rows, margin = found["rows"], found["margin"]
    panels = [panel for ask in (shifted, spread, carried) if (panel := ask(found)) is not None]
    aside = [row for row in rows if not row["family"]]
    aside.sort(key=lambda row: row["verdict"] not in {"regressed", "improved"})
    words = [row["verdict"] for row in aside]
    told = listing(f"{words.count(word)} {word}" for word in ROLES if word in words)
    return filled(
        "comparison.html",
        head_of(found)
        | {
            "why": capital(why),
            "reasons": others,
            "sides": {
                f"{capital(word)} ({name.upper()}): {found['sides'][name]['name']}":
                _side(found["sides"][name])
                for name, (word, *_) in _SIDES.items()
            },
            "deciding": _table("The rows that decide", [row for row in rows if row["family"]]),
            "others": _table("Figures that decide nothing", aside),
            "beside": f"Of {count(len(words), 'figure')} that decide nothing: {told}.",
            "panels": panels,
            "margin": f"{margin['percent']:g} % (at least 2 ms), of shares {margin['points']:g} "
            "points",
            "family": found["family"],
        },
    )  # fmt: skip


def head_of(found: dict[str, Any]) -> dict[str, Any]:
    """What every page of a comparison is filled with."""
    sides = found["sides"]
    return {
        "title": f"{found['verdict']}: {sides['a']['name']} against {sides['b']['name']}",
        "verdict": found["verdict"],
        "role": ROLES[found["verdict"]],
        "scenario": str(sides["a"]["scenario"]),
        "remarks": [capital(remark) + "." for remark in found["remarks"]],
    }


def _side(side: dict[str, Any]) -> Cell:
    runs = side["runs"]
    when = moment(str(runs[0]["created"] or ""))
    target = f"{side['target']} ({side['profile']})" if side.get("profile") else side["target"]
    return f"{target}, {count(len(runs), 'run')}", f"the first of {when}"


def _table(caption: str, rows: Sequence[dict[str, Any]]) -> Table | None:
    return table_of(
        caption,
        {
            "figure": lambda row: (row["metric"], row["statistic"]),
            "verdict": lambda row: (
                (row["verdict"], row["reason"]) if row["reason"] else row["verdict"]
            ),
            "baseline B": lambda row: value_of(row, "b"),
            "candidate A": lambda row: value_of(row, "a"),
            "change": change_of,
            "p, corrected": chance_of,
            "detectable change": detectable_of,
            "n of B, A": lambda row: (
                f"{row['n_b']}, {row['n_a']}", f"{row['sessions_b']}, {row['sessions_a']} sessions"
            ),
        },
        rows,
        numeric=("change", "baseline B", "candidate A", "p, corrected", "detectable change",
                 "n of B, A"),
        tone=lambda row: TONES.get(row["verdict"], ""),
    )  # fmt: skip


def shifted(found: dict[str, Any]) -> Panel | None:
    """The change at each decile of the wait, with its band."""
    steps = [step for step in (found["shift"] or {}).get("deciles", ())
             if step["low"] is not None and step["high"] is not None]  # fmt: skip
    if not steps:
        return None
    x = [100 * step["q"] for step in steps]
    figure = blank(320)
    figure.add_hline(y=0, line={"color": colour("axis"), "width": 1})
    figure.add_trace(
        go.Scatter(
            x=[*x, *reversed(x)],
            y=[*(step["high"] for step in steps), *(step["low"] for step in reversed(steps))],
            fill="toself", mode="lines", line={"width": 0}, fillcolor=colour("player"),
            opacity=0.35, hoverinfo="skip", showlegend=False,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=x,
            y=[step["difference"] for step in steps],
            mode="lines+markers",
            line={"color": colour("heard"), "width": 2},
            marker={"size": 8},
            customdata=[[signed(step["low"]), signed(step["high"])] for step in steps],
            hovertemplate="<b>%{y:+,.1f} ms</b> [%{customdata[0]}, %{customdata[1]}]"
            "<br>at the %{x:.0f} % quickest<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_xaxes(title={"text": "share of turns that waited no longer"}, ticksuffix=" %")
    figure.update_yaxes(title={"text": f"{_DIFFERENCE}, ms"})
    said = [
        f"{signed(step['difference'])} ms [{signed(step['low'])}, {signed(step['high'])}] at the "
        f"{100 * step['q']:.0f} % quickest"
        for step in (steps[0], steps[-1])
    ]
    answer = f"{', '.join(said)}."
    if steps[-1]["q"] < found["shift"]["deciles"][-1]["q"]:
        answer += " Beyond that turns timed out, and there is no change to tell."
    caption = f"Change of {found['shift']['metric']} at each decile; the band is its 95 % interval"
    note = (
        "A change that is the same everywhere is a delay that was added; one that grows to the "
        "right is a slower server, or a longer tail."
    )
    return Panel("shift", "At which waits does it show?", answer, [(caption, figure)], notes=[note])


def spread(found: dict[str, Any]) -> Panel | None:
    """Both curves: the share of turns at or below a wait."""
    curves = (found["shift"] or {}).get("ecdf", {})
    if not any(curve["ms"] for curve in curves.values()):
        return None
    figure = blank(360)
    for name, (word, role, dash) in _SIDES.items():
        figure.add_trace(
            go.Scatter(
                x=curves[name]["ms"],
                y=curves[name]["below"],
                name=word,
                mode="lines",
                line={"shape": "hv", "width": 2, "color": colour(role), "dash": dash},
                hovertemplate=f"<b>%{{x:,.0f}} ms</b> {word}"
                "<br>%{y:.1f} % of turns at or below<extra></extra>",
            )
        )
    metric = found["shift"]["metric"]
    figure.update_xaxes(title={"text": f"{metric}, ms"})
    figure.update_yaxes(range=[0, 104], ticksuffix=" %")
    rows = {row["statistic"]: row for row in found["rows"] if row["metric"] == metric}
    said = [
        f"{word} {value_of(rows[word], 'a')} against {value_of(rows[word], 'b')}"
        for word in ("p50", "p95")
        if word in rows and rows[word]["p"] is not None
    ]
    answer = (
        f"Candidate against baseline: {listing(said)}."
        if said
        else "Too few callers heard an answer."
    )
    vain = [
        f"{100 - curves[name]['below'][-1]:.1f} % of the {word}'s turns"
        for name, (word, *_) in _SIDES.items()
        if curves[name]["below"] and curves[name]["below"][-1] < 99.95
    ]
    if vain:
        answer += f" {capital(listing(vain))} were never answered: there a curve ends."
    caption = "Share of turns at or below a wait, all runs of a side together"
    return Panel("spread", "How are the waits spread?", answer, [(caption, figure)])


def carried(found: dict[str, Any]) -> Panel | None:
    """The change of the mean of each stage; they add up to that of the whole."""
    if not found["attribution"]:
        return None
    *stages, whole = found["attribution"]
    figure = blank(90 + 34 * len(stages), bargap=0.35)
    changes = [stage["difference"] for stage in stages]
    ends = [(stage["low"], stage["high"]) if _is_known(stage) else (None, None) for stage in stages]
    figure.add_trace(
        go.Bar(
            x=changes,
            y=[stage["stage"] for stage in stages],
            orientation="h",
            marker={"color": [_tone(stage) for stage in stages], "opacity": 0.8},
            error_x=whiskers(changes, ends, colour("ink")),
            hovertemplate="<b>%{x:+,.1f} ms</b> %{y}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_xaxes(
        title={"text": f"{_DIFFERENCE}, mean ms"}, zeroline=True, zerolinecolor=colour("axis")
    )
    figure.update_yaxes(autorange="reversed")
    columns = {
        "stage": lambda entry: entry["stage"],
        "baseline B": lambda entry: quantity(entry["b"], "ms"),
        "candidate A": lambda entry: quantity(entry["a"], "ms"),
        "change": lambda entry: f"{signed(entry['difference'])} ms",
        "95 % interval": lambda entry: (
            f"{signed(entry['low'])} to {signed(entry['high'])}" if _is_known(entry) else NOTHING
        ),
        "of the whole": lambda entry: (
            NOTHING if entry["share"] is None else f"{round(entry['share'])} %"
        ),
    }  # fmt: skip
    caption = "The stages of the wait, in means"
    table = table_of(caption, columns, (*stages, whole), numeric=[*columns][1:])
    return Panel(
        "carried",
        "Which stage carries the change?",
        _carries(stages, whole),
        [("Change of the mean of each stage, with its 95 % interval", figure)],
        [table] if table else [],
    )


def _is_known(stage: dict[str, Any]) -> bool:
    return stage["low"] is not None and stage["high"] is not None


def _tone(stage: dict[str, Any]) -> str:
    """Red and green for what changed beyond chance alone."""
    if stage["low"] is not None and stage["low"] > 0:
        return colour("limit")
    if stage["high"] is not None and stage["high"] < 0:
        return colour("good")
    return colour("axis")


def _carries(stages: Sequence[dict[str, Any]], whole: dict[str, Any]) -> str:
    """The sentence that names the stages that changed beyond chance, the largest first."""
    sure = [
        stage
        for stage in stages
        if stage["low"] is not None
        and stage["high"] is not None
        and (stage["low"] > 0 or stage["high"] < 0)
        and (stage["share"] is None or abs(stage["share"]) >= _CARRIES)
    ]
    total = f"The mean wait changed by {signed(whole['difference'])} ms"
    if not sure:
        return f"{total}; no stage changed by more than chance may do."
    named = listing(
        f"{stage['stage']} {signed(stage['difference'])} ms"
        for stage in sorted(sure, key=lambda stage: -abs(stage["difference"]))
    )
    return f"{total}: {named} (beyond chance; means add up)."

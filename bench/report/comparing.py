"""The page of a comparison: the verdict, what changed, at which waits, which stage carries it.

It is drawn from the document of `bench.compare` alone, and computes no figure: the same
file makes the same page years later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from bench.errors import UsageError
from bench.report.changes import chance_of, change_of, detectable_of, signed, value_of
from bench.report.page import filled
from bench.report.panel import Cell, Panel, Table
from bench.report.theme import blank, colour
from bench.report.words import NOTHING, capital, count, listing, moment, quantity
from bench.runs.folder import replace_file

PAGE: Final = "comparison.html"
ROLES: Final = {
    "improved": "good", "unchanged": "good", "regressed": "limit", "inconclusive": "doubt",
}  # fmt: skip
_SIDES: Final = {"a": ("A", "heard"), "b": ("B", "caller")}
_CARRIES: Final = 5.0
"""Percent of the whole that a stage must carry to be named."""


def write_page(found: dict[str, Any], folder: Path) -> Path:
    """Write `comparison.html` into `folder`. UsageError where it cannot be written."""
    return put_page(render(found), folder)


def put_page(text: str, folder: Path) -> Path:
    """Write a page as the `comparison.html` of `folder`. UsageError where it cannot be written."""
    path = folder / PAGE
    try:
        replace_file(path, text)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written: {error.strerror or error}") from None
    return path


def render(found: dict[str, Any]) -> str:
    """The whole page as text."""
    verdict, sides = found["verdict"], found["sides"]
    why, *others = found["reasons"]
    margin = found["margin"]
    panels = [panel for ask in (shifted, spread, carried) if (panel := ask(found)) is not None]
    told = {
        "title": f"{verdict}: {sides['a']['name']} against {sides['b']['name']}",
        "verdict": verdict,
        "role": ROLES[verdict],
        "why": capital(why),
        "reasons": others,
        "scenario": str(sides["a"]["scenario"]),
        "sides": [
            (f"{_SIDES[name][0]}: {side['name']}", _side(side)) for name, side in sides.items()
        ],
        "deciding": _table("The rows that decide", found["rows"], decide=True),
        "others": _table(
            "Figures that decide nothing", _changed_first(found["rows"]), decide=False
        ),
        "beside": _beside(found["rows"]),
        "remarks": [capital(remark) + "." for remark in found["remarks"]],
        "panels": panels,
        "margin": f"{margin['percent']:g} % (at least 2 ms), of shares {margin['points']:g} points",
        "family": found["family"],
    }
    return filled("comparison.html", told)


def _changed_first(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["verdict"] not in {"regressed", "improved"})


def _beside(rows: Sequence[dict[str, Any]]) -> str:
    """How many of the rows that decide nothing came out how."""
    words = [row["verdict"] for row in rows if not row["family"]]
    told = [f"{words.count(word)} {word}" for word in ROLES if word in words]
    return f"Of {count(len(words), 'figure')} that decide nothing: {listing(told)}."


def _side(side: dict[str, Any]) -> Cell:
    runs = side["runs"]
    when = moment(str(runs[0]["created"] or ""))
    target = f"{side['target']} ({side['profile']})" if side.get("profile") else side["target"]
    return f"{target}, {count(len(runs), 'run')}", f"the first of {when}"


def _table(caption: str, rows: Sequence[dict[str, Any]], *, decide: bool) -> Table:
    shown = [row for row in rows if bool(row["family"]) is decide]
    cells: list[list[Cell]] = []
    for row in shown:
        change, interval = change_of(row)
        p = chance_of(row)
        cells.append([
            (row["metric"], row["statistic"]),
            (row["verdict"], row["reason"]) if row["reason"] else row["verdict"],
            (change, interval), value_of(row, "b"), value_of(row, "a"), p, detectable_of(row),
            (f"{row['n_b']}, {row['n_a']}", f"{row['sessions_b']}, {row['sessions_a']} sessions"),
        ])  # fmt: skip
    return Table(
        caption,
        ("figure", "verdict", "change", "B", "A", "p, corrected", "would have seen", "n of B, A"),
        cells,
        numeric=frozenset({2, 3, 4, 5, 6, 7}),
        tones=[
            {"regressed": "limit", "inconclusive": "quiet"}.get(r["verdict"], "") for r in shown
        ],
    )


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
    figure.update_yaxes(title={"text": "A less B, ms"})
    said = [
        f"{signed(step['difference'])} ms [{signed(step['low'])}, {signed(step['high'])}] at the "
        f"{100 * step['q']:.0f} % quickest"
        for step in (steps[0], steps[-1])
    ]
    answer = f"{', '.join(said)}."
    if steps[-1]["q"] < found["shift"]["deciles"][-1]["q"]:
        answer += " Beyond that somebody waited in vain, and there is no change to tell."
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
    for name, (word, role) in _SIDES.items():
        figure.add_trace(
            go.Scatter(
                x=curves[name]["ms"],
                y=curves[name]["below"],
                name=word,
                mode="lines",
                line={
                    "shape": "hv", "width": 2, "color": colour(role),
                    "dash": "solid" if name == "a" else "dash",
                },
                hovertemplate=f"<b>%{{x:,.0f}} ms</b> {word}"
                "<br>%{y:.1f} % of turns at or below<extra></extra>",
            )
        )  # fmt: skip
    metric = found["shift"]["metric"]
    figure.update_xaxes(title={"text": f"{metric}, ms"})
    figure.update_yaxes(range=[0, 104], ticksuffix=" %")
    rows = {row["statistic"]: row for row in found["rows"] if row["metric"] == metric}
    said = [
        f"{word} {value_of(rows[word], 'a')} against {value_of(rows[word], 'b')}"
        for word in ("p50", "p95")
        if word in rows and rows[word]["p"] is not None
    ]
    answer = f"A against B: {listing(said)}." if said else "Too few callers heard an answer."
    vain = [
        f"{100 - curves[name]['below'][-1]:.1f} % of {word}"
        for name, (word, _) in _SIDES.items()
        if curves[name]["below"] and curves[name]["below"][-1] < 99.95
    ]
    if vain:
        answer += f" {capital(listing(vain))} waited in vain: there a curve ends."
    caption = "Share of turns at or below a wait, all runs of a side together"
    return Panel("spread", "How are the waits spread?", answer, [(caption, figure)])


def carried(found: dict[str, Any]) -> Panel | None:
    """The change of the mean of each stage; they add up to that of the whole."""
    if not found["attribution"]:
        return None
    *stages, whole = found["attribution"]
    figure = blank(90 + 34 * len(stages))
    colours = [_tone(stage) for stage in stages]
    known = [stage["low"] is not None and stage["high"] is not None for stage in stages]
    figure.add_trace(
        go.Bar(
            x=[stage["difference"] for stage in stages],
            y=[stage["stage"] for stage in stages],
            orientation="h",
            marker={"color": colours, "opacity": 0.8},
            error_x={
                "type": "data", "symmetric": False, "color": colour("ink"), "thickness": 1.5,
                "array": [stage["high"] - stage["difference"] if told else 0
                          for stage, told in zip(stages, known, strict=True)],
                "arrayminus": [stage["difference"] - stage["low"] if told else 0
                               for stage, told in zip(stages, known, strict=True)],
            },
            hovertemplate="<b>%{x:+,.1f} ms</b> %{y}<extra></extra>",
            showlegend=False,
        )
    )  # fmt: skip
    figure.update_layout(bargap=0.35)
    figure.update_xaxes(title={"text": "A less B, mean ms"}, zeroline=True,
                        zerolinecolor=colour("axis"))  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    rows: list[list[Cell]] = [
        [entry["stage"], quantity(entry["b"], "ms"), quantity(entry["a"], "ms"),
         f"{signed(entry['difference'])} ms",
         NOTHING if entry["low"] is None or entry["high"] is None
         else f"{signed(entry['low'])} to {signed(entry['high'])}",
         NOTHING if entry["share"] is None else f"{round(entry['share'])} %"]
        for entry in (*stages, whole)
    ]  # fmt: skip
    return Panel(
        "carried",
        "Which stage carries the change?",
        _carries(stages, whole),
        [("Change of the mean of each stage, with its 95 % interval", figure)],
        [Table("The stages of the wait, in means", ("stage", "B", "A", "change", "95 % interval",
               "of the whole"), rows, numeric=frozenset({1, 2, 3, 4, 5}))],
    )  # fmt: skip


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

"""Figure on slow turns: was it the generator, the network or the server?"""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.report.marks import METRIC_WORDS, TURN_HOVER, remarks, thin, turn_ids
from bench.report.panel import Panel
from bench.report.run import Run, flag, numbers, said_ns, texts
from bench.report.theme import blank, colour
from bench.report.words import count, listing, quantity

_WHO: Final = {
    "server": ("the server's: sent, read and carried on time", "arrival", "circle"),
    "network": ("the network's: its connection lost segments", "thinking", "diamond"),
    "generator": ("the generator's: it sent or read late", "limit", "x"),
}
_SLOW: Final = 0.95


def blame(run: Run) -> Panel | None:
    """Every answer by who may have made it slow; none where the run did not look."""
    turns = run.turns[flag(run.turns, "measured") | flag(run.turns, "set_aside")]
    if "slowed_by" not in turns:
        return None
    key, question = "blame", "Who made slow turns slow?"
    at = (said_ns(turns) - run.origin_ns) / 1e9
    wait = numbers(turns, run.wait)
    turns = turns.assign(at=at, wait=wait)[at.notna() & wait.notna()]
    if turns.empty:
        return Panel(key, question, "No turn was answered, so none was slow.")
    edge = float(np.quantile(turns["wait"], _SLOW))
    drawn, note = thin(turns)
    figure = blank(320)
    for who, (words, role, symbol) in _WHO.items():
        mine = drawn[texts(drawn, "slowed_by") == who]
        if not mine.empty:
            _trace(figure, mine, words, role, symbol)
    figure.add_hline(
        y=edge, line={"color": colour("axis"), "width": 1.5, "dash": "dot"},
        annotation_text=f"one in twenty is above {quantity(edge, 'ms')}",
        annotation_position="top left",
        annotation_font={"size": 11, "color": colour("muted")},
    )  # fmt: skip
    words = METRIC_WORDS.get(run.wait, run.wait.replace("_", " "))
    figure.update_layout(showlegend=True)  # one colour alone must be named, too
    figure.update_yaxes(title={"text": f"{words}, ms"}, rangemode="tozero")
    figure.update_xaxes(title={"text": "seconds since the run began"})
    caption = "Every answer at the second its question ended, by what was seen in its time"
    return Panel(
        key, question, _answer(run, turns[turns["wait"] >= edge], edge), [(caption, figure)],
        notes=remarks(note, _aside(run)),
    )  # fmt: skip


def _trace(figure: go.Figure, turns: pd.DataFrame, words: str, role: str, symbol: str) -> None:
    seen = np.stack(
        [
            numbers(turns, "send_lateness").to_numpy(),
            numbers(turns, "client_lag").to_numpy(),
            numbers(turns, "segments_lost").to_numpy(),
        ],
        axis=1,
    )
    ids = [[*one, *more] for one, more in zip(turn_ids(turns), seen.round(2).tolist(), strict=True)]
    place = len(ids[0]) - 3
    figure.add_trace(
        go.Scatter(
            x=turns["at"].to_numpy(),
            y=turns["wait"].to_numpy(),
            customdata=ids,
            mode="markers",
            name=words,
            marker={"size": 7, "opacity": 0.75, "color": colour(role), "symbol": symbol},
            hovertemplate=f"<b>%{{y:,.0f}} ms</b> at %{{x:.1f}} s<br>{TURN_HOVER}<br>"
            f"sent %{{customdata[{place}]}} ms late, read %{{customdata[{place + 1}]}} ms late, "
            f"%{{customdata[{place + 2}]}} segments lost<extra></extra>",
        )
    )


def _answer(run: Run, slow: pd.DataFrame, edge: float) -> str:
    who = texts(slow, "slowed_by").value_counts()
    parts = [f"{who.get(name, 0) or 'none'} the {name}'s" for name in _WHO]
    said = f"{count(len(slow), 'turn')} took {quantity(edge, 'ms')} or more: {listing(parts)}."
    server = run.about.get("reference") or {}
    if server.get("late_p99_ms") is not None:
        said += (
            " The reference server was itself at most "
            f"{quantity(server['late_p99_ms'], 'ms')} behind its own schedule at p99."
        )
    return said


def _aside(run: Run) -> str:
    aside = run.summary.get("set_aside") or {}
    if not aside.get("turns"):
        return ""
    return (
        f"{count(aside['turns'], 'turn')} that {count(aside['seconds'], 'bad second')} of the "
        "generator touched are drawn here and are in no figure of this page."
    )

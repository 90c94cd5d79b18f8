"""Panels on time: does it hold over the run and over a call, and who made slow turns slow?"""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.plan.metrics import METRICS
from bench.report.marks import aside, level, sampled, thin, turn_points
from bench.report.panels import Chart, Drawn, Question
from bench.report.run_data import Run, flag, numbers, once, said_ns, texts
from bench.report.text import (
    NO_DATA,
    count,
    listing,
    quantity,
    sample_size,
    seconds,
)
from bench.report.theme import blank, colour, metric_colour, stacked
from bench.tracker.outcomes import FAILED

RUN_SECONDS: Final = "seconds since the run began"
_BRIEF_S: Final = 0.2
"""Seconds of a phase that is too short to be shaded."""


def _timed(run: Run, turns: pd.DataFrame) -> pd.DataFrame:
    """Turns with `at`, the second of the run at which they were said, and `wait`, in ms."""
    at = (said_ns(turns) - run.origin_ns) / 1e9
    timed = turns.assign(at=at, wait=numbers(turns, run.wait))[at.notna()]
    return timed.sort_values(["at", "session"], kind="stable")


def _wait_axis(run: Run) -> dict[str, object]:
    return {"title": {"text": f"{METRICS[run.wait].label}, ms"}, "rangemode": "tozero"}


# ── did it hold over time? ───────────────────────────────────────────────────────────────────────


def _over_the_run(run: Run) -> Drawn:
    """Every answer at its second, above the sessions open."""
    turns = _timed(run, run.turns)
    answered = turns[turns["wait"].notna()]
    if answered.empty:
        return None, []
    figure = stacked(440, (0.74, 0.26), 0.07)
    drawn, note = thin(answered)
    figure.add_trace(
        turn_points(
            drawn, drawn["at"], drawn["wait"], "<b>%{y:,.0f} ms</b> at %{x:.1f} s", name="turn",
            marker={"size": 6, "opacity": 0.6, "color": metric_colour(run.wait)},
        ),
        row=1, col=1,
    )  # fmt: skip
    _add_median(figure, answered)
    failed = turns[texts(turns, "outcome").isin(FAILED) & turns["wait"].isna()]
    failed, lost = thin(failed)
    if not failed.empty:
        figure.add_trace(
            turn_points(
                failed, failed["at"], np.full(len(failed), 1.04 * answered["wait"].max()),
                "<b>%{customdata[3]}</b> at %{x:.1f} s", more=[[it] for it in failed["outcome"]],
                name="no answer",
                marker={
                    "symbol": "x-thin", "size": 8, "line": {"width": 2, "color": colour("limit")},
                },
            ),
            row=1, col=1,
        )  # fmt: skip
    held = sessions_open(run)
    for column, role, dash in (("intended", "axis", "dot"), ("open", "caller", "solid")):
        if held[column].notna().any():
            trace = sessions_line(held, column, role, dash)
            figure.add_trace(trace, row=2, col=1)
    shade_unmeasured(figure, run, named=True, row=1, col=1)
    figure.update_yaxes(_wait_axis(run), row=1, col=1)
    figure.update_yaxes(title={"text": "sessions"}, rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title={"text": RUN_SECONDS}, row=2, col=1)
    return figure, [note, lost]


def _add_median(figure: go.Figure, turns: pd.DataFrame) -> None:
    """The median of the turns around each: a tenth of them, between 9 and 101."""
    window = min(101, max(9, len(turns) // 10 | 1))
    if len(turns) < 2 * window:
        return
    around = turns["wait"].rolling(window, center=True, min_periods=window // 2 + 1)
    line, _ = thin(pd.DataFrame({"at": turns["at"], "median": around.median()}), 600)
    figure.add_trace(
        go.Scatter(
            x=line["at"].to_numpy(), y=line["median"].to_numpy(), mode="lines",
            name=f"median of {window}", line={"color": colour("ink"), "width": 2},
            hoverinfo="skip",
        ),
        row=1, col=1,
    )  # fmt: skip


@once
def sessions_open(run: Run) -> pd.DataFrame:
    """Columns at (seconds), open, intended (NaN if unknown): from health, else from sessions."""
    if run.health is not None and not run.health.empty:
        second = ((run.health["at_ns"] - run.origin_ns) / 1e9).round()
        table = (
            run.health.assign(at=second)
            .groupby("at", as_index=False)
            .agg(open=("sessions_open", "sum"), intended=("sessions_intended", "sum"))
        )
        return table.astype(float)
    begin = numbers(run.sessions, "ready_ns").dropna()
    end = numbers(run.sessions, "ended_ns")[begin.index].dropna()
    steps = pd.concat([pd.Series(1.0, index=begin), pd.Series(-1.0, index=end)]).sort_index()
    held = steps.cumsum()
    return pd.DataFrame(
        {"at": (held.index - run.origin_ns) / 1e9, "open": held.to_numpy(), "intended": np.nan}
    )


def sessions_line(held: pd.DataFrame, column: str, role: str, dash: str) -> go.Scatter:
    """Sessions over the seconds of a run: a column of `sessions_open`."""
    return go.Scatter(
        x=held["at"].to_numpy(),
        y=held[column].to_numpy(),
        mode="lines",
        name=column,
        line={"shape": "hv", "width": 2, "color": colour(role), "dash": dash},
        hovertemplate=f"<b>%{{y:.0f}}</b> sessions {column} at %{{x:.0f}} s<extra></extra>",
    )


def shade_unmeasured(figure: go.Figure, run: Run, *, named: bool, **where: int) -> None:
    """Shade what is not measured: warm-up before, drain after."""
    begin, end, last = (
        None if run.plan.get(name) is None else (run.plan[name] - run.origin_ns) / 1e9
        for name in ("measured_from_ns", "measured_to_ns", "end_ns")
    )
    for start, stop, name in ((0.0, begin, "warm-up"), (end, last, "drain")):
        if start is not None and stop is not None and stop - start >= _BRIEF_S:
            label: dict[str, object] = {
                "annotation_text": name, "annotation_position": "bottom left",
                "annotation_font": {"size": 11, "color": colour("muted")},
            }  # fmt: skip
            figure.add_vrect(
                x0=start, x1=stop, fillcolor=colour("cut"), opacity=0.2, layer="below",
                line={"width": 0}, **(label if named else {}), **where,
            )  # fmt: skip


def _thirds(run: Run) -> str:
    """The medians of the first and the last third of the measured phase, in words."""
    turns = sampled(run.counted, run.wait)
    turns = turns.assign(said=said_ns(turns)).sort_values("said", kind="stable")
    if len(turns) < 9:
        return f"Too few answers ({len(turns)}) to tell a trend."
    third = len(turns) // 3
    first, last = turns["value"].iloc[:third].median(), turns["value"].iloc[-third:].median()
    span = (run.plan.get("measured_to_ns") or 0) - (run.plan.get("measured_from_ns") or 0)
    over = f" over {seconds(span)}" if span > 0 else ""
    change = quantity(100.0 * (last - first) / first, "%") if first else NO_DATA
    return (
        f"The median answer took {quantity(first, 'ms')} in the first third of the measured turns "
        f"and {quantity(last, 'ms')} in the last{over} ({'+' if last >= first else ''}{change})."
    )


def _most_open(run: Run) -> str:
    held = sessions_open(run)
    if held.empty:
        return "How many sessions were open is not known."
    most = int(held["open"].max())
    return f"At most {count(most, 'session')} {'was' if most == 1 else 'were'} open at once."


OVER_TIME: Final = Question(
    "over-time",
    "Did it hold over time?",
    says=(_thirds, _most_open),
    charts=(
        Chart("Every answer at the second its question ended; below, sessions open", _over_the_run),
    ),
    empty=lambda _run: "No turn was answered, so there is no latency to follow.",
)


# ── does it slow down as the call goes on? ───────────────────────────────────────────────────────

_AGED: Final = "first_audio_latency"
_LONG: Final = 5  # turns: a shorter call has no trend to speak of (the metric's own bound)


def by_turn(turns: pd.DataFrame) -> pd.DataFrame:
    """Columns turn, low, middle, high (quartiles of `value`) and n, one row a turn number."""
    grouped = turns.groupby("turn")["value"]
    quartiles = {"low": 0.25, "middle": 0.5, "high": 0.75}
    columns = {name: grouped.quantile(level) for name, level in quartiles.items()}
    return pd.DataFrame(columns | {"n": grouped.size()}).reset_index()


def _over_the_call(run: Run) -> Drawn:
    """First audio by turn number with the median and its quartiles."""
    turns = sampled(run.counted, _AGED)
    middle = by_turn(turns)
    drawn, note = thin(turns.sort_values(["turn", "session"], kind="stable"))
    figure = blank(360)
    figure.add_trace(
        turn_points(
            drawn, drawn["turn"] + 0.3 * aside(len(drawn)), drawn["value"],
            "<b>%{y:,.0f} ms</b>", name="turn",
            marker={"size": 4, "opacity": 0.4, "color": metric_colour(_AGED)},
        )
    )  # fmt: skip
    turn, low, high = (middle[name].to_numpy() for name in ("turn", "low", "high"))
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([turn, turn[::-1]]), y=np.concatenate([high, low[::-1]]),
            mode="lines", fill="toself", fillcolor=metric_colour(_AGED), opacity=0.22,
            line={"width": 0, "color": metric_colour(_AGED)}, name="middle half", hoverinfo="skip",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=turn,
            y=middle["middle"].to_numpy(),
            mode="lines+markers",
            name="median",
            line={"width": 2, "color": colour("ink")},
            marker={"size": 5},
            customdata=[count(int(number), "answer") for number in middle["n"]],
            hovertemplate="median of turn %{x}: <b>%{y:,.0f} ms</b><br>%{customdata}"
            "<extra></extra>",
        )
    )
    each = 1 if len(middle) <= 15 else None
    figure.update_xaxes(title={"text": "turn of the call"}, dtick=each, showgrid=False)
    figure.update_yaxes(title={"text": "first audio, ms"}, rangemode="tozero")
    return figure, [note]


def _drift(run: Run) -> str:
    drift, middle = run.statistic("latency_drift", "p50"), by_turn(sampled(run.counted, _AGED))
    first, last = middle.iloc[0], middle.iloc[-1]
    ends = (
        f"The median first audio is {quantity(float(first['middle']), 'ms')} in turn "
        f"{int(first['turn'])} and {quantity(float(last['middle']), 'ms')} in turn "
        f"{int(last['turn'])}."
    )
    if not drift.known:
        return f"{ends} How much it grows within a session is not known."
    over = f"{drift.whole} a turn in the median session ({sample_size(drift.n)})"
    if drift.low is None or drift.high is None:
        return f"It changes by {over}; without an interval that shows no trend. {ends}"
    if drift.low > 0:
        return f"Yes: it grows by {over}. {ends}"
    if drift.high < 0:
        return f"No: it gets quicker, by {over}. {ends}"
    return f"No drift is shown: {over}, and the interval holds 0. {ends}"


def _has_long_calls(run: Run) -> bool:
    turns = sampled(run.counted, _AGED)
    return not turns.empty and bool(turns.groupby("session").size().max() >= _LONG)


BY_TURN: Final = Question(
    "by-turn",
    "Does it slow down as the call goes on?",
    says=(_drift,),
    charts=(
        Chart(
            "Every answer at its turn; the line is the median of that turn, the band its middle "
            "half",
            _over_the_call,
        ),
    ),
    metrics=("latency_drift",),
    asked=_has_long_calls,
)


# ── who made slow turns slow? ────────────────────────────────────────────────────────────────────

_CAUSES: Final = {
    "server": ("the server's: sent, read and carried on time", "arrival", "circle"),
    "network": ("the network's: its connection lost segments", "thinking", "diamond"),
    "generator": ("the generator's: it sent or read late", "limit", "x"),
}
_SLOW: Final = 0.95


@once
def _answered(run: Run) -> tuple[pd.DataFrame, float]:
    """The answers that were measured, or excluded from it, and from which ms on one is slow."""
    turns = _timed(run, run.turns[flag(run.turns, "measured") | flag(run.turns, "set_aside")])
    turns = turns[turns["wait"].notna()]
    return turns, float(np.quantile(turns["wait"], _SLOW)) if len(turns) else 0.0


def _by_cause(run: Run) -> Drawn:
    """Every answer by who may have made it slow."""
    turns, edge = _answered(run)
    if turns.empty:
        return None, []
    drawn, note = thin(turns)
    figure = blank(320, showlegend=True)  # one colour alone must be named, too
    for who, (words, role, symbol) in _CAUSES.items():
        mine = drawn[texts(drawn, "slowed_by") == who]
        if mine.empty:
            continue
        columns = ("send_lateness", "client_lag", "segments_lost")
        seen = np.stack([numbers(mine, name).to_numpy() for name in columns], axis=1)
        figure.add_trace(
            turn_points(
                mine, mine["at"], mine["wait"],
                "<b>%{y:,.0f} ms</b> at %{x:.1f} s<br>sent %{customdata[3]} ms late, read "
                "%{customdata[4]} ms late, %{customdata[5]} segments lost",
                more=seen.round(2).tolist(), name=words,
                marker={"size": 7, "opacity": 0.75, "color": colour(role), "symbol": symbol},
            )
        )  # fmt: skip
    level(figure, edge, f"one in twenty is above {quantity(edge, 'ms')}", "muted")
    figure.update_yaxes(_wait_axis(run))
    figure.update_xaxes(title={"text": RUN_SECONDS})
    return figure, [note]


def _whose(run: Run) -> str:
    turns, edge = _answered(run)
    slow = turns[turns["wait"] >= edge]
    who = texts(slow, "slowed_by").value_counts()
    parts = [f"{who.get(name, 0) or 'none'} the {name}'s" for name in _CAUSES]
    said = f"{count(len(slow), 'turn')} took {quantity(edge, 'ms')} or more: {listing(parts)}."
    late = (run.about.get("reference") or {}).get("late_p99_ms")
    if late is None:
        return said
    return (
        f"{said} The reference server was itself at most {quantity(late, 'ms')} behind its own "
        "schedule at p99."
    )


def _excluded(run: Run) -> str:
    excluded = run.summary.get("set_aside") or {}
    if not excluded.get("turns"):
        return ""
    return (
        f"{count(excluded['turns'], 'turn')} that {count(excluded['seconds'], 'bad second')} of "
        "the generator touched are drawn here and are in no figure of this page."
    )


SLOW_TURNS: Final = Question(
    "slow-turns",
    "Who made slow turns slow?",
    says=(_whose,),
    charts=(
        Chart(
            "Every answer at the second its question ended, by what was seen in its time", _by_cause
        ),
    ),
    notes=(_excluded,),
    asked=lambda run: "slowed_by" in run.turns,
    empty=lambda _run: "No turn was answered, so none was slow.",
)

"""Figure on time passing: whether answers stayed as quick while sessions were held."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bench.report.marks import METRIC_WORDS, TURN_HOVER, remarks, sampled, thin, turn_ids
from bench.report.panel import Panel
from bench.report.run import Run, numbers, said_ns, texts
from bench.report.theme import TEMPLATE, colour, metric_colour
from bench.report.words import NO_DATA, count, quantity, seconds
from bench.tracker.outcomes import FAILED


def holding(run: Run) -> Panel:
    """Did it hold over time: every answer at its second, above the sessions open."""
    key, question = "holding", "Did it hold over time?"
    turns, wait = run.turns, run.wait
    at = (said_ns(turns) - run.origin_ns) / 1e9
    turns = turns.assign(at=at)[at.notna()].sort_values(["at", "session"], kind="stable")
    answered = turns[numbers(turns, wait).notna()]
    if answered.empty:
        return Panel(key, question, "No turn was answered, so there is no latency to follow.")
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.07
    )
    figure.update_layout(template=TEMPLATE, height=440, autosize=True)
    drawn, note = thin(answered)
    _scatter(figure, drawn, wait)
    _rolling(figure, answered, wait)
    missing = _failures(figure, turns, wait)
    held = _sessions(figure, run)
    _phases(figure, run, at)
    words = METRIC_WORDS.get(wait, wait.replace("_", " "))
    figure.update_yaxes(title={"text": f"{words}, ms"}, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title={"text": "sessions"}, rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title={"text": "seconds since the run began"}, row=2, col=1)
    caption = "Every answer at the second its question ended; below, sessions open"
    return Panel(
        key,
        question,
        f"{_drift(run)} {held}".strip(),
        [(caption, figure)],
        notes=remarks(note, missing),
    )


def _scatter(figure: go.Figure, turns: pd.DataFrame, wait: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=turns["at"].to_numpy(),
            y=numbers(turns, wait).to_numpy(),
            customdata=turn_ids(turns),
            mode="markers",
            name="turn",
            marker={"size": 6, "opacity": 0.6, "color": metric_colour(wait)},
            hovertemplate=f"<b>%{{y:,.0f}} ms</b> at %{{x:.1f}} s<br>{TURN_HOVER}<extra></extra>",
        ),
        row=1,
        col=1,
    )


def _rolling(figure: go.Figure, turns: pd.DataFrame, wait: str) -> None:
    """The median of the turns around each: a tenth of them, between 9 and 101."""
    window = min(101, max(9, len(turns) // 10 | 1))
    if len(turns) < 2 * window:
        return
    values = numbers(turns, wait)
    median = values.rolling(window, center=True, min_periods=window // 2 + 1).median()
    line, _ = thin(pd.DataFrame({"at": turns["at"], "median": median}), 600)
    figure.add_trace(
        go.Scatter(
            x=line["at"].to_numpy(),
            y=line["median"].to_numpy(),
            mode="lines",
            name=f"median of {window}",
            line={"color": colour("ink"), "width": 2},
            hoverinfo="skip",
        ),
        row=1,
        col=1,
    )


def _failures(figure: go.Figure, turns: pd.DataFrame, wait: str) -> str:
    """A cross above the answers for every turn without one; what thinning did."""
    top = float(numbers(turns, wait).max())
    failed = turns[texts(turns, "outcome").isin(FAILED)]
    failed = failed[numbers(failed, wait).isna()]
    failed, note = thin(failed)
    if failed.empty:
        return ""
    ids = [
        [*ids, outcome]
        for ids, outcome in zip(turn_ids(failed), texts(failed, "outcome"), strict=True)
    ]
    figure.add_trace(
        go.Scatter(
            x=failed["at"].to_numpy(),
            y=np.full(len(failed), 1.04 * top),
            customdata=ids,
            mode="markers",
            name="no answer",
            marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": colour("limit")}},
            hovertemplate="<b>%{customdata[3]}</b> at %{x:.1f} s<br>"
            f"{TURN_HOVER}<extra></extra>",
        ),
        row=1,
        col=1,
    )
    return note


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


def _sessions(figure: go.Figure, run: Run) -> str:
    held = sessions_open(run)
    if held.empty:
        return "How many sessions were open is not known."
    lines = (
        ("intended", "intended", "axis", "dot"),
        ("open", "open", "caller", "solid"),
    )
    for column, name, role, dash in lines:
        if held[column].isna().all():
            continue
        figure.add_trace(
            go.Scatter(
                x=held["at"].to_numpy(),
                y=held[column].to_numpy(),
                mode="lines",
                name=name,
                line={"shape": "hv", "width": 2, "color": colour(role), "dash": dash},
                hovertemplate=f"<b>%{{y:.0f}}</b> sessions {name} at %{{x:.0f}} s<extra></extra>",
            ),
            row=2,
            col=1,
        )
    most = int(held["open"].max())
    return f"At most {count(most, 'session')} {'was' if most == 1 else 'were'} open at once."


def _phases(figure: go.Figure, run: Run, at: pd.Series) -> None:
    """Shade what is not measured: warm-up before, drain after."""
    plan = run.plan
    begin, end = plan.get("measured_from_ns"), plan.get("measured_to_ns")
    last = max(float(at.max()), 0.0)
    spans = []
    if begin is not None:
        spans.append((0.0, (begin - run.origin_ns) / 1e9, "warm-up"))
    if end is not None and (end - run.origin_ns) / 1e9 < last:
        spans.append(((end - run.origin_ns) / 1e9, last, "drain"))
    for start, stop, name in spans:
        if stop - start < 0.2:
            continue
        figure.add_vrect(
            x0=start, x1=stop, fillcolor=colour("cut"), opacity=0.2, layer="below",
            line={"width": 0},
            annotation_text=name, annotation_position="bottom left",
            annotation_font={"size": 11, "color": colour("muted")}, row=1, col=1,
        )  # fmt: skip


def _drift(run: Run) -> str:
    """The medians of the first and the last third of the measured phase, in words."""
    turns = sampled(run.counted, run.wait)
    turns = turns.assign(said=said_ns(turns)).sort_values("said", kind="stable")
    if len(turns) < 9:
        return f"Too few answers ({len(turns)}) to tell a trend."
    third = len(turns) // 3
    first, last = turns["value"].iloc[:third].median(), turns["value"].iloc[-third:].median()
    plan = run.plan
    span = (plan.get("measured_to_ns") or 0) - (plan.get("measured_from_ns") or 0)
    over = f" over {seconds(span)}" if span > 0 else ""
    return (
        f"The median answer took {quantity(first, 'ms')} in the first third of the measured turns "
        f"and {quantity(last, 'ms')} in the last{over} "
        f"({'+' if last >= first else ''}{_change(first, last)})."
    )


def _change(before: float, after: float) -> str:
    """The relative change in percent, signed by its minus only."""
    return quantity(100.0 * (after - before) / before, "%") if before else NO_DATA

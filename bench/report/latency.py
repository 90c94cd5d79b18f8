"""Figures on time: how long a caller waits, where that time goes, and whether it holds."""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bench.report.panel import (
    TURN_HOVER,
    Panel,
    Table,
    curve,
    gate_lines,
    half_and_most,
    marks,
    room,
    sampled,
    share_axis,
    thin,
    turn_ids,
)
from bench.report.run import Run, numbers, texts
from bench.report.theme import TEMPLATE, blank, colour, metric_colour
from bench.report.words import count, listing, plain, quantity, seconds, share

_WAITS: Final = {
    "voice_to_voice_latency": "voice to voice: the first audible sample plays",
    "first_audio_latency": "first audio: the first delta arrives",
}
_FAILED: Final = ("late", "missed", "timeout", "error", "rejected", "dropped")
_MOST_BARS: Final = 240


class Stage(NamedTuple):
    """A part of the wait. `column` is in the turn table, in ms (or ns where it ends in _ns)."""

    name: str
    column: str
    about: str


# In the order of time; together they are voice_to_voice, turn by turn (measurement.md, identity).
STAGES: Final = (
    Stage("endpointing", "endpointing_delay", "waiting until the server says speech has stopped"),
    Stage("commit", "commit_delay", "from speech_stopped to committed"),
    Stage("response start", "response_start_delay", "from committed to response.created"),
    Stage("generation", "generation_delay", "from response.created to the first audio delta"),
    Stage("jitter buffer", "jitter_buffer_ns", "held back by the caller's player"),
    Stage("queued", "queued_ns", "waiting behind earlier audio in the caller's player"),
    Stage("leading silence", "leading_silence", "silence at the head of the reply"),
    Stage(
        "starved", "underrun_before_onset_ns", "the player ran dry before the first audible sample"
    ),
)


def waiting(run: Run) -> Panel:
    """How long until the caller hears a voice: two curves, their quantiles, the gates."""
    key, question = "waiting", "How long until the caller hears a voice?"
    turns, notes = run.measured, []
    figure = blank(420)
    values: list[float] = []
    for metric, name in _WAITS.items():
        trace, note = curve(turns, metric, name)
        if trace is None:
            continue
        figure.add_trace(trace)
        values += [float(value) for value in trace.x]
        notes.append(note)
    if not values:
        return Panel(key, question, _unheard(run))
    for metric, position in zip(_WAITS, ("bottom right", "top left"), strict=True):
        if trace := marks(run.statistics(metric), metric, position=position):
            figure.add_trace(trace)
    limits = gate_lines(figure, run, list(_WAITS))
    last = run.statistics("voice_to_voice_latency").get("p99")
    upper, beyond = room(values, last.value if last else None)
    share_axis(
        figure, max([upper, *(1.08 * limit for limit in limits)]), "ms after the caller's last word"
    )
    answer = " ".join(
        part
        for part in (
            half_and_most(run.statistics("voice_to_voice_latency"), "the callers heard a voice"),
            half_and_most(run.statistics("first_audio_latency"), "the first audio deltas arrived"),
            _without(turns, "voice_to_voice_latency"),
        )
        if part
    )
    caption = "Share of turns answered within a time; bars are 95 % intervals"
    return Panel(key, question, answer, [(caption, figure)], notes=_said(*notes, beyond))


def _unheard(run: Run) -> str:
    if run.measured.empty:
        return "No turn began in the measured phase, so there is nothing to draw."
    return (
        f"Nobody heard a voice: none of {count(len(run.measured), 'measured turn')} has an "
        "audible answer. The outcomes below say what became of them."
    )


def _without(turns: pd.DataFrame, metric: str) -> str:
    lacking = turns[numbers(turns, metric).isna()]
    if lacking.empty:
        return ""
    kinds = texts(lacking, "outcome").value_counts()
    said = listing(f"{number} {kind}" for kind, number in kinds.items())
    return (
        f"{count(len(lacking), 'turn')} of {plain(len(turns))} ({said}) never got that far: "
        "they are not on the curve, and count in the shares."
    )


def _said(*notes: str) -> list[str]:
    return list(dict.fromkeys(note for note in notes if note))


def stages(run: Run) -> Panel:
    """Where the time went: one stack per turn, sorted; never a sum of percentiles."""
    key, question = "stages", "Where did the time go?"
    turns = sampled(run.measured, "voice_to_voice_latency")
    parts = _parts(turns)
    if turns.empty or not parts:
        return Panel(key, question, "No turn has both an audible answer and its stages.")
    drawn, note = thin(turns, _MOST_BARS)
    figure = blank(380, barmode="relative", bargap=0.08 if len(drawn) < 60 else 0.0)
    heard = numbers(drawn, "value")
    for stage in parts:
        figure.add_trace(
            go.Bar(
                x=np.arange(1, len(drawn) + 1),
                y=_stage(drawn, stage).fillna(0.0).to_numpy(),
                name=stage.name,
                marker={
                    "color": metric_colour(stage.column.removesuffix("_ns")),
                    "opacity": 0.85,
                    "line": {"width": 0},
                },
                customdata=[
                    [*ids, total] for ids, total in zip(turn_ids(drawn), heard, strict=True)
                ],
                hovertemplate=f"<b>{stage.name} %{{y:,.0f}} ms</b>"
                " of %{customdata[3]:,.0f} ms voice to voice<br>"
                f"{TURN_HOVER}<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": "turns, quickest answer first"}, showgrid=False)
    figure.update_yaxes(title={"text": "ms after the caller's last word"})
    means = {stage.name: float(_stage(turns, stage).fillna(0.0).mean()) for stage in parts}
    total = float(numbers(turns, "value").mean())
    said = listing(
        f"{name} {quantity(mean, 'ms')}"
        for name, mean in sorted(means.items(), key=lambda entry: -abs(entry[1]))
        if round(abs(mean), 1) >= 0.1
    )
    answer = (
        f"Of {quantity(total, 'ms')} on average from the caller's last word to an audible answer: "
        f"{said} (means over {count(len(turns), 'turn')}; means add up, percentiles do not)."
    )
    caption = "The wait of each turn, stage on stage; sorted by voice to voice"
    return Panel(
        key, question, answer, [(caption, figure)], [_stage_table(run, turns, parts)], _said(note)
    )


def _stage(turns: pd.DataFrame, stage: Stage) -> pd.Series:
    values = numbers(turns, stage.column)
    return values / 1e6 if stage.column.endswith("_ns") else values


def _parts(turns: pd.DataFrame) -> list[Stage]:
    """The stages in which any turn spent any time."""
    return [stage for stage in STAGES if (_stage(turns, stage).fillna(0.0).abs() > 0.0).any()]


def _stage_table(run: Run, turns: pd.DataFrame, parts: list[Stage]) -> Table:
    rows = []
    for stage in parts:
        known = run.statistics(stage.column)
        cells = [
            quantity(known[word].value, "ms") if word in known else "–" for word in ("p50", "p95")
        ]
        mean = float(_stage(turns, stage).fillna(0.0).mean())
        rows.append([stage.name, stage.about, quantity(mean, "ms"), *cells])
    return Table(
        "Each stage by itself",
        ("stage", "what happens", "mean", "p50", "p95"),
        rows,
        numeric=frozenset({2, 3, 4}),
        note="The means of the stages add up to the mean of the whole. Their percentiles do not: "
        "the slowest endpointing and the slowest generation are seldom the same turn.",
    )


def holding(run: Run) -> Panel:
    """Did it hold over time: every answer at its second, above the sessions open."""
    key, question = "holding", "Did it hold over time?"
    turns = run.turns
    at = (numbers(turns, "speech_offset_ns") - run.origin_ns) / 1e9
    turns = turns.assign(at=at)[at.notna()].sort_values(["at", "session"], kind="stable")
    answered = turns[numbers(turns, "voice_to_voice_latency").notna()]
    if answered.empty:
        return Panel(key, question, "No turn was answered, so there is no latency to follow.")
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.07
    )
    figure.update_layout(template=TEMPLATE, height=440, autosize=True)
    drawn, note = thin(answered)
    _scatter(figure, drawn)
    _rolling(figure, answered)
    _failures(figure, turns, float(numbers(answered, "voice_to_voice_latency").max()))
    held = _sessions(figure, run)
    _phases(figure, run, at)
    figure.update_yaxes(title={"text": "voice to voice, ms"}, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title={"text": "sessions"}, rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title={"text": "seconds since the run began"}, row=2, col=1)
    caption = "Every answer at the second its question ended; below, sessions open"
    return Panel(
        key, question, f"{_drift(run)} {held}".strip(), [(caption, figure)], notes=_said(note)
    )


def _scatter(figure: go.Figure, turns: pd.DataFrame) -> None:
    figure.add_trace(
        go.Scatter(
            x=turns["at"].to_numpy(),
            y=numbers(turns, "voice_to_voice_latency").to_numpy(),
            customdata=turn_ids(turns),
            mode="markers",
            name="turn",
            marker={"size": 6, "opacity": 0.6, "color": colour("heard")},
            hovertemplate=f"<b>%{{y:,.0f}} ms</b> at %{{x:.1f}} s<br>{TURN_HOVER}<extra></extra>",
        ),
        row=1,
        col=1,
    )


def _rolling(figure: go.Figure, turns: pd.DataFrame) -> None:
    """The median of the turns around each: a fifteenth of them, between 5 and 101."""
    window = min(101, max(5, len(turns) // 15 | 1))
    if len(turns) < 2 * window:
        return
    values = numbers(turns, "voice_to_voice_latency")
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


def _failures(figure: go.Figure, turns: pd.DataFrame, top: float) -> None:
    failed = turns[texts(turns, "outcome").isin(_FAILED)]
    failed = failed[numbers(failed, "voice_to_voice_latency").isna()]
    failed, _ = thin(failed)
    if failed.empty:
        return
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
            hovertemplate=f"<b>%{{customdata[3]}}</b> at %{{x:.1f}} s<br>{TURN_HOVER}<extra></extra>",
        ),
        row=1,
        col=1,
    )


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
    return f"At most {count(int(held['open'].max()), 'session')} were open at once."


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
            x0=start, x1=stop, fillcolor=colour("cut"), opacity=0.2, line={"width": 0}, layer="below",
            annotation_text=name, annotation_position="bottom left",
            annotation_font={"size": 11, "color": colour("muted")}, row=1, col=1,
        )  # fmt: skip


def _drift(run: Run) -> str:
    """The medians of the first and the last third of the measured phase, in words."""
    turns = sampled(run.measured, "voice_to_voice_latency").sort_values("speech_offset_ns")
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
        f"({'+' if last >= first else ''}{share_change(first, last)})."
    )


def share_change(before: float, after: float) -> str:
    """The relative change in percent, signed by its minus only."""
    return quantity(100.0 * (after - before) / before, "%") if before else share(0, 0)

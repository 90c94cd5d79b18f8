"""Figures on text: how long until an answer in writing begins, and how fast it flows."""

from bench.report.choosing import pooled
from bench.report.marks import (
    curve,
    half_and_most,
    marks,
    remarks,
    share_axes,
)
from bench.report.panel import Panel, Plot
from bench.report.run import Run, flag
from bench.report.strips import strips
from bench.report.theme import blank
from bench.report.words import count, quantity, sample_size, with_interval

_METRIC = "first_text_latency"


def writing(run: Run) -> Panel | None:
    """First text as a curve and text deltas a second as a strip.

    None where nothing was written, nor was to be.
    """
    key, question = "writing", "How fast does it write?"
    trace, note = curve(run.counted, _METRIC, "first text: the first delta arrives")
    if trace is None:
        asked = int(flag(run.counted, "textual").sum())
        return Panel(key, question, _unread(asked)) if asked else None
    statistics = run.statistics(_METRIC)
    figure = blank(360)
    figure.add_trace(trace)
    if points := marks(statistics, _METRIC, position="bottom right"):
        figure.add_trace(points)
    title = "ms after the turn was said, or its answer asked for"
    values = [float(value) for value in trace.x]
    beyond = share_axes(figure, run, [_METRIC], values, statistics.get("p99"), title)
    figures: list[Plot] = [("Share of turns whose answer had begun within a time", figure)]
    rate, notes = strips(
        run, {"text_rate": "text deltas a second"}, title="deltas a second", unit="/s"
    )
    if rate is not None:
        rate.update_xaxes(rangemode="tozero")
        figures.append(("Each point is one reply; bars run from p50 to p95", rate))
    said = [half_and_most(statistics, "the answers in writing had begun"), _rate(run)]
    return Panel(
        key,
        question,
        " ".join(part for part in said if part),
        figures,
        notes=remarks(note, beyond, pooled(run), *notes),
    )


def _unread(asked: int) -> str:
    return (
        f"Nobody got an answer in writing: {count(asked, 'measured turn')} asked for one, and "
        "waited in vain. The outcomes below say what became of them."
    )


def _rate(run: Run) -> str:
    half = run.statistics("text_rate").get("p50")
    if half is None or half.value is None:
        return ""
    return (
        f"Then {with_interval(half.value, half.low, half.high, '')} text deltas a second come at "
        f"p50 ({sample_size(half.n)}), that is one every {quantity(1000 / half.value, 'ms')}."
        if half.value
        else ""
    )

"""Figures on text: how long until an answer in writing begins, and how fast it flows."""

from bench.report.marks import (
    curve,
    gate_limits,
    gate_lines,
    half_and_most,
    marks,
    remarks,
    room,
    share_axis,
)
from bench.report.panel import Panel, Plot
from bench.report.run import Run
from bench.report.strips import strips
from bench.report.theme import blank
from bench.report.words import quantity, sample_size, with_interval

_METRIC = "first_text_latency"


def writing(run: Run) -> Panel | None:
    """First text as a curve and text deltas a second as a strip; none where nothing was written."""
    trace, note = curve(run.counted, _METRIC, "first text: the first delta arrives")
    if trace is None:
        return None
    statistics = run.statistics(_METRIC)
    figure = blank(360)
    figure.add_trace(trace)
    if points := marks(statistics, _METRIC, position="bottom right"):
        figure.add_trace(points)
    last = statistics.get("p99")
    upper, beyond = room([float(value) for value in trace.x], last.value if last else None)
    upper = max([upper, *(1.08 * limit for limit in gate_limits(run, [_METRIC]))])
    gate_lines(figure, run, [_METRIC], upper)
    share_axis(figure, upper, "ms after the turn was said, or its answer asked for")
    figures: list[Plot] = [("Share of turns whose answer had begun within a time", figure)]
    rate, notes = strips(
        run, {"text_rate": "text deltas a second"}, title="deltas a second", unit="/s"
    )
    if rate is not None:
        rate.update_xaxes(rangemode="tozero")
        figures.append(("Each point is one reply; bars run from p50 to p95", rate))
    said = [half_and_most(statistics, "the answers in writing had begun"), _rate(run)]
    return Panel(
        "writing",
        "How fast does it write?",
        " ".join(part for part in said if part),
        figures,
        notes=remarks(note, beyond, *notes),
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

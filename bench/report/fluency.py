"""Figures on the agent's voice: whether it flows."""

from typing import Final

from bench.report.marks import remarks
from bench.report.panel import Panel, Plot
from bench.report.run import Run, numbers
from bench.report.strips import strips
from bench.report.theme import colour
from bench.report.words import TIMES, count, plain, quantity, share, with_interval

_FLOW: Final = {
    "delta_gap": "longest gap between deltas of a reply",
    "min_buffer": "start buffer it would have needed",
    "underrun_time": "time the player starved",
}


def fluency(run: Run) -> Panel | None:
    """Gaps, starvation and pace of the replies; none where all of them came in writing."""
    if not run.voiced:
        return None
    key, question = "fluency", "Is the voice fluent?"
    gaps, gap_notes = strips(run, _FLOW, title="ms")
    pace, pace_notes = strips(
        run, {"realtime_factor": "realtime factor"}, title="ratio", unit="ratio"
    )
    figures: list[Plot] = []
    if gaps is not None:
        figures.append(("Each point is one reply; bars run from p50 to p95", gaps))
    if pace is not None:
        pace.update_xaxes(range=[0, max(1.08, 1.06 * max(pace.data[0].x))])
        pace.add_vline(x=1.0, line={"color": colour("limit"), "width": 1.5, "dash": "dash"})
        figures.append(
            (
                "Time to deliver a reply over its length; right of 1 it comes slower than speech",
                pace,
            )
        )
    if not figures:
        return Panel(key, question, "No reply carried audio, so there is no flow to judge.")
    notes = remarks(*gap_notes, *pace_notes)
    return Panel(key, question, _fluency_answer(run), figures, notes=notes)


def _fluency_answer(run: Run) -> str:
    starved = numbers(run.counted, "underrun_time").dropna()
    said = []
    if len(starved):
        hungry = int((starved > 0).sum())
        said.append(
            f"The player starved in {plain(hungry, '1') if hungry else 'none'} of "
            f"{count(len(starved), 'reply', 'replies')} ({share(hungry, len(starved))})"
            + (f", for at most {quantity(float(starved.max()), 'ms')}." if hungry else ".")
        )
    gap = run.statistics("delta_gap").get("p95")
    if gap is not None and gap.value is not None:
        said.append(
            "The longest gap between two deltas of a reply is "
            f"{with_interval(gap.value, gap.low, gap.high, gap.unit)} at p95."
        )
    pace = run.statistics("realtime_factor").get("p50")
    if pace is not None and pace.value:
        said.append(
            f"Half of the replies arrive {plain(1 / pace.value, 'ratio')} {TIMES} as fast as "
            "speech or faster."
        )
    return " ".join(said)

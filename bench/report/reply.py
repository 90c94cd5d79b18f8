"""Figures on the agent's voice: whether it flows, and whether it stops when it is interrupted."""

from typing import Final

import pandas as pd

from bench.report.marks import (
    curve,
    gate_limits,
    gate_lines,
    half_and_most,
    marks,
    remarks,
    room,
    sampled,
    share_axis,
)
from bench.report.panel import Panel, Plot
from bench.report.run import Run, numbers, texts
from bench.report.strips import strips
from bench.report.theme import blank, colour
from bench.report.words import TIMES, count, plain, quantity, share, with_interval

_FLOW: Final = {
    "delta_gap": "longest gap between deltas of a reply",
    "min_buffer": "start buffer it would have needed",
    "underrun_time": "time the player starved",
}
_BARGE: Final = {
    "barge_in_detection": ("the server hears the interruption", "dot"),
    "barge_in_silence": ("the agent is silent, player emptied at detection", "solid"),
    "barge_in_silence_unflushed": ("the agent is silent, player never emptied", "dash"),
}


def fluency(run: Run) -> Panel:
    """Gaps, starvation and pace of the replies."""
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


def barge_in(run: Run) -> Panel:
    """Silence after an interruption, for a player that is emptied and for one that is not."""
    key, question = "barge-in", "Does it yield to barge-in?"
    turns = run.counted
    interruptions = turns[texts(turns, "role") == "interruption"]
    if interruptions.empty:
        return Panel(key, question, _no_interruption(run))
    figure, values, notes = blank(400), [], []
    for metric, (name, dash) in _BARGE.items():
        trace, note = curve(interruptions, metric, name, dash=dash)
        if trace is None:
            continue
        figure.add_trace(trace)
        values += [float(value) for value in trace.x]
        notes += [note] if note else []
    if not values:
        return Panel(
            key,
            question,
            f"{count(len(interruptions), 'interruption')}, but the agent was audible at the onset "
            "of none of them, so there was nothing to yield.",
        )
    silence = run.statistics("barge_in_silence")
    if trace := marks(silence, "barge_in_silence", position="bottom right"):
        figure.add_trace(trace)
    upper, beyond = room(values, None)
    upper = max([upper, *(1.08 * limit for limit in gate_limits(run, list(_BARGE)))])
    gate_lines(figure, run, list(_BARGE), upper)
    share_axis(figure, upper, "ms after the interruption begins")
    last = run.statistics("barge_in_last_audio").get("p50")
    if last is not None and last.value is not None:
        notes.append(
            f"The last delta of the interrupted reply arrives {quantity(last.value, 'ms')} after "
            "the onset at p50; that is not silence: what was sent before is still in the player."
        )
    answer = half_and_most(silence, "the interrupted agents were silent")
    return Panel(
        key,
        question,
        f"{answer} {_yielding(interruptions)}".strip(),
        [("Share of interruptions at which it has happened by then", figure)],
        notes=[*notes, *([beyond] if beyond else [])],
    )


def _yielding(interruptions: pd.DataFrame) -> str:
    known = (
        interruptions["yielded"].dropna() if "yielded" in interruptions else pd.Series(dtype=bool)
    )
    if known.empty:
        return "Whether the agent yielded is not known."
    yielded = int(known.astype(bool).sum())
    nothing = len(interruptions) - len(known)
    text = f"The agent yielded at {yielded} of {count(len(known), 'interruption')}"
    text += f" ({share(yielded, len(known))})"
    if nothing:
        text += f"; at {nothing} more it was not speaking when the caller began"
    never = len(known) - len(sampled(interruptions, "barge_in_silence"))
    if never > 0:
        text += f"; {never} never fell silent and {'is' if never == 1 else 'are'} not on the curve"
    return f"{text}."


def _no_interruption(run: Run) -> str:
    script = str(run.scenario.get("script") or "of this run")
    if "barge_in" in script:
        return "No interruption began in the measured phase, so nothing was asked of the agent."
    return (
        f"Not asked: the script {script} interrupts nobody. Run a scenario with the script "
        "barge_in to find out."
    )

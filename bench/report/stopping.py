"""Figures on cancels: how soon the agent stops when it is told to, and what still comes."""

from typing import Final

import pandas as pd

from bench.protocol.error_codes import BENIGN
from bench.report.marks import half_and_most, remarks
from bench.report.panel import Panel, Plot
from bench.report.run import Run, numbers, texts
from bench.report.strips import strips
from bench.report.theme import colour
from bench.report.words import count, listing, plain, quantity, with_interval

_TIMES: Final = {
    "cancel_delay": "until the reply's response.done",
    "cancel_last_audio": "until its last audio; below 0 all had come",
    "truncate_ack": "until a truncation is acknowledged",
}


def stopping(run: Run) -> Panel | None:
    """Times from the send of a cancel, and audio that came too late; none without a cancel."""
    # Measured, not counted: a turn that is stopped before its answer begins is cut.
    cancels = run.measured[numbers(run.measured, "cancel_sent_ns").notna()]
    if cancels.empty:
        return None
    times, notes = strips(run, _TIMES, title="ms after the send")
    stale, more = strips(
        run, {"stale_audio": "audio of the old reply that still came"}, title="ms of audio"
    )
    figures: list[Plot] = []
    if times is not None:
        times.add_vline(x=0, line={"color": colour("axis"), "width": 1.5})
        figures.append(("Each point is one cancel; bars run from p50 to p95", times))
    if stale is not None:
        stale.update_xaxes(rangemode="tozero")
        figures.append(("Late audio a player must drop, one point a reply", stale))
    said = [
        half_and_most(run.statistics("cancel_delay"), "the cancelled replies were over"),
        _ignored(cancels),
        _early(cancels),
        stale_words(run),
        _races(run),
    ]
    return Panel(
        "stopping",
        "Does it stop when it is told to?",
        " ".join(part for part in said if part),
        figures,
        notes=remarks(*notes, *more),
    )


def _ignored(cancels: pd.DataFrame) -> str:
    """The cancels of replies that were still open and were not stopped by them."""
    vain = int(numbers(cancels, "cancel_waited_ns").notna().sum())
    if not vain:
        return ""
    return (
        f"{plain(vain, '1')} of {count(len(cancels), 'cancel')} did nothing: the reply was still "
        "open, and went on."
    )


def _early(cancels: pd.DataFrame) -> str:
    """The cancels that stopped a reply before its caller heard any of it."""
    early = int((texts(cancels, "outcome") == "cut").sum())
    if not early:
        return ""
    return (
        f"{plain(early, '1')} of {count(len(cancels), 'cancel')} came before any of the reply was "
        "heard: such turns are cut, and in no figure."
    )


def stale_words(run: Run) -> str:
    """How much audio of stopped replies still came, as a sentence; empty where it is not known."""
    half, most = (run.statistics("stale_audio").get(word) for word in ("p50", "p95"))
    if half is None or half.value is None:
        return ""
    text = f"Of a stopped reply {quantity(half.value, 'ms')} of audio still came at p50"
    if most is not None and most.value is not None:
        text += f" and {with_interval(most.value, most.low, most.high, 'ms')} at p95"
    return f"{text}."


def _races(run: Run) -> str:
    codes = run.summary.get("errors_by_code") or {}
    races = {code: int(codes[code]) for code in BENIGN if codes.get(code)}
    if not races:
        return ""
    return (
        f"{count(sum(races.values()), 'cancel').capitalize()} came when the reply was already over "
        f"({listing(races)}): a race, and no failure."
    )

"""Figures on cancels: how soon the agent stops when it is told to, and what still comes."""

from typing import Final

from bench.analysis.errors import BENIGN
from bench.report.marks import half_and_most, remarks
from bench.report.panel import Panel, Plot
from bench.report.run import Run
from bench.report.strips import strips
from bench.report.theme import colour
from bench.report.words import count, listing, quantity, with_interval

_TIMES: Final = {
    "cancel_delay": "until the reply's response.done",
    "cancel_last_audio": "until its last audio; below 0 all had come",
    "truncate_ack": "until a truncation is acknowledged",
}


def stopping(run: Run) -> Panel | None:
    """Times from the send of a cancel, and audio that came too late; none without a cancel."""
    half = run.statistics("cancel_delay").get("p50")
    last = run.statistics("cancel_last_audio").get("p50")
    if not (half and half.n) and not (last and last.n):
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

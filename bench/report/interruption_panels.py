"""Panels on interruption: does the agent yield to barge-in, does it stop when told to?"""

from typing import Final

import pandas as pd

from bench.protocol.error_codes import BENIGN
from bench.report.charts import ZERO, Curve, curves, strips
from bench.report.marks import sampled
from bench.report.panels import Columns, Question, Table, table_of, within
from bench.report.run_data import Run, flag, numbers, texts
from bench.report.text import NOTHING, count, listing, plain, quantity, share

# ── does it yield to barge-in? ───────────────────────────────────────────────────────────────────

_WHILE: Final = {
    "generating": "while the reply was being generated",
    "finished": "after its generation had finished: only playout had to stop",
}


def _interruptions(run: Run) -> pd.DataFrame:
    return run.counted[texts(run.counted, "role") == "interruption"]


def _judged(interruptions: pd.DataFrame) -> pd.Series:
    """At which interruptions the agent either yielded or did not; of the others nobody can tell."""
    if "yielded" not in interruptions:
        return pd.Series(data=False, index=interruptions.index)
    return interruptions["yielded"].notna()


def _is_to_interrupt(run: Run) -> bool:
    """Whether a script of the run is there to interrupt."""
    scripts = [run.scenario.get("script"), *(run.summary.get("scripts") or [])]
    return any("barge_in" in str(script) for script in scripts)


def _yielding(run: Run) -> str:
    turns = _interruptions(run)
    if turns.empty:
        none = "No interruption began in the measured phase, so nothing was asked of the agent."
        return none if _is_to_interrupt(run) else ""
    judged = _judged(turns)
    known, others = turns[judged], turns[~judged]
    if known.empty and sampled(turns, "barge_in_silence").empty:
        return (
            f"{count(len(turns), 'interruption')}, but the agent was audible at the onset of none "
            "of them, so there was nothing to yield."
        )
    text = "Whether the agent yielded is not known"
    if len(known):
        yielded = int(flag(known, "yielded").sum())
        text = f"The agent yielded at {yielded} of {count(len(known), 'interruption')}"
        text += f" ({share(yielded, len(known))})"
    if "interrupted_while" in others:
        idle = int((texts(others, "interrupted_while") == "").sum())
        ran_out, more = len(others) - idle, " more" if len(known) else ""
        if idle:
            text += f"; at {idle}{more} it was not speaking when the caller began"
        if ran_out:
            text += f"; at {ran_out}{more} the reply ran out by itself, which shows nothing"
    never = len(known) - len(sampled(known, "barge_in_silence"))
    if never > 0:
        text += f"; {never} never fell silent and {'is' if never == 1 else 'are'} not on the curve"
    return f"{text}."


def _false_barge_in(run: Run) -> str:
    """What the agent did at backchannels and sounds, at which it should go on speaking."""
    row = run.statistic("false_barge_in", "share")
    if not row.n or not row.known:
        return ""
    return (
        f"Of {count(row.n, 'backchannel or other sound', 'backchannels and other sounds')} said "
        f"into a reply, {row.whole} silenced it by mistake."
    )


def _last_delta(run: Run) -> str:
    last = run.statistic("barge_in_last_audio", "p50")
    if not last.known or _interruptions(run).empty:
        return ""
    return (
        f"The last delta of the interrupted reply arrives {last.shown} after the onset at p50; "
        "that is not silence: what was sent before is still in the player."
    )


def _stale_audio(run: Run) -> str:
    """How much audio of stopped replies still came; empty where it is not known."""
    half, most = (run.statistic("stale_audio", word) for word in ("p50", "p95"))
    if not half.known:
        return ""
    tail = f" and {most.whole} at p95" if most.known else ""
    return f"Of a stopped reply {half.shown} of audio still came at p50{tail}."


def _phases(run: Run) -> Table | None:
    """Interruptions by what the server was doing; none where that is not known."""
    turns = _interruptions(run)
    phase = texts(turns, "interrupted_while")
    parts = [
        (_WHILE.get(word, word), turns[phase == word])
        for word in dict.fromkeys([*_WHILE, *sorted(set(phase))])
        if word and (phase == word).any()
    ]

    def median(part: pd.DataFrame, metric: str) -> str:
        values = numbers(part, metric).dropna()
        return quantity(float(values.median()), "ms") if len(values) else NOTHING

    def yielded(part: pd.DataFrame) -> str:
        known, gave_way = int(_judged(part).sum()), int(flag(part, "yielded").sum())
        return f"{gave_way} of {known} ({share(gave_way, known)})" if known else NOTHING

    columns: Columns = {
        "the caller began": lambda entry: entry[0],
        "interruptions": lambda entry: str(len(entry[1])),
        "yielded": lambda entry: yielded(entry[1]),
        "median silence": lambda entry: median(entry[1], "barge_in_silence"),
        "median stale audio": lambda entry: median(entry[1], "stale_audio"),
    }
    caption = "When the agent was interrupted"
    return table_of(caption, columns, parts, numeric=[*columns][1:])


BARGE_IN: Final = Question(
    "barge-in",
    "Does it yield to barge-in?",
    says=(
        within(
            "barge_in_silence",
            "interrupted agents were silent",
            "interrupted agents never fell silent",
        ),
        _yielding,
        _false_barge_in,
    ),
    charts=(
        curves(
            "Share of interruptions at which it has happened by then",
            (
                Curve("barge_in_detection", "the server hears the interruption", "dot"),
                Curve(
                    "barge_in_silence",
                    "the agent is silent, player emptied at detection",
                    labels="bottom right",
                ),
                Curve(
                    "barge_in_silence_unflushed", "the agent is silent, never emptied", "dash"
                ),
            ),
            "ms after the interruption begins",
            of=_interruptions,
        ),
    ),
    tables=(_phases,),
    notes=(_last_delta, _stale_audio),
    metrics=(
        "barge_in_detection", "barge_in_silence", "barge_in_silence_unflushed", "yielded",
        "false_barge_in",
    ),
    asked=lambda run: bool(
        len(_interruptions(run)) or _is_to_interrupt(run) or _false_barge_in(run)
    ),
)  # fmt: skip


# ── does it stop when it is told to? ─────────────────────────────────────────────────────────────


def _cancels(run: Run) -> pd.DataFrame:
    """Measured, not counted: a turn that is stopped before its answer begins is cut."""
    return run.measured[numbers(run.measured, "cancel_sent_ns").notna()]


def _ignored(run: Run) -> str:
    """The cancels of replies that were still open and were not stopped by them."""
    cancels = _cancels(run)
    ignored = int(numbers(cancels, "cancel_waited_ns").notna().sum())
    if not ignored:
        return ""
    return (
        f"{plain(ignored, '1')} of {count(len(cancels), 'cancel')} did nothing: the reply was "
        "still open, and went on."
    )


def _early(run: Run) -> str:
    """The cancels that stopped a reply before its caller heard any of it."""
    cancels = _cancels(run)
    early = int((texts(cancels, "outcome") == "cut").sum())
    if not early:
        return ""
    return (
        f"{plain(early, '1')} of {count(len(cancels), 'cancel')} came before any of the reply was "
        "heard: such turns are cut, and in no figure."
    )


def _races(run: Run) -> str:
    codes = run.summary.get("errors_by_code") or {}
    races = {code: int(codes[code]) for code in BENIGN if codes.get(code)}
    if not races:
        return ""
    return (
        f"{count(sum(races.values()), 'cancel').capitalize()} came when the reply was already over "
        f"({listing(races)}): a race, and no failure."
    )


CANCELS: Final = Question(
    "cancels",
    "Does it stop when it is told to?",
    says=(
        within("cancel_delay", "cancelled replies were over", "cancelled replies never ended"),
        _ignored,
        _early,
        _stale_audio,
        _races,
    ),
    charts=(
        strips(
            "Each point is one cancel; bars run from p50 to p95",
            {
                "cancel_delay": "until the reply's response.done",
                "cancel_last_audio": "until its last audio; below 0 all had come",
                "truncate_ack": "until a truncation is acknowledged",
            },
            "ms after the send",
            against=(ZERO,),
        ),
        strips(
            "Late audio a player must drop, one point a reply",
            {"stale_audio": "audio of the old reply that still came"},
            "ms of audio",
            from_zero=True,
        ),
    ),
    metrics=("cancel_delay", "cancel_last_audio", "truncate_ack", "stale_audio"),
    asked=lambda run: not _cancels(run).empty,
)

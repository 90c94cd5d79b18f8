"""Figures on barge-in: whether the agent falls silent when it is interrupted, and only then."""

from typing import Final

import pandas as pd

from bench.report.marks import (
    curve,
    half_and_most,
    marks,
    remarks,
    sampled,
    share_axes,
)
from bench.report.panel import Panel, Plot, Table
from bench.report.run import Run, flag, numbers, texts
from bench.report.stopping import stale_words
from bench.report.theme import blank
from bench.report.words import NOTHING, count, quantity, share, with_interval

_BARGE: Final = {
    "barge_in_detection": ("the server hears the interruption", "dot"),
    "barge_in_silence": ("the agent is silent, player emptied at detection", "solid"),
    "barge_in_silence_unflushed": ("the agent is silent, player never emptied", "dash"),
}
_WHILE: Final = {
    "generating": "while the reply was being generated",
    "finished": "after its generation had finished: only playout had to stop",
}


def barge_in(run: Run) -> Panel | None:
    """Silence after an interruption, and after sounds that are none.

    None where nobody interrupted, unless the script was to.
    """
    key, question = "barge-in", "Does it yield to barge-in?"
    turns = run.counted
    interruptions = turns[texts(turns, "role") == "interruption"]
    false = _false(run)
    if interruptions.empty:
        none = "No interruption began in the measured phase, so nothing was asked of the agent."
        said = [none, false] if _asked(run) else [false]
        answer = " ".join(part for part in said if part)
        return Panel(key, question, answer) if answer else None
    figures, notes = _curves(run, interruptions)
    if figures or _judged(interruptions).any():
        silence = run.statistics("barge_in_silence")
        answer = half_and_most(silence, "the interrupted agents were silent")
        answer = f"{answer} {_yielding(interruptions)}".strip()
    else:
        answer = (
            f"{count(len(interruptions), 'interruption')}, but the agent was audible at the onset "
            "of none of them, so there was nothing to yield."
        )
    phases = _phases(interruptions)
    return Panel(
        key,
        question,
        f"{answer} {false}".strip(),
        figures,
        [phases] if phases else [],
        notes=remarks(*notes, stale_words(run)),
    )


def _asked(run: Run) -> bool:
    """Whether a script of the run is there to interrupt."""
    scripts = [run.scenario.get("script"), *(run.summary.get("scripts") or [])]
    return any("barge_in" in str(script) for script in scripts)


def _curves(run: Run, interruptions: pd.DataFrame) -> tuple[list[Plot], list[str]]:
    figure, values, notes = blank(400), [], []
    for metric, (name, dash) in _BARGE.items():
        trace, note = curve(interruptions, metric, name, dash=dash)
        if trace is None:
            continue
        figure.add_trace(trace)
        values += [float(value) for value in trace.x]
        notes.append(note)
    if not values:
        return [], []
    if trace := marks(
        run.statistics("barge_in_silence"), "barge_in_silence", position="bottom right"
    ):
        figure.add_trace(trace)
    beyond = share_axes(figure, run, list(_BARGE), values, None, "ms after the interruption begins")
    last = run.statistics("barge_in_last_audio").get("p50")
    if last is not None and last.value is not None:
        notes.append(
            f"The last delta of the interrupted reply arrives {quantity(last.value, 'ms')} after "
            "the onset at p50; that is not silence: what was sent before is still in the player."
        )
    caption = "Share of interruptions at which it has happened by then"
    return [(caption, figure)], [*notes, beyond]


def _yielding(interruptions: pd.DataFrame) -> str:
    known = interruptions[_judged(interruptions)]
    text = "Whether the agent yielded is not known"
    if len(known):
        yielded = int(flag(known, "yielded").sum())
        text = f"The agent yielded at {yielded} of {count(len(known), 'interruption')}"
        text += f" ({share(yielded, len(known))})"
    text += _unjudged(interruptions)
    never = len(known) - len(sampled(known, "barge_in_silence"))
    if never > 0:
        text += f"; {never} never fell silent and {'is' if never == 1 else 'are'} not on the curve"
    return f"{text}."


def _judged(interruptions: pd.DataFrame) -> pd.Series:
    """At which interruptions the agent either yielded or did not; of the others nobody can tell."""
    if "yielded" not in interruptions:
        return pd.Series(data=False, index=interruptions.index)
    return interruptions["yielded"].notna()


def _unjudged(interruptions: pd.DataFrame) -> str:
    """Why the others show nothing; empty where there are none, or their folder does not say."""
    others = interruptions[~_judged(interruptions)]
    if "interrupted_while" not in others:
        return ""
    idle = int((texts(others, "interrupted_while") == "").sum())
    ran_out = len(others) - idle
    more = " more" if len(others) < len(interruptions) else ""
    text = f"; at {idle}{more} it was not speaking when the caller began" if idle else ""
    if ran_out:
        text += f"; at {ran_out}{more} the reply ran out by itself, which shows nothing"
    return text


def _false(run: Run) -> str:
    """What the agent did at backchannels and sounds, at which it should go on speaking."""
    row = run.statistics("false_barge_in").get("share")
    if row is None or not row.n or row.value is None:
        return ""
    return (
        f"Of {count(row.n, 'backchannel or other sound', 'backchannels and other sounds')} said "
        f"into a reply, {with_interval(row.value, row.low, row.high, '%')} silenced it by mistake."
    )


def _phases(interruptions: pd.DataFrame) -> Table | None:
    """Interruptions by what the server was doing; none where that is not known."""
    phase = texts(interruptions, "interrupted_while")
    rows = []
    for word in dict.fromkeys([*_WHILE, *sorted(set(phase))]):
        part = interruptions[phase == word]
        if not word or part.empty:
            continue
        known = int(_judged(part).sum())
        yielded = int(flag(part, "yielded").sum())
        rows.append(
            [
                _WHILE.get(word, word),
                str(len(part)),
                f"{yielded} of {known} ({share(yielded, known)})" if known else NOTHING,
                *(_median(part, metric) for metric in ("barge_in_silence", "stale_audio")),
            ]
        )
    if not rows:
        return None
    return Table(
        "When the agent was interrupted",
        ("the caller began", "interruptions", "yielded", "median silence", "median stale audio"),
        rows,
        numeric=frozenset({1, 2, 3, 4}),
    )


def _median(turns: pd.DataFrame, metric: str) -> str:
    values = numbers(turns, metric).dropna()
    return quantity(float(values.median()), "ms") if len(values) else NOTHING

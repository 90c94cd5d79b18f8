"""Figures on the server's ear: where its VAD puts speech and when it says so, against the truth."""

from typing import Any, Final

import pandas as pd

from bench.report.marks import remarks
from bench.report.panel import Panel, Plot, Table
from bench.report.run import Run, flag, numbers, texts
from bench.report.strips import strips
from bench.report.theme import colour
from bench.report.understanding import without_words
from bench.report.words import capital, clip, count, quantity, share, with_interval

_START: Final = {
    "speech_start_error": "where it puts the start, in the audio",
    "speech_start_delay": "when it says so, on the clock",
}
_END: Final = {
    "endpointing_error": "where it puts the end, in the audio",
    "endpointing_delay": "when it says so, on the clock",
}
_WORST: Final = 10


def hearing(run: Run) -> Panel | None:
    """Onset and endpointing against the corpus truth, and the utterances that were misheard.

    None where the VAD was never asked: every turn was typed, or committed by the caller.
    """
    if run.listened.empty and not run.counted.empty:
        return None
    key, question = "hearing", "Does the VAD hear what was said?"
    start, start_notes = strips(run, _START, title="ms after the true start of speech")
    end, end_notes = strips(run, _END, title="ms after the true end of speech")
    silence = _silence_ms(run)
    figures: list[Plot] = []
    for figure, caption in ((start, "Start of speech"), (end, "End of speech")):
        if figure is not None:
            figure.add_vline(x=0, line={"color": colour("axis"), "width": 1.5})
            figures.append(
                (f"{caption}; 0 is the truth of the corpus, bars run from p50 to p95", figure)
            )
    if end is not None and silence is not None:
        end.add_vline(x=silence, line={"color": colour("ear"), "width": 1.5, "dash": "dot"})
        end.add_annotation(
            x=silence, y=0, yref="paper", yanchor="bottom", xanchor="right",
            text=f"configured silence {quantity(silence, 'ms')} ", showarrow=False,
            font={"size": 11, "color": colour("ear")},
        )  # fmt: skip
    if not figures and run.counted.empty:
        return Panel(key, question, "No turn began in the measured phase, so nothing was heard.")
    answer = " ".join(part for part in (_timing(run), _shares(run)) if part)
    if not figures:
        answer = f"The server never said that speech started or stopped. {answer}"
    worst = _worst(run.listened)
    notes = remarks(*start_notes, *end_notes, without_words(run))
    return Panel(key, question, answer.strip(), figures, [worst] if worst else [], notes)


def _silence_ms(run: Run) -> float | None:
    """`silence_duration_ms` of the scenario's server VAD, wherever the scenario wrote it."""
    session: Any = run.scenario.get("session") or {}
    for path in (("turn_detection",), ("audio", "input", "turn_detection")):
        place: Any = session
        for step in path:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict) and "silence_duration_ms" in place:
            return float(place["silence_duration_ms"])
    return None


def _timing(run: Run) -> str:
    said = []
    for metric, words in (
        ("speech_start_delay", "The server says speech started {} after it did (p95)"),
        ("endpointing_delay", "and that it stopped {} after it did (p95)"),
    ):
        row = run.statistics(metric).get("p95")
        if row is not None and row.value is not None:
            said.append(words.format(with_interval(row.value, row.low, row.high, row.unit)))
    text = ", ".join(said)
    return f"{capital(text)}." if text else ""


def _shares(run: Run) -> str:
    turns = run.listened
    if turns.empty:
        return ""
    missed, split = int(flag(turns, "missed").sum()), int(flag(turns, "split_turn").sum())
    spurious = int(numbers(turns, "spurious").fillna(0).sum())
    times = "once" if spurious == 1 else f"{spurious} times"
    text = f"It missed {_of(missed, len(turns))}, and cut {_of(split, len(turns))} into several"
    if spurious:
        return f"{text}; {times} it heard speech where nobody spoke."
    return f"{text}; it never heard speech where nobody spoke."


def _of(part: int, whole: int) -> str:
    turns = count(whole, "turn")
    return f"{part} of {turns} ({share(part, whole)})" if part else f"none of {turns}"


def _worst(turns: pd.DataFrame) -> Table | None:
    """The utterances of which turns were missed or cut into several."""
    table = pd.DataFrame(
        {
            "utterance": texts(turns, "utterance"),
            "text": texts(turns, "text"),
            "missed": flag(turns, "missed").astype(int),
            "split": flag(turns, "split_turn").astype(int),
            "delay": numbers(turns, "endpointing_delay"),
        }
    )
    grouped = table.groupby("utterance", as_index=False).agg(
        text=("text", "first"),
        turns=("missed", "size"),
        missed=("missed", "sum"),
        split=("split", "sum"),
        delay=("delay", "median"),
    )
    trouble = grouped[grouped["missed"] + grouped["split"] > 0]
    if trouble.empty:
        return None
    trouble = trouble.assign(faults=trouble["missed"] + trouble["split"]).sort_values(
        ["faults", "utterance"], ascending=[False, True]
    )
    rows = [
        [
            str(row["utterance"]),
            clip(row["text"], 80),
            *(str(row[name]) for name in ("turns", "missed", "split")),
            quantity(float(row["delay"]), "ms"),
        ]
        for _, row in trouble.head(_WORST).iterrows()
    ]
    rest = len(trouble) - len(rows)
    return Table(
        "Utterances that the VAD misheard",
        ("utterance", "text", "turns", "missed", "split", "median endpointing"),
        rows,
        numeric=frozenset({2, 3, 4, 5}),
        note=f"{count(rest, 'more utterance')} with faults not shown." if rest else "",
    )

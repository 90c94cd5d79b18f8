"""Panels on hearing: does the VAD hear what was said, and are the words understood?"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.report.charts import ZERO, Reference, row_label, rows_of, strips
from bench.report.marks import aside, sampled, thin, turn_points
from bench.report.panels import Chart, Columns, Drawn, Question, Table, table_of, within
from bench.report.run_data import Run, flag, listed, numbers, texts
from bench.report.text import capital, clip, count, plain, quantity, sample_size, share
from bench.report.theme import colour

# ── does the VAD hear what was said? ─────────────────────────────────────────────────────────────

_MOST_MISHEARD: Final = 10


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
    said = [
        words.format(row.whole)
        for metric, words in (
            ("speech_start_delay", "the server says speech started {} after it did (p95)"),
            ("endpointing_delay", "that it stopped {} after it did (p95)"),
        )
        if (row := run.statistic(metric, "p95")).known
    ]
    return f"{capital(', and '.join(said))}." if said else ""


def _heard(run: Run) -> str:
    turns = run.listened
    if turns.empty:
        return ""

    def of_all(column: str) -> str:
        part, all_turns = int(flag(turns, column).sum()), count(len(turns), "turn")
        if not part:
            return f"none of {all_turns}"
        return f"{part} of {all_turns} ({share(part, len(turns))})"

    spurious = int(numbers(turns, "spurious").fillna(0).sum())
    times = "once" if spurious == 1 else f"{spurious} times"
    heard = f"{times} it heard" if spurious else "it never heard"
    return (
        f"It missed {of_all('missed')}, and cut {of_all('split_turn')} into several; {heard} "
        "speech where nobody spoke."
    )


def _unheard(run: Run) -> str:
    if run.counted.empty:
        return "No turn began in the measured phase, so nothing was heard."
    return f"The server never said that speech started or stopped. {_heard(run)}".strip()


def _misheard(run: Run) -> Table | None:
    """The utterances of which turns were missed or cut into several."""
    turns = run.listened
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
    grouped = grouped.assign(faults=grouped["missed"] + grouped["split"])
    misheard = grouped[grouped["faults"] > 0].sort_values(
        ["faults", "utterance"], ascending=[False, True]
    )
    columns: Columns = {
        "utterance": lambda row: str(row.utterance),
        "text": lambda row: clip(row.text, 80),
        "turns": lambda row: str(row.turns),
        "missed": lambda row: str(row.missed),
        "split": lambda row: str(row.split),
        "median endpointing": lambda row: quantity(float(row.delay), "ms"),
    }
    return table_of(
        "Utterances that the VAD misheard",
        columns,
        misheard.itertuples(),
        numeric=[*columns][2:],
        first=(_MOST_MISHEARD, "turns.parquet"),
    )


def _without_words(run: Run) -> str:
    """Why there is no word error rate, where callers spoke; empty where there is one."""
    if _words(run) or run.listened.empty:
        return ""
    heard = (texts(run.listened, "transcript") != "").any()
    if "words" not in run.summary and heard:
        return ""
    lacking = "no text in the corpus to compare it with" if heard else "no transcription"
    return f"Word errors are not known: there is {lacking}."


VAD: Final = Question(
    "hearing",
    "Does the VAD hear what was said?",
    says=(_timing, _heard),
    charts=(
        strips(
            "Start of speech; 0 is the truth of the corpus, bars run from p50 to p95",
            {
                "speech_start_error": "where it puts the start, in the audio",
                "speech_start_delay": "when it says so, on the clock",
            },
            "ms after the true start of speech",
            against=(ZERO,),
        ),
        strips(
            "End of speech; 0 is the truth of the corpus, bars run from p50 to p95, dotted is the "
            "silence that the scenario configures",
            {
                "endpointing_error": "where it puts the end, in the audio",
                "endpointing_delay": "when it says so, on the clock",
            },
            "ms after the true end of speech",
            against=(ZERO, Reference(_silence_ms, "vad", "dot")),
        ),
    ),
    tables=(_misheard,),
    notes=(_without_words,),
    metrics=(
        "speech_start_delay", "speech_start_error", "endpointing_delay", "endpointing_error",
        "missed", "split_turn", "spurious", "talked_over",
    ),
    asked=lambda run: run.counted.empty or not run.listened.empty,
    empty=_unheard,
)  # fmt: skip


# ── did it understand the words? ─────────────────────────────────────────────────────────────────

_WRONG: Final = ("no word wrong", "one word wrong", "two words wrong", "three or more wrong")
"""A row of points each, by how many words of the turn are wrong; the last takes the rest."""


def _words(run: Run) -> dict[str, Any]:
    words = run.summary.get("words")
    return words if isinstance(words, dict) and words.get("words") else {}


def _word_errors(run: Run) -> str:
    words = _words(run)
    wrong, said = int(words.get("errors") or 0), int(words["words"])
    row = run.statistic("word_error_rate", "share")
    names = {"substitutions": "heard as another", "deletions": "left out", "insertions": "added"}
    kinds = [f"{plain(words[key], '1')} {what}" for key, what in names.items() if words.get(key)]
    by_unit = words.get("by_unit") or {}
    units = [f"{unit}s" for unit in ("word", "character") if unit in by_unit] or ["words"]
    return (
        f"{row.whole if row.known else share(wrong, said)} of the {' and '.join(units)} are wrong: "
        f"{plain(wrong, '1')} of {plain(said, '1')} in "
        f"{count(int(words.get('turns') or 0), 'turn')}"
        + (f" ({', '.join(kinds)})." if kinds else ".")
    )


def _by_errors(run: Run) -> Drawn:
    turns = sampled(run.counted, "transcription_delay")
    errors = numbers(turns, "word_errors")
    turns = turns.assign(wrong=errors)[errors.notna()]
    if turns.empty:
        return None, []
    turns = turns.assign(line=np.minimum(turns["wrong"], len(_WRONG) - 1).astype(int))
    drawn, note = thin(turns)
    used = sorted(set(turns["line"]))
    figure = rows_of(len(used), 74)
    for place, line in enumerate(used):
        row = len(used) - 1 - place
        part, number = drawn[drawn["line"] == line], int((turns["line"] == line).sum())
        told = zip(part["wrong"], numbers(part, "words"), strict=True)
        figure.add_trace(
            turn_points(
                part, part["value"], row + 0.4 * aside(len(part)) - 0.1,
                "<b>%{customdata[3]}</b>, transcribed at %{x:,.0f} ms",
                more=[[f"{plain(wrong)} of {plain(words)} words wrong"] for wrong, words in told],
                name=_WRONG[line],
                marker={"size": 6, "opacity": 0.6, "color": colour("limit" if line else "vad")},
            )
        )  # fmt: skip
        of_all = f"  {share(number, len(turns))} of turns · {sample_size(number)}"
        row_label(figure, row, _WRONG[line], of_all)
    title = "ms from the caller's last word to the transcription"
    figure.update_xaxes(title={"text": title}, showgrid=True)
    return figure, [note]


def _worst_heard(run: Run) -> Table | None:
    return table_of(
        "The turns that were misheard most",
        {
            "turn": lambda one: f"session\u00a0{one.get('session')} · turn\u00a0{one.get('turn')}",
            "said": lambda one: clip(one.get("said") or "", 120),
            "heard": lambda one: clip(one.get("heard") or "", 120),
            "words wrong": lambda one: plain(int(one.get("errors") or 0), "1"),
        },
        listed(_words(run), "worst")[:12],
        numeric=("words wrong",),
    )


WORDS: Final = Question(
    "words",
    "Did it understand the words?",
    says=(
        _word_errors,
        within("transcription_delay", "transcriptions were there", "transcriptions never came"),
    ),
    charts=(
        Chart(
            "Each point is a turn, at the delay of its transcription; a line by how many words of "
            "it are wrong",
            _by_errors,
        ),
    ),
    tables=(_worst_heard,),
    metrics=("word_error_rate", "transcription_delay"),
    asked=lambda run: bool(_words(run)),
)

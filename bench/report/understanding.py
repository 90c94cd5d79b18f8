"""Figure on words: what the server transcribed against what the corpus says, and how late."""

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.report.marks import (
    TURN_HOVER,
    half_and_most,
    remarks,
    sampled,
    scatter,
    thin,
    turn_ids,
)
from bench.report.panel import Panel, Table
from bench.report.run import Run, listed, numbers, texts
from bench.report.theme import blank, colour
from bench.report.words import clip, count, plain, sample_size, share, with_interval

# A line of points each, by how many words of the turn are wrong; the last takes the rest.
_LINES: Final = ("no word wrong", "one word wrong", "two words wrong", "three or more wrong")
_MOST_WORST: Final = 12


def understanding(run: Run) -> Panel | None:
    """Word errors beside the delay of the transcription; none where words were not compared."""
    words = _words(run)
    if not words:
        return None
    figure, note = _figure(run)
    caption = (
        "Each point is a turn, at the delay of its transcription; a line by how many words of it "
        "are wrong"
    )
    worst = _worst(listed(words, "worst"))
    return Panel(
        "words",
        "Did it understand the words?",
        _answer(run, words),
        [(caption, figure)] if figure is not None else [],
        [worst] if worst else [],
        remarks(note),
    )


def without_words(run: Run) -> str:
    """Why there is no word error rate, where callers spoke; empty where there is one."""
    if _words(run) or run.listened.empty:
        return ""
    heard = (texts(run.listened, "transcript") != "").any()
    if "words" not in run.summary and heard:
        return ""
    lacking = "no text in the corpus to compare it with" if heard else "no transcription"
    return f"Word errors are not known: there is {lacking}."


def _words(run: Run) -> dict[str, Any]:
    words = run.summary.get("words")
    return words if isinstance(words, dict) and words.get("words") else {}


def _answer(run: Run, words: dict[str, Any]) -> str:
    wrong, said = int(words.get("errors") or 0), int(words["words"])
    row = run.statistics("word_error_rate").get("share")
    rate = (
        with_interval(row.value, row.low, row.high, row.unit)
        if row is not None and row.value is not None
        else share(wrong, said)
    )
    kinds = [
        f"{plain(int(words[key]), '1')} {what}"
        for key, what in (
            ("substitutions", "heard as another"),
            ("deletions", "left out"),
            ("insertions", "added"),
        )
        if words.get(key)
    ]
    text = (
        f"{rate} of the {_units(words)} are wrong: {plain(wrong, '1')} of {plain(said, '1')} in "
        f"{count(int(words.get('turns') or 0), 'turn')}"
        + (f" ({', '.join(kinds)})." if kinds else ".")
    )
    late = half_and_most(run.statistics("transcription_delay"), "the transcriptions were there")
    return f"{text} {late}".strip()


def _units(words: dict[str, Any]) -> str:
    """What was compared: words, characters (of scripts without blanks), or both."""
    units = [f"{unit}s" for unit in ("word", "character") if unit in (words.get("by_unit") or {})]
    return " and ".join(units) or "words"


def _figure(run: Run) -> tuple[go.Figure | None, str]:
    turns = sampled(run.counted, "transcription_delay")
    errors = numbers(turns, "word_errors")
    turns = turns.assign(wrong=errors)[errors.notna()]
    if turns.empty:
        return None, ""
    lines = np.minimum(numbers(turns, "wrong").to_numpy(), len(_LINES) - 1).astype(int)
    drawn, note = thin(turns.assign(line=lines))
    used = [line for line in range(len(_LINES)) if (lines == line).any()]
    figure = blank(58 + 74 * len(used), showlegend=False, margin={"l": 12, "r": 16, "t": 8})
    for position, line in enumerate(used):
        row = float(len(used) - 1 - position)
        number = int((lines == line).sum())
        _points(figure, drawn[drawn["line"] == line], line, row)
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=row + 0.4, yanchor="middle",
            text=f"<b>{_LINES[line]}</b>  {share(number, len(turns))} of turns · "
            f"{sample_size(number)}",
            showarrow=False, font={"size": 12, "color": colour("ink")}, bgcolor=colour("paper"),
        )  # fmt: skip
    figure.update_xaxes(
        title={"text": "ms from the caller's last word to the transcription"}, showgrid=True
    )
    figure.update_yaxes(
        range=[-0.4, len(used) - 0.4], showticklabels=False, showgrid=False, fixedrange=True
    )
    return figure, note


def _points(figure: go.Figure, turns: pd.DataFrame, line: int, row: float) -> None:
    """The turns of one line, spread a little so that none hides."""
    aside = scatter(len(turns))
    wrong = [
        f"{plain(float(errors), '1')} of {plain(float(words), '1')} words wrong"
        for errors, words in zip(turns["wrong"], numbers(turns, "words"), strict=True)
    ]
    figure.add_trace(
        go.Scatter(
            x=turns["value"].to_numpy(),
            y=row + 0.4 * aside - 0.06,
            customdata=[[*ids, words] for ids, words in zip(turn_ids(turns), wrong, strict=True)],
            mode="markers",
            name=_LINES[line],
            marker={"size": 6, "opacity": 0.6, "color": colour("limit" if line else "ear")},
            hovertemplate="<b>%{customdata[3]}</b>, transcribed at %{x:,.0f} ms<br>"
            f"{TURN_HOVER}<extra></extra>",
        )
    )


def _worst(entries: list[dict[str, Any]]) -> Table | None:
    if not entries:
        return None
    rows = [
        [
            f"session\u00a0{entry.get('session')} · turn\u00a0{entry.get('turn')}",
            clip(entry.get("said") or "", 120),
            clip(entry.get("heard") or "", 120),
            plain(int(entry.get("errors") or 0), "1"),
        ]
        for entry in entries[:_MOST_WORST]
    ]
    return Table(
        "The turns that were misheard most",
        ("turn", "said", "heard", "words wrong"),
        rows,
        numeric=frozenset({3}),
    )

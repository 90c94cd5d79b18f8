"""The settings of a sweep side by side: which are worth choosing between, and what is not shown.

Theory of operation
-------------------
Where settings of a VAD are swept, the answer is the front of the trade-off between wait and false
cut-offs (`bench.report.tradeoff`); where anything else is, the setting with the shortest wait. All
figures are rows of the summary with the filter `setting=…`. Where intervals overlap nothing has
been shown to differ, and the sentence says so.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bench.report.panel import Cell, Panel, Plot, Table
from bench.report.ranges import Range, overlap, ranges, spread
from bench.report.run import Run
from bench.report.theme import METRIC_COLOURS
from bench.report.tradeoff import Choice, beats, front, trade_off
from bench.report.words import count, listing, missing, plain, quantity, with_interval

_CAPTION: Final = (
    "Each point is a setting at its p50, with a line up to p95 and the 95 % interval of its "
    "cut-offs. Down and left is better; the dotted line joins the settings that no other beats in "
    "both"
)
# What labels name where the VAD is what is swept; anything else trades nothing off.
_QUESTION: Final = "Which setting should you choose?"
_VAD: Final = "_vad"
_COLUMNS: Final = (
    ("endpointing_delay", "p50", "endpointing p50"),
    ("endpointing_delay", "p95", "endpointing p95"),
    ("first_audio_latency", "p50", "first audio p50"),
    ("first_audio_latency", "p95", "first audio p95"),
    ("first_text_latency", "p50", "first text p50"),
    ("first_text_latency", "p95", "first text p95"),
    ("split_turn", "share", "cut into several"),
    ("talked_over", "share", "talked over"),
    ("missed", "share", "missed"),
    ("answered", "share", "answered"),
)


def choosing(run: Run) -> Panel | None:
    """The trade-off of the settings and their table; none without a sweep."""
    labels = sorted(_labels(run), key=_naturally)
    if len(labels) < 2:
        return None
    keys = [str(key) for key in run.scenario.get("sweep") or {}]
    choices = [
        _choice(run, number, label, name)
        for number, (label, name) in enumerate(zip(labels, names(labels, keys), strict=True), 1)
    ]
    vad = any(_VAD in label for label in labels)
    drawn = [choice for choice in choices if choice.drawn and vad]
    figures: list[Plot] = []
    if len(drawn) < 2:
        drawn = []  # one point trades nothing off
    if drawn:
        answer = advice(drawn)
        figures.append((_CAPTION, trade_off(drawn)))
    else:
        answer, plot = _by_wait(run, choices)
        figures += [plot] if plot else []
    left_out = [choice.name for choice in choices if choice not in drawn]
    notes = (
        [f"Without both figures, and so not drawn: {listing(left_out)}."]
        if left_out and drawn
        else []
    )
    return Panel(
        "choosing",
        _QUESTION,
        answer,
        figures,
        [_table(run, choices, keys)],
        notes,
    )


def pooled(run: Run) -> str:
    """That a figure is over all settings of a sweep together; empty without a sweep."""
    number = len(_labels(run))
    return f"Over all {number} settings together; see “{_QUESTION}”." if number > 1 else ""


def _labels(run: Run) -> list[str]:
    return [str(label) for label in run.summary.get("settings") or [] if str(label)]


def names(labels: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The labels without the keys that were swept, where they can still be told apart."""
    short = []
    for label in labels:
        parts = [
            next((part.removeprefix(f"{key} ") for key in keys if part.startswith(f"{key} ")), part)
            for part in label.split(", ")
        ]
        short.append(", ".join(parts))
    return short if len(set(short)) == len(labels) and all(short) else list(labels)


def _naturally(label: str) -> list[tuple[int, str]]:
    """Sorts 800 ms before 1200 ms."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", label)]


def _choice(run: Run, number: int, label: str, name: str) -> Choice:
    where = f"setting={label}"
    delay = run.statistics("endpointing_delay", where)
    cut = run.statistics("split_turn", where).get("share")
    return Choice(number, name, label, cut, delay.get("p50"), delay.get("p95"))


def advice(choices: Sequence[Choice]) -> str:
    """Which settings are worth choosing between, and what has not been shown."""
    best = front(choices)
    if len(best) == 1:
        said = (
            f"{best[0].name} is ahead in both: {_figures(best[0])}; no other setting is quicker or "
            "cuts fewer turns."
        )
    else:
        quick, *between, patient = best
        said = (
            f"{plain(len(best), '1')} of {count(len(choices), 'setting')} are worth choosing "
            f"between: {quick.name} is quickest ({_figures(quick)}), {patient.name} cuts fewest "
            f"({_figures(patient)})"
            + (f", and {listing(choice.name for choice in between)} between." if between else ".")
        )
        others = [choice.name for choice in choices if choice not in best]
        if others:
            verb = "is" if len(others) == 1 else "are"
            said += f" {listing(others)} {verb} no better in either than one of these."
    return f"{said} {_doubt(choices, best)}".strip()


def _figures(choice: Choice) -> str:
    cut, half = choice.cut, choice.half
    if cut is None or half is None:
        return ""
    return (
        f"{quantity(half.value, 'ms')} at p50, "
        f"{with_interval(cut.value, cut.low, cut.high, '%')} of turns cut"
    )


def _doubt(choices: Sequence[Choice], best: Sequence[Choice]) -> str:
    """What the intervals leave open: neighbours on the front, and those only just beaten."""
    pairs = list(pairwise(best))
    alike = [(one, other) for one, other in pairs if overlap(one.cut, other.cut)]
    said = []
    if alike and overlap(best[0].cut, best[-1].cut):
        said.append(
            "Even their intervals of cut-offs overlap: that waiting longer cuts fewer turns is not "
            "shown. More turns would tell."
        )
    elif len(alike) == len(pairs) and alike:
        said.append(
            "Neighbours overlap in their intervals of cut-offs, so which of two cuts fewer is not "
            "shown; only that the most patient of them cuts fewer than the quickest."
        )
    elif alike:
        couples = "; ".join(f"{one.name} and {other.name}" for one, other in alike)
        said.append(
            f"The intervals of cut-offs overlap between {couples}: which of the two cuts fewer is "
            "not shown. More turns would tell."
        )
    beaten = [
        choice.name
        for choice in choices
        if choice not in best
        and all(
            overlap(choice.cut, other.cut) and overlap(choice.half, other.half)
            for other in best
            if beats(other, choice)
        )
    ]
    if beaten:
        said.append(
            f"{listing(beaten)} {'is' if len(beaten) == 1 else 'are'} beaten within the intervals "
            "only, which may be chance."
        )
    return " ".join(said)


def _by_wait(run: Run, choices: Sequence[Choice]) -> tuple[str, Plot | None]:
    """For a sweep of what is no VAD: the wait under each setting, as ranges."""
    metric = run.wait
    lines = [
        Range(
            f"{choice.number} {choice.name}",
            "",
            METRIC_COLOURS.get(metric, "arrival"),
            run.statistics(metric, f"setting={choice.label}"),
        )
        for choice in choices
    ]
    figure = ranges(lines, f"ms, {metric.replace('_', ' ')}")
    known = [line for line in lines if line.n and not missing(line.statistics["p50"].value)]
    if figure is None or len(known) < 2:
        return "No two of the settings have a wait in common, so there is nothing to choose.", None
    quick = min(known, key=lambda line: float(line.statistics["p50"].value or 0.0))
    alike = [
        line.name
        for line in known
        if line is not quick and overlap(line.statistics["p50"], quick.statistics["p50"])
    ]
    half = quick.statistics["p50"]
    said = (
        f"{quick.name.partition(' ')[2]} is quickest: {metric.replace('_', ' ')} "
        f"{with_interval(half.value, half.low, half.high, half.unit)} at p50."
    )
    if alike:
        said += (
            f" The intervals of {listing(name.partition(' ')[2] for name in alike)} overlap with "
            "it: nothing has been shown to differ there."
        )
    return said, ("The wait under each setting: dot p50 with its interval, tick p95", figure)


def _table(run: Run, choices: Sequence[Choice], keys: Sequence[str]) -> Table:
    """The settings side by side, figure by figure; columns without any sample are left out."""
    found = {
        (choice.number, metric): run.statistics(metric, f"setting={choice.label}")
        for choice in choices
        for metric in {metric for metric, _, _ in _COLUMNS}
    }
    shown = [
        (metric, word, head)
        for metric, word, head in _COLUMNS
        if any(
            (row := found[choice.number, metric].get(word)) is not None and row.n
            for choice in choices
        )
    ]
    rows: list[list[Cell]] = []
    for choice in choices:
        cells: list[Cell] = [
            spread(found[choice.number, metric].get(word)) for metric, word, _ in shown
        ]
        n = max(
            (row.n for (number, _), known in found.items() if number == choice.number
             for row in known.values()),
            default=0,
        )  # fmt: skip
        rows.append([str(choice.number), choice.name, *cells, plain(n, "1")])
    return Table(
        "The settings side by side",
        ("", "setting", *(head for _, _, head in shown), "n"),
        rows,
        numeric=frozenset({0, *range(2, 3 + len(shown))}),
        note="Small brackets are 95 % intervals; n is the turns of the setting."
        + (f" Swept: {listing(keys)}." if keys else ""),
    )

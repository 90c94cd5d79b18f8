"""The kinds of conversation of a mixture side by side: a table of scripts and the wait in each."""

from typing import Final

from bench.report.panel import Cell, Panel, Table
from bench.report.ranges import Range, overlap, ranges, spread
from bench.report.run import Run, Statistic, texts
from bench.report.theme import METRIC_COLOURS
from bench.report.words import NOTHING, listing, missing, plain, quantity, share

_SPOKEN: Final = "first_audio_latency"
_WRITTEN: Final = "first_text_latency"
# By script: which wait it has, and its statistics.
Waits = dict[str, tuple[str, dict[str, Statistic]]]


def kinds(run: Run) -> Panel | None:
    """Turns, answers and waits by script; none where all sessions play the same."""
    scripts = [str(name) for name in run.summary.get("scripts") or [] if str(name)]
    if len(scripts) < 2:
        return None
    waits = {script: _wait(run, script) for script in scripts}
    lines = [
        Range(script, "", METRIC_COLOURS[metric], statistics)
        for script, (metric, statistics) in waits.items()
    ]
    figure = ranges(lines, "ms until the first audio or, in writing, the first text")
    caption = "The wait in each kind of conversation: dot p50 with its interval, tick p95"
    return Panel(
        "kinds",
        "How do the kinds of conversation compare?",
        _answer(run, scripts, waits),
        [(caption, figure)] if figure is not None else [],
        [_table(run, scripts, waits)],
    )


def _wait(run: Run, script: str) -> tuple[str, dict[str, Statistic]]:
    """First audio where a script has any, else first text."""
    for metric in (_SPOKEN, _WRITTEN):
        statistics = run.statistics(metric, f"script={script}")
        half = statistics.get("p50")
        if half is not None and half.n and not missing(half.value):
            return metric, statistics
    return _SPOKEN, run.statistics(_SPOKEN, f"script={script}")


def _turns(run: Run, script: str) -> int:
    """The turns of a script: of the summary where it has them, else counted in the table."""
    row = run.statistics("answered", f"script={script}").get("share")
    return row.n if row is not None else int((texts(run.counted, "script") == script).sum())


def _answer(run: Run, scripts: list[str], waits: Waits) -> str:
    numbers = {script: _turns(run, script) for script in scripts}
    total = sum(numbers.values())
    mixed = listing(f"{script} {share(number, total)}" for script, number in numbers.items())
    said = f"{len(scripts)} kinds share the {plain(total, '1')} turns: {mixed}."
    known = {
        script: statistics["p50"]
        for script, (_, statistics) in waits.items()
        if "p50" in statistics and not missing(statistics["p50"].value)
    }
    if len(known) < 2:
        return said
    quick, slow = (
        choose(known, key=lambda script: float(known[script].value or 0.0)) for choose in (min, max)
    )
    return (
        f"{said} Quickest to answer is {quick} with {quantity(known[quick].value, 'ms')} at p50, "
        f"slowest {slow} with {quantity(known[slow].value, 'ms')}"
        + ("; that they differ is not shown." if overlap(known[quick], known[slow]) else ".")
    )


def _table(run: Run, scripts: list[str], waits: Waits) -> Table:
    rows: list[list[Cell]] = []
    for script in scripts:
        metric, statistics = waits[script]
        half = statistics.get("p50")
        rows.append(
            [
                script,
                plain(_turns(run, script), "1"),
                spread(run.statistics("answered", f"script={script}").get("share")),
                metric.removesuffix("_latency").replace("_", " ") if half and half.n else NOTHING,
                spread(half),
                spread(statistics.get("p95")),
            ]
        )
    return Table(
        "The scripts side by side",
        ("script", "turns", "answered", "wait for", "p50", "p95"),
        rows,
        numeric=frozenset({1, 2, 4, 5}),
        note="Spoken answers are timed to their first audio, answers in writing to their first "
        "text. Small brackets are 95 % intervals.",
    )

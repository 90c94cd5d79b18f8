"""Panel on a mixture: its kinds of conversation (scripts) side by side, and the wait in each."""

from typing import Final

from bench.plan.metrics import METRICS
from bench.report.charts import Range, overlap, ranges
from bench.report.panels import Cell, Chart, Drawn, Question, Table, table_of
from bench.report.run_data import Run, Statistic, texts
from bench.report.text import NOTHING, listing, plain, share


def _scripts(run: Run) -> list[str]:
    return [str(name) for name in run.summary.get("scripts") or [] if str(name)]


def _wait_of(run: Run, script: str) -> str:
    """First audio where a script has any, else first text."""
    waits = ("first_audio_latency", "first_text_latency")
    known = (one for one in waits if run.statistic(one, "p50", f"script={script}").known)
    return next(known, waits[0])


def _half(run: Run, script: str) -> Statistic:
    return run.statistic(_wait_of(run, script), "p50", f"script={script}")


def _turns(run: Run, script: str) -> int:
    """The turns of a script: of the summary where it has them, else counted in the table."""
    row = run.statistic("answered", "share", f"script={script}")
    return row.n if row.unit else int((texts(run.counted, "script") == script).sum())


def _mixture(run: Run) -> str:
    turns = {script: _turns(run, script) for script in _scripts(run)}
    total = sum(turns.values())
    mixed = listing(f"{script} {share(number, total)}" for script, number in turns.items())
    said = f"{len(turns)} kinds share the {plain(total, '1')} turns: {mixed}."
    halves = {script: half for script in turns if (half := _half(run, script)).known}
    if len(halves) < 2:
        return said
    quick, slow = (choose(halves, key=lambda it: halves[it].number) for choose in (min, max))
    return (
        f"{said} Quickest to answer is {quick} with {halves[quick].shown} at p50, slowest {slow} "
        f"with {halves[slow].shown}"
        + ("; that they differ is not shown." if overlap(halves[quick], halves[slow]) else ".")
    )


def _waits(run: Run) -> Drawn:
    lines = []
    for script in _scripts(run):
        wait = _wait_of(run, script)
        found = run.statistics(wait, f"script={script}")
        lines.append(Range(script, METRICS[wait].colour, found))
    return ranges(lines, "ms until the first audio or, in writing, the first text"), []


def _script_table(run: Run) -> Table | None:
    def cell(script: str, metric: str, word: str) -> Cell:
        return run.statistic(metric, word, f"script={script}").cell

    return table_of(
        "The scripts side by side",
        {
            "script": lambda script: script,
            "turns": lambda script: plain(_turns(run, script), "1"),
            "answered": lambda script: cell(script, "answered", "share"),
            "wait for": lambda script: (
                METRICS[_wait_of(run, script)].label if _half(run, script).n else NOTHING
            ),
            "p50": lambda script: cell(script, _wait_of(run, script), "p50"),
            "p95": lambda script: cell(script, _wait_of(run, script), "p95"),
        },
        _scripts(run),
        numeric=("turns", "answered", "p50", "p95"),
        note="Spoken answers are timed to their first audio, answers in writing to their first "
        "text. Small brackets are 95 % intervals.",
    )


MIXTURE: Final = Question(
    "scripts",
    "How do the kinds of conversation compare?",
    says=(_mixture,),
    charts=(
        Chart("The wait in each kind of conversation: dot p50 with its interval, tick p95", _waits),
    ),
    tables=(_script_table,),
    asked=lambda run: len(_scripts(run)) > 1,
)

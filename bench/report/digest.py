"""The digest: a run's verdict as one page of Markdown, for a job summary or a merge request.

Theory of operation
-------------------
It says less than the page and in the same words: verdict, gates, headline numbers, the wait over
the run as a sparkline, what made the run invalid. It computes no statistic but the medians that
the sparkline is drawn from. Verdicts are words; the mark beside one is an ornament.

*Nothing in it is markup but what is written here.* Every text of the run is escaped (`inert`): a
gate with a pipe stays in its cell, and what a server said becomes no tag, image or link to a page.

*It fits.* GitHub shows no step summary above 1 MiB. All but the gates is short; the gates get what
is left, those that do not pass first where not all of them fit, and a line says how many are not
there and where they are.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bench.analysis.stages import WAITS
from bench.report.gauges_panel import gauge_lines
from bench.report.overview import (
    broken_rules,
    causes,
    gate_lines,
    headline_note,
    headlines,
    load_line,
    why,
)
from bench.report.page import put
from bench.report.run_data import Run, numbers, read_run, said_ns
from bench.report.text import (
    capital,
    count,
    inert,
    markdown_row,
    plain,
    quantity,
    seconds,
    sparkline,
)
from bench.runs.folder import PREFLIGHT

FILE_NAME: Final = "summary.md"
LIMIT: Final = 1_000_000
"""Bytes: GitHub's 1 MiB (1 048 576), less room for what the job itself adds."""
SLICES: Final = 30
"""Of the sparkline: about as many as a phone shows in a line."""
_MARKS: Final = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "🚫"}
_MEANS: Final = {
    "pass": "",
    "fail": "A result, not an accident: running it again will not mend it.",
    "inconclusive": "Neither pass nor fail: what would decide it is said of each open gate.",
    "invalid": "The figures gate nothing: the runner was unfit, not the target. It is safe to run "
    "this again, perhaps elsewhere.",
}
_TURNED_AWAY: Final = "No load was put on it. Running it again as it is will not mend that."
_MOST_RULES: Final = 50
_FILES: Final = (
    ("report.html", "the whole report, one page for the browser"),
    ("junit.xml", "a test case per gate"),
    ("verdict.json", "the verdict for scripts"),
    ("summary.json", "every figure"),
)


def write_digest(folder: Path) -> Path:
    """Write `summary.md` into the run folder and return its path.

    Needs what the page needs; RunFolderError names what is missing.
    """
    return put(folder / FILE_NAME, digest(read_run(folder)))


def digest(run: Run, limit: int = LIMIT) -> str:
    """The whole of it, at most `limit` bytes of UTF-8 where the gates can be cut to that."""
    head = "\n".join(_head(run))
    parts = (_figures(run), _sparkline(run), _server(run), _validity(run), _remarks(run), _files())
    tail = "\n".join(line for part in parts for line in part)
    room = limit - len(head.encode()) - len(tail.encode())
    gates = "\n".join(_gates(run, room))
    return f"{head}\n{gates}\n{tail}\n"


def _head(run: Run) -> Iterator[str]:
    verdict = str(run.verdict.get("verdict") or "inconclusive")
    target = (run.about.get("target") or {}).get("name") or "an unnamed target"
    mark, means = _MARKS.get(verdict, ""), _MEANS.get(verdict, "")
    if any(rule["rule"] == PREFLIGHT for rule in broken_rules(run)):
        means = _TURNED_AWAY
    name = run.about.get("name") or run.name
    yield f"## {mark} {verdict.upper()}: {inert(name)} against {inert(target)}"
    yield ""
    yield f"**{inert(why(run))}** {means}".rstrip()
    yield ""
    for cause in causes(run):
        yield inert(cause)
        yield ""
    yield f"{inert(load_line(run))}."
    if ended := run.about.get("ended_by"):
        yield ""
        yield f"The run ended early: {inert(ended.get('text', ''))}."
    yield ""


# ── gates ────────────────────────────────────────────────────────────────────────────────────────


def _gates(run: Run, room: int) -> Iterator[str]:
    """The table of gates within `room` bytes."""
    lines = gate_lines(run)
    if not lines:
        yield "No gates were asked for.\n"
        return
    yield markdown_row(("verdict", "gate", "value", "95 % interval", "n", "why"))
    yield markdown_row(("---", "---", "---:", "---:", "---:", "---"))
    rows = [
        markdown_row(
            [
                f"**{inert(line.verdict)}**",
                *map(inert, (line.gate, line.value, line.interval, line.n, capital(line.reason))),
            ]
        )
        for line in lines
    ]
    yield from _within(rows, [line.verdict == "pass" for line in lines], room)
    yield ""


def _within(rows: list[str], passed: list[bool], room: int) -> Iterator[str]:
    """The rows that fit; where not all do, those that did not pass come first."""
    sizes = [len(line.encode()) + 1 for line in rows]
    room -= 400  # the head of the table and the line about the rest
    if sum(sizes) <= room:
        yield from rows
        return
    shown = 0
    for place in sorted(range(len(rows)), key=passed.__getitem__):
        room -= sizes[place]
        if room < 0:
            break
        shown += 1
        yield rows[place]
    yield ""
    yield (
        f"… and {count(len(rows) - shown, 'more gate')}, cut for length; those that did not pass "
        "come first, and verdict.json has them all."
    )


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def _figures(run: Run) -> Iterator[str]:
    yield markdown_row(("figure", "value", "interval and samples"))
    yield markdown_row(("---", "---:", "---"))
    for line in headlines(run):
        yield markdown_row(map(inert, (line.name, line.value, line.more)))
    yield ""
    yield inert(headline_note(run))
    yield ""


def _sparkline(run: Run) -> Iterator[str]:
    """The median wait in each slice of the measured phase, as a line of blocks."""
    turns = run.counted
    metric = "first_audio_latency"
    if not numbers(turns, metric).notna().any():
        metric = run.wait
    begin, end = (run.plan.get(name) for name in ("measured_from_ns", "measured_to_ns"))
    values, at = numbers(turns, metric), said_ns(turns)
    known = values.notna() & at.notna()
    if not known.any() or metric not in WAITS:
        return
    begin = at[known].min() if begin is None else begin
    end = at[known].max() if end is None else end
    step = max(1.0, (end - begin) / SLICES)
    slices = ((at[known] - begin) // step).clip(0, SLICES - 1).astype(int)
    medians = values[known].groupby(slices).median()
    line = sparkline(medians.reindex(range(SLICES)))
    low, high = (quantity(edge, "ms") for edge in (medians.min(), medians.max()))
    yield f"`{line}`"
    yield ""
    name = metric.replace("_", " ").capitalize()
    yield inert(
        f"{name} over the measured phase: the median of each {seconds(step)}, from {low} (lowest) "
        f"to {high} (highest)."
    )
    yield ""


def _server(run: Run) -> Iterator[str]:
    """What the server said of itself, where it was asked."""
    lines = gauge_lines(run.summary, run.verdict)
    yield from (f"- Gauge: {inert(line)}" for line in lines)
    if lines:
        yield ""


# ── validity, files ──────────────────────────────────────────────────────────────────────────────


def _validity(run: Run) -> Iterator[str]:
    rules, broken = run.verdict.get("validity") or [], broken_rules(run)
    yield f"Validity: {plain(len(rules) - len(broken))} of {count(len(rules), 'rule')} kept."
    yield ""
    yield from _few(
        f"- **{inert(rule['rule'])}**"
        + (f" ({inert(rule['when'])})" if rule["when"] else "")
        + f": {inert(rule['text'])}"
        + (f" Remedy: {inert(rule['remedy'])}" if rule["remedy"] else "")
        for rule in broken
    )


def _remarks(run: Run) -> Iterator[str]:
    """What was assumed, repaired, missing or odd, and can touch a figure."""
    yield from _few(f"- Remark: {inert(one)}" for one in run.verdict.get("remarks") or ())


def _few(lines: Iterable[str]) -> Iterator[str]:
    """The first lines, how many more there are, and an empty line; nothing of none."""
    every = list(lines)
    yield from every[:_MOST_RULES]
    if len(every) > _MOST_RULES:
        yield f"- … and {count(len(every) - _MOST_RULES, 'more')}; verdict.json has them all."
    if every:
        yield ""


def _files() -> Iterator[str]:
    """Names and no links: nobody knows here where the folder will be put (see ci/summary.sh)."""
    yield "In the run folder: " + ", ".join(f"`{name}` ({what})" for name, what in _FILES) + "."

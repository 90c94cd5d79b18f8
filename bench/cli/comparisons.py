"""The verbs `compare` and `baseline accept`: runs with runs, a capacity with a capacity."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from bench.capacity.comparison import compare_capacities, read_side
from bench.capacity.document import is_capacity
from bench.capacity.loads import load_words
from bench.cli.console import COLOURS, out, print_json, print_table, say, talk
from bench.cli.verbs import BaselineAcceptOptions, CompareOptions
from bench.compare.baseline import SHELF, accept, read_baseline, write_baseline
from bench.compare.conclusion import EXIT_CODES, Margin
from bench.compare.run_sample import RunSample, read_sample
from bench.compare.sides import Side, compare, write_comparison
from bench.errors import UsageError
from bench.report.text import (
    NOTHING,
    chance_of,
    change_of,
    count,
    detectable_of,
    held,
    lacking,
    quantity,
    signed,
    value_of,
)


class Asked(NamedTuple):
    """How a comparison is made, and where its answer goes: a folder too, where there is a place."""

    margin: Margin
    allow: bool
    place: Path | None
    as_json: bool


def compare_verb(options: CompareOptions) -> int:
    """Compare runs, or capacity results where those are given."""
    asked = Asked(
        Margin(options.margin, options.points), options.allow, options.out, options.as_json
    )
    if (pair := _capacities(options.runs, options.against)) is not None:
        found = compare_capacities(
            *map(read_side, pair), margin=options.margin, allow=options.allow
        )
        if asked.place is not None:
            from bench.report.capacity_comparison_page import (  # noqa: PLC0415 - plotly is slow
                write_capacity_comparison_page,
            )

            write_comparison(found, asked.place)
            write_capacity_comparison_page(found, asked.place)
        return _print_found(found, asked, print_capacity_comparison)
    if not options.against:
        raise UsageError(
            "--against: is missing; name the run folders or the baseline to compare with"
        )
    sides = [read_runs(paths) for paths in (options.runs, options.against)]
    _check_once([runs for _, runs in sides])
    return compare_sides(Side(*sides[0]), Side(*sides[1]), asked)


def compare_sides(a: Side, b: Side, asked: Asked) -> int:
    """Compare the candidate `a` with `b`, write, print; the exit code."""
    with talk.status("comparing"):
        found = compare(a, b, margin=asked.margin, allow=asked.allow)
    if asked.place is not None:
        from bench.report.compare_page import write_page  # noqa: PLC0415 - plotly is slow to import

        write_comparison(found, asked.place)
        write_page(found, asked.place)
    return _print_found(found, asked, print_comparison)


def _print_found(
    found: dict[str, Any], asked: Asked, show: Callable[[dict[str, Any], Console], None]
) -> int:
    """Print a comparison: for a script, or with `show` and where its page is; the exit code."""
    if asked.as_json:
        print_json(found)
    else:
        show(found, out)
        if asked.place is not None:
            say(out, f"page  {asked.place / 'comparison.html'}")
    return EXIT_CODES[found["verdict"]]


def _capacities(candidate: Sequence[Path], against: Sequence[Path]) -> tuple[Path, Path] | None:
    """The two capacity results to compare; None where none was given. UsageError for a mixture."""
    every = [*candidate, *against]
    found = [path for path in every if is_capacity(path)]
    if not found:
        return None
    if len(found) < len(every):
        other = next(path for path in every if path not in found)
        raise UsageError(
            f"{found[0]} is a capacity and {other} is not; compare a capacity with a capacity, or "
            "runs with runs"
        )
    if len(every) != 2 or len(against) > 1:
        raise UsageError(
            f"{found[0]} is a capacity: give one candidate and one to compare it with, as in "
            "bench compare A --against B"
        )
    return every[0], every[1]


def read_runs(paths: Sequence[Path]) -> tuple[str, tuple[RunSample, ...]]:
    """(what to call it, its runs) of one side."""
    runs, names = [], []
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - and never raises, be it an odd name
            raise UsageError(
                f"{path}: no such file; give a run folder, or a baseline that was accepted"
            )
        if path.is_file():
            name, found = read_baseline(path)
            names.append(f"baseline {name}")
            runs += found
        else:
            runs.append(read_sample(path))
            names.append(runs[-1].name)
    shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return shown, tuple(runs)


def _check_once(sides: Sequence[Sequence[RunSample]]) -> None:
    """UsageError for a run that is there twice: it would be taken for another that agrees."""
    seen: dict[tuple[str, Any], int] = {}
    for number, side in enumerate(sides):
        for run in side:
            before = seen.setdefault((run.name, run.facts["created"]), number)
            if before != number:
                raise UsageError(f"{run.name}: stands on both sides; give other runs to one")
        if len({(run.name, run.facts["created"]) for run in side}) < len(side):
            names = [run.name for run in side]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"{twice}: is given twice, and counts once; leave one out")


def accept_verb(options: BaselineAcceptOptions) -> None:
    """Accept runs as a baseline: one small file for git."""
    for path in options.runs:
        if path.is_file():
            raise UsageError(f"{path}: is a file; a baseline is accepted from run folders")
    _, samples = read_runs(options.runs)
    _check_once([samples])
    called = options.name or samples[0].facts["scenario"]
    if not called or "/" in called:
        raise UsageError(f"--name {called!r}: give a name without a slash")
    path = options.out or SHELF / f"{called}.json"
    replaced = ", in place of the one that was there" if path.exists() else ""
    write_baseline(accept(samples, called), path)
    turns = sum(len(run.session) for run in samples)
    size = path.stat().st_size / 1024
    say(out, f"{path}: {count(len(samples), 'run')}, {turns} turns, {size:.0f} KiB{replaced}")


# ── what is printed ──────────────────────────────────────────────────────────────────────────────


def print_comparison(found: dict[str, Any], console: Console) -> None:
    """The rows that decide, the stages, the remarks and the verdict."""
    a, b = (
        f"{side['name']} ({count(len(side['runs']), 'run')})"
        for side in (found["sides"]["a"], found["sides"]["b"])
    )
    say(console, f"A {a} against B {b}")
    deciding = [row for row in found["rows"] if row["family"]]
    _print_rows(deciding, console)
    say(console, "sees: the smallest change that would have been called four times in five")
    if found["attribution"]:
        _print_stages(found["attribution"], console)
    for word in ("regressed", "improved"):
        named = [_figure(row) for row in found["rows"]
                 if row["verdict"] == word and not row["family"]]  # fmt: skip
        if named:
            say(console, f"aside  {word} too, and decides nothing: {', '.join(named)}")
    if found["verdict"] != "inconclusive":  # else these are its reasons
        for row in filter(lacking, deciding):
            say(console, f"open  {_figure(row)}: {row['reason']}")
    for remark in found["remarks"]:
        say(console, f"note  {remark}")
    _print_verdict(found, console)


def print_capacity_comparison(found: dict[str, Any], console: Console) -> None:
    """Both sides, a row for each tier with its sentence, the remarks and the verdict."""
    sides = found["sides"]
    say(console, f"A {sides['a']['name']} against B {sides['b']['name']}")
    print_table(
        console,
        ("tier", ">A", ">B", "verdict"),
        [
            (row["tier"], held(row["a"]), held(row["b"]), _verdict_text(row))
            for row in found["tiers"]
        ],
        caption=f"in {load_words(found['load'])}, with 95 % intervals",
        tight=True,
    )
    for remark in found["remarks"]:
        say(console, f"note  {remark}")
    _print_verdict(found, console)
    told = {f"tier {row['tier']} {row['verdict']}: {row['said']}" for row in found["tiers"]}
    for line in sorted(told - set(found["reasons"])):
        say(console, f"  {line}")


def _print_verdict(found: dict[str, Any], console: Console) -> None:
    word = found["verdict"]
    first, *rest = found["reasons"]
    console.print(Text(word.upper(), style=f"bold {COLOURS[word]}"), end="  ")
    say(console, first)
    for reason in rest:
        say(console, f"  {reason}")


def _verdict_text(row: dict[str, Any]) -> Text:
    return Text(row["verdict"], style=COLOURS[row["verdict"]])


def _figure(row: dict[str, Any]) -> str:
    return f"{row['statistic']}({row['metric']})"


def _print_rows(rows: Sequence[dict[str, Any]], console: Console) -> None:
    shown = []
    for row in rows:
        change, interval = change_of(row)
        shown.append((
            f"{row['metric']}\n{row['statistic']}",
            value_of(row, "b"),
            value_of(row, "a"),
            f"{change}\n{interval}",
            detectable_of(row),
            _verdict_text(row) + f"\np {chance_of(row)}",
        ))  # fmt: skip
    columns = ("figure", ">B", ">A", ">change", ">sees", "verdict")
    print_table(console, columns, shown, tight=True)


def _print_stages(entries: Sequence[dict[str, Any]], console: Console) -> None:
    shown = []
    for entry in entries:
        known = entry["low"] is not None and entry["high"] is not None
        shown.append((
            entry["stage"],
            quantity(entry["b"], "ms"),
            quantity(entry["a"], "ms"),
            f"{signed(entry['difference'])} ms",
            f"{signed(entry['low'])} to {signed(entry['high'])}" if known else NOTHING,
            NOTHING if entry["share"] is None else f"{round(entry['share'])} %",
        ))  # fmt: skip
    print_table(
        console,
        ("stage", ">B", ">A", ">change", ">95 % interval", ">of all"),
        shown,
        title="where the change is, in means",
        tight=True,
    )

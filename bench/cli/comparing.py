"""The verbs that compare: `compare`, `ab`, `baseline accept`. What is slow is imported inside."""

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from bench.cli.console import Json, out, talk
from bench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from bench.compare.conclusion import Margin
    from bench.compare.run_sample import RunSample

EXAMPLES: Final = {
    "compare": "Example: bench compare reports/new-1 reports/new-2 --against "
    "reports/baselines/demo.json",
    "ab": "Example: bench ab scenarios/demo.toml --pairs 5 --b ws://127.0.0.1:8765/v1/realtime",
}
baseline_app = typer.Typer(no_args_is_help=True, help="Runs that the team has accepted.")


def _finite(value: float) -> float:
    """What is no number would leave every row open, or none, and is no JSON."""
    if not math.isfinite(value):
        raise typer.BadParameter("give a number")
    return value


MarginOption = Annotated[
    float,
    typer.Option(
        "--margin",
        min=0.0,
        callback=_finite,
        help="Percent of a latency, or of a capacity, that do not matter.",
    ),
]
PointsOption = Annotated[
    float,
    typer.Option(
        "--points", min=0.0, callback=_finite, help="Points of a share that do not matter."
    ),
]


class ManyAgainst(TyperCommand):
    """A command whose `--against` takes all the words up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        after = False
        for word in args:
            option = word.startswith("-")
            if after and not option and spread[-1] != "--against":
                spread.append("--against")
            spread.append(word)
            # "--against=RUN" too is followed by more of them, and not by candidates.
            after = word.partition("=")[0] == "--against" or (after and not option)
        return super().parse_args(ctx, spread)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="The candidate: run folders or baselines, or one capacity result."),
    ],
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="What it is compared with: one or several."),
    ] = None,
    margin: MarginOption = 5.0,
    points: PointsOption = 2.0,
    allow: Annotated[
        bool, typer.Option("--allow", help="Compare what is unlike; the result says what differs.")
    ] = False,
    out_: Annotated[
        Path | None, typer.Option("--out", help="Write comparison.json and .html there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs, or two capacity results. Exit 1 where something regressed.

    It says what changed, by how much, and how surely. Capacity results may be given as A B too.
    """
    from bench.compare.conclusion import Margin  # noqa: PLC0415

    if (pair := _capacities(runs, against or [])) is not None:
        raise typer.Exit(
            _compare_capacities(*pair, margin=margin, allow=allow, place=out_, as_json=as_json)
        )
    if not against:
        raise UsageError(
            "--against: is missing; name the run folders or the baseline to compare with"
        )
    sides = [_read(paths) for paths in (runs, against)]
    _check_once([runs for _, runs in sides])
    raise typer.Exit(
        _compare(sides, Margin(margin, points), allow=allow, place=out_, as_json=as_json)
    )


def _capacities(candidate: list[Path], against: list[Path]) -> tuple[Path, Path] | None:
    """The two capacity results to compare; None where none was given. UsageError for a mixture."""
    from bench.capacity.document import is_capacity  # noqa: PLC0415

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


def _compare_capacities(
    a: Path, b: Path, *, margin: float, allow: bool, place: Path | None, as_json: bool
) -> int:
    """Compare two capacity results, write, print; the exit code."""
    from bench.capacity.comparison import (  # noqa: PLC0415
        compare_capacities,
        read_side,
        write_capacity_comparison,
    )
    from bench.cli.comparison import print_capacity_comparison  # noqa: PLC0415
    from bench.compare.conclusion import EXIT_CODES  # noqa: PLC0415

    found = compare_capacities(read_side(a), read_side(b), margin=margin, allow=allow)
    if place is not None:
        from bench.report.capacity_comparison_page import write_capacity_comparison_page  # noqa: PLC0415

        write_capacity_comparison(found, place)
        write_capacity_comparison_page(found, place)
    _tell(found, place, print_capacity_comparison, as_json=as_json)
    return EXIT_CODES[found["verdict"]]


def _tell(
    found: dict[str, Any],
    place: Path | None,
    show: "Callable[[dict[str, Any], Console], None]",
    *,
    as_json: bool,
) -> None:
    """Print a comparison: for a script, or with `show` and where its page is."""
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    show(found, out)
    if place is not None:
        out.print(f"page  {place / 'comparison.html'}", highlight=False, soft_wrap=True)


def _read(paths: list[Path]) -> tuple[str, "tuple[RunSample, ...]"]:
    """(what to call it, its runs) of one side."""
    from bench.compare.baseline import read_baseline  # noqa: PLC0415
    from bench.compare.run_sample import read_sample  # noqa: PLC0415

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


def _check_once(sides: "Sequence[Sequence[RunSample]]") -> None:
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
            raise UsageError(f"{twice}: is given twice; one run is no evidence of another")


def _called(target: str, own: list[str] | None) -> str:
    """What a side of `ab` is called: its target, and what was set for it alone."""
    return f"{target} with {', '.join(own)}" if own else target


def _compare(
    sides: "list[tuple[str, tuple[RunSample, ...]]]",
    margin: "Margin",
    *,
    allow: bool,
    place: Path | None,
    as_json: bool,
) -> int:
    """Compare, write, print; the exit code."""
    from bench.cli.comparison import print_comparison  # noqa: PLC0415
    from bench.compare.conclusion import EXIT_CODES  # noqa: PLC0415
    from bench.compare.sides import Side, compare, write_comparison  # noqa: PLC0415

    with talk.status("comparing"):
        found = compare(Side(*sides[0]), Side(*sides[1]), margin=margin, allow=allow)
    if place is not None:
        from bench.report.compare_page import write_page  # noqa: PLC0415

        write_comparison(found, place)
        write_page(found, place)
    _tell(found, place, print_comparison, as_json=as_json)
    return EXIT_CODES[found["verdict"]]


@baseline_app.callback()
def _baselines() -> None:
    """Runs that the team has accepted."""


@baseline_app.command(
    "accept", epilog="Example: bench baseline accept reports/20261124-120000-demo --name demo"
)
def baseline_accept(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, all of one kind.")],
    name: Annotated[str | None, typer.Option(help="Its name; default: the scenario's.")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", help="The file; default: in reports/baselines/.")
    ] = None,
) -> None:
    """Accept runs as what later ones are compared with and judged by: one small file for git."""
    from bench.compare.baseline import SHELF, accept, write_baseline  # noqa: PLC0415
    from bench.report.text import count  # noqa: PLC0415

    for path in runs:
        if path.is_file():
            raise UsageError(f"{path}: is a file; a baseline is accepted from run folders")
    _, samples = _read(runs)
    _check_once([samples])
    called = name or samples[0].facts["scenario"]
    if not called or "/" in called:
        raise UsageError(f"--name {called!r}: give a name without a slash")
    path = out_ or SHELF / f"{called}.json"
    replaced = ", in place of the one that was there" if path.exists() else ""
    write_baseline(accept(samples, called), path)
    turns = sum(len(run.session) for run in samples)
    size = path.stat().st_size / 1024
    out.print(
        f"{path}: {count(len(samples), 'run')}, {turns} turns, {size:.0f} KiB{replaced}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def ab(
    scenario: Annotated[Path, typer.Argument(help="A scenario file (TOML).")],
    a: Annotated[str, typer.Option("--a", help="The candidate: a target as in run.")] = "reference",
    b: Annotated[str, typer.Option("--b", help="What it is compared with.")] = "reference",
    pairs: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 5,
    dialect: Annotated[str | None, typer.Option(help="inworld or openai, for URLs.")] = None,
    duration: Annotated[str | None, typer.Option(help='Measured time of a run: "30s".')] = None,
    sessions: Annotated[int | None, typer.Option(help="Sessions held (closed load).")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 1,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override the scenario.")
    ] = None,
    set_a: Annotated[list[str] | None, typer.Option(help="key=value, in runs of --a.")] = None,
    set_b: Annotated[list[str] | None, typer.Option(help="key=value, in runs of --b.")] = None,
    margin: MarginOption = 5.0,
    points: PointsOption = 2.0,
    allow: Annotated[
        bool, typer.Option("--allow", help="Compare unlike runs; the result says what differs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start against a target off loopback.")
    ] = False,
    out_: Annotated[
        Path | None, typer.Option("--out", help="A folder for the runs and the comparison.")
    ] = None,
    price_per_minute: Annotated[
        float | None, typer.Option(help="Price of a session-minute, for the estimate.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Session-minutes that all runs together may use.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="The same in money; needs --price-per-minute.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run two targets in turn, AB BA AB …, and compare them: the way that cancels drift."""
    from bench.cli.interleaving import Interleaved, Wanted, interleave  # noqa: PLC0415
    from bench.compare.conclusion import Margin  # noqa: PLC0415

    common = tuple(set_ or ())
    wanted = {
        "a": Wanted(a, (*common, *(set_a or ()))),
        "b": Wanted(b, (*common, *(set_b or ()))),
    }
    # What was set for one side alone is what is asked about.
    told = allow or bool(set_a or set_b)
    plan = Interleaved(
        scenario, wanted, pairs, dialect, duration, sessions, workers, yes, out_, told,
        price_per_minute, max_minutes, max_cost,
    )  # fmt: skip
    place, folders = interleave(plan, talk)
    sides = [
        (_called(runs[0].facts["target"], own), runs)
        for own, (_, runs) in ((set_a, _read(folders["a"])), (set_b, _read(folders["b"])))
    ]
    raise typer.Exit(
        _compare(sides, Margin(margin, points), allow=told, place=place, as_json=as_json)
    )

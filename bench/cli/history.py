"""The verbs of history: add runs, show lines and their changes, export, merge."""

import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.console import Json, out, talk
from bench.errors import UsageError
from bench.plan.gates import STATISTICS as KNOWN_STATISTICS
from bench.plan.gates import nearest
from bench.plan.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.runs.history import Wanted
    from bench.runs.record import Entry

history_app = typer.Typer(
    no_args_is_help=True, help="Runs over time: add, show changes, export, merge."
)

STORE = Path("reports/history.sqlite")
COMMIT_IN = ("GITHUB_SHA", "CI_COMMIT_SHA")
"""Where GitHub and GitLab say what they built."""
BRANCH_IN = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")
"""The same for branches; a pull request's own branch is in the first, its ref in the second."""

Store = Annotated[Path, typer.Option("--store", help="The history's file.")]
Scenario = Annotated[str, typer.Option(help="Only runs of this scenario.")]
Target = Annotated[str, typer.Option(help="Only runs against this target.")]
Branch = Annotated[str, typer.Option(help="Only runs of this branch.")]
Since = Annotated[
    str, typer.Option(help="Only runs begun since then: a date (2026-09-01, UTC) or an age (30d).")
]
AGE = re.compile(r"([0-9]+)([hdw])")
HOURS = {"h": 1, "d": 24, "w": 7 * 24}
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="A metric; repeatable.")]
Statistics = Annotated[list[str] | None, typer.Option("--statistic", help="As in p50; repeatable.")]


@history_app.command("add", epilog="Example: bench history add reports/20261124-120000-demo")
def add(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, or results of capacity searches.")
    ],
    commit: Annotated[
        str | None, typer.Option(help="What was measured; default: what CI says, else git.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Its branch; default: the same.")] = None,
    store: Store = STORE,
) -> None:
    """Add runs to a history. A run that is in it already changes nothing."""
    from bench.capacity.document import is_capacity  # noqa: PLC0415
    from bench.capacity.entry import capacity_record  # noqa: PLC0415
    from bench.runs.history import add as add_records  # noqa: PLC0415
    from bench.runs.record import record  # noqa: PLC0415

    commit = _built(COMMIT_IN, "HEAD") if commit is None else commit
    branch = _built(BRANCH_IN, "--abbrev-ref", "HEAD") if branch is None else branch
    records = [
        (capacity_record if is_capacity(path) else record)(path, commit, branch) for path in runs
    ]
    for path, one, new in zip(runs, records, add_records(store, records), strict=True):
        where = " ".join(word for word in (one.entry.commit[:12], one.entry.branch) if word)
        figures = f"{len(one.figures)} figure{'' if len(one.figures) == 1 else 's'}"
        done = f"{figures}, {one.entry.verdict}" if new else "was there already"
        _print(f"{'added' if new else 'kept '}  {path}{f' at {where}' if where else ''}: {done}")


@history_app.command("show", epilog="Example: bench history show --scenario demo --branch main")
def show(
    scenario: Scenario = "",
    target: Target = "",
    branch: Branch = "",
    since: Since = "",
    metric: Metrics = None,
    statistic: Statistics = None,
    filter_: Annotated[
        str, typer.Option("--filter", help='As in "script=barge_in"; none: whole runs.')
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None,
    as_json: Json = False,
    store: Store = STORE,
) -> None:
    """Show the runs, a line for every figure, and where its level changed."""
    from bench.cli.lines import document, print_groups  # noqa: PLC0415
    from bench.compare.trend import HEADLINE, STATISTICS, with_changes  # noqa: PLC0415
    from bench.runs.history import Wanted  # noqa: PLC0415

    found = _groups(
        Wanted(
            scenario, target, branch, _metrics(metric) or HEADLINE,
            _statistics(statistic) or STATISTICS, filter_, _since(since, datetime.now(UTC)),
        ), store,
    )  # fmt: skip
    found = with_changes(found)
    if html is not None:
        from bench.report.history_page import write_history  # noqa: PLC0415

        write_history(found, html)
    if as_json:
        print(json.dumps(document(found), indent=2, allow_nan=False))
    else:
        print_groups(found, out)
        if html is not None:
            _print(f"page    {html}")


@history_app.command(
    "export", epilog="Example: bench history export --format bmf --branch main --out bmf.json"
)
def export(
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="github-action-benchmark, github-action-benchmark-bigger, bmf, otava or "
            "openmetrics.",
        ),
    ],
    scenario: Scenario = "",
    target: Target = "",
    branch: Branch = "",
    since: Since = "",
    metric: Metrics = None,
    statistic: Statistics = None,
    out_: Annotated[
        Path | None, typer.Option("--out", help="Write it here; none: to stdout.")
    ] = None,
    store: Store = STORE,
) -> None:
    """Write the history, or its latest runs, in the format of another tracker."""
    from bench.compare.trend import HEADLINE, STATISTICS  # noqa: PLC0415
    from bench.compare.trend_export import FORMATS, left_out  # noqa: PLC0415
    from bench.runs.history import Wanted  # noqa: PLC0415

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r}: {nearest(format_, FORMATS)}")
    found = _groups(
        Wanted(
            scenario, target, branch, _metrics(metric) or HEADLINE,
            _statistics(statistic) or STATISTICS, "", _since(since, datetime.now(UTC)),
        ), store,
    )  # fmt: skip
    text = FORMATS[format_](found)
    if out_ is None:
        print(text, end="")
    else:
        _write(text, out_)
    for sentence in left_out(found, format_):
        talk.print(f"left out: {sentence}", highlight=False, markup=False, soft_wrap=True)


@history_app.command("merge", epilog="Example: bench history merge job-1.sqlite job-2.sqlite")
def merge(
    others: Annotated[list[Path], typer.Argument(help="Histories that other machines kept.")],
    store: Store = STORE,
) -> None:
    """Add what other histories have; a run that both have stays one."""
    from bench.runs.history import merge as merge_stores  # noqa: PLC0415

    for other in others:
        _print(f"added  {merge_stores(store, other)} runs of {other}")


def _groups(wanted: "Wanted", store: Path) -> list[Any]:
    """The settings that were asked for. UsageError where the history has none such."""
    from bench.compare.trend import groups  # noqa: PLC0415 - pandas is slow to import
    from bench.runs.history import Wanted, read  # noqa: PLC0415

    entries, figures = read(store, wanted)
    if not entries:
        runs, _ = read(store, Wanted(metrics=[""]))
        raise UsageError(f"{store}: {_nothing(wanted, runs)}")
    if wanted.filter and not figures:
        _, every = read(store, wanted._replace(metrics=(), statistics=(), filter=None))
        known = {figure.filter for figure in every} - {""}
        if wanted.filter not in known:
            others = nearest(wanted.filter, known) if known else "leave it out to see whole runs"
            raise UsageError(f"--filter {wanted.filter!r}: no such figures in these runs; {others}")
    return groups(entries, figures)


def _nothing(wanted: "Wanted", every: "Sequence[Entry]") -> str:
    """Why no run is told: none that was asked for, or none at all."""
    asked = {
        "--scenario": wanted.scenario, "--target": wanted.target, "--branch": wanted.branch,
        "--since": wanted.since[:16].replace("T", " "),
    }  # fmt: skip
    told = " ".join(f"{option} {value!r}" for option, value in asked.items() if value)
    if not told or not every:
        return "no run in it yet; add one with 'bench history add RUN'"
    has = {f"{one.scenario} against {one.target} on {one.branch!r}": one.created for one in every}
    latest = [f"{name}, last {has[name][:16].replace('T', ' ')}" for name in sorted(has)]
    return f"no run of {told}; it has {'; '.join(latest[:5])}"


def _since(asked: str, now: datetime) -> str:
    """The instant from which on runs are wanted, in ISO 8601 and UTC; empty for all of them."""
    text = asked.strip()
    try:
        if age := AGE.fullmatch(text):
            since = now - timedelta(hours=int(age[1]) * HOURS[age[2]])
        elif text:
            since = datetime.fromisoformat(text)
            since = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
        else:
            return ""
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {asked!r}: give a date, as in 2026-09-01 or 2026-09-01T09:00 (UTC), or an "
            "age, as in 12h, 30d or 8w"
        ) from None
    return since.isoformat()


def _metrics(asked: list[str] | None) -> list[str]:
    from bench.runs.record import CAPACITY  # noqa: PLC0415

    known = {**dict.fromkeys(METRICS), CAPACITY: None}
    for name in asked or ():
        if name not in known:
            raise UsageError(f"--metric {name!r}: {nearest(name, known)}")
    return asked or []


def _statistics(asked: list[str] | None) -> list[str]:
    known = {word: None for words in KNOWN_STATISTICS.values() for word in words}
    for name in asked or ():
        if name not in known:
            raise UsageError(f"--statistic {name!r}: {nearest(name, known)}")
    return asked or []


def _built(variables: tuple[str, ...], *asked: str) -> str:
    """What CI says was built, else what git says of the current directory, else nothing."""
    for variable in variables:
        if value := os.environ.get(variable):
            return value
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "rev-parse", *asked],  # noqa: S607 - whichever git the user has
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    said = told.stdout.strip() if told.returncode == 0 else ""
    return "" if said == "HEAD" else said  # "HEAD" is no branch: git is between branches


def _write(text: str, path: Path) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give --out") from None


def _print(line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)

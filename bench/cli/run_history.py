"""The verbs of `history`: add runs, show lines and their changes, export, merge."""

import os
import re
import subprocess
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.capacity.document import is_capacity
from bench.capacity.history_entry import capacity_record
from bench.cli.console import out, print_json, print_text, say, talk
from bench.cli.history_tables import document, print_groups
from bench.cli.verbs import (
    HistoryAddOptions,
    HistoryExportOptions,
    HistoryMergeOptions,
    HistoryShowOptions,
)
from bench.compare.trend import HEADLINE, STATISTICS, Group, groups, with_changes
from bench.compare.trend_export import FORMATS, left_out
from bench.errors import UsageError, nearest
from bench.plan.gates import STATISTICS as KNOWN_STATISTICS
from bench.plan.metrics import METRICS
from bench.report.text import count
from bench.runs.history import Wanted, add, merge, read
from bench.runs.history_record import CAPACITY, Entry, record

COMMIT_IN: Final = ("GITHUB_SHA", "CI_COMMIT_SHA")
"""Where GitHub and GitLab say what they built."""
BRANCH_IN: Final = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")
"""The same for branches; a pull request's own branch is in the first, its ref in the second."""
AGE: Final = re.compile(r"([0-9]+)([hdw])")
HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24}


def add_verb(options: HistoryAddOptions) -> None:
    """Add runs and capacity results; a line each."""
    commit, branch = options.commit, options.branch
    commit = _built(COMMIT_IN, "HEAD") if commit is None else commit
    branch = _built(BRANCH_IN, "--abbrev-ref", "HEAD") if branch is None else branch
    records = [
        (capacity_record if is_capacity(path) else record)(path, commit, branch)
        for path in options.runs
    ]
    new = add(options.store, records)
    for path, one, is_new in zip(options.runs, records, new, strict=True):
        where = " ".join(word for word in (one.entry.commit[:12], one.entry.branch) if word)
        figures = f"{count(len(one.figures), 'figure')}, {one.entry.verdict}"
        done = figures if is_new else "was there already"
        at = f" at {where}" if where else ""
        say(out, f"{'added' if is_new else 'kept '}  {path}{at}: {done}")


def show_verb(options: HistoryShowOptions) -> None:
    """Print the runs and their lines, and draw them where asked."""
    found = with_changes(_groups(options, options.filter))
    if options.html is not None:
        from bench.report.history_page import write_history  # noqa: PLC0415 - plotly is slow to import

        write_history(found, options.html)
    if options.as_json:
        print_json(document(found))
        return
    print_groups(found, out)
    if options.html is not None:
        say(out, f"page    {options.html}")


def export_verb(options: HistoryExportOptions) -> None:
    """Print or write the history in the format of another tracker."""
    _need_known("--format", [options.format], FORMATS)
    found = _groups(options, "")
    text = FORMATS[options.format](found)
    if options.out is None:
        print_text(text)
    else:
        try:
            options.out.write_text(text, "utf-8")
        except OSError as error:
            raise UsageError(
                f"{options.out}: cannot be written ({error.strerror}); give --out"
            ) from None
    for line in left_out(found, options.format):
        say(talk, f"left out: {line}")


def merge_verb(options: HistoryMergeOptions) -> None:
    """Add what the others have."""
    for other in options.others:
        say(out, f"added  {merge(options.store, other)} runs of {other}")


def _groups(options: HistoryShowOptions | HistoryExportOptions, filter_: str) -> list[Group]:
    """The settings that were asked for. UsageError where the history has none such."""
    _need_known("--metric", options.metrics, {*METRICS, CAPACITY})
    every = {word for words in KNOWN_STATISTICS.values() for word in words}
    _need_known("--statistic", options.statistics, every)
    wanted = Wanted(
        options.scenario, options.target, options.branch, options.metrics or HEADLINE,
        options.statistics or STATISTICS, filter_, since(options.since, datetime.now(UTC)),
    )  # fmt: skip
    entries, figures = read(options.store, wanted)
    if not entries:
        runs, _ = read(options.store, Wanted(metrics=[""]))
        raise UsageError(f"{options.store}: {_nothing(wanted, runs)}")
    if wanted.filter and not figures:
        _, found = read(options.store, wanted._replace(metrics=(), statistics=(), filter=None))
        known = {figure.filter for figure in found} - {""}
        if wanted.filter not in known:
            others = nearest(wanted.filter, known) if known else "leave it out to see whole runs"
            raise UsageError(f"--filter {wanted.filter!r}: no such figures in these runs; {others}")
    return groups(entries, figures)


def _need_known(option: str, asked: Sequence[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            raise UsageError(f"{option} {name!r}: {nearest(name, known)}")


def _nothing(wanted: Wanted, every: Sequence[Entry]) -> str:
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


def since(asked: str, now: datetime) -> str:
    """The instant from which on runs are wanted, in ISO 8601 and UTC; empty for all of them."""
    text = asked.strip()
    try:
        if age := AGE.fullmatch(text):
            start = now - timedelta(hours=int(age[1]) * HOURS[age[2]])
        elif text:
            start = datetime.fromisoformat(text)
            start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
        else:
            return ""
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {asked!r}: give a date, as in 2026-09-01 or 2026-09-01T09:00 (UTC), or an "
            "age, as in 12h, 30d or 8w"
        ) from None
    return start.isoformat()


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

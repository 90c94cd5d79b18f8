"""`bench ab`: two targets, run in turn.

Theory of operation
-------------------
The order is AB BA AB BA …: of every pair the other side goes first. A machine or a target that
drifts evenly (warms up, fills up) would, in ABAB, meet A always a step earlier than B, and a drift
would look like a difference. Here both sides have the same mean place after an even number of
pairs, so an even drift cancels exactly; after n pairs, n odd, one n-th of a step is left. The drift
still widens the scatter between runs, and so the intervals.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from bench.cli.budget import cap_of, session_minutes
from bench.cli.comparisons import Asked, compare_sides, read_runs
from bench.cli.console import say, talk
from bench.cli.run_estimate import expected_of, run_minutes
from bench.cli.run_job import job_of
from bench.cli.run_result import settle
from bench.cli.run_scenario import described, empty_folder, need_yes, new_folder, run
from bench.cli.supervisor import EXIT_INTERRUPTED
from bench.cli.verbs import AbOptions, RunOptions
from bench.compare.comparability import facts_of, unfit
from bench.compare.conclusion import Margin
from bench.compare.sides import Side
from bench.errors import UsageError
from bench.load.preflight import need_target
from bench.load.route import read_credentials
from bench.plan.metrics import VERSION
from bench.plan.scenario import gates_of
from bench.reference.profile import load_profile
from bench.report.text import count
from bench.runs.folder import still_there
from bench.runs.job import Job

RETRIES: Final = 2


def ab_verb(options: AbOptions) -> int:
    """Run both sides in turn and compare them."""
    # What was set for one side alone is what is asked about.
    told = options._replace(allow=options.allow or bool(options.set_a or options.set_b))
    place, folders = interleave(told, talk)
    sides = []
    for side, own in (("a", told.set_a), ("b", told.set_b)):
        _, runs = read_runs(folders[side])
        name = runs[0].facts["target"]
        sides.append(Side(f"{name} with {', '.join(own)}" if own else name, runs))
    margin = Margin(told.margin, told.points)
    asked = Asked(margin, told.allow, place, told.as_json)
    return compare_sides(sides[0], sides[1], asked)


def order(pairs: int) -> Iterator[str]:
    """Which side each run is of: a b, b a, a b and so on."""
    for pair in range(pairs):
        yield from ("ab", "ba")[pair % 2]


def interleave(plan: AbOptions, console: Console) -> tuple[Path, dict[str, list[Path]]]:
    """Run both sides in turn; (the folder of all, run folders by side).

    A run that is invalid is made again at its place, `RETRIES` of them in all: a busy moment of the
    generator must not cost the hour. UsageError for what cannot be run, before anything starts;
    typer.Exit where a run was interrupted, or one too many is invalid. `max_minutes` and `max_cost`
    are of all runs together, those that are made again among them.
    """
    jobs = _check(plan)
    cap = cap_of(plan.max_minutes, plan.max_cost, plan.price_per_minute)
    minutes = {side: session_minutes(job) for side, job in jobs.items()}
    used = plan.pairs * sum(minutes.values())
    runs, left = list(order(plan.pairs)), RETRIES
    if cap is not None:
        cap.check(used, f"these {len(runs)} runs", "fewer --pairs or --sessions")
    place = empty_folder(plan.out or new_folder(f"ab-{plan.scenario.stem}"))
    folders: dict[str, list[Path]] = {"a": [], "b": []}
    price = plan.price_per_minute
    cost = "" if price is None else f", about {used * price:.2f} in money"
    say(console, f"ab {len(runs)} runs{_each(jobs['b'])}, at most {used:.1f} session-minutes in "
        f"all{cost}; an invalid run is made again, at most {RETRIES} of them")  # fmt: skip
    for number, side in enumerate(runs, 1):
        say(console, f"ab {number} of {len(runs)}: {side.upper()}, {_target(plan, side)}")
        path = place / f"{number:02d}-{side}"
        while (why := _run(plan, side, path, console)) is not None:
            say(console, f"{path} is invalid: {why}")
            if not left:
                say(console, "bench: too many runs are invalid; nothing is compared")
                raise typer.Exit(3)
            used += minutes[side]
            if cap is not None and used > cap.minutes:
                passed = f"another run would pass {cap.option} {cap.given:g}"
                say(console, f"bench: {passed}; nothing is compared")
                raise typer.Exit(3)
            left -= 1
            path = place / f"{number:02d}-{side}-again-{RETRIES - left}"
        folders[side].append(path)
    return place, folders


def _each(job: Job) -> str:
    """What one of the runs comes to."""
    expected = expected_of(job)
    turns = "" if expected is None else f" and about {count(expected.turns, 'turn')}"
    return f" of {run_minutes(job):.1f} minutes{turns} each"


def _run(plan: AbOptions, side: str, path: Path, console: Console) -> str | None:
    """Run once and settle; why it is invalid, None where it is not."""
    folder, interrupted = run(_run_options(plan, side)._replace(out=path), console)
    with console.status("sealing and analysing"), still_there(path):
        verdict = settle(folder)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    return str(verdict["reasons"][0]) if verdict["verdict"] == "invalid" else None


def _run_options(plan: AbOptions, side: str) -> RunOptions:
    """What `bench run` would be told of one side."""
    own = plan.set_a if side == "a" else plan.set_b
    return RunOptions(
        plan.scenario,
        target=_target(plan, side),
        dialect=plan.dialect,
        sessions=plan.sessions,
        duration=plan.duration,
        workers=plan.workers,
        assignments=(*plan.assignments, *own),
        yes=plan.yes,
        headers=plan.headers,
        ca=plan.ca,
    )


def _target(plan: AbOptions, side: str) -> str:
    return plan.a if side == "a" else plan.b


def _check(plan: AbOptions) -> dict[str, Job]:
    """The job of each side. UsageError for what either lacks, before the first of many runs."""
    jobs = {side: job_of(_run_options(plan, side)) for side in "ab"}
    for job in jobs.values():
        for gate in gates_of(job.scenario):
            if gate.against_baseline:
                raise UsageError(
                    f"gate {gate.text!r} needs a baseline, and runs of ab have none: they are "
                    "compared with each other; leave gates out with --set 'gates={}'"
                )
        read_credentials(job.target)
        if job.scenario.reference.profile:
            load_profile(Path(job.scenario.reference.profile))
        need_yes(job, yes=plan.yes)
    now = {"metric_version": VERSION}
    facts = [
        (f"side {side.upper()}", facts_of(described(job, plan.workers), now, {}))
        for side, job in reversed(jobs.items())
    ]
    against = unfit(facts)
    if against and not plan.allow:
        raise UsageError(
            f"these sides cannot be compared: {'; '.join(against)}. "
            "Give sides that differ in what is asked about, or allow it with --allow"
        )
    for job in jobs.values():
        if job.target.url:
            need_target(job)
    return jobs

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
from typing import Final, NamedTuple

import typer
from rich.console import Console

from bench.cli.run import EXIT_INTERRUPTED, Options, described, job_of, new_folder, run
from bench.cli.settle import settle
from bench.cli.spending import cap_of, check_cap, session_minutes
from bench.errors import UsageError
from bench.load.preflight import need_target
from bench.plan.metrics import VERSION
from bench.plan.scenario import gates_of
from bench.reference.profile import load_profile
from bench.runs.folder import still_there
from bench.runs.job import Job, credential

RETRIES: Final = 2


class Wanted(NamedTuple):
    """One side: its target, and what is set in its runs."""

    target: str
    assignments: tuple[str, ...] = ()


class Interleaved(NamedTuple):
    """What the command line said, unread; `sides` are "a" and "b"."""

    scenario: Path
    sides: dict[str, Wanted]
    pairs: int
    dialect: str | None = None
    duration: str | None = None
    sessions: int | None = None
    workers: int = 1
    yes: bool = False
    out: Path | None = None
    allow: bool = False
    price_per_minute: float | None = None
    max_minutes: float | None = None
    max_cost: float | None = None


def order(pairs: int) -> Iterator[str]:
    """Which side each run is of: a b, b a, a b and so on."""
    for pair in range(pairs):
        yield from ("ab", "ba")[pair % 2]


def interleave(plan: Interleaved, talk: Console) -> tuple[Path, dict[str, list[Path]]]:
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
        check_cap(cap, used, f"these {len(runs)} runs", "fewer --pairs or --sessions")
    place = new_place(plan.out or new_folder(f"ab-{plan.scenario.stem}"))
    folders: dict[str, list[Path]] = {"a": [], "b": []}
    if not all(job.target.loopback for job in jobs.values()):
        price = plan.price_per_minute
        cost = "" if price is None else f", about {used * price:.2f} in money"
        say(talk, f"ab {len(runs)} runs, at most {used:.1f} session-minutes in all{cost}; an "
            f"invalid run is made again, at most {RETRIES} of them")  # fmt: skip
    for number, side in enumerate(runs, 1):
        say(talk, f"ab {number} of {len(runs)}: {side.upper()}, {plan.sides[side].target}")
        path = place / f"{number:02d}-{side}"
        while (why := _run(plan, side, path, talk)) is not None:
            say(talk, f"{path} is invalid: {why}")
            if not left:
                say(talk, "bench: too many runs are invalid; nothing is compared")
                raise typer.Exit(3)
            used += minutes[side]
            if cap is not None and used > cap.minutes:
                say(talk, f"bench: another run would pass {cap.option} {cap.given:g}; nothing is "
                    "compared")  # fmt: skip
                raise typer.Exit(3)
            left -= 1
            path = place / f"{number:02d}-{side}-again-{RETRIES - left}"
        folders[side].append(path)
    return place, folders


def new_place(place: Path, remedy: str = "") -> Path:
    """The folder of all runs, made. UsageError where it cannot be, or holds something.

    `remedy`: what else would do there than another folder.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        empty = not any(place.iterdir())
    except OSError as error:
        raise UsageError(
            f"--out {place}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    if not empty:
        raise UsageError(f"--out {place}: is not empty; choose another folder{remedy}")
    return place


def say(talk: Console, words: str) -> None:
    """A line for people, as it is: nothing in it is markup, and it is not wrapped."""
    talk.print(words, highlight=False, markup=False, soft_wrap=True)


def _run(plan: Interleaved, side: str, path: Path, talk: Console) -> str | None:
    """Run once and settle; why it is invalid, None where it is not."""
    folder, interrupted = run(_options(plan, side)._replace(out=path), talk)
    with talk.status("sealing and analysing"), still_there(path):
        verdict = settle(folder)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    return str(verdict["reasons"][0]) if verdict["verdict"] == "invalid" else None


def _options(plan: Interleaved, side: str) -> Options:
    """What `bench run` would be told of one side."""
    wanted = plan.sides[side]
    return Options(
        plan.scenario,
        target=wanted.target,
        dialect=plan.dialect,
        sessions=plan.sessions,
        duration=plan.duration,
        workers=plan.workers,
        assignments=wanted.assignments,
        yes=plan.yes,
    )


def _check(plan: Interleaved) -> dict[str, Job]:
    """The job of each side. UsageError for what either lacks, before the first of many runs."""
    from bench.compare.comparability import facts_of, unfit  # noqa: PLC0415 - pandas is slow

    jobs = {side: job_of(_options(plan, side)) for side in plan.sides}
    for job in jobs.values():
        for gate in gates_of(job.scenario):
            if gate.against_baseline:
                raise UsageError(
                    f"gate {gate.text!r} needs a baseline, and runs of ab have none: they are "
                    "compared with each other; leave gates out with --set 'gates={}'"
                )
        credential(job.target)
        if job.scenario.reference.profile:
            load_profile(Path(job.scenario.reference.profile))
        if not job.target.loopback and not plan.yes:
            raise UsageError(f"{job.target.name} is no loopback target: add --yes to start")
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

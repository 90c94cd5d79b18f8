"""The job that `bench run` is asked for: a scenario's, or that of another run once more.

`--plan RUN` repeats the sessions of a run at the same instants: scenario, seeds, corpus and
schedule are its own; target, workers and whatever judges may be others. That it is one plan is seen
by its digest, before anything starts.
"""

import os
from math import ceil
from pathlib import Path
from typing import Final

import msgspec

from bench.cli.account import open_at_once
from bench.cli.options import AUTO, MOST_WORKERS
from bench.cli.verbs import RunOptions
from bench.errors import UsageError
from bench.load.session_plan import SessionPlanner
from bench.plan.planned_slot import PlannedSlot
from bench.plan.scenario_reader import check_scenario
from bench.protocol.upgrade import make_offer
from bench.runs.folder import RunFolder
from bench.runs.job import Job, make_job, recall
from bench.runs.target import Target, read_target
from bench.voice.audio import PCM16_24K
from bench.voice.utterance import Utterance

CHUNKS_A_WORKER: Final = 3000
"""Chunks a second that a core sends and reads in time on a slow machine, with room to spare: 300
sessions of 100 ms chunks (docs/performance.md)."""


def job_of(options: RunOptions) -> Job:
    """What the command line asks for, read and checked. UsageError where it makes no sense."""
    if options.plan is not None:
        return _repeated(options, options.plan)
    if options.scenario is None:
        raise UsageError("nothing to run: give a scenario, as in `bench run demo`, or --plan RUN")
    assignments = list(options.assignments)
    if options.sessions is not None:
        assignments.append(f"load.sessions={options.sessions}")
    if options.duration is not None:
        assignments.append(f"load.duration='{options.duration}'")
    _check_workers(options.workers)
    return make_job(
        options.scenario,
        _target_of(options),
        gates=options.gates,
        profile=options.profile,
        assignments=tuple(assignments),
        workers=options.workers or None,
    )


def _repeated(options: RunOptions, plan: Path) -> Job:
    """The job of the run at `plan` against the target of `options`.

    UsageError where more is asked than can be changed, or its corpus has changed.
    """
    from bench.runs.plan_table import read_slots  # noqa: PLC0415 - pyarrow is slow to import

    changed = {
        "a scenario": options.scenario is not None,
        "--sessions": options.sessions is not None,
        "--duration": options.duration is not None,
        "--gates": options.profile is not None,
        "--set": bool(options.assignments),
    }
    if given := [name for name, there in changed.items() if there]:
        raise UsageError(f"--plan {plan}: it says itself what is run; leave out {given[0]}")
    _check_workers(options.workers)
    folder = RunFolder.open(plan)
    job, run = recall(folder), folder.read()
    if job.corpus.sha256 != run["corpus"]["sha256"]:
        raise UsageError(
            f"--plan {plan}: corpus {job.corpus.name!r} has changed since: bring back the one of "
            f"SHA-256 {run['corpus']['sha256'][:12]}…, or run its scenario"
        )
    check_scenario(job.document, job.text, job.name, gates=options.gates)
    gates = {job.scenario.gate_profile: [*run["gates"], *options.gates]}
    scenario = msgspec.structs.replace(job.scenario, gates=gates)
    return job._replace(scenario=scenario, target=_target_of(options), slots=read_slots(folder))


def need_same_plan(plan: Path, digest: str) -> None:
    """UsageError where what is planned now has another digest than the run at `plan`."""
    before = RunFolder.open(plan).read().get("plan_sha256") or ""
    if digest != before:
        raise UsageError(
            f"--plan {plan}: this version draws other sessions from its seeds (plan {digest[:12]}…,"
            f" and then {before[:12] or 'none'}…): run it with the bench of then, or its scenario"
        )


def planned_slots(job: Job) -> list[PlannedSlot]:
    """What is planned for every slot of a job, without a sample of audio."""
    said = {one.id: Utterance(one.id, b"", PCM16_24K, None, None, "") for one in job.corpus.entries}
    return list(SessionPlanner(job, said, "").first_sessions(job.slots))


def _target_of(options: RunOptions) -> Target:
    """The target of a run with the options of its handshake."""
    target = read_target(options.target, options.dialect, options.headers, options.ca)
    offer = make_offer(options.subprotocol, follow=options.follow_redirects)
    return target._replace(offer=offer)


def _check_workers(workers: int) -> None:
    """UsageError where there can not be so many."""
    if workers != AUTO and not 1 <= workers <= MOST_WORKERS:
        raise UsageError(f"--workers {workers}: give 1 or more, {MOST_WORKERS} at most")


def fitting_workers(job: Job) -> int:
    """As many workers as the plan needs, and a core for each: one stays for the rest.

    Where this system pins no process, all of its cores count.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    chunks = open_at_once(job) * 1000 / job.scenario.chunk_ms
    return max(1, min(cores - 1, ceil(chunks / CHUNKS_A_WORKER), MOST_WORKERS))

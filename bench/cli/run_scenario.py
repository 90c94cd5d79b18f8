"""The verb `run`: settle what is asked, say what it will come to, run it, and print its result."""

import resource
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from bench.cli.account import need_within_limits
from bench.cli.budget import Meter, cap_of, session_minutes
from bench.cli.console import say, talk
from bench.cli.interrupts import Interrupts
from bench.cli.options import AUTO
from bench.cli.processes import need_port, share_out
from bench.cli.run_estimate import expected_lines, probe_cost, target_lines
from bench.cli.run_job import fitting_workers, job_of, need_same_plan, planned_slots
from bench.cli.scraper import Watch, check_metrics_url, watch_of
from bench.cli.supervisor import EXIT_INTERRUPTED, AbandonedError, RunPlan, supervise
from bench.cli.verbs import RunOptions
from bench.errors import UsageError
from bench.load.proxies import proxy_for
from bench.load.route import read_credentials
from bench.plan.metrics import VERSION
from bench.plan.planned_slot import PlannedSlot, digest_of
from bench.plan.scenario import gates_of
from bench.reference.profile import load_profile
from bench.runs.folder import RunFolder, still_there
from bench.runs.job import Job, describe
from bench.runs.machine import need_epoll

SPARE_FILES: Final = 128
"""Open files of a worker beside the sockets of its sessions."""


def run_verb(options: RunOptions) -> int:
    """Run, then settle and print; the exit code is that of the verdict."""
    from bench.cli.run_result import print_settled  # noqa: PLC0415 - pandas is slow to import

    with Interrupts():
        folder, interrupted = run(options, talk, say_estimate=True)
        try:
            code = print_settled(folder, as_json=options.as_json)
        except KeyboardInterrupt:
            raise AbandonedError(folder.path) from None
    return EXIT_INTERRUPTED if interrupted else code


def run(
    options: RunOptions, console: Console, *, say_estimate: bool = False, watch: Watch | None = None
) -> tuple[RunFolder, bool]:
    """Run a scenario; returns its folder, not yet sealed, and whether it was interrupted.

    `say_estimate`: what it will come to is said first. `watch`: gauges that were found already.
    """
    from bench.runs.plan_table import write_plan  # noqa: PLC0415 - pyarrow is slow to import

    plan = _plan_of(options)
    job = plan.job
    need_within_limits(job, options)
    planned = planned_slots(job)
    facts = _facts(plan, options, planned)
    place = options.out or new_folder(job.name)
    expected = list(expected_lines(job, place, options.price_per_minute)) if say_estimate else []
    if not job.target.loopback:
        for line in [*expected, *target_lines(job, options)]:
            say(console, line)
        need_yes(job, yes=options.yes)
    if plan.web_port is not None:
        need_port("127.0.0.1", plan.web_port, "--web-port")
    if watch is None and options.metrics_url is not None:
        watch = watch_of(options.metrics_url, options.gauges, options.ca)
    plan = plan._replace(watch=watch)
    folder = RunFolder.create(place)
    if job.target.loopback:  # nothing refuses it any more: a refusal is one line
        for line in expected:
            say(console, line)
    with still_there(folder.path):
        folder.write(facts)
        write_plan(folder, planned)
        if plan.web_port is not None:
            say(console, f"Locust's web page: http://127.0.0.1:{plan.web_port}")
        interrupted = supervise(plan, folder, console)
        from bench.cli.run_result import refuse_script  # noqa: PLC0415 - pyarrow is slow to import

        refuse_script(folder)
    return folder, interrupted


def _plan_of(options: RunOptions) -> RunPlan:
    """What is settled before anything is said. UsageError names what cannot be."""
    job = job_of(options)
    if options.workers == AUTO:
        options = options._replace(workers=fitting_workers(job))
    cores = share_out(options.workers) if options.pin else None
    read_credentials(job.target)  # what is missing stops here; the workers read it again
    users = _users(job, options.workers)
    need_epoll()
    _need_files(-(-users // options.workers), closed=job.scenario.load.sessions is not None)
    _check_baseline(job, options)
    check_metrics_url(options.metrics_url, options.gauges)
    if job.scenario.reference.profile:
        load_profile(Path(job.scenario.reference.profile))
    return RunPlan(
        job,
        users,
        options.workers,
        cores,
        _meter(job, options),
        _window(job, options),
        web_port=options.web_port if options.web else None,
        probe=options.probe,
    )


def need_yes(job: Job, *, yes: bool) -> None:
    """UsageError for a target off loopback that nobody said yes to."""
    if not job.target.loopback and not yes:
        raise UsageError(f"{job.target.name} is no loopback target: add --yes to start")


def _users(job: Job, workers: int) -> int:
    """Locust users: a slot per scheduled session, the same number on every worker."""
    if not job.slots:
        raise UsageError("the arrival schedule is empty: raise load.rate or load.duration")
    return -(-len(job.slots) // workers) * workers


def _need_files(sessions: int, *, closed: bool) -> None:
    """Room for the sockets of a worker. An open load's sessions are not all there at once."""
    wanted = sessions + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted and closed:
        raise UsageError(
            f"{sessions} sessions a worker need {wanted} open files and this machine allows "
            f"{hard}; raise it with `ulimit -Hn`, or use more --workers"
        )
    if soft < wanted:  # the workers inherit it
        room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))


def _check_baseline(job: Job, options: RunOptions) -> None:
    """UsageError for a gate that needs a baseline and has none, or one that this run is unlike."""
    needing = [gate.text for gate in gates_of(job.scenario) if gate.against_baseline]
    baseline = options.baseline
    if baseline is None:
        if needing:
            raise UsageError(f"gate {needing[0]!r} needs a baseline: give --baseline RUN")
        return
    # pandas is slow to import
    from bench.compare.baseline import mismatch_error, mismatches, read_baseline_figures  # noqa: PLC0415
    from bench.compare.comparability import facts_of  # noqa: PLC0415

    facts = facts_of(described(job, options.workers), {"metric_version": VERSION}, {})
    against = mismatches(read_baseline_figures(baseline), facts)
    if against and not options.allow:
        raise mismatch_error(baseline, against)


def described(job: Job, workers: int) -> dict[str, Any]:
    """The run.json of a job that has not begun, as it will be read."""
    return dict(msgspec.json.decode(msgspec.json.encode(describe(job, workers))))


def _facts(plan: RunPlan, options: RunOptions, planned: Sequence[PlannedSlot]) -> dict[str, Any]:
    """The run.json of a run that begins now. UsageError where it cannot repeat another's plan."""
    facts = describe(plan.job, plan.workers)
    seeds = msgspec.to_builtins(plan.job.scenario.seeds)
    facts["plan_sha256"] = digest_of(planned, seeds, plan.job.corpus.sha256)
    if options.plan is not None:
        need_same_plan(options.plan, facts["plan_sha256"])
    facts["pinned"] = plan.cores is not None
    proxy = proxy_for(plan.job.target)
    facts["target"]["proxy"] = proxy.label if proxy else ""
    if plan.watch is not None:
        facts["gauges"] = plan.watch.facts()
    if options.baseline is not None:
        facts["baseline"] = str(options.baseline)
        facts["baseline_allowed"] = options.allow
    return facts


def _meter(job: Job, options: RunOptions) -> Meter:
    """What counts the run's spending; UsageError where it may spend more than it is allowed."""
    cap = cap_of(options.max_minutes, options.max_cost, options.price_per_minute)
    probe = probe_cost(job).audio_s / 60 if options.probe else 0.0
    if cap is not None:
        cap.check(session_minutes(job) + probe)
    return Meter(cap, probe)


def _window(job: Job, options: RunOptions) -> int:
    """The window of a look; 0: none are asked for. UsageError where none could end the run."""
    if not options.abort_on_fail:
        if options.abort_window is not None:
            raise UsageError(f"--abort-window {options.abort_window:g}s: needs --abort-on-fail")
        return 0
    from bench.cli.abort_on_fail import window_of  # noqa: PLC0415 - pandas is slow to import

    return window_of(job, options.abort_window)


def new_folder(name: str) -> Path:
    """A folder of now under reports/ that is not there yet."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path = Path("reports") / f"{stamp}-{name}"
    twin = 1
    while path.exists():
        twin += 1
        path = Path("reports") / f"{stamp}-{name}-{twin}"
    return path


def empty_folder(place: Path, remedy: str = "") -> Path:
    """The folder of several runs, made. UsageError where it cannot be, or holds something.

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

"""`bench run`: start everything, watch it, end it, then seal, analyse, judge and report."""

import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from rich.console import Console

from bench.cli.cores import Cores, confined, share_out
from bench.cli.live import Live
from bench.cli.neighbours import Neighbours
from bench.cli.outlook import outlook
from bench.cli.probe import probe_for_run
from bench.cli.processes import Crew, Reference, need_port
from bench.cli.scraper import Scraper, Watch, check_metrics_url, watch_of
from bench.cli.spending import Meter, cap_of, check_cap, session_minutes
from bench.errors import BenchError, UsageError
from bench.load.preflight import Preflight, preflight
from bench.plan.arrivals import arrivals
from bench.plan.metrics import VERSION
from bench.plan.scenario import gates_of
from bench.probe.probe_cost import Cost, estimate
from bench.probe.probe_scripts import scripts_for
from bench.protocol.upgrade import make_offer
from bench.reference.profile import load_profile
from bench.runs.folder import PREFLIGHT, RunFolder, fault, still_there
from bench.runs.job import (
    Job,
    credential,
    describe,
    input_formats,
    make_job,
    read_target,
    reply_formats,
)
from bench.runs.machine import need_epoll
from bench.voice.audio import NS_PER_S

if TYPE_CHECKING:
    from bench.cli.interim import Interim

EXIT_INTERRUPTED = 130
END_MARGIN_S = 45.0
_WAYS = ("output", "input")
SPARE_FILES = 128
"""Open files of a worker beside the sockets of its sessions."""
SHORT_NS = NS_PER_S // 2
"""So much less than was planned may be measured: the end is looked for twice a second."""


class Options(NamedTuple):
    """What the command line said, unread."""

    scenario: Path
    target: str = "reference"
    dialect: str | None = None
    sessions: int | None = None
    duration: str | None = None
    workers: int = 1
    gates: tuple[str, ...] = ()
    profile: str | None = None
    baseline: Path | None = None
    allow: bool = False
    assignments: tuple[str, ...] = ()
    out: Path | None = None
    web: int | None = None
    yes: bool = False
    price_per_minute: float | None = None
    probe: bool = False
    pin: bool = False
    max_minutes: float | None = None
    max_cost: float | None = None
    abort_on_fail: bool = False
    abort_window: str | None = None
    subprotocol: str = ""
    follow_redirects: bool = False
    foretold: bool = False
    account_sessions: int | None = None
    account_packets: int | None = None
    metrics_url: str | None = None
    gauges: tuple[str, ...] = ()
    watch: Watch | None = None


class Limits(NamedTuple):
    """What is looked at while a run goes on.

    What it spends and looks of so many ns (0: none) may end it before its time; the server's gauges
    may not.
    """

    meter: Meter
    window_ns: int = 0
    watch: Watch | None = None


def run(options: Options, talk: Console) -> tuple[RunFolder, bool]:
    """Run a scenario; returns its folder, not yet sealed, and whether it was interrupted."""
    job = job_of(options)
    cores = share_out(options.workers) if options.pin else None
    credential(job.target)  # a missing one stops here; the workers read it again
    users = _users(job, options.workers)
    need_epoll()
    _need_files(-(-users // options.workers), closed=job.scenario.load.sessions is not None)
    _check_baseline(job, options)
    check_metrics_url(options.metrics_url, options.gauges)
    if job.scenario.reference.profile:
        load_profile(Path(job.scenario.reference.profile))
    limits = Limits(_meter(job, options), _window(job, options))
    place = options.out or new_folder(job.name)
    foretold = list(outlook(job, place, options.price_per_minute)) if options.foretold else []
    if not job.target.loopback:
        _foretell(foretold, talk)
        _warn(job, options, talk)
    if options.web is not None:
        need_port("127.0.0.1", options.web, "--web-port")
    if options.watch is not None:
        limits = limits._replace(watch=options.watch)
    elif options.metrics_url is not None:
        limits = limits._replace(watch=watch_of(options.metrics_url, options.gauges))
    folder = RunFolder.create(place)
    if job.target.loopback:  # nothing refuses it any more: a refusal is one line
        _foretell(foretold, talk)
    with still_there(folder.path):
        return folder, _made(options, job, folder, cores, limits, talk)


def _made(
    options: Options,
    job: Job,
    folder: RunFolder,
    cores: Cores | None,
    limits: Limits,
    talk: Console,
) -> bool:
    """Write down what is asked and run it; returns whether it was interrupted."""
    facts = describe(job, options.workers)
    facts["pinned"] = cores is not None
    if limits.watch is not None:
        facts["gauges"] = limits.watch.told()
    if options.baseline is not None:
        facts["baseline"] = str(options.baseline)
        facts["baseline_allowed"] = options.allow
    folder.write(facts)
    if options.web is not None:
        talk.print(f"Locust's web page: http://127.0.0.1:{options.web}", highlight=False)
    users = _users(job, options.workers)
    crew = partial(Crew, folder, users, options.workers, options.web, cores)
    with confined(cores):
        interrupted = _start(options, job, folder, crew, limits, talk)
    from bench.cli.settle import refuse_script  # noqa: PLC0415 - pyarrow is slow to import

    refuse_script(folder)
    return interrupted


def _start(
    options: Options,
    job: Job,
    folder: RunFolder,
    start: Callable[[], Crew],
    limits: Limits,
    talk: Console,
) -> bool:
    """Start the processes of a run and see it through; returns whether it was interrupted."""
    reference = None
    try:
        if not job.target.url:
            formats = input_formats(job.scenario) | reply_formats(job.scenario)
            reference = Reference(
                folder, str(job.corpus.folder), job.scenario.reference.profile, formats
            )
            folder.update(target={**folder.read()["target"], "url": reference.url})
        else:
            flight = preflight(job)
            folder.update(preflight=flight.told())
            talk.print(_flight_line(flight), highlight=False, markup=False, soft_wrap=True)
            if flight.final:
                folder.update(faults=[*folder.read()["faults"], _refused(flight)])
                return False
        if options.probe:
            target = job.target._replace(url=folder.read()["target"]["url"])
            probe_for_run(folder, target, str(job.corpus.folder), talk)
        return _watch(start(), reference, folder, job, limits, talk)
    finally:
        if reference is not None:
            folder.update(reference=reference.stop())


def _flight_line(flight: Preflight) -> str:
    """What the session before the load came to, in a line."""
    if flight.cause is not None:
        return f"preflight {flight.cause.text}"
    held = flight.settings
    formats = " out, ".join(f"{held[way]['type']} {held[way]['rate']}" for way in _WAYS)
    odd = f"; {', '.join(flight.notes)}" if flight.notes else ""
    return f"preflight ready in {flight.stages['ready_ms']:.0f} ms: {formats} in{odd}"


def _refused(flight: Preflight) -> dict[str, Any]:
    """The fault of a run whose target takes nobody."""
    assert flight.cause is not None  # noqa: S101 - final is only what failed
    return fault(PREFLIGHT, f"before the load, {flight.cause.text}", "mend that, and run again")


def job_of(options: Options) -> Job:
    """What the command line asks for, read and checked. UsageError where it makes no sense."""
    assignments = list(options.assignments)
    if options.sessions is not None:
        assignments.append(f"load.sessions={options.sessions}")
    if options.duration is not None:
        assignments.append(f"load.duration='{options.duration}'")
    if options.workers < 1:
        raise UsageError(f"--workers {options.workers}: give 1 or more")
    offer = make_offer(options.subprotocol, follow=options.follow_redirects)
    return make_job(
        options.scenario,
        read_target(options.target, options.dialect)._replace(offer=offer),
        gates=options.gates,
        profile=options.profile,
        assignments=tuple(assignments),
        workers=options.workers,
    )


def _users(job: Job, workers: int) -> int:
    """Locust users: a slot per scheduled session, the same number on every worker."""
    slots = len(arrivals(job.scenario.load, job.scenario.seeds.arrivals))
    if slots == 0:
        raise UsageError("the arrival schedule is empty: raise load.rate or load.duration")
    return -(-slots // workers) * workers


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


def _check_baseline(job: Job, options: Options) -> None:
    """UsageError for a gate that needs a baseline and has none, or one that this run is unlike."""
    needing = [gate.text for gate in gates_of(job.scenario) if gate.against_baseline]
    baseline = options.baseline
    if baseline is None and needing:
        raise UsageError(f"gate {needing[0]!r} needs a baseline: give --baseline RUN")
    if baseline is None:
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


def _meter(job: Job, options: Options) -> Meter:
    """What counts the run's spending; UsageError where it may spend more than it is allowed."""
    cap = cap_of(options.max_minutes, options.max_cost, options.price_per_minute)
    probe = _probe_cost(job).audio_s / 60 if options.probe else 0.0
    if cap is not None:
        check_cap(cap, session_minutes(job) + probe)
    return Meter(cap, probe)


def _window(job: Job, options: Options) -> int:
    """The window of a look; 0: none are asked for. UsageError where none could end the run."""
    if not options.abort_on_fail:
        if options.abort_window is not None:
            raise UsageError(f"--abort-window {options.abort_window}: needs --abort-on-fail")
        return 0
    from bench.cli.interim import window_of  # noqa: PLC0415 - pandas is slow to import

    return window_of(job, options.abort_window)


def _probe_cost(job: Job) -> Cost:
    return estimate(str(job.corpus.folder), only=scripts_for(job.target.dialect))


def _foretell(lines: Sequence[str], talk: Console) -> None:
    for line in lines:
        talk.print(line, highlight=False, markup=False, soft_wrap=True)


def _warn(job: Job, options: Options, talk: Console) -> None:
    """Say what a run against a real service will cost; UsageError without --yes."""
    load = job.scenario.load
    minutes = (load.warmup + load.duration) / (60 * NS_PER_S)
    sessions = load.sessions or len(arrivals(load, job.scenario.seeds.arrivals))
    packets = sessions * 1000 / job.scenario.chunk_ms
    held = session_minutes(job) + (_probe_cost(job).audio_s / 60 if options.probe else 0.0)
    upper = "" if load.sessions else " in all, were they all open at once"
    price = options.price_per_minute
    cost = f"about {held * price:.2f}" if price is not None else "give --price-per-minute to see it"
    if options.probe:
        talk.print(f"probe     {_probe_cost(job)}, before the run", highlight=False, soft_wrap=True)
    talk.print(
        f"target    {job.target.name}\nsessions  {sessions}{upper}\nminutes   {minutes:.1f} "
        f"({held:.1f} session-minutes at most)\npackets   {packets:.0f} a second sent "
        f"(chunks of {job.scenario.chunk_ms} ms)\ncost      {cost}",
        highlight=False,
    )
    for note in _beyond_account(job, options, sessions, packets):
        talk.print(f"note      {note}", highlight=False, soft_wrap=True)
    if not options.yes:
        raise UsageError("this is no loopback target: add --yes to start")


def _beyond_account(job: Job, options: Options, sessions: int, packets: float) -> Iterator[str]:
    """What the account's plan does not allow, where anybody says what it does."""
    dialect = job.target.dialect
    for what, asked, most, option in (
        ("sessions", sessions, options.account_sessions or dialect.most_sessions, "sessions"),
        ("packets a second", packets, options.account_packets or dialect.most_packets, "packets"),
    ):
        if most is not None and asked > most:
            yield (
                f"{asked:.0f} {what} asked, {most} allowed by the account: expect refusals and "
                f"slowness; ask for fewer, or say your plan's limit with --account-{option}"
            )


def new_folder(name: str) -> Path:
    """A folder of now under reports/ that is not there yet."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path = Path("reports") / f"{stamp}-{name}"
    twin = 1
    while path.exists():
        twin += 1
        path = Path("reports") / f"{stamp}-{name}-{twin}"
    return path


class _Interrupts:
    """Ctrl-C: the first asks for an orderly end, the second for an end."""

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def _watch(
    crew: Crew,
    reference: Reference | None,
    folder: RunFolder,
    job: Job,
    limits: Limits,
    talk: Console,
) -> bool:
    """Follow the run to its end; returns whether it was interrupted."""
    load = job.scenario.load
    planned = (load.warmup + load.duration + load.drain) / NS_PER_S
    deadline = time.monotonic() + planned + END_MARGIN_S + 60
    lost: dict[int, int] = {}
    asked = over = died = False
    folder.update(worker_cores=crew.cores())
    neighbours = Neighbours([*crew.numbers, *([reference.number] if reference else ())])
    interim = _interim(folder, limits.window_ns)
    watching = nullcontext() if interim is None else closing(interim)
    scraping = nullcontext() if limits.watch is None else Scraper(limits.watch, folder)
    with _Interrupts() as interrupts, Live(job, talk) as live, watching, scraping:
        while crew.master.poll() is None:
            neighbours.look()
            over = over or _hear(crew, live, limits.meter, interim, folder)
            if interrupts.count == 1 and not asked:
                asked = True
                live.say("ending: sessions finish what they are saying; Ctrl-C again ends at once")
                folder.update(interrupted=True)
            if asked or over:
                crew.finish()  # again and again: at first the master may not be listening yet
            if interrupts.count > 1 or time.monotonic() > deadline:
                crew.kill()
                break
            lost |= _lose(crew, live)
            if reference is not None and not reference.alive:
                live.say("the reference server has ended; ending the run")
                crew.finish()
                reference, died = None, True
            time.sleep(0.1)
        if interrupts.count > 1:
            folder.update(interrupted=True)
            raise _AbandonedError(
                f"ended at once; `bench report {folder.path}` seals what was recorded"
            )
    # Processes that ended by themselves, before the rest are seen out.
    if live.begun:
        lost |= {index: code for index, code in crew.lost().items() if code}
    crew.close()
    folder.update(neighbours=neighbours.told())
    _note_faults(crew, folder, lost, deadline)
    if died:
        text = "the embedded reference server ended in mid-run"
        broken = fault("reference", text, "see logs/reference.txt, and run again")
        folder.update(faults=[*folder.read()["faults"], broken])
    _note_short(folder, int(load.duration))
    return interrupts.count > 0


def _lose(crew: Crew, live: Live) -> dict[int, int]:
    """The workers that have ended, and how; ends a run that cannot go on without them."""
    lost = {} if live.drained else crew.lost()
    if lost and not live.begun:
        crew.kill()  # who is missing never comes, and nothing is recorded yet
    elif len(lost) == len(crew.workers):
        crew.finish()
    return lost


def _interim(folder: RunFolder, window_ns: int) -> "Interim | None":
    if not window_ns:
        return None
    from bench.cli.interim import Interim  # noqa: PLC0415 - pandas is slow to import

    return Interim(folder, window_ns)


def _hear(
    crew: Crew, live: Live, meter: Meter, interim: "Interim | None", folder: RunFolder
) -> bool:
    """Take in the master's newest word; returns whether the run is to end, and writes down why."""
    if (word := crew.progress()) is None:
        return False
    live.show(word)
    meter.read(word)
    ending = meter.ending() if meter.spent else interim.heed(word) if interim else None
    if ending is None:
        return False
    folder.update(ended_by=ending)
    live.say(f"ending: {ending['text']}")
    return True


def _note_short(folder: RunFolder, planned_ns: int) -> None:
    """A run that measured less than was planned, and knows no reason, is void."""
    run = folder.read()
    begin_ns, end_ns = run["plan"]["measured_from_ns"], run["plan"]["measured_to_ns"]
    if begin_ns is None or end_ns is None or run["faults"]:
        return
    measured_ns = max(0, end_ns - begin_ns)
    if measured_ns >= planned_ns - SHORT_NS or run["interrupted"] or run.get("ended_by"):
        return
    text = (
        f"measured {measured_ns / NS_PER_S:.1f} s of {planned_ns / NS_PER_S:g} s planned, and "
        "neither Ctrl-C nor a limit of the bench ended it: Locust's page did, or a signal"
    )
    folder.update(faults=[fault("short", text, "let the run go on to its end, or ask for less")])


class _AbandonedError(BenchError):
    """The second Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


def _note_faults(crew: Crew, folder: RunFolder, lost: dict[int, int], deadline: float) -> None:
    run = folder.read()
    faults = list(run["faults"])
    processes = run.get("processes", {})
    drained = {processes.get(str(worker)) for worker in run["drained"]}
    for index, code in sorted(lost.items()):
        if index in drained:
            continue
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        how += f": {crew.last_words(f'locust-{index}')}" if code > 0 else ""
        when = "in mid-run" if run["plan"]["start_ns"] else "before the run began"
        faults.append(
            fault(
                "worker",
                f"worker process {index} was lost {when} ({how})",
                "look for the out-of-memory killer and at logs/, and run again",
            )
        )
    if run["plan"]["start_ns"] is None and not faults:
        faults.append(
            fault("start", f"the run never started: {crew.last_words()}", "see logs/master.txt")
        )
    if time.monotonic() > deadline:
        faults.append(fault("end", "the run did not end in time and was ended", "see logs/"))
    folder.update(faults=faults)

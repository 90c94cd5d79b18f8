"""Sees a run through: starts its processes, watches them to the end, notes what went wrong."""

import signal
import time
import traceback
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.console import Console

from bench.cli.budget import Meter
from bench.cli.console import say
from bench.cli.interrupts import Interrupts
from bench.cli.live_view import LiveView
from bench.cli.noisy_neighbours import NoisyNeighbours
from bench.cli.probe import probe_for_run
from bench.cli.processes import Cores, LocustProcesses, Reference, confined
from bench.cli.scraper import Scraper, Watch
from bench.errors import BenchError
from bench.load.preflight import Preflight, preflight
from bench.runs.folder import LOST, PREFLIGHT, RunFolder, fault
from bench.runs.job import Job, input_formats, reply_formats
from bench.voice.audio import NS_PER_S

if TYPE_CHECKING:
    from bench.cli.abort_on_fail import AbortOnFail

EXIT_INTERRUPTED: Final = 130
END_MARGIN_S: Final = 45.0
SHORT_NS: Final = NS_PER_S // 2
"""So much less than was planned may be measured: the end is looked for twice a second."""
_WAYS: Final = ("output", "input")


class RunPlan(NamedTuple):
    """All that is settled before a run starts.

    users:     Locust users, the same number on every worker
    cores:     who has which core, where workers are pinned
    meter:     what the run spends; it may end it before its time
    window_ns: of a look of `--abort-on-fail`, which may too; 0: none are asked for
    watch:     the server's gauges, which may not
    """

    job: Job
    users: int
    workers: int
    cores: Cores | None
    meter: Meter
    window_ns: int = 0
    watch: Watch | None = None
    web_port: int | None = None
    probe: bool = False


class AbandonedError(BenchError):
    """The run in `folder` is not seen to its end: a second Ctrl-C, or one while it was sealed."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, folder: Path) -> None:
        super().__init__(f"ended at once; `bench report {folder}` seals what was recorded")


def supervise(plan: RunPlan, folder: RunFolder, console: Console) -> bool:
    """Start the processes of a run and see it through; returns whether it was interrupted.

    Whatever went wrong is a fault of the run. AbandonedError where it was ended at once.
    """
    with Interrupts() as interrupts:
        try:
            return _supervise(plan, folder, console, interrupts)
        except KeyboardInterrupt:
            text = "the run was ended before its load began"
            _add_faults(folder, fault("start", text, "let it go on to its end"))
            folder.update(interrupted=True)
            return True
        except AbandonedError:
            raise
        except BenchError as error:
            _add_faults(folder, fault("start", str(error), "mend it and run again"))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in LOST:
                raise  # the folder itself
            trace = "".join(traceback.format_exception(error))
            (folder.logs / "bench.txt").write_text(trace, "utf-8", "backslashreplace")
            what = f"this program failed: {type(error).__name__}: {error}"
            remedy = "see logs/bench.txt for the traceback, and please report it"
            _add_faults(folder, fault("program", what, remedy))
        return False


def _supervise(plan: RunPlan, folder: RunFolder, console: Console, interrupts: Interrupts) -> bool:
    reference = None
    with confined(plan.cores):
        try:
            if not plan.job.target.url:
                reference = start_reference(plan.job, folder)
                folder.update(target={**folder.read()["target"], "url": reference.url})
            elif not _preflight(plan.job, folder, console):
                return False
            if plan.probe:
                target = plan.job.target._replace(url=folder.read()["target"]["url"])
                probe_for_run(folder, target, str(plan.job.corpus.folder), console)
            if interrupts.count:
                raise KeyboardInterrupt
            with interrupts.counted():
                users, port = plan.users, plan.web_port
                locust = LocustProcesses(folder, users, plan.workers, port, plan.cores)
                try:
                    watch(locust, reference, folder, plan, console, interrupts)
                finally:
                    locust.kill()  # those that are left, where something failed
                return interrupts.count > 0
        finally:
            if reference is not None:
                folder.update(reference=reference.stop())


def start_reference(
    job: Job, folder: RunFolder, *, truth: bool = True, seed: int | None = None
) -> Reference:
    """The embedded server for a job, whose logs are in `folder`; `seed` as in `Reference`."""
    formats = input_formats(job.scenario) | reply_formats(job.scenario)
    profile = job.scenario.reference.profile
    return Reference(folder, str(job.corpus.folder), profile, formats, truth=truth, seed=seed)


def _preflight(job: Job, folder: RunFolder, console: Console) -> bool:
    """One session before the load; returns whether there is any sense in more."""
    flight = preflight(job)
    folder.update(preflight=flight.told())
    say(console, _preflight_line(flight))
    if flight.final and flight.cause is not None:
        refused = fault(
            PREFLIGHT, f"before the load, {flight.cause.text}", "mend that, and run again"
        )
        _add_faults(folder, refused)
    return not flight.final


def _preflight_line(flight: Preflight) -> str:
    if flight.cause is not None:
        return f"preflight {flight.cause.text}"
    held = flight.settings
    if not held:  # what came in the same breath as the settings ended the session
        return "preflight was over as soon as its settings were in force"
    formats = " out, ".join(f"{held[way]['type']} {held[way]['rate']}" for way in _WAYS)
    odd = f"; {', '.join(flight.notes)}" if flight.notes else ""
    return f"preflight ready in {flight.stages['ready_ms']:.0f} ms: {formats} in{odd}"


def watch(
    locust: LocustProcesses,
    reference: Reference | None,
    folder: RunFolder,
    plan: RunPlan,
    console: Console,
    interrupts: Interrupts,
) -> None:
    """Follow the run to its end. AbandonedError where it is ended at once."""
    load = plan.job.scenario.load
    planned_s = (load.whole + load.drain) / NS_PER_S
    deadline = time.monotonic() + planned_s + END_MARGIN_S + 60
    lost: dict[int, int] = {}
    asked = over = died = False
    folder.update(worker_cores=locust.cores())
    neighbours = NoisyNeighbours([*locust.numbers, *([reference.number] if reference else ())])
    looks = _looks(plan, folder)
    with ExitStack() as stack:
        live = stack.enter_context(LiveView(plan.job, console))
        if looks is not None:
            stack.enter_context(closing(looks))
        if plan.watch is not None:
            stack.enter_context(Scraper(plan.watch, folder))
        while locust.master.poll() is None:
            neighbours.look()
            over = over or _is_over(locust, live, plan.meter, looks, folder)
            if interrupts.count and not asked:
                asked = True
                _begin_to_end(live, folder, at_once=interrupts.at_once)
            if asked or over:
                # Again and again: at first the master may not be listening yet.
                locust.finish(at_once=interrupts.at_once)
            if interrupts.count > 1 or time.monotonic() > deadline:
                locust.kill()
                break
            lost |= _lost(locust, live)
            if reference is not None and not reference.alive:
                live.say("the reference server has ended; ending the run")
                locust.finish()
                reference, died = None, True
            time.sleep(0.1)
        if interrupts.count > 1:
            folder.update(interrupted=True)
            raise AbandonedError(folder.path)
    # Processes that ended by themselves, before the rest are seen out.
    if live.begun:
        lost |= {index: code for index, code in locust.lost().items() if code}
    locust.close()
    folder.update(neighbours=neighbours.entries())
    late = time.monotonic() > deadline
    note_process_faults(locust, folder, lost, late=late, died=died)
    note_short(folder, int(load.duration))


def _begin_to_end(live: LiveView, folder: RunFolder, *, at_once: bool) -> None:
    """Somebody asked for an end. KeyboardInterrupt where no session is there that could finish."""
    if folder.read()["plan"]["start_ns"] is None:
        raise KeyboardInterrupt
    how = "cut" if at_once else "finish what they are saying"
    live.say(f"ending: sessions {how}; Ctrl-C again ends at once")
    folder.update(interrupted=True)


def _looks(plan: RunPlan, folder: RunFolder) -> "AbortOnFail | None":
    if not plan.window_ns:
        return None
    from bench.cli.abort_on_fail import AbortOnFail  # noqa: PLC0415 - pandas is slow to import

    return AbortOnFail(folder, plan.window_ns)


def _is_over(
    locust: LocustProcesses,
    live: LiveView,
    meter: Meter,
    looks: "AbortOnFail | None",
    folder: RunFolder,
) -> bool:
    """Take in the master's newest progress; whether the run is to end, and write down why."""
    if (progress := locust.progress()) is None:
        return False
    live.show(progress)
    meter.read(progress)
    ending = meter.ending()
    if ending is None and looks is not None:
        ending = looks.read(progress)
    if ending is None:
        return False
    folder.update(ended_by=ending)
    live.say(f"ending: {ending['text']}")
    return True


def _lost(locust: LocustProcesses, live: LiveView) -> dict[int, int]:
    """The workers that have ended, and how; ends a run that cannot go on without them."""
    lost = {} if live.drained else locust.lost()
    if lost and not live.begun:
        locust.kill()  # who is missing never comes, and nothing is recorded yet
    elif len(lost) == len(locust.workers):
        locust.finish()
    return lost


# ── what went wrong ──────────────────────────────────────────────────────────────────────────────


def _add_faults(folder: RunFolder, *more: dict[str, Any]) -> None:
    folder.update(faults=[*folder.read()["faults"], *more])


def note_process_faults(
    locust: LocustProcesses, folder: RunFolder, lost: dict[int, int], *, late: bool, died: bool
) -> None:
    """Write down the workers that were lost, by their codes, and a run that never began or ended.

    `late`: the run did not end in its time. `died`: the embedded server ended in mid-run.
    """
    run = folder.read()
    found = []
    processes = run.get("processes", {})
    drained = {processes.get(str(worker)) for worker in run["drained"]}
    if (name := locust.master_lost()) != "":
        text = f"Locust's master process was lost (signal {name}), and its workers with it"
        found.append(fault("master", text, "look for who ended it, and run again"))
        lost = {}
    for index, code in sorted(lost.items()):
        if index in drained:
            continue
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        how += f": {locust.last_words(f'locust-{index}')}" if code > 0 else ""
        when = "in mid-run" if run["plan"]["start_ns"] else "before the run began"
        text = f"worker process {index} was lost {when} ({how})"
        remedy = "look for the out-of-memory killer and at logs/, and run again"
        found.append(fault("worker", text, remedy))
    if run["plan"]["start_ns"] is None and not run["faults"] and not found:
        text = f"the run never started: {locust.last_words()}"
        found.append(fault("start", text, "see logs/master.txt"))
    if late:
        found.append(fault("end", "the run did not end in time and was ended", "see logs/"))
    if died:
        text = "the embedded reference server ended in mid-run"
        found.append(fault("reference", text, "see logs/reference.txt, and run again"))
    _add_faults(folder, *found)


def note_short(folder: RunFolder, planned_ns: int) -> None:
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
    _add_faults(folder, fault("short", text, "let the run go on to its end, or ask for less"))

"""`bench capacity`: run after run at the loads that the search asks for, until it has its answer.

Theory of operation
-------------------
`bench.capacity.search` says which load comes next; here it is run as `bench run` would, analysed,
observed, and written down. The embedded server, where it is the target, is started once and serves
all runs. After a load that did not hold a canary waits until the target is as fast as it was before
the search. At the end one run goes beyond the answer and falls back to it in steps.

`capacity.json` is written after every run, and a search that was stopped goes on from it: the runs'
folders are read again, so at most the run under way is lost.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil, floor, inf, sqrt
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console

from bench import __version__
from bench.capacity.beyond import BEYOND, Aftermath, aftermath, fall_steps, surge_steps
from bench.capacity.document import (
    NAME,
    CapacityResult,
    CorpusFacts,
    Gauge,
    Objective,
    ScenarioFacts,
    SearchPlan,
    SearchSpending,
    TargetFacts,
    write_capacity,
)
from bench.capacity.observation import observe, observe_steps
from bench.capacity.ramp import ramp_steps, saturation
from bench.capacity.result import (
    Limit,
    Terms,
    Trial,
    capacities,
    row_of,
    scalability_of,
    tried_of,
    workload_of,
)
from bench.capacity.search import Purpose, Range, Tried, Try, answer, next_try
from bench.cli.capacity_settings import (
    LONGEST_HOLD,
    RUNS,
    Options,
    Settings,
    foretold,
    resumed,
    settings_of,
    workload_digest,
)
from bench.cli.interleaving import new_place, say
from bench.cli.processes import Reference
from bench.cli.run import EXIT_INTERRUPTED, new_folder, run
from bench.cli.run import Options as RunOptions
from bench.cli.scraper import Watch, watch_of
from bench.cli.settle import settle
from bench.errors import BenchError, FolderLostError, TargetError, UsageError
from bench.load.canary import Canary, Sighting
from bench.plan.forecast import samples_of
from bench.plan.metrics import VERSION
from bench.plan.scenario import Step
from bench.report.capacity_tables import print_capacity
from bench.runs.folder import RunFolder, still_there
from bench.runs.gauges import gauge_means
from bench.runs.job import Job, credential, input_formats, reply_formats
from bench.voice.audio import NS_PER_MS, NS_PER_S

CANARIES: Final = 2
"""How many tell, before the first run, how fast the target is without load."""
PATIENCE_S: Final = 120.0
"""How long a target may take to recover between two runs."""
_RECOVERED: Final = 1.5
"""A canary is as fast as before where it takes no longer than so many times the slowest then."""
_MOST: Final = 1_000_000


class Served(NamedTuple):
    """The target of all runs, and the gauges of one that was started for them."""

    url: str
    watch: Watch | None = None


class _InterruptedError(BenchError):
    """Ctrl-C: what is known is in `capacity.json`."""

    exit_code = EXIT_INTERRUPTED


def search_capacity(options: Options, talk: Console) -> tuple[Path, CapacityResult]:
    """Search; (the folder, the answer). UsageError for what cannot be done, before any run.

    TargetError where the target takes nobody at all. What is known after Ctrl-C is in the folder.
    """
    settings = settings_of(options)
    place = options.resume or options.out or new_folder(f"capacity-{options.scenario.stem}")
    before = resumed(settings, place) if options.resume is not None else None
    if before is None:
        new_place(place, f", or go on with --resume {place}")
    for line in foretold(settings, place):
        say(talk, line)
    if not settings.job.target.loopback and not options.yes:
        raise UsageError("this is no loopback target: add --yes to start")
    credential(settings.job.target)
    with serving(settings.job, place) as served:
        return place, _Search(settings, place, served, talk, before).run()


@contextmanager
def serving(job: Job, place: Path) -> Iterator[Served]:
    """The target of the runs: the embedded server is started here, and serves all of them."""
    if job.target.url:
        yield Served(job.target.url)
        return
    number = 1
    while (place / f"server-{number}").exists():
        number += 1
    folder = RunFolder.create(place / f"server-{number}")
    formats = input_formats(job.scenario) | reply_formats(job.scenario)
    server = Reference(
        folder, str(job.corpus.folder), job.scenario.reference.profile, formats, truth=False
    )
    try:
        yield Served(server.url, watch_of(f"http://{urlsplit(server.url).netloc}/metrics", ()))
    finally:
        server.stop()


# ── the search ───────────────────────────────────────────────────────────────────────────────────


class _Search:
    """One search under way."""

    def __init__(
        self,
        settings: Settings,
        place: Path,
        served: Served,
        talk: Console,
        before: CapacityResult | None,
    ) -> None:
        self._settings, self._place, self._talk = settings, place, talk
        self._run_options = RunOptions(
            settings.options.scenario, served.url, settings.job.target.dialect.name, yes=True,
            watch=settings.watch or served.watch,
        )  # fmt: skip
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._trials: list[Trial] = []
        self._known: tuple[int, Tried] = (0, tried_of((), settings.tiers))
        self._remarks: list[str] = []
        self._ceiling: float | None = None
        self._workers = settings.options.workers
        self._aftermath: Aftermath | None = None
        self._spent = SearchSpending(seconds=0.0, session_minutes=0.0, cost=None)
        self._canary: Canary | None = None
        self._usual_ms = 0.0
        if before is not None:
            self._take_up(before)

    def run(self) -> CapacityResult:
        """Search to the end; the answer, which is written.

        FolderLostError where the folder is lost: what is known is in it, or else was said.
        """
        try:
            with still_there(self._place):
                return self._searched()
        except FolderLostError as lost:
            raise FolderLostError(lost.what, self._kept()) from None

    def _kept(self) -> str:
        """What is left of a search that cannot go on, and what to do with it."""
        try:
            self._write(complete=False)
        except (FolderLostError, OSError):
            print_capacity(self._document(complete=False), self._talk)
            if not (self._place / NAME).exists():
                return "what was found until then stands above; begin a new search"
        return f"mend that, and go on with --resume {self._place}"

    def _searched(self) -> CapacityResult:
        self._first_canary()
        if self._settings.options.ramp:
            self._ramp()
            return self._write(complete=True)
        while wanted := next_try(self._tried, self._scope):
            measured_s = self._measured_s(wanted)
            if why := self._unaffordable(wanted, measured_s):
                self._remarks.append(why)
                break
            self._try(wanted, measured_s)
        self._go_beyond()
        return self._write(complete=True)

    @property
    def _tried(self) -> Tried:
        """What the search goes by; the same until there is another run, for crossings cost."""
        if self._known[0] != len(self._trials):
            self._known = (len(self._trials), tried_of(self._trials, self._settings.tiers))
        return self._known[1]

    @property
    def _next_number(self) -> int:
        """The number of the next run: not how many there are, for one may be lost."""
        return 1 + max((one.number for one in self._trials), default=0)

    @property
    def _scope(self) -> Range:
        """Where the search may go: below what the generator could not do, and the limits."""
        settings = self._settings
        most = settings.limits[0].load if settings.limits else inf
        if self._ceiling is not None:
            fit = [one.observation.load for one in self._trials if one.counts]
            best = max((load for load in fit if load < self._ceiling), default=settings.step)
            wide = self._ceiling > 1.25 * best and self._ceiling - best > settings.step
            most = min(most, sqrt(best * self._ceiling) if wide else best)
        most = min(most, _MOST * settings.step)
        whole = floor(most / settings.step + 1e-9) * settings.step
        return Range(settings.first, max(settings.step, whole), settings.step)

    @property
    def _limit(self) -> Limit | None:
        if self._ceiling is not None:
            return Limit(self._ceiling, "generator")
        return self._settings.limits[0] if self._settings.limits else None

    def _unaffordable(self, wanted: Try, measured_s: float) -> str:
        """Why the budget does not allow this run; "" where it does."""
        cap = self._settings.cap
        if cap is None:
            return ""
        length_s = self._settings.warmup_s + measured_s
        takes = self._settings.in_flight(wanted.load) * length_s / 60
        if self._spent.session_minutes + takes <= cap.minutes:
            return ""
        return (
            f"the search ended for its budget: {self._spent.session_minutes:.1f} session-minutes "
            f"are used, a {wanted.purpose} at {wanted.load:g} takes {takes:.1f} more, "
            f"{cap.option} {cap.given:g} allows {cap.minutes:.1f}"
        )

    def _measured_s(self, wanted: Try) -> float:
        """How long a run measures; a hold so long that its objectives can be decided."""
        settings = self._settings
        length = settings.measured_s(wanted.purpose)
        if wanted.purpose != "hold":
            return length
        needs = max(samples_of(gate) for tier in settings.tiers for gate in tier.gates)
        effect = max(
            answer(self._tried, tier.name, self._scope).crossing.effect for tier in settings.tiers
        )
        takes = needs * effect / (settings.turns_per_s * settings.in_flight(wanted.load))
        return min(max(length, takes), LONGEST_HOLD * settings.session_s)

    # ── one run ──────────────────────────────────────────────────────────────────────────────

    def _try(self, wanted: Try, measured_s: float) -> None:
        settings, number = self._settings, self._next_number
        unit, length_s = settings.unit, settings.warmup_s + measured_s
        self._say(f"run {number}: {wanted.purpose} at {wanted.load:g} {unit}, {length_s:.0f} s")
        load = {"warmup": settings.warmup_s, "duration": measured_s}
        trial = self._made(number, wanted.purpose, wanted.load, load)
        self._trials.append(trial)
        void = trial.observation.void
        if void:
            self._say(f"  void: {void}")
            self._make_fit(wanted.load, void)
        else:
            for tier in settings.tiers:
                self._say(f"  {_told(trial, tier.name)}")
        self._write(complete=False)
        if not void and any(one.verdict == "fail" for one in trial.observation.tiers.values()):
            self._await_recovery()

    def _make_fit(self, load: float, why: str) -> None:
        """After a void run: more workers, or where there are no cores for them a lower ceiling."""
        if self._workers < (os.cpu_count() or 1):
            self._workers = min(os.cpu_count() or 1, 2 * self._workers)
            self._say(f"  again with {self._workers} workers")
            return
        if self._ceiling is None or load < self._ceiling:
            self._ceiling = load
        self._remarks.append(f"the generator was not fit at {load:g}: {why}")

    def _made(
        self, number: int, purpose: Purpose | Literal["beyond", "ramp"], load: float,
        lengths: dict[str, float], steps: Sequence[Step] = (),
    ) -> Trial:  # fmt: skip
        """One run from start to observation. Raises where it was interrupted."""
        name = f"{number:02d}-{purpose}-{load:g}"
        path, twin = self._place / name, 1
        while path.exists():  # of a search that was killed in this run
            twin += 1
            path = self._place / f"{name}-{twin}"
        options = self._run_options._replace(
            out=path,
            workers=self._workers,
            assignments=self._assigned(number, load, lengths, steps),
            gates=tuple({gate.text: None for tier in self._settings.tiers for gate in tier.gates}),
        )  # fmt: skip
        folder, interrupted = run(options, self._talk)
        with self._talk.status("sealing and analysing"):
            settle(folder)
        if interrupted:
            self._write(complete=False)
            raise _InterruptedError(f"interrupted; the same with --resume {self._place} goes on")
        return self._observed(number, purpose, load, path)

    def _assigned(
        self, number: int, load: float, lengths: dict[str, float], steps: Sequence[Step]
    ) -> tuple[str, ...]:
        """What is set for a run: its load, seeds of its own, and the objectives as its gates."""
        own, settings = self._settings.job.scenario.load, self._settings
        table = {name: f"{seconds * 1000:.0f}ms" for name, seconds in lengths.items()}
        table["drain"] = f"{own.drain / NS_PER_S * 1000:.0f}ms"
        words = [f'{name} = "{text}"' for name, text in table.items()]
        words.append(f'connects = "{float(own.connects):g}/s"')
        if settings.open_load:
            words += [f'arrivals = "{settings.options.arrivals}"', f'rate = "{load:.6g}/s"']
        else:
            words.append(f"sessions = {load:.0f}")
        if steps:
            inner = ", ".join(
                f'{{ sessions = {step.sessions}, length = "{step.length // NS_PER_MS}ms" }}'
                for step in steps
            )
            words.append(f"steps = [{inner}]")
        seeds = settings.job.scenario.seeds
        return (
            *settings.options.assignments,
            f"load={{ {', '.join(words)} }}",
            "gates={}",
            "gate_profile='default'",
            f"seeds.arrivals={seeds.arrivals + number}",
            f"seeds.utterances={seeds.utterances + 1000 * number}",
            f"seeds.mixture={seeds.mixture + number}",
        )

    def _observed(
        self, number: int, purpose: Purpose | Literal["beyond", "ramp"], load: float, path: Path
    ) -> Trial:
        seen = observe(path, self._settings.tiers, load, self._settings.session_s)
        plan = RunFolder.open(path).read()["plan"]
        begin, end = plan.get("start_ns"), plan.get("end_ns")
        seconds = (end - begin) / NS_PER_S if begin is not None and end is not None else 0.0
        gauges = {name: Gauge(**one) for name, one in gauge_means(path).items()}
        self._account(seconds, seen.session_minutes)
        return Trial(number, purpose, path.name, seconds, seen, gauges)

    def _account(self, seconds: float, session_minutes: float) -> None:
        minutes = self._spent.session_minutes + session_minutes
        price = self._settings.options.price_per_minute
        self._spent = SearchSpending(
            seconds=self._spent.seconds + seconds,
            session_minutes=minutes,
            cost=None if price is None else minutes * price,
        )

    def _ramp(self) -> None:
        """A quick look: one run that rises in steps, each of which is then a try of its own."""
        settings = self._settings
        steps = ramp_steps(settings.first, self._scope.most, settings.session_s)
        top, whole_s = steps[-1].sessions, sum(step.length for step in steps) / NS_PER_S
        self._say(
            f"ramp: {steps[0].sessions} to {top} sessions in {len(steps)} steps, {whole_s:.0f} s"
        )
        lengths = {"warmup": settings.warmup_s, "duration": whole_s}
        whole = self._made(1, "ramp", top, lengths, steps)
        path = self._place / whole.run
        if whole.observation.void:
            self._trials.append(whole)
            self._remarks.append(f"the ramp says nothing: {whole.observation.void}")
            return
        seen = observe_steps(path, settings.tiers, steps)
        self._trials = [
            Trial(number, "ramp", whole.run, step.length / NS_PER_S, one, {})
            for number, (step, one) in enumerate(zip(steps, seen, strict=True), 1)
        ]
        flat = saturation([(one.load, one.good_per_s or 0.0) for one in seen])
        if flat is not None:
            self._remarks.append(
                f"saturated from {flat:g} sessions on: more of them had no more good turns a second"
            )
        self._remarks.append(
            f"a quick look: the second half of each step counts ({settings.session_s:.0f} s, one "
            "session), and what the steps before it left is in it; a search without --ramp makes a "
            "run of its own for every load, and is more exact"
        )

    # ── canaries ─────────────────────────────────────────────────────────────────────────────

    def _first_canary(self) -> None:
        """How fast the target is without load. TargetError where it serves nobody."""
        target = self._settings.job.target._replace(url=self._run_options.target)
        self._canary = Canary(self._settings.job._replace(target=target))
        for _ in range(CANARIES):
            seen = self._looked(self._canary)
            if seen.failure:
                raise TargetError(f"target {self._settings.job.target.name}: {seen.failure}")
            self._usual_ms = max(self._usual_ms, *seen.latencies)
        self._say(f"canary    {self._usual_ms:.0f} ms to first audio without load")

    def _looked(self, canary: Canary) -> Sighting:
        """What the canary met; its session is paid for as any other."""
        began = time.monotonic()
        seen = canary.look()
        took_s = time.monotonic() - began
        self._account(took_s, took_s / 60)
        return seen

    def _await_recovery(self) -> float | None:
        """Wait until a canary is as fast as before; seconds that took, None: it never was."""
        assert self._canary is not None  # noqa: S101 - the first one was before
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < PATIENCE_S:
            seen = self._looked(self._canary)
            if not seen.failure and max(seen.latencies) <= _RECOVERED * self._usual_ms:
                return waited
            time.sleep(1.0)
        self._remarks.append(
            f"the target was not as fast as before the search {PATIENCE_S:.0f} s after run "
            f"{len(self._trials)}: what follows was measured on a target that is not itself"
        )
        return None

    # ── beyond ───────────────────────────────────────────────────────────────────────────────

    def _go_beyond(self) -> None:
        """One run beyond the answer of the first tier that has one; where it collapses, another."""
        settings = self._settings
        if settings.open_load or not self._tried.tries:
            return
        found = answer(self._tried, settings.tiers[0].name, self._scope)
        if found.capacity < 1 or found.crossing.value == inf:
            return
        top = ceil(BEYOND * found.capacity)
        if top > self._scope.most:
            self._remarks.append(
                f"no run beyond the limit: {top} sessions are more than "
                f"{self._limit.why if self._limit else 'may be tried'} allows"
            )
            return
        steps = surge_steps(round(found.capacity), settings.session_s)
        after = self._surge(round(found.capacity), top, steps)
        if after is not None and after.outlived and not after.recovered:
            self._await_recovery()
            steps = fall_steps(round(found.capacity), settings.session_s)
            again = self._surge(top, top, steps, nth=1)
            after = after.with_fall(again)
        if after is not None and not after.recovered and self._await_recovery() is not None:
            after = after.healed()
        self._aftermath = after

    def _surge(
        self, first: int, top: int, steps: Sequence[Step], *, nth: int = 0
    ) -> Aftermath | None:
        """The run number `nth` of those beyond the limit; one that is there already is read."""
        before = [one for one in self._trials if one.purpose == "beyond"][nth:]
        if before:
            return aftermath(self._place / before[0].run, steps, before[0], self._settings.tiers[0])
        number = self._next_number
        whole_s = sum(step.length for step in steps) / NS_PER_S
        cap = self._settings.cap
        if cap and self._spent.session_minutes + top * whole_s / 60 > cap.minutes:
            self._remarks.append(f"no run beyond the limit: {cap.option} {cap.given:g} is used up")
            return None
        self._say(f"run {number}: beyond, from {first} to {top} sessions and back")
        lengths = {"warmup": self._settings.warmup_s, "duration": whole_s}
        trial = self._made(number, "beyond", top, lengths, steps)
        self._trials.append(trial)
        self._write(complete=False)
        return aftermath(self._place / trial.run, steps, trial, self._settings.tiers[0])

    # ── the document ─────────────────────────────────────────────────────────────────────────

    def _take_up(self, before: CapacityResult) -> None:
        """What an earlier part of this search has left: its runs are read again.

        One that cannot be read is left out, and the search goes by the others.
        """
        self._created, self._remarks = before.created, list(before.remarks)
        for row in before.probes:
            path = self._place / row.run
            try:
                with still_there(path):
                    trial = self._observed(row.number, row.purpose, row.load, path)
            except (FolderLostError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._account(row.seconds, row.session_minutes)
                why = getattr(error, "what", f"{path}: is damaged ({error})")
                self._remarks.append(f"run {row.number} is lost, and does not count: {why}")
                self._say(self._remarks[-1])
                continue
            self._trials.append(trial)
            if row.void and row.purpose != "beyond":
                self._make_fit(row.load, row.void)
        self._say(f"resumed   {len(self._trials)} runs are there already")

    def _write(self, *, complete: bool) -> CapacityResult:
        """`capacity.json` as it stands now. OSError where it cannot be written."""
        result = self._document(complete=complete)
        write_capacity(self._place / NAME, result)
        return result

    def _document(self, *, complete: bool) -> CapacityResult:
        settings, job = self._settings, self._settings.job
        whole = RUNS[1] * settings.whole_s
        minutes = whole / 60 * self._settings.in_flight(settings.first)
        price = settings.options.price_per_minute
        after = self._aftermath
        return CapacityResult(
            metric_version=VERSION,
            bench_version=__version__,
            created=self._created,
            complete=complete,
            scenario=ScenarioFacts(
                name=job.name, sha256=sha256(job.text.encode()).hexdigest(),
                workload=workload_digest(job),
            ),
            target=TargetFacts(
                name=job.target.name, url=self._run_options.target,
                dialect=job.target.dialect.name, cores=settings.options.cores,
                gpus=settings.options.gpus,
            ),
            corpus=CorpusFacts(name=job.corpus.name, sha256=job.corpus.sha256),
            load=settings.kind,
            unit="/s" if settings.open_load else "sessions",
            objectives=[
                Objective(tier=one.name, gates=[gate.text for gate in one.gates])
                for one in settings.tiers
            ],
            workload=workload_of(self._trials),
            price_per_minute=price,
            plan=SearchPlan(
                probe_s=settings.whole_s, session_s=settings.session_s, seconds=whole,
                session_minutes=minutes, cost=None if price is None else minutes * price,
            ),
            spent=self._spent,
            probes=[row_of(trial) for trial in self._trials],
            tiers=capacities(
                self._trials,
                settings.tiers,
                Terms(self._tried, self._scope, self._limit, settings.parts, price),
            ),
            beyond=None if after is None else after.beyond,
            recovery=None if after is None else after.recovery,
            scalability=scalability_of(self._trials) if complete else None,
            remarks=list(dict.fromkeys(self._remarks)),
        )  # fmt: skip

    def _say(self, words: str) -> None:
        say(self._talk, words)


def _told(trial: Trial, tier: str) -> str:
    """What a run said of a tier, in a line: the gate that decided it, else the first."""
    found = trial.observation.tiers[tier]
    order = ("fail", "open", "pass")
    worst = min(found.gates, key=lambda gate: order.index(gate.verdict))
    value = "–" if worst.value is None else f"{worst.value:.4g}"
    return f"{tier}: {found.verdict}; {worst.gate}: {value}"

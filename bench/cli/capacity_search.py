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
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil, floor, inf, isfinite, log10, sqrt
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
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
    read_capacity,
    write_capacity,
)
from bench.capacity.observation import Observation, observe, observe_steps
from bench.capacity.ramp import ramp_steps, saturation
from bench.capacity.result import (
    Limit,
    Trial,
    capacities,
    row_of,
    scalability_of,
    tried_of,
    workload_of,
)
from bench.capacity.search import Purpose, Range, Try, answer, next_try
from bench.cli.interleaving import new_place, say
from bench.cli.outlook import speech_of
from bench.cli.processes import Reference
from bench.cli.run import EXIT_INTERRUPTED, SPARE_FILES, job_of, new_folder, run
from bench.cli.run import Options as RunOptions
from bench.cli.settle import settle
from bench.cli.spending import Cap, cap_of
from bench.errors import BenchError, TargetError, UsageError
from bench.load.canary import Canary
from bench.plan.duration import Duration
from bench.plan.forecast import samples_of, session_length
from bench.plan.gates import check_filters, check_gates
from bench.plan.metrics import METRICS, VERSION
from bench.plan.scenario import Step, known_of, yields_of
from bench.plan.scenario import workload_of as workload_document
from bench.plan.tiers import Tier, read_tiers
from bench.report.words import clip
from bench.runs.folder import RunFolder
from bench.runs.gauges import gauge_means
from bench.runs.job import REFERENCE, Job, credential, input_formats, reply_formats
from bench.voice.audio import NS_PER_MS, NS_PER_S

LENGTHS: Final[dict[str, float]] = {"bracket": 1.0, "refine": 5.0, "hold": 7.0}
"""Measured time of a run by its purpose, in whole sessions."""
LONGEST_HOLD: Final = 40.0
"""Whole sessions that a hold may take where its objectives need so many turns."""
RUNS: Final = (8.0, 12.0)
"""A search is foretold to take between so many whole runs; a small capacity may take more."""
CANARY_TURNS: Final = 2
PATIENCE_S: Final = 120.0
"""How long a target may take to recover between two runs."""
_RECOVERED: Final = 1.5
"""A canary is as fast as before where it takes no longer than so many times the slowest then."""
_TIME_WAIT_S: Final = 60.0
_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MOST: Final = 1_000_000


class Options(NamedTuple):
    """What the command line said, unread."""

    scenario: Path
    target: str = REFERENCE
    dialect: str | None = None
    slo: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    arrivals: str | None = None
    start: float | None = None
    max_sessions: int | None = None
    workers: int = 1
    assignments: tuple[str, ...] = ()
    session_length: str | None = None
    price_per_minute: float | None = None
    max_minutes: float | None = None
    max_cost: float | None = None
    account_sessions: int | None = None
    account_packets: int | None = None
    out: Path | None = None
    resume: Path | None = None
    yes: bool = False
    metrics_url: str | None = None
    gauges: tuple[str, ...] = ()
    ramp: bool = False


class _InterruptedError(BenchError):
    """Ctrl-C: what is known is in `capacity.json`."""

    exit_code = EXIT_INTERRUPTED


class _Fixed(NamedTuple):
    """What is settled before the first run."""

    options: Options
    job: Job
    tiers: tuple[Tier, ...]
    session_s: float
    warmup_s: float
    first: float
    limits: tuple[Limit, ...]
    cap: Cap | None
    step: float

    @property
    def open_load(self) -> bool:
        return self.options.arrivals is not None

    @property
    def unit(self) -> str:
        """What a load is counted in, in words."""
        return "a second" if self.open_load else "sessions"

    def measured_s(self, purpose: str) -> float:
        return LENGTHS[purpose] * self.session_s

    @property
    def whole_s(self) -> float:
        """A whole run."""
        return self.warmup_s + self.measured_s("refine")


def search_capacity(options: Options, talk: Console) -> tuple[Path, CapacityResult]:
    """Search; (the folder, the answer). UsageError for what cannot be done, before any run.

    TargetError where the target takes nobody at all. What is known after Ctrl-C is in the folder.
    """
    fixed = _fixed(options)
    place = options.resume or options.out or new_folder(f"capacity-{options.scenario.stem}")
    before = _resumed(fixed, place) if options.resume is not None else None
    if before is None:
        new_place(place, f", or go on with --resume {place}")
    for line in _foretold(fixed, place):
        say(talk, line)
    if not fixed.job.target.loopback and not options.yes:
        raise UsageError("this is no loopback target: add --yes to start")
    credential(fixed.job.target)
    with serving(fixed.job, place) as target:
        return place, _Search(fixed, place, target, talk, before).run()


# ── before the first run ─────────────────────────────────────────────────────────────────────────


def _fixed(options: Options) -> _Fixed:
    """Everything checked. UsageError names what cannot be."""
    job = job_of(RunOptions(
        options.scenario, options.target, options.dialect, workers=options.workers,
        assignments=options.assignments,
    ))  # fmt: skip
    scenario, load = job.scenario, job.scenario.load
    tiers = read_tiers(options.slo, options.tiers, scenario.slo, str(options.scenario))
    _check_yield(job, tiers)
    session_s = _session_s(options, job)
    warmup_s = max(load.warmup / NS_PER_S, session_s)
    if options.ramp and options.arrivals is not None:
        raise UsageError("--ramp: holds sessions, and --arrivals lets them come; give one of them")
    if options.ramp and options.resume is not None:
        raise UsageError("--ramp is a single run, and there is nothing to resume; leave one out")
    if options.arrivals not in {None, "poisson", "uniform"}:
        raise UsageError(f"--arrivals {options.arrivals!r}: give poisson or uniform")
    open_load = options.arrivals is not None
    if options.start is not None and not (isfinite(options.start) and options.start > 0):
        raise UsageError(f"--start {options.start:g}: give a number above 0")
    if open_load:
        first = options.start or float(load.rate or (load.sessions or 1) / session_s)
        step = 10.0 ** (floor(log10(first)) - 2)
    else:
        first, step = options.start or float(load.sessions or 1), 1.0
        if first != int(first):
            raise UsageError(f"--start {first:g}: give a whole number of sessions")
    limits = tuple(_limits(options, job, session_s, open_load=open_load))
    if limits and limits[0].load < first:
        first = limits[0].load
    cap = cap_of(options.max_minutes, options.max_cost, options.price_per_minute)
    fixed = _Fixed(options, job, tiers, session_s, warmup_s, first, limits, cap, step)
    _check_budget(fixed)
    return fixed


def _check_yield(job: Job, tiers: Sequence[Tier]) -> None:
    """GateError for an objective that the scenario cannot have."""
    gates = [gate for tier in tiers for gate in tier.gates]
    check_gates(gates, yields=yields_of(job.scenario), script=job.scenario.scripts)
    check_filters(gates, known_of(job.scenario))


def _session_s(options: Options, job: Job) -> float:
    if options.session_length is not None:
        try:
            length = Duration.parse(options.session_length) / NS_PER_S
        except ValueError as error:
            raise UsageError(f"--session-length: {error}") from None
        if length <= 0:
            raise UsageError("--session-length: give more than 0s")
        return length
    found = session_length(job.scenario, speech_of(job))
    if found is None:
        raise UsageError(
            f"{options.scenario}: nobody knows how long a session of your own script takes; say it "
            "with --session-length, as in 40s"
        )
    return max(1.0, found / NS_PER_S)


def _limits(options: Options, job: Job, session_s: float, *, open_load: bool) -> list[Limit]:
    """What keeps the search from higher loads, the narrowest first."""
    target, found = job.target, []
    if options.max_sessions is not None:
        found.append(Limit(options.max_sessions, f"--max-sessions {options.max_sessions}"))
    known = not target.loopback
    sessions = options.account_sessions or (target.dialect.most_sessions if known else None)
    packets = options.account_packets or (target.dialect.most_packets if known else None)
    if sessions:
        found.append(Limit(sessions, f"account {sessions} sessions"))
    if packets:
        most = floor(packets * job.scenario.chunk_ms / 1000)
        found.append(Limit(most, f"account {packets} packets a second"))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY:
        found.append(Limit((files - SPARE_FILES) * options.workers, "open files"))
    if _PORTS.exists():
        low, high = map(int, _PORTS.read_text("utf-8").split())
        churn = 1 + _TIME_WAIT_S / session_s  # ports of sessions that ended are taken for a while
        found.append(Limit(floor((high - low + 1) / churn), "ephemeral ports"))
    if open_load:  # sessions in flight are arrivals a second times their length
        found = [Limit(one.load / session_s, one.why) for one in found]
    return sorted(found)


def _check_budget(fixed: _Fixed) -> None:
    """UsageError where the cap pays for no answer, or no run could decide an objective."""
    least = fixed.first * (fixed.session_s if fixed.open_load else 1)
    for tier in fixed.tiers:
        for gate in tier.gates:
            needs = samples_of(gate)
            per_s = _turns_per_s(fixed) * least
            takes = needs / per_s if METRICS[gate.metric].of == "turn" else 0.0
            longest = LONGEST_HOLD * fixed.session_s
            if takes > longest:
                raise UsageError(
                    f"objective {gate.text!r} needs {needs} turns that are independent, and "
                    f"{fixed.first:g} sessions would take {_time(takes)} for them, "
                    f"{_time(longest)} is the longest run of a search; start higher with --start "
                    f"{ceil(fixed.first * takes / longest)}, or ask for a lower quantile"
                )
    if fixed.cap is None:
        return
    whole = least * (fixed.whole_s + fixed.warmup_s + fixed.session_s) / 60
    if whole > fixed.cap.minutes:
        raise UsageError(
            f"{fixed.cap.option} {fixed.cap.given:g}: the first two runs alone take "
            f"{whole:.1f} session-minutes, {fixed.cap.minutes:.1f} are allowed, and a search takes "
            f"about {least * RUNS[1] * fixed.whole_s / 60:.0f} for a capacity of "
            f"{fixed.first:g}; start lower with --start, or raise it"
        )


def _turns_per_s(fixed: _Fixed) -> float:
    """Turns a second of one session, as foreseen."""
    return max(1, fixed.job.scenario.turns) / fixed.session_s


def _foretold(fixed: _Fixed, place: Path) -> Iterator[str]:
    low, high = (runs * fixed.whole_s / 60 for runs in RUNS)
    unit = fixed.unit
    yield (
        f"search    from {fixed.first:g} {unit}, runs of up to {fixed.whole_s:.0f} s (sessions "
        f"last {fixed.session_s:.0f} s): {low:.0f} to {high:.0f} minutes of load"
    )
    each = RUNS[1] * fixed.whole_s / 60 * (fixed.session_s if fixed.open_load else 1)
    price = fixed.options.price_per_minute
    cost = "" if price is None else f", {each * price:.2f} in money"
    yield (
        f"minutes   up to {each:.0f} session-minutes{cost} for each of them that the target holds: "
        f"{each * fixed.first:.0f} for {fixed.first:g}"
    )
    if fixed.limits:
        yield f"limit     {fixed.limits[0].load:.4g} {unit}: {fixed.limits[0].why}"
    yield f"kept      {place}: {NAME}, and a folder a run"


def _resumed(fixed: _Fixed, place: Path) -> CapacityResult:
    """The search to go on with. UsageError where it is of something else."""
    before, job = read_capacity(place), fixed.job
    if any(one.purpose == "ramp" for one in before.probes):
        raise UsageError(
            f"--resume {place}: it was made with --ramp, a single run; begin a new search"
        )
    told = {
        "scenario": (before.scenario.workload, _workload(job)),
        "target": (before.target.name, job.target.name),
        "corpus": (before.corpus.sha256, job.corpus.sha256),
        "kind of load": (before.load, _kind(fixed)),
        "objectives": (
            [(one.tier, one.gates) for one in before.objectives],
            [(one.name, [gate.text for gate in one.gates]) for one in fixed.tiers],
        ),
    }
    for what, (then, now) in told.items():
        if then != now:
            raise UsageError(
                f"--resume {place}: its {what} is another ({clip(then, 60)}, now {clip(now, 60)}); "
                "give the same as then, or begin a new search"
            )
    return before


def _kind(fixed: _Fixed) -> Literal["sessions", "arrivals"]:
    return "arrivals" if fixed.open_load else "sessions"


def _workload(job: Job) -> str:
    """A digest of what callers do: without load, gates and objectives."""
    document = workload_document(job.document)
    document.pop("load", None)
    return sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()[:12]


@contextmanager
def serving(job: Job, place: Path) -> Iterator[str]:
    """The target of the runs: the embedded server is started here, and serves all of them."""
    if job.target.url:
        yield job.target.url
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
        yield server.url
    finally:
        server.stop()


# ── the search ───────────────────────────────────────────────────────────────────────────────────


class _Search:
    """One search under way."""

    def __init__(
        self, fixed: _Fixed, place: Path, target: str, talk: Console, before: CapacityResult | None
    ) -> None:
        self._fixed, self._place, self._talk = fixed, place, talk
        dialect = fixed.job.target.dialect.name
        self._run_options = RunOptions(
            fixed.options.scenario, target, dialect, workers=fixed.options.workers, yes=True,
            metrics_url=fixed.options.metrics_url, gauges=fixed.options.gauges,
        )  # fmt: skip
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._trials: list[Trial] = []
        self._remarks: list[str] = []
        self._ceiling: float | None = None
        self._workers = fixed.options.workers
        self._aftermath: Aftermath | None = None
        self._spent = SearchSpending(seconds=0.0, session_minutes=0.0, cost=None)
        self._canary: Canary | None = None
        self._usual_ms = 0.0
        self._began = time.monotonic()
        if before is not None:
            self._take_up(before)

    def run(self) -> CapacityResult:
        """Search to the end; the answer, which is written."""
        self._first_canary()
        if self._fixed.options.ramp:
            self._ramp()
            return self._write(complete=True)
        while wanted := next_try(tried_of(self._trials, self._fixed.tiers), self._scope):
            measured_s = self._measured_s(wanted)
            if why := self._unaffordable(wanted, measured_s):
                self._remarks.append(why)
                break
            self._try(wanted, measured_s)
        self._go_beyond()
        return self._write(complete=True)

    @property
    def _scope(self) -> Range:
        """Where the search may go: below what the generator could not do, and the limits."""
        fixed = self._fixed
        most = fixed.limits[0].load if fixed.limits else inf
        if self._ceiling is not None:
            fit = [one.observation.load for one in self._trials if one.counts]
            best = max((load for load in fit if load < self._ceiling), default=fixed.step)
            wide = self._ceiling > 1.25 * best and self._ceiling - best > fixed.step
            most = min(most, sqrt(best * self._ceiling) if wide else best)
        most = min(most, _MOST * fixed.step)
        return Range(
            fixed.first, max(fixed.step, floor(most / fixed.step + 1e-9) * fixed.step), fixed.step
        )

    @property
    def _limit(self) -> Limit | None:
        if self._ceiling is not None:
            return Limit(self._ceiling, "generator")
        return self._fixed.limits[0] if self._fixed.limits else None

    def _unaffordable(self, wanted: Try, measured_s: float) -> str:
        """Why the budget does not allow this run; "" where it does."""
        cap = self._fixed.cap
        if cap is None:
            return ""
        length_s = self._fixed.warmup_s + measured_s
        takes = self._in_flight(wanted.load) * length_s / 60
        if self._spent.session_minutes + takes <= cap.minutes:
            return ""
        return (
            f"the search ended for its budget: {self._spent.session_minutes:.1f} session-minutes "
            f"are used, a {wanted.purpose} at {wanted.load:g} takes {takes:.1f} more, "
            f"{cap.option} {cap.given:g} allows {cap.minutes:.1f}"
        )

    def _in_flight(self, load: float) -> float:
        return load * self._fixed.session_s if self._fixed.open_load else load

    def _measured_s(self, wanted: Try) -> float:
        """How long a run measures; a hold so long that its objectives can be decided."""
        fixed = self._fixed
        length = fixed.measured_s(wanted.purpose)
        if wanted.purpose != "hold":
            return length
        needs = max(samples_of(gate) for tier in fixed.tiers for gate in tier.gates)
        tried = tried_of(self._trials, fixed.tiers)
        effect = max(
            (answer(tried, tier.name, self._scope).crossing.effect for tier in fixed.tiers),
            default=1.0,
        )
        takes = needs * effect / (_turns_per_s(fixed) * self._in_flight(wanted.load))
        return min(max(length, takes), LONGEST_HOLD * fixed.session_s)

    # ── one run ──────────────────────────────────────────────────────────────────────────────

    def _try(self, wanted: Try, measured_s: float) -> None:
        fixed, number = self._fixed, len(self._trials) + 1
        unit, length_s = fixed.unit, fixed.warmup_s + measured_s
        self._say(f"run {number}: {wanted.purpose} at {wanted.load:g} {unit}, {length_s:.0f} s")
        load = {"warmup": fixed.warmup_s, "duration": measured_s}
        trial = self._made(number, wanted.purpose, wanted.load, load)
        self._trials.append(trial)
        void = trial.observation.void
        if void:
            self._say(f"  void: {void}")
            self._make_fit(wanted.load, void)
        else:
            for tier in fixed.tiers:
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
            gates=tuple({gate.text: None for tier in self._fixed.tiers for gate in tier.gates}),
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
        own, fixed = self._fixed.job.scenario.load, self._fixed
        table = {name: f"{seconds * 1000:.0f}ms" for name, seconds in lengths.items()}
        table["drain"] = f"{own.drain / NS_PER_S * 1000:.0f}ms"
        words = [f'{name} = "{text}"' for name, text in table.items()]
        words.append(f'connects = "{float(own.connects):g}/s"')
        if fixed.open_load:
            words += [f'arrivals = "{fixed.options.arrivals}"', f'rate = "{load:.6g}/s"']
        else:
            words.append(f"sessions = {load:.0f}")
        if steps:
            inner = ", ".join(
                f'{{ sessions = {step.sessions}, length = "{step.length // NS_PER_MS}ms" }}'
                for step in steps
            )
            words.append(f"steps = [{inner}]")
        seeds = fixed.job.scenario.seeds
        return (
            *fixed.options.assignments,
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
        seen = observe(path, self._fixed.tiers, load, self._fixed.session_s)
        plan = RunFolder.open(path).read()["plan"]
        begin, end = plan.get("start_ns"), plan.get("end_ns")
        seconds = (end - begin) / NS_PER_S if begin is not None and end is not None else 0.0
        self._account(seconds, seen)
        gauges = {name: Gauge(**one) for name, one in gauge_means(path).items()}
        return Trial(number, purpose, path.name, seconds, seen, gauges)

    def _account(self, seconds: float, seen: Observation) -> None:
        minutes = self._spent.session_minutes + seen.session_minutes
        price = self._fixed.options.price_per_minute
        self._spent = SearchSpending(
            seconds=self._spent.seconds + seconds,
            session_minutes=minutes,
            cost=None if price is None else minutes * price,
        )

    def _ramp(self) -> None:
        """A quick look: one run that rises in steps, each of which is then a try of its own."""
        fixed = self._fixed
        steps = ramp_steps(fixed.first, self._scope.most, fixed.session_s)
        top, whole_s = steps[-1].sessions, sum(step.length for step in steps) / NS_PER_S
        self._say(
            f"ramp: {steps[0].sessions} to {top} sessions in {len(steps)} steps, {whole_s:.0f} s"
        )
        lengths = {"warmup": fixed.warmup_s, "duration": whole_s}
        whole = self._made(1, "ramp", top, lengths, steps)
        path = self._place / whole.run
        if whole.observation.void:
            self._trials.append(whole)
            self._remarks.append(f"the ramp says nothing: {whole.observation.void}")
            return
        seen = observe_steps(path, fixed.tiers, steps)
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
            f"a quick look: the second half of each step counts ({fixed.session_s:.0f} s, one "
            "session), and what the steps before it left is in it; a search without --ramp makes a "
            "run of its own for every load, and is more exact"
        )

    # ── canaries ─────────────────────────────────────────────────────────────────────────────

    def _first_canary(self) -> None:
        """How fast the target is without load. TargetError where it serves nobody."""
        target = self._fixed.job.target._replace(url=self._run_options.target)
        self._canary = Canary(self._fixed.job._replace(target=target), CANARY_TURNS)
        seen = self._canary.look()
        if seen.failure:
            raise TargetError(f"target {self._fixed.job.target.name}: {seen.failure}")
        self._usual_ms = max(seen.latencies)
        self._say(f"canary    {self._usual_ms:.0f} ms to first audio without load")

    def _await_recovery(self) -> float | None:
        """Wait until a canary is as fast as before; seconds that took, None: it never was."""
        assert self._canary is not None  # noqa: S101 - the first one was before
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < PATIENCE_S:
            seen = self._canary.look()
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
        fixed = self._fixed
        tried = tried_of(self._trials, fixed.tiers)
        if fixed.open_load or not tried.tries or self._aftermath is not None:
            return
        found = answer(tried, fixed.tiers[0].name, self._scope)
        if found.capacity < 1 or found.crossing.value == inf:
            return
        top = ceil(BEYOND * found.capacity)
        if top > self._scope.most:
            self._remarks.append(
                f"no run beyond the limit: {top} sessions are more than "
                f"{self._limit.why if self._limit else 'may be tried'} allows"
            )
            return
        steps = surge_steps(round(found.capacity), fixed.session_s)
        after = self._surge(round(found.capacity), top, steps)
        if after is not None and after.outlived:
            self._await_recovery()
            again = self._surge(top, top, fall_steps(top, fixed.session_s))
            after = after.with_fall(again)
        if after is not None and not after.recovered and self._await_recovery() is not None:
            after = after.healed()
        self._aftermath = after

    def _surge(self, first: int, top: int, steps: Sequence[Step]) -> Aftermath | None:
        number = len(self._trials) + 1
        whole_s = sum(step.length for step in steps) / NS_PER_S
        cap = self._fixed.cap
        if cap and self._spent.session_minutes + top * whole_s / 60 > cap.minutes:
            self._remarks.append(f"no run beyond the limit: {cap.option} {cap.given:g} is used up")
            return None
        self._say(f"run {number}: beyond, from {first} to {top} sessions and back")
        lengths = {"warmup": self._fixed.warmup_s, "duration": whole_s}
        trial = self._made(number, "beyond", top, lengths, steps)
        self._trials.append(trial)
        self._write(complete=False)
        return aftermath(self._place / trial.run, steps, trial, self._fixed.tiers[0])

    # ── the document ─────────────────────────────────────────────────────────────────────────

    def _take_up(self, before: CapacityResult) -> None:
        """What an earlier part of this search has left: its runs are read again."""
        self._created, self._remarks = before.created, list(before.remarks)
        for row in before.probes:
            path = self._place / row.run
            try:
                trial = self._observed(row.number, row.purpose, row.load, path)
            except (BenchError, OSError) as error:
                raise UsageError(
                    f"--resume {self._place}: run {row.run} cannot be read ({error}); put it back, "
                    "or begin a new search"
                ) from None
            self._trials.append(trial)
            if row.void and row.purpose != "beyond":
                self._make_fit(row.load, row.void)
        self._say(f"resumed   {len(self._trials)} runs are there already")

    def _write(self, *, complete: bool) -> CapacityResult:
        fixed, job = self._fixed, self._fixed.job
        whole = RUNS[1] * fixed.whole_s
        minutes = whole / 60 * self._in_flight(fixed.first)
        price = fixed.options.price_per_minute
        after = self._aftermath
        result = CapacityResult(
            metric_version=VERSION,
            bench_version=__version__,
            created=self._created,
            complete=complete,
            scenario=ScenarioFacts(
                name=job.name, sha256=sha256(job.text.encode()).hexdigest(), workload=_workload(job)
            ),
            target=TargetFacts(
                name=job.target.name, url=self._run_options.target,
                dialect=job.target.dialect.name,
            ),
            corpus=CorpusFacts(name=job.corpus.name, sha256=job.corpus.sha256),
            load=_kind(fixed),
            unit="/s" if fixed.open_load else "sessions",
            objectives=[
                Objective(tier=one.name, gates=[gate.text for gate in one.gates])
                for one in fixed.tiers
            ],
            workload=workload_of(self._trials),
            price_per_minute=price,
            plan=SearchPlan(
                probe_s=fixed.whole_s, session_s=fixed.session_s, seconds=whole,
                session_minutes=minutes, cost=None if price is None else minutes * price,
            ),
            spent=self._spent,
            probes=[row_of(trial) for trial in self._trials],
            tiers=capacities(self._trials, fixed.tiers, self._scope, self._limit, price),
            beyond=None if after is None else after.beyond,
            recovery=None if after is None else after.recovery,
            scalability=scalability_of(self._trials) if complete else None,
            remarks=list(dict.fromkeys(self._remarks)),
        )  # fmt: skip
        try:
            write_capacity(self._place / NAME, result)
        except OSError as error:
            raise UsageError(
                f"{self._place / NAME}: cannot be written ({error.strerror}); make room, and go on "
                f"with --resume {self._place}"
            ) from None
        return result

    def _say(self, words: str) -> None:
        say(self._talk, words)


def _told(trial: Trial, tier: str) -> str:
    """What a run said of a tier, in a line: the gate that decided it, else the first."""
    found = trial.observation.tiers[tier]
    order = ("fail", "open", "pass")
    worst = min(found.gates, key=lambda gate: order.index(gate.verdict))
    value = "–" if worst.value is None else f"{worst.value:.4g}"
    return f"{tier}: {found.verdict}; {worst.gate}: {value}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"

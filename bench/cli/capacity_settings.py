"""What is settled before a search for a capacity: options, limits, budget, what it takes."""

import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil, floor, log10
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from bench import __version__
from bench.capacity.document import (
    NAME,
    CapacityResult,
    CorpusFacts,
    Objective,
    ScenarioFacts,
    SearchPlan,
    SearchSpending,
    TargetFacts,
    read_capacity,
)
from bench.capacity.result import Limit, workload_of
from bench.capacity.search import Try
from bench.cli.account import account_of
from bench.cli.budget import Cap, cap_of
from bench.cli.run_job import job_of
from bench.cli.run_scenario import SPARE_FILES
from bench.cli.scraper import Watch, check_metrics_url, watch_of
from bench.cli.speech import speech_of
from bench.cli.verbs import CapacityOptions, RunOptions
from bench.errors import UsageError
from bench.plan.forecast import samples_of, session_length
from bench.plan.gates import check_filters, check_gates
from bench.plan.metrics import METRICS, VERSION
from bench.plan.scenario import known_of, yields_of
from bench.plan.scenario import workload_of as workload_document
from bench.plan.tiers import Tier, read_tiers
from bench.report.text import clip
from bench.runs.job import Job
from bench.voice.audio import NS_PER_S

LENGTHS: Final[dict[str, float]] = {"bracket": 1.0, "refine": 6.0, "hold": 7.0}
"""Measured time of a run by its purpose, in whole sessions."""
LONGEST_HOLD: Final = 40.0
"""Whole sessions that a hold may take where its objectives need so many turns."""
RUNS: Final = (8.0, 12.0)
"""A search is foretold to take between so many whole runs; a small capacity may take more."""
_TIME_WAIT_S: Final = 60.0
_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class SearchSettings(NamedTuple):
    """What is settled. `watch`: the gauges that were asked for, found once before any run."""

    options: CapacityOptions
    job: Job
    tiers: tuple[Tier, ...]
    session_s: float
    warmup_s: float
    first: float
    limits: tuple[Limit, ...]
    cap: Cap | None
    step: float
    watch: Watch | None = None

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
    def parts(self) -> dict[Literal["core", "gpu"], float]:
        """What the target was said to have, of which a share of the capacity is told."""
        told: dict[Literal["core", "gpu"], float | None] = {
            "core": self.options.cores, "gpu": self.options.gpus,
        }  # fmt: skip
        return {part: count for part, count in told.items() if count}

    @property
    def whole_s(self) -> float:
        """A whole run."""
        return self.warmup_s + self.measured_s("refine")

    @property
    def kind(self) -> Literal["sessions", "arrivals"]:
        """What a load counts, as the document has it."""
        return "arrivals" if self.open_load else "sessions"

    @property
    def turns_per_s(self) -> float:
        """Turns a second of one session, as foreseen."""
        return max(1, self.job.scenario.turns) / self.session_s

    def in_flight(self, load: float) -> float:
        """Sessions at once at a load, as foreseen."""
        return load * self.session_s if self.open_load else load

    def unaffordable(self, wanted: Try, measured_s: float, spent: SearchSpending) -> str:
        """Why the budget does not allow this run; "" where it does."""
        takes = self.in_flight(wanted.load) * (self.warmup_s + measured_s) / 60
        used, cap = spent.session_minutes, self.cap
        if cap is None or used + takes <= cap.minutes:
            return ""
        return (
            f"the search ended for its budget: {used:.1f} session-minutes are used, a "
            f"{wanted.purpose} at {wanted.load:g} takes {takes:.1f} more, {cap.option} "
            f"{cap.given:g} allows {cap.minutes:.1f}"
        )


def settings_of(options: CapacityOptions) -> SearchSettings:
    """Everything checked. UsageError names what cannot be."""
    job = job_of(RunOptions(
        options.scenario, options.target, options.dialect, workers=options.workers,
        assignments=options.assignments, headers=options.headers, ca=options.ca,
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
    if open_load:
        first = options.start or float(load.rate or (load.sessions or 1) / session_s)
        step = 10.0 ** (floor(log10(first)) - 2)
    else:
        first, step = options.start or float(load.sessions or 1), 1.0
        if first != int(first):
            raise UsageError(f"--start {first:g}: give a whole number of sessions")
    limits = tuple(_limits(options, job, session_s, open_load=open_load))
    if limits and limits[0].load < first:
        if options.start is not None:
            raise UsageError(
                f"--start {first:g}: at most {limits[0].load:.4g} may be tried ({limits[0].why}); "
                "start lower"
            )
        first = limits[0].load
    cap = cap_of(options.max_minutes, options.max_cost, options.price_per_minute)
    settings = SearchSettings(options, job, tiers, session_s, warmup_s, first, limits, cap, step)
    _check_budget(settings)
    check_metrics_url(options.metrics_url, options.gauges)
    if options.metrics_url is None:
        return settings
    return settings._replace(watch=watch_of(options.metrics_url, options.gauges, options.ca))


def _check_yield(job: Job, tiers: Sequence[Tier]) -> None:
    """GateError for an objective that the scenario cannot have."""
    gates = [gate for tier in tiers for gate in tier.gates]
    check_gates(gates, yields=yields_of(job.scenario), script=job.scenario.scripts)
    check_filters(gates, known_of(job.scenario))


def _session_s(options: CapacityOptions, job: Job) -> float:
    if options.session_length is not None:
        return options.session_length
    found = session_length(job.scenario, speech_of(job))
    if found is None:
        raise UsageError(
            f"{options.scenario}: nobody knows how long a session of your own script takes; say it "
            "with --session-length, as in 40s"
        )
    return max(1.0, found / NS_PER_S)


def _limits(
    options: CapacityOptions, job: Job, session_s: float, *, open_load: bool
) -> list[Limit]:
    """What keeps the search from higher loads, the narrowest first."""
    found = []
    if options.max_sessions is not None:
        found.append(Limit(options.max_sessions, f"--max-sessions {options.max_sessions}"))
    sessions, packets = account_of(job, options)
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


def _check_budget(settings: SearchSettings) -> None:
    """UsageError where the cap pays for no answer, or no run could decide an objective."""
    least = settings.in_flight(settings.first)
    if settings.cap is not None:
        whole = least * (settings.whole_s + settings.warmup_s + settings.session_s) / 60
        if whole > settings.cap.minutes:
            raise UsageError(
                f"{settings.cap.option} {settings.cap.given:g}: the first two runs alone take "
                f"{whole:.1f} session-minutes, {settings.cap.minutes:.1f} are allowed, and a "
                f"search takes about {least * RUNS[1] * settings.whole_s / 60:.0f} for a capacity "
                f"of {settings.first:g}; start lower with --start, or raise it"
            )
    for tier in settings.tiers:
        for gate in tier.gates:
            needs = samples_of(gate)
            per_s = settings.turns_per_s * least
            takes = needs / per_s if METRICS[gate.metric].of == "turn" else 0.0
            longest = LONGEST_HOLD * settings.session_s
            if takes > longest:
                enough = ceil(settings.first * takes / longest / settings.step) * settings.step
                raise UsageError(
                    f"objective {gate.text!r} needs {needs} turns that are independent, and "
                    f"{settings.first:g} {settings.unit} would take {_time(takes)} for them, "
                    f"{_time(longest)} is the longest run of a search; start higher with --start "
                    f"{enough:g}, or ask for a lower quantile"
                )
            minutes = takes * least / 60
            if settings.cap is not None and minutes > settings.cap.minutes:
                raise UsageError(
                    f"objective {gate.text!r} needs {needs} turns that are independent, which take "
                    f"{minutes:.3g} session-minutes, and {settings.cap.option} "
                    f"{settings.cap.given:g} allows {settings.cap.minutes:.3g}; raise it, or ask "
                    "for a lower quantile"
                )


def estimate_lines(settings: SearchSettings, place: Path) -> Iterator[str]:
    """How long a search will take and what it will cost, a line each."""
    low, high = (runs * settings.whole_s / 60 for runs in RUNS)
    unit = settings.unit
    yield (
        f"search    from {settings.first:g} {unit}, runs of up to {settings.whole_s:.0f} s "
        f"(sessions last {settings.session_s:.0f} s): {low:.0f} to {high:.0f} minutes of load"
    )
    each = RUNS[1] * settings.whole_s / 60 * settings.in_flight(1)
    price = settings.options.price_per_minute
    cost = "" if price is None else f", {each * price:.2f} in money"
    yield (
        f"minutes   up to {each:.0f} session-minutes{cost} for each of them that the target holds: "
        f"{each * settings.first:.0f} for {settings.first:g}"
    )
    if settings.limits:
        yield f"limit     {settings.limits[0].load:.4g} {unit}: {settings.limits[0].why}"
    yield f"kept      {place}: {NAME}, and a folder a run"


def draft_of(settings: SearchSettings, url: str) -> CapacityResult:
    """The document of a search that begins now, with what is known of it before the first run.

    `url` is where the target is reached.
    """
    options, job = settings.options, settings.job
    seconds, price = RUNS[1] * settings.whole_s, options.price_per_minute
    minutes = seconds / 60 * settings.in_flight(settings.first)
    return CapacityResult(
        metric_version=VERSION,
        bench_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        complete=False,
        scenario=ScenarioFacts(
            name=job.name,
            sha256=sha256(job.text.encode()).hexdigest(),
            workload=workload_digest(job),
        ),
        target=TargetFacts(
            name=job.target.name,
            url=url,
            dialect=job.target.dialect.name,
            cores=options.cores,
            gpus=options.gpus,
        ),
        corpus=CorpusFacts(name=job.corpus.name, sha256=job.corpus.sha256),
        load=settings.kind,
        unit="/s" if settings.open_load else "sessions",
        objectives=[
            Objective(tier=one.name, gates=[gate.text for gate in one.gates])
            for one in settings.tiers
        ],
        workload=workload_of(()),
        price_per_minute=price,
        plan=SearchPlan(
            probe_s=settings.whole_s,
            session_s=settings.session_s,
            seconds=seconds,
            session_minutes=minutes,
            cost=None if price is None else minutes * price,
        ),
        spent=SearchSpending(seconds=0.0, session_minutes=0.0, cost=None),
        probes=[],
        tiers=[],
        beyond=None,
        recovery=None,
        scalability=None,
        remarks=[],
    )


def read_resumed(settings: SearchSettings, place: Path) -> CapacityResult:
    """The search to go on with. UsageError where it is of something else."""
    if settings.options.out is not None:
        raise UsageError(f"--out {settings.options.out}: a resumed search stays in its folder; "
                         "leave it out")  # fmt: skip
    if not place.is_dir() and place.exists():
        raise UsageError(f"--resume {place}: is no folder; give the one that holds {NAME}")
    before, job = read_capacity(place), settings.job
    if any(one.purpose == "ramp" for one in before.probes):
        raise UsageError(
            f"--resume {place}: it was made with --ramp, a single run; begin a new search"
        )
    told = {
        "scenario": (before.scenario.workload, workload_digest(job)),
        "target": (before.target.name, job.target.name),
        "corpus": (before.corpus.sha256, job.corpus.sha256),
        "kind of load": (before.load, settings.kind),
        "objectives": (
            [(one.tier, one.gates) for one in before.objectives],
            [(one.name, [gate.text for gate in one.gates]) for one in settings.tiers],
        ),
    }
    for what, (then, now) in told.items():
        if then != now:
            raise UsageError(
                f"--resume {place}: its {what} is another ({clip(then, 60)}, now {clip(now, 60)}); "
                "give the same as then, or begin a new search"
            )
    return before


def workload_digest(job: Job) -> str:
    """A digest of what callers do: without load, gates and objectives."""
    document = workload_document(job.document)
    document.pop("load", None)
    return sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()[:12]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.5g} minutes"

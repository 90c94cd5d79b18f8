"""The verb `capacity`: run after run at the loads that the search asks for, until its answer.

Theory of operation
-------------------
`bench.capacity.search` says which load comes next; `bench.cli.capacity_trials` makes the run, and
what it says is written down. The embedded server, where it is the target, is started once and
serves all runs. After a load that did not hold a canary waits until the target is as fast as it was
before the search. At the end one run goes beyond the answer and falls back to it in steps.

`capacity.json` is written after every run, and a search that was stopped goes on from it: the runs'
folders are read again, so at most the run under way is lost.
"""

import os
from collections.abc import Sequence
from math import ceil, floor, inf, sqrt
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from bench.capacity.document import NAME, CapacityResult, write_capacity
from bench.capacity.load_steps import (
    BEYOND,
    OverloadResult,
    fall_steps,
    ramp_remarks,
    ramp_steps,
    read_overload,
    surge_steps,
)
from bench.capacity.loads import Step
from bench.capacity.observation import observe_steps
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
from bench.capacity.search import Range, Tried, Try, answer, next_try
from bench.cli.capacity_settings import (
    LONGEST_HOLD,
    SearchSettings,
    draft_of,
    estimate_lines,
    read_resumed,
    settings_of,
)
from bench.cli.capacity_trials import (
    PATIENCE_S,
    InterruptedSearchError,
    TrialRunner,
    serving,
)
from bench.cli.console import out, print_json, say, talk
from bench.cli.run_scenario import empty_folder, need_yes, new_folder
from bench.cli.verbs import CapacityOptions
from bench.data_file import read_json_file
from bench.errors import FolderLostError
from bench.load.route import read_credentials
from bench.plan.forecast import samples_of
from bench.report.capacity_tables import print_capacity, write_tables
from bench.runs.folder import still_there
from bench.voice.audio import NS_PER_S

_MOST: Final = 1_000_000


def capacity_verb(options: CapacityOptions) -> int:
    """Search and print; 4 where a tier has no answer that was confirmed, 3 where no run counts."""
    from bench.report.capacity_page import (  # noqa: PLC0415 - plotly is slow to import
        write_capacity_page,
    )

    place, result = search_capacity(options, talk)
    if not options.as_json:  # before anything else can fail
        print_capacity(result, out)
    with still_there(place):
        write_tables(result, place)
        page = write_capacity_page(result, place)
        if options.as_json:
            print_json(read_json_file(place / NAME))
    if not options.as_json:
        say(out, f"page  {page}")
    usable = any(not one.void for one in result.probes)
    sure = all(one.confirmed for one in result.tiers)
    return 0 if sure else 4 if usable else 3


def search_capacity(options: CapacityOptions, console: Console) -> tuple[Path, CapacityResult]:
    """Search; (the folder, the answer). UsageError for what cannot be done, before any run.

    TargetError where the target takes nobody at all. What is known after Ctrl-C is in the folder.
    """
    settings = settings_of(options)
    place = options.resume or options.out or new_folder(f"capacity-{options.scenario.stem}")
    before = read_resumed(settings, place) if options.resume is not None else None
    if before is None:
        empty_folder(place, f", or go on with --resume {place}")
    for line in estimate_lines(settings, place):
        say(console, line)
    need_yes(settings.job, yes=options.yes)
    read_credentials(settings.job.target)
    with serving(settings.job, place) as served:
        search = CapacitySearch(
            settings, place, TrialRunner(settings, place, served, console), console
        )
        if before is not None:
            search.take_up(before)
        return place, search.run()


class CapacitySearch:
    """One search under way."""

    def __init__(
        self, settings: SearchSettings, place: Path, runner: TrialRunner, console: Console
    ) -> None:
        self._settings, self._place, self._runner = settings, place, runner
        self._console = console
        self._draft = draft_of(settings, runner.url)
        self._trials: list[Trial] = []
        self._known: tuple[int, Tried] = (0, tried_of((), settings.tiers))
        self._remarks: list[str] = []
        self._ceiling: float | None = None
        self._overload: OverloadResult | None = None

    def run(self) -> CapacityResult:
        """Search to the end; the answer, which is written.

        FolderLostError where the folder is lost: what is known is in it, or else was said.
        """
        try:
            with still_there(self._place):
                try:
                    return self._searched()
                except InterruptedSearchError:
                    self._write(complete=False)
                    raise
        except FolderLostError as lost:
            raise FolderLostError(lost.what, self._kept()) from None

    def _kept(self) -> str:
        """What is left of a search that cannot go on, and what to do with it."""
        try:
            self._write(complete=False)
        except (FolderLostError, OSError):
            print_capacity(self._document(complete=False), self._console)
            if not (self._place / NAME).exists():
                return "what was found until then stands above; begin a new search"
        return f"mend that, and go on with --resume {self._place}"

    def _searched(self) -> CapacityResult:
        self._runner.first_canary()
        if self._settings.options.ramp:
            self._ramp()
            return self._write(complete=True)
        while wanted := next_try(self._tried, self._scope):
            measured_s = self._measured_s(wanted)
            if why := self._settings.unaffordable(wanted, measured_s, self._runner.spent):
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
        trial = self._runner.make(number, wanted.purpose, wanted.load, load)
        self._trials.append(trial)
        void = trial.observation.void
        if void:
            self._say(f"  void: {void}")
            self._make_fit(wanted.load, void)
        else:
            for tier in settings.tiers:
                self._say(f"  {_verdict_line(trial, tier.name)}")
        self._write(complete=False)
        if not void and any(one.verdict == "fail" for one in trial.observation.tiers.values()):
            self._await_recovery()

    def _make_fit(self, load: float, why: str) -> None:
        """After a void run: more workers, or where there are no cores for them a lower ceiling."""
        if self._runner.workers < (os.cpu_count() or 1):
            self._runner.workers = min(os.cpu_count() or 1, 2 * self._runner.workers)
            self._say(f"  again with {self._runner.workers} workers")
            return
        if self._ceiling is None or load < self._ceiling:
            self._ceiling = load
        self._remarks.append(f"the generator was not fit at {load:g}: {why}")

    def _ramp(self) -> None:
        """A quick look: one run that rises in steps, each of which is then a try of its own."""
        settings = self._settings
        steps = ramp_steps(settings.first, self._scope.most, settings.session_s)
        top, whole_s = steps[-1].sessions, sum(step.length for step in steps) / NS_PER_S
        self._say(
            f"ramp: {steps[0].sessions} to {top} sessions in {len(steps)} steps, {whole_s:.0f} s"
        )
        lengths = {"warmup": settings.warmup_s, "duration": whole_s}
        whole = self._runner.make(1, "ramp", top, lengths, steps)
        path = self._place / whole.run
        if whole.observation.void:
            self._trials.append(whole)
            self._remarks.append(f"the ramp says nothing: {whole.observation.void}")
            return
        seen = observe_steps(path, settings.tiers, steps)
        self._trials = [
            Trial(number, "ramp", whole.run, step.length / NS_PER_S, one)
            for number, (step, one) in enumerate(zip(steps, seen, strict=False), 1)
        ]
        self._remarks += ramp_remarks(steps, seen, settings.session_s)

    def _await_recovery(self) -> bool:
        """Wait until the target is as fast as before the search; remark where it never was."""
        if self._runner.recovers():
            return True
        self._remarks.append(
            f"the target was not as fast as before the search {PATIENCE_S:.0f} s after run "
            f"{len(self._trials)}: what follows was measured on a target that is not itself"
        )
        return False

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
        if after is not None and not after.recovered and self._await_recovery():
            after = after.healed()
        self._overload = after

    def _surge(
        self, first: int, top: int, steps: Sequence[Step], *, nth: int = 0
    ) -> OverloadResult | None:
        """The run number `nth` of those beyond the limit; one that is there already is read."""
        before = [one for one in self._trials if one.purpose == "beyond"][nth:]
        if before:
            return read_overload(
                self._place / before[0].run, steps, before[0], self._settings.tiers[0]
            )
        number = self._next_number
        whole_s = sum(step.length for step in steps) / NS_PER_S
        cap = self._settings.cap
        if cap and self._runner.spent.session_minutes + top * whole_s / 60 > cap.minutes:
            self._remarks.append(f"no run beyond the limit: {cap.option} {cap.given:g} is used up")
            return None
        self._say(f"run {number}: beyond, from {first} to {top} sessions and back")
        lengths = {"warmup": self._settings.warmup_s, "duration": whole_s}
        trial = self._runner.make(number, "beyond", top, lengths, steps)
        self._trials.append(trial)
        self._write(complete=False)
        return read_overload(self._place / trial.run, steps, trial, self._settings.tiers[0])

    # ── the document ─────────────────────────────────────────────────────────────────────────

    def take_up(self, before: CapacityResult) -> None:
        """What an earlier part of this search has left: its runs are read again.

        One that cannot be read is left out, and the search goes by the others.
        """
        self._draft = msgspec.structs.replace(self._draft, created=before.created)
        self._remarks = list(before.remarks)
        for row in before.probes:
            path = self._place / row.run
            try:
                with still_there(path):
                    trial = self._runner.read(row.number, row.purpose, row.load, path)
            except (FolderLostError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._runner.account(row.seconds, row.session_minutes)
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
        settings, after = self._settings, self._overload
        price = settings.options.price_per_minute
        terms = Terms(self._tried, self._scope, self._limit, settings.parts, price)
        return msgspec.structs.replace(
            self._draft,
            complete=complete,
            workload=workload_of(self._trials),
            spent=self._runner.spent,
            probes=[row_of(trial) for trial in self._trials],
            tiers=capacities(self._trials, settings.tiers, terms),
            beyond=None if after is None else after.beyond,
            recovery=None if after is None else after.recovery,
            scalability=scalability_of(self._trials) if complete else None,
            remarks=list(dict.fromkeys(self._remarks)),
        )

    def _say(self, words: str) -> None:
        say(self._console, words)


def _verdict_line(trial: Trial, tier: str) -> str:
    """What a run said of a tier, in a line: the gate that decided it, else the first."""
    found = trial.observation.tiers[tier]
    order = ("fail", "open", "pass")
    worst = min(found.gates, key=lambda gate: order.index(gate.verdict))
    value = "–" if worst.value is None else f"{worst.value:.4g}"
    return f"{tier}: {found.verdict}; {worst.gate}: {value}"

"""Whole runs of `bench run` in virtual time: no process, no socket, no waiting.

The command line, the scenario file, who says what, the sessions, the server and everything after
the last row are the product's own. What `virtual_time` replaces is the one function that starts
processes and waits for them: the workers' schedule is played in a `tests.world`. So every figure is
exact, and the same in every run on every machine; and a minute of load costs a second or two.
"""

import io
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import msgspec
from rich.console import Console

from bench.analysis.pipeline import analyse
from bench.cli.run_result import seal_logs, settle
from bench.cli.run_scenario import run
from bench.cli.verbs import RunOptions
from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.load.session import Start
from bench.load.session_plan import SessionPlanner
from bench.plan.gates import parse_gate
from bench.protocol.dialects import session_url
from bench.reference.admission import INWORLD_PATH
from bench.reference.profile import load_profile
from bench.reference.voices import Voices
from bench.runs.folder import RunFolder, script_fault
from bench.verdict.verdict import EXIT_CODES, judge_run
from bench.voice.audio import NS_PER_MS, NS_PER_S, PCM16_24K
from bench.voice.backoff import backoff_ns
from bench.voice.microphone import record
from tests.world import Call, World


@contextmanager
def virtual_time(*, up_ns=0, down_ns=0, slots=None, seed=None):
    """In here `bench run`, `calibrate` and `ab` play against the embedded server in no time.

    Links take `up_ns` to the server and `down_ns` back; with `slots` it lets so many in at once.
    With `seed` the server draws by that and by the seeds of the run, as one that lives on would.
    """

    def supervise(plan, folder, _console):
        assert not plan.job.target.url, "virtual time has the embedded server alone"
        assert not plan.probe, "a probe needs a socket"
        Load(plan.job, plan.workers, folder, up_ns, down_ns, slots, seed).play()
        return False

    with mock.patch("bench.cli.run_scenario.supervise", supervise):
        yield


class Outcome(NamedTuple):
    """What a run came to: its folder, its verdict, and the exit code."""

    folder: RunFolder
    verdict: dict
    code: int


def virtual_run(scenario, out, *, drawn=True, up_ns=0, down_ns=0, slots=None, seed=None, **options):
    """Run a scenario file into the folder `out`; `options` are fields of `RunOptions`.

    `assignments` is a mapping from key to TOML text. `drawn`: with report and digest.
    """
    assignments = options.pop("assignments", {})
    options["assignments"] = tuple(f"{key}={value}" for key, value in dict(assignments).items())
    with virtual_time(up_ns=up_ns, down_ns=down_ns, slots=slots, seed=seed):
        folder, _ = run(RunOptions(scenario, out=out, **options), Console(file=io.StringIO()))
        verdict = settle(folder) if drawn else judge(folder)
    return Outcome(folder, verdict, EXIT_CODES[verdict["verdict"]])


def judge(folder):
    seal_logs(folder)
    analyse(folder.path)
    return judge_run(folder.path, [parse_gate(text) for text in folder.read()["gates"]], None)


class Load:
    """The workers of a run: when each session starts, and the drain at the end."""

    def __init__(self, job, workers, folder, up_ns=0, down_ns=0, slots=None, seed=None):
        self._job, self._workers, self._folder = job, workers, folder
        corpus = job.corpus.folder
        asked = job.scenario.reference.profile
        profile = load_profile(Path(asked) if asked else None)
        if seed is not None:
            drawn = 100_000 * seed + job.scenario.seeds.arrivals
            profile = msgspec.structs.replace(profile, seed=drawn)
        self.world = World(
            profile, up_ns=up_ns, down_ns=down_ns, voices=_voices(corpus), slots=slots
        )
        self._started = [0] * workers
        self._handshake_ns = [-NS_PER_S] * workers
        self._laps = {}
        self._failures = {}
        self._planner = SessionPlanner(job, utterances(corpus, PCM16_24K), folder.path.name)
        self._end_ns = job.scenario.load.whole
        self._faults = []
        self._held_by_slot = {}

    def play(self):
        """Play the schedule and the drain; write what workers and server write."""
        world, load = self.world, self._job.scenario.load
        for slot, (start_ns, leave_ns) in enumerate(self._job.slots):
            world.time.later(start_ns, self._start, slot, start_ns)
            if leave_ns is not None:
                world.time.later(leave_ns, self._depart, slot)
        world.run(self._end_ns)
        if not self._faults:
            world.time.later(self._end_ns, self._drain)
            world.run(self._end_ns + load.drain)
        with world.clock():
            for call in tuple(world.open):
                call.session.cut("the drain was over")
        plan = {
            **self._folder.read()["plan"], "start_ns": 0, "measured_from_ns": int(load.warmup),
            "measured_to_ns": min(load.warmup + load.duration, world.now_ns),
            "end_ns": world.now_ns,
        }  # fmt: skip
        told = world.write_logs(self._folder, self._workers, world.now_ns, self._held)
        self._folder.update(plan=plan, faults=self._faults, **told)

    def _drain(self):
        for call in tuple(self.world.open):
            call.wind_down()

    def _depart(self, slot):
        """A slot leaves."""
        call = self._held_by_slot.get(slot)
        if call in self.world.open:
            call.wind_down()

    def _gone(self, slot):
        leave_ns = self._job.slots[slot].leave_ns
        return leave_ns is not None and self.world.now_ns >= leave_ns

    def _start(self, slot, scheduled_ns):
        """The next session of a slot; handshakes of a worker keep their distance."""
        now_ns, worker = self.world.now_ns, slot % self._workers
        scenario = self._job.scenario
        at_ns = max(now_ns, self._handshake_ns[worker] + round(NS_PER_S / scenario.load.connects))
        self._handshake_ns[worker] = at_ns
        if at_ns >= self._end_ns or self._gone(slot):
            return
        number = self._started[worker] * self._workers + worker
        self._started[worker] += 1
        lap = self._laps[slot] = self._laps.get(slot, -1) + 1
        plan, dialect = self._planner.plan(number, slot, lap), self._job.target.dialect
        self._held_by_slot[slot] = self.world.add(
            Call(
                self.world,
                Start(
                    number, scheduled_ns, worker, plan.kind.script, plan.turns, slot,
                    plan.setting.label, plan.marker,
                ),
                plan.conversation(number, scenario, self._record),
                session_url(dialect, INWORLD_PATH, key=str(number), model=plan.model),
                partial(self._next, slot),
            ),
            at_ns,
        )  # fmt: skip

    def _next(self, slot, call):
        """A slot of a closed load goes on with another session; a script at fault ends the run."""
        if call.caller.fault is not None:
            self._faults.append(script_fault(call.caller.fault))
            self.world.time.end()
        elif self._job.scenario.load.sessions is not None:
            failed = call.tally.outcome not in {"finished", "drained"}
            failures = self._failures[slot] = self._failures.get(slot, 0) + 1 if failed else 0
            at_ns = self.world.now_ns + (backoff_ns(failures, slot) if failures else 0)
            self.world.time.later(at_ns, self._start, slot, at_ns)

    def _record(self, said, fmt):
        said = utterances(self._job.corpus.folder, fmt).get(said.id, said)
        return _recording(said, self._job.scenario.chunk_ms * NS_PER_MS)

    def _held(self, worker, at_ns):
        """How many sessions the worker should hold at an instant, and how many it does."""
        mine = [call for call in self.world.calls if call.start.worker == worker and call.ended_ns]
        held = sum(call.ready_ns is not None and call.ready_ns <= at_ns < call.ended_ns
                   for call in mine)  # fmt: skip
        due = sum(
            slot.start_ns <= at_ns and not (slot.leave_ns is not None and slot.leave_ns <= at_ns)
            for slot in self._job.slots[worker :: self._workers]
        )
        closed = self._job.scenario.load.sessions is not None and at_ns < self._end_ns
        return (due if closed else held), held


@cache
def utterances(corpus, fmt):
    """The speech of a corpus folder by id, in a format; read once."""
    found = load_corpus(corpus)
    return {one.id: one for one in load_utterances(found, found.entries, fmt)}


@cache
def _recording(utterance, chunk_ns):
    return record(utterance, chunk_ns)


@cache
def _voices(corpus):
    return Voices(lambda fmt: tuple(utterances(corpus, fmt).values()))

"""What happens around the users: preparing workers, going, watching, draining.

Theory of operation
-------------------
Locust supplies processes and messages; this file supplies the order of events, the same whether
`bench run` started Locust or somebody typed ``locust -f`` (the flaws of Locust's own order are in
measurement.md section 5):

1. `test_start`: the master makes (or is given) the run folder, has every worker prepare (decode the
   corpus, open its log) and waits until all are ready.
2. It sets one start instant for all, writes it down, says go; Locust spawns the users.
3. Each second the workers say how they are; the master passes it on to whoever watches.
4. The end (the plan's end, Ctrl-C, Locust's own ``-t``, its web page's stop button) always comes
   through Locust's `test_stopping`: the master has every worker drain, waits for what each
   acknowledges, writes it down. Only then does Locust stop its users and quit.

A run that has become worthless (a script or this program is at fault, somebody changed the load) is
ended as soon as that is known, and its sessions are cut: waiting would cost and mend nothing.

`Coordinator` is the half of the master, `WorkerAgent` the half of a worker. A local runner has no
messages: its one process holds both, and the coordinator calls the agent.
"""

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust.runners import MasterRunner, WorkerRunner

from bench.errors import BenchError
from bench.load import locust_process as locust
from bench.load.route import read_credentials
from bench.load.unpaced_users import unpaced_notes
from bench.load.worker import Worker
from bench.load.worker_agent import WorkerAgent, unfit
from bench.own_module import own_module
from bench.runs.folder import RunFolder, fault
from bench.runs.job import Job, describe, make_job, recall, scheduled_of
from bench.runs.target import read_target
from bench.voice.audio import NS_PER_S

SHELF_VARIABLE = "BENCH_REPORTS"
LEAD_NS = NS_PER_S // 2
PREPARE_TIMEOUT_S = 60.0
ACKNOWLEDGE_MARGIN_S = 5.0


class Coordinator:
    """The master's half, or all of it where there are no workers."""

    def __init__(self, environment: Any, runner: Any, users: type) -> None:
        self._environment = environment
        self._runner = runner
        self._users = users
        self._distributed = isinstance(runner, MasterRunner)
        self._agent = WorkerAgent(environment, self._on_fault)
        self._owned = locust.RUN_VARIABLE in os.environ
        self._folder: RunFolder | None = None
        self._job: Job | None = None
        self._expected: set[int] = set()
        self._ready: dict[int, dict[str, Any] | None] = {}
        self._processes: dict[str, int] = {}
        self._acknowledged: dict[int, dict[str, Any]] = {}
        self._progress: dict[int, dict[str, Any]] = {}
        self._changed = Event()
        self._begun = self._finishing = self._at_once = False
        self._asked: tuple[int, float] = (0, 0.0)
        self._start_ns = 0
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.quit.add_listener(self._on_quit)
        events.reset_stats.add_listener(self._on_reset)
        if self._distributed:
            runner.register_message("bench.ready", self._on_ready)
            runner.register_message("bench.progress", self._on_progress)
            runner.register_message("bench.drained", self._on_drained)
            runner.register_message("bench.fault", self._on_fault)
        if self._owned:
            gevent.signal_handler(locust.FINISH, self.finish)
            gevent.signal_handler(locust.CUT, self._cut)

    @property
    def worker(self) -> Worker | None:
        """The worker in this process: only without distribution."""
        return self._agent.worker

    def finish(self) -> None:
        """End the run now: drain and quit."""
        if not self._finishing:
            self._finishing = True
            gevent.spawn(self._quit)

    def _cut(self) -> None:
        """End the run now, and wait for nobody."""
        self._at_once = True
        self.finish()

    def _quit(self) -> None:
        # Locust's main quits the runner itself, and waits for that, once its greenlet is over.
        if self._distributed:
            self._runner.stop(send_stop_to_client=False)
        else:
            self._runner.stop()
        self._runner.greenlet.kill()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()  # Locust lives as long as its page does

    # ── the beginning ────────────────────────────────────────────────────────────────────────

    def _on_test_start(self, **_: Any) -> None:
        try:
            self._prepare()
        except Exception as error:  # noqa: BLE001 - Locust would go on without us
            self._give_up(unfit("", error))

    def _prepare(self) -> None:
        clients = (
            sorted(client.id for client in self._runner.clients.ready) if self._distributed else []
        )
        workers = max(1, len(clients))
        folder = self._open_folder(workers)
        job = self._job = recall(folder)
        self._expected, self._ready, self._acknowledged = set(range(workers)), {}, {}
        if self._distributed:
            for index, client in enumerate(clients):
                order = {"folder": str(folder.path.resolve()), "index": index, "workers": workers}
                self._runner.send_message("bench.prepare", order, client_id=client)
            self._await(self._ready, PREPARE_TIMEOUT_S)
        else:
            self._agent.prepare(folder.path, 0, 1)
            self._ready[0] = None
        if found := [one for one in self._ready.values() if one]:
            self._give_up(found[0])
            return
        if set(self._ready) != self._expected:
            raise BenchError("a worker did not get ready within 60 s")
        load = job.scenario.load
        start_ns = monotonic_ns() + LEAD_NS
        measured_ns = start_ns + load.warmup
        end_ns = start_ns + load.whole
        self._start_ns = start_ns
        folder.update(
            processes=self._processes,
            plan={
                "sessions": load.sessions if self._owned and not load.stages else None,
                "scheduled": scheduled_of(job) if self._owned else None,
                "start_ns": start_ns,
                "measured_from_ns": measured_ns if self._owned else start_ns,
                "measured_to_ns": measured_ns + load.duration if self._owned else None,
                "end_ns": None,
            },
        )
        if self._distributed:
            self._runner.send_message("bench.go", {"start_ns": start_ns})
        elif self.worker is not None:
            self.worker.begin(start_ns)
        self._begun = True
        if self._owned:
            self._asked = self._load
            watching = gevent.spawn(self._watch, start_ns, measured_ns, end_ns)
            watching.link_exception(lambda broken: self._give_up(unfit("", broken.exception)))

    def _open_folder(self, workers: int) -> RunFolder:
        """The run folder that `bench run` made, or one of our own for a plain ``locust -f``."""
        if self._owned:
            self._folder = RunFolder(Path(os.environ[locust.RUN_VARIABLE]))
            return self._folder
        user: Any = next(
            (kind for kind in self._environment.user_classes if issubclass(kind, self._users)),
            self._users,
        )
        host = getattr(user, "target", "") or self._environment.host or user.host or ""
        target = read_target(host, user.dialect, user.headers, user.ca)
        job = make_job(Path(user.scenario), target)
        proxy = read_credentials(target).proxy
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        shelf = Path(os.environ.get(SHELF_VARIABLE, "reports"))
        self._folder = RunFolder.create(shelf / f"{stamp}-{job.name}")
        notes = unpaced_notes(self._environment.user_classes, self._users)
        facts = describe(job, workers)
        facts["target"]["proxy"] = proxy.label if proxy else ""
        self._folder.write({**facts, "plain_locust": True, "notes": notes})
        for note in notes:
            sys.stderr.write(f"bench: note: {note}\n")
        return self._folder

    def _give_up(self, found: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, BenchError):  # a full disk is told by whoever started us
            sys.stderr.write(f"bench: {found['text']}\n")
            if self._folder is not None and self._folder.run_json.exists():
                self._folder.update(faults=[*self._folder.read()["faults"], found])
        self._on_fault()

    def _on_fault(self, **_: Any) -> None:
        """The run is worthless from here on: end it, and wait for nobody."""
        self._environment.process_exit_code = 3
        self._cut()

    # ── the run ──────────────────────────────────────────────────────────────────────────────

    def _watch(self, start_ns: int, measured_ns: int, end_ns: int) -> None:
        """Tell whoever watches how it goes; end the run at its end."""
        descriptor = int(os.environ.get(locust.PROGRESS_VARIABLE, "-1"))
        while not self._finishing:
            gevent.sleep(min(0.5, max(0.0, (end_ns - monotonic_ns()) / NS_PER_S)))
            if not self._distributed and self.worker is not None:
                self._progress[0] = self.worker.progress()
            if descriptor >= 0:
                line = {
                    "now_ns": monotonic_ns(),
                    "start_ns": start_ns,
                    "measured_ns": measured_ns,
                    "end_ns": end_ns,
                    "workers": list(self._progress.values()),
                }
                with contextlib.suppress(OSError):  # nobody watches any more: the run goes on
                    os.write(descriptor, msgspec.json.encode(line) + b"\n")
            if monotonic_ns() >= end_ns:
                self.finish()
            elif self._load != self._asked:
                self._give_up(self._edited())

    @property
    def _load(self) -> tuple[int, float]:
        """How many users Locust holds or is to hold, and how many it spawns a second."""
        return self._runner.target_user_count, self._runner.spawn_rate

    def _edited(self) -> dict[str, Any]:
        (users, rate), (asked, asked_rate) = self._load, self._asked
        text = (
            f"somebody changed the load in Locust's page {self._elapsed} into the run: {users} "
            f"users, {rate:g} a second, in place of {asked}, {asked_rate:g} a second; the run was "
            "ended"
        )
        return fault("load", text, "say how many sessions there are with --sessions, and run again")

    @property
    def _elapsed(self) -> str:
        return f"{max(0, monotonic_ns() - self._start_ns) / NS_PER_S:.0f} s"

    def _on_reset(self, **_: Any) -> None:
        """Somebody pressed reset: no figure of ours comes from Locust's own statistics."""
        if self._begun and self._folder is not None:
            self._folder.update(page_reset=self._elapsed)

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _on_test_stopping(self, **_: Any) -> None:
        if self._owned:
            gevent.spawn(self.finish)  # whoever stopped it: a run of ours ends with its test
        try:
            self._drain()
        except Exception as error:  # noqa: BLE001 - Locust would print it and no more
            self._give_up(unfit("", error))

    def _drain(self) -> None:
        """Have every worker drain, and write down what they acknowledge."""
        if self._folder is None or self._job is None or not self._begun:
            return
        stopping_ns = monotonic_ns()
        if self._distributed:
            self._runner.send_message("bench.drain", {"at_once": self._at_once})
            limit = self._job.scenario.load.drain / NS_PER_S + ACKNOWLEDGE_MARGIN_S
            self._await(self._acknowledged, limit)
        elif self.worker is not None:
            self._acknowledged[0] = self.worker.drain(at_once=self._at_once)
        self._write_down(self._folder, stopping_ns)

    def _write_down(self, folder: RunFolder, stopping_ns: int) -> None:
        run = folder.read()
        acknowledged = sorted(self._acknowledged.items())
        plan = run["plan"]
        faults = list(run["faults"])
        for _, told in acknowledged:
            faults += [found for found in told["faults"] if found not in faults]
        folder.update(
            faults=faults,
            drained=[index for index, _ in acknowledged],
            rows_written={str(index): told["rows"] for index, told in acknowledged},
            digests={str(index): told["digest"] for index, told in acknowledged},
            plan={
                **plan,
                "measured_to_ns": min(plan["measured_to_ns"] or stopping_ns, stopping_ns),
                "end_ns": monotonic_ns(),
            },
        )

    def _on_quit(self, **_: Any) -> None:
        """Under a plain ``locust -f`` there is nobody else to seal and report the run."""
        if self._owned or self._folder is None or not self._acknowledged:
            return
        subprocess.run(  # noqa: S603 - this program, on the folder that it made
            [*own_module("bench"), "report", str(self._folder.path)], check=False
        )

    # ── messages ─────────────────────────────────────────────────────────────────────────────

    def _await(self, answers: dict[int, Any], seconds: float) -> None:
        """Wait until every expected worker that is still there has answered."""
        deadline = monotonic_ns() + int(seconds * NS_PER_S)
        while not self._expected <= set(answers) and monotonic_ns() < deadline:
            # While workers prepare they may be too busy for a heartbeat; when they drain, one that
            # is missing is gone.
            gone = len(self._runner.clients.missing) if answers is self._acknowledged else 0
            if len(answers) >= len(self._runner.clients.all) - gone:
                return
            self._changed.clear()
            self._changed.wait(0.2)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready[msg.data["index"]] = msg.data["fault"]
        self._processes[str(msg.data["index"])] = msg.data["process"]
        self._changed.set()

    def _on_progress(self, msg: Any, **_: Any) -> None:
        self._progress[msg.data["worker"]] = msg.data

    def _on_drained(self, msg: Any, **_: Any) -> None:
        self._acknowledged[msg.data["worker"]] = msg.data
        self._changed.set()


def join(environment: Any, runner: Any, users: type) -> Coordinator | WorkerAgent | None:
    """Take part in a Locust process: what `environment.bench` is from its start on."""
    if isinstance(runner, WorkerRunner):
        agent = WorkerAgent(environment, partial(runner.send_message, "bench.fault"))
        agent.listen(runner)
        return agent
    return Coordinator(environment, runner, users) if runner is not None else None

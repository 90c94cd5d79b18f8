"""A worker's part in the order of events that `bench.load.coordinator` keeps."""

import contextlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from bench.errors import BenchError
from bench.load import locust_process as locust
from bench.load.worker import Worker
from bench.runs.folder import RunFolder, fault
from bench.runs.job import recall
from bench.voice.guarded_script import last_line


class WorkerAgent:
    """A worker process's half. `worker` is there from preparation on."""

    def __init__(self, environment: Any, on_fault: Callable[[], None]) -> None:
        self.worker: Worker | None = None
        self._environment = environment
        self._on_fault = on_fault

    def listen(self, runner: Any) -> None:
        """Follow the coordinator's messages."""
        runner.register_message("bench.prepare", self._on_prepare)
        runner.register_message("bench.go", self._on_go)
        runner.register_message("bench.drain", self._on_drain, concurrent=True)
        self._environment.events.test_stopping.add_listener(self._drain_alone)
        gevent.spawn(self._report, runner)

    def prepare(self, folder: Path, index: int, workers: int) -> None:
        """Read the job and get ready. Raises BenchError where that cannot be."""
        run = RunFolder(folder)
        self.worker = Worker(run, recall(run), index, workers, self._turn, self._on_fault)

    def _turn(self, name: str, latency_ms: float, nbytes: int, failure: str | None) -> None:
        self._environment.events.request.fire(
            request_type="turn",
            name=name,
            response_time=latency_ms,
            response_length=nbytes,
            exception=None if failure is None else RuntimeError(failure),
            context={},
        )

    def _on_prepare(self, environment: Any, msg: Any, **_: Any) -> None:
        runner, found = environment.runner, None
        try:
            self.prepare(Path(msg.data["folder"]), msg.data["index"], msg.data["workers"])
        except Exception as error:  # noqa: BLE001 - the master waits for a word, whatever it is
            found = unfit(f"worker {msg.data['index']}: ", error)
        process = int(os.environ.get(locust.PROCESS_VARIABLE, "-1"))
        told = {"index": msg.data["index"], "fault": found, "process": process}
        runner.send_message("bench.ready", told)

    def _on_go(self, msg: Any, **_: Any) -> None:
        if self.worker is not None:
            self.worker.begin(msg.data["start_ns"])

    def _on_drain(self, environment: Any, msg: Any, **_: Any) -> None:
        if self.worker is not None:
            told = self.worker.drain(at_once=msg.data["at_once"])
            environment.runner.send_message("bench.drained", told)

    def _drain_alone(self, **_: Any) -> None:
        """Locust stops this worker: nothing is lost even where no master asked for a drain."""
        if self.worker is not None:
            self.worker.drain()

    def _report(self, runner: Any) -> None:
        while True:
            gevent.sleep(1.0)
            if self.worker is not None and not self.worker.draining:
                runner.send_message("bench.progress", self.worker.progress())


def unfit(who: str, error: Exception) -> dict[str, Any]:
    """The fault of a run that could not begin; what nobody foresaw has its traceback in logs/."""
    if isinstance(error, BenchError):
        return fault("start", str(error), "mend it and run again")
    with contextlib.suppress(OSError):
        traceback.print_exception(error)
    what = f"{who}this program failed: {last_line(error)}"
    return fault("program", what, "see logs/ for the traceback, and please report it")

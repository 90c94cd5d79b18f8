"""The Locust user: a slot in which realtime sessions are held, one after the other.

A team's own locustfile subclasses `RealtimeUser`, says which scenario it plays and against what,
and mixes it with any other Locust users::

    from locust import HttpUser, task
    from bench.load.users import RealtimeUser

    class Caller(RealtimeUser):
        scenario = "scenarios/demo.toml"
        target = "ws://127.0.0.1:8765/api/v1/realtime/session"

Under plain ``locust -f`` Locust decides how many users there are and for how long; the events of
every session are recorded and sealed in a run folder all the same, and ``bench report`` is run over
it when Locust quits. Importing this module registers the listeners that do so.
"""

from time import monotonic_ns
from typing import Any, ClassVar

import gevent
from locust import User, events, task

from bench.load.coordinator import join
from bench.voice.audio import NS_PER_S
from bench.voice.backoff import backoff_ns


class RealtimeUser(User):  # type: ignore[misc]  # Locust is untyped here
    """One slot. Subclasses may say `scenario` (a TOML file, or a name), `target` and `dialect`.

    `headers` and `ca` are as the options of `bench run`: ("api-key=$AZURE_KEY",) and a file.

    They are read from the first such class that Locust was given: all slots of a run play one job.
    """

    abstract = True
    scenario: ClassVar[str] = "demo"
    target: ClassVar[str] = ""
    dialect: ClassVar[str | None] = None
    headers: ClassVar[tuple[str, ...]] = ()
    ca: ClassVar[str] = ""

    @task  # type: ignore[untyped-decorator]  # Locust is untyped here
    def converse(self) -> None:
        """Hold sessions until the run ends; then wait for Locust to stop this user."""
        worker = self.environment.bench.worker
        worker.go.wait()
        slot, lap, failures = worker.slot(), 0, 0
        due_ns = worker.first_ns(slot)
        while due_ns is not None and not worker.draining:
            wait = due_ns - monotonic_ns()
            if wait > 0:
                gevent.sleep(wait / NS_PER_S)
            try:
                outcome = worker.run_session(slot, lap, due_ns)
            except Exception as error:  # noqa: BLE001 - Locust would begin this task again and again
                worker.fail(error)
                break
            failures = 0 if outcome in {"finished", "drained"} else failures + 1
            if failures:
                gevent.sleep(backoff_ns(failures, slot) / NS_PER_S)
            lap += 1
            due_ns = worker.next_ns(slot)
        while True:
            gevent.sleep(3600)


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust is untyped here
def _init(environment: Any, runner: Any, **_: Any) -> None:
    environment.bench = join(environment, runner, RealtimeUser)

"""Users of a team's locustfile that never pause are named, and only those."""

import subprocess
import sys

from tests.live.process import ROOT

KINDS = """
from locust import HttpUser, TaskSet, User, between, constant, task
from bench.load.unpaced_users import unpaced_notes
from bench.load.users import RealtimeUser

class Caller(RealtimeUser): pass

class Hasty(User):
    @task
    def beat(self): pass

class Browser(HttpUser): pass

class Paced(User):
    wait_time = between(1, 5)

class Tasks(TaskSet):
    wait_time = constant(1)

class PacedTasks(User):
    tasks = [Tasks]

class HastyTasks(User):
    tasks = [TaskSet]

kinds = [Caller, Hasty, Browser, Paced, PacedTasks, HastyTasks]
print("\\n".join(unpaced_notes(kinds, RealtimeUser)))
"""


def test_users_without_a_wait_time_are_named_with_the_remedy():
    # Locust patches the process that imports it.
    done = subprocess.run(
        [sys.executable, "-c", KINDS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["Hasty", "Browser", "HastyTasks"]
    assert all("has no wait_time" in line and "between(1, 5)" in line for line in lines)

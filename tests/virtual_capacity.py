"""Whole searches of `bench capacity` in virtual time, and the true capacity of a server.

The search, its command line and everything that is made of a run are the product's own. What
`virtual_search` replaces is what would wait: the load of a run (`tests.virtual_run`), the server's
process, and the canary. Pages are not drawn.
"""

import io
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from rich.console import Console

from bench.cli.capacity_search import search_capacity
from bench.cli.capacity_trials import Served
from bench.cli.verbs import CapacityOptions
from bench.load.canary import Sighting
from tests.virtual_run import judge, virtual_time

SCENARIO = (Path(__file__).parents[1] / "scenarios" / "capacity.toml").read_text()
QUEUE = """
[capacity]
slots = 1
service_ms = { kind = "lognormal", median_ms = 600, sigma = 0.3 }
[response]
first_delta_ms = 250
delta_ms = 400
"""
PACE = """
[capacity]
pace_slots = 14
[response]
first_delta_ms = 250
delta_ms = 400
pace = 1.1
"""
ADMISSION = "[limits]\nsessions = 7\n[response]\ndelta_ms = 400\n"
COLLAPSE = """
[capacity]
collapse_sessions = 10
recover_sessions = 5
collapse_factor = 8
[response]
first_delta_ms = 300
delta_ms = 400
"""
ENDLESS = "[response]\ndelta_ms = 400\n"
SLO = "p95(first_audio_latency) < 1500 ms"


def write_search(folder, profile, sessions=4):
    """Write a scenario file whose server has that profile; its calls are those of capacity.toml.

    But the agent speaks at its usual speed, in larger pieces, and a later answer will do.
    """
    (folder / "server.toml").write_text(profile)
    text = SCENARIO.replace("scenarios/servers/slots.toml", str(folder / "server.toml"))
    text = text.replace("turns  = 1", "turns  = 1\nchunk_ms = 200").replace(
        "< 1100 ms", "< 1500 ms"
    )
    text = text.replace("speed = 1.5\n", "")
    path = folder / "calls.toml"
    path.write_text(text.replace("sessions = 40", f"sessions = {sessions}"))
    return path


@contextmanager
def _reference(_job, _place):
    yield Served("reference")


class _Canary:
    """It finds the target as it was: a run of virtual time has a server of its own."""

    def __init__(self, _job):
        pass

    def look(self):
        return Sighting((500.0,))


@contextmanager
def virtual_capacity(seed):
    """In here `bench capacity` plays against the embedded server, which draws by `seed`."""
    with (
        virtual_time(seed=seed),
        mock.patch("bench.cli.capacity_search.serving", _reference),
        mock.patch("bench.cli.capacity_trials.Canary", _Canary),
        mock.patch("bench.cli.capacity_trials.settle", judge),
    ):
        yield


def virtual_search(scenario, out, *, seed=1, talk=None, **options):
    """Search for the capacity of a scenario file; `options` are those of the command line."""
    with virtual_capacity(seed):
        _, result = search_capacity(
            CapacityOptions(scenario, out=out, **options), talk or Console(file=io.StringIO())
        )
    return result

"""Whole searches of `bench capacity` in virtual time, and the true capacity of a server.

The search, its command line and everything that is made of a run are the product's own. What
`virtual_search` replaces is what would wait: the load of a run (`tests.virtual_run`), the server's
process, and the canary. Pages are not drawn.
"""

import io
from contextlib import contextmanager
from unittest import mock

from rich.console import Console

from bench.cli.capacity_search import Options, search_capacity
from bench.load.canary import Sighting
from tests.virtual_run import judge, virtual_time


@contextmanager
def _reference(_job, _place):
    yield "reference"


class _Canary:
    """It finds the target as it was: a run of virtual time has a server of its own."""

    def __init__(self, _job, _turns):
        pass

    def look(self):
        return Sighting((500.0,))


@contextmanager
def virtual_capacity(seed):
    """In here `bench capacity` plays against the embedded server, which draws by `seed`."""
    with (
        virtual_time(seed=seed),
        mock.patch("bench.cli.capacity_search.serving", _reference),
        mock.patch("bench.cli.capacity_search.Canary", _Canary),
        mock.patch("bench.cli.capacity_search.settle", judge),
    ):
        yield


def virtual_search(scenario, out, *, seed=1, talk=None, **options):
    """Search for the capacity of a scenario file; `options` are those of the command line."""
    with virtual_capacity(seed):
        _, result = search_capacity(
            Options(scenario, out=out, **options), talk or Console(file=io.StringIO())
        )
    return result

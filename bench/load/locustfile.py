"""The bench's own locustfile: what `bench run` gives to Locust.

Locust puts the current folder before all else on the import path, whatever Python was told
(`locust.util.load_locustfile`). Nothing of it is for this process: what a scenario's own script
needs of it, that script is given (`bench.runs.job`).
"""

import os
import sys
from contextlib import suppress

with suppress(ValueError):
    sys.path.remove(os.getcwd())  # noqa: PTH109 - as Locust wrote it

from bench.load.users import RealtimeUser


class Caller(RealtimeUser):
    """One caller of the scenario that the run folder describes."""

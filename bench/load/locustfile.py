"""The bench's own locustfile: what `bench run` gives to Locust."""

from bench.load.users import RealtimeUser


class Caller(RealtimeUser):
    """One caller of the scenario that the run folder describes."""

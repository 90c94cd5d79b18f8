"""One caller who looks whether the target is as fast as it was: the canary of a capacity search.

It is a session of one turn, else like those of the load, in this process; so it costs the target
one call, and nothing else is running then.
"""

from typing import NamedTuple

import msgspec

from bench.corpus.decode import utterance
from bench.load.preflight import hold
from bench.load.route import find_route
from bench.load.session_plan import SessionPlanner
from bench.runs.failure import session_cause
from bench.runs.job import Job
from bench.voice.audio import NS_PER_MS, PCM16_24K, AudioFormat
from bench.voice.microphone import Recording, record
from bench.voice.utterance import Utterance


class Sighting(NamedTuple):
    """What a canary met: its latencies to first audio in ms, or why it was not served."""

    latencies: tuple[float, ...]
    failure: str = ""


class Canary:
    """The canary of one job. Its utterances are decoded once."""

    def __init__(self, job: Job) -> None:
        scenario = msgspec.structs.replace(job.scenario, turns=1)
        self._job = job._replace(scenario=scenario)
        entries = [entry for entry in job.corpus.entries if "reply" not in entry.tags]
        said = {entry.id: utterance(job.corpus, entry, PCM16_24K) for entry in entries}
        self._planner = SessionPlanner(self._job, said, "canary")
        self._laps = 0

    def look(self) -> Sighting:
        """Hold one session. TargetError where the target's name is unknown."""
        route = find_route(self._job.target)
        plan = self._planner.plan(0, 0, self._laps)
        self._laps += 1
        conversation = plan.conversation(0, self._job.scenario, self._record)
        _, tally = hold(route, route.addresses[0], conversation, "canary", plan.model)
        if tally.outcome == "finished" and tally.latencies:
            return Sighting(tuple(tally.latencies))
        cause = session_cause({(tally.outcome, tally.reason): 1}, 1)
        return Sighting((), cause.text if cause else f"{tally.outcome} without an answer")

    def _record(self, said: Utterance, fmt: AudioFormat) -> Recording:
        entry = next(one for one in self._job.corpus.entries if one.id == said.id)
        spoken = said if fmt == PCM16_24K else utterance(self._job.corpus, entry, fmt)
        return record(spoken, self._job.scenario.chunk_ms * NS_PER_MS)

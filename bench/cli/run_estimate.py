"""What `bench run` says before it starts: what the run will come to, take, cost and keep.

What is expected is an estimate (`bench.plan.forecast`); minutes are at most, as in
`bench.cli.budget`. None of the lines refuses anything.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Final

from bench.cli.account import account_of, open_at_once
from bench.cli.budget import session_minutes
from bench.cli.network_lines import network_lines
from bench.cli.speech import speech_of
from bench.cli.verbs import RunOptions
from bench.plan.forecast import Forecast, Lack, forecast, lacking
from bench.plan.limits import broken_limits
from bench.plan.scenario import gates_of
from bench.probe.probe_cost import Cost, estimate
from bench.probe.probe_scripts import scripts_for
from bench.reference.voices import REPLY
from bench.report.text import count
from bench.runs.job import Job, tagged_ids
from bench.runs.target import REFERENCE
from bench.voice.audio import NS_PER_S

_MOST_GATES: Final = 2
_NS_PER_MINUTE: Final = 60 * NS_PER_S


def expected_lines(job: Job, folder: Path, price: float | None) -> Iterator[str]:
    """Turns, gates that so few cannot decide, minutes and cost where the target is here, files.

    `price` is that of a session-minute, where it is known.
    """
    load = job.scenario.load
    if job.target.name == REFERENCE and not tagged_ids(job.corpus, REPLY):
        yield (
            f"replies   the embedded server hums: no utterance of {job.corpus.name!r} has the tag "
            f"{REPLY!r}"
        )
    expected = expected_of(job)
    if expected is None:
        yield "expected  unknown: only your own script knows how many turns it has"
    else:
        yield (
            f"expected  about {count(expected.turns, 'turn')} in "
            f"{count(expected.sessions, 'session')}, if replies at speed 1 last "
            f"{speech_of(job).reply_ns / NS_PER_S:.1f} s"
        )
        yield from _open_gates(lacking(gates_of(job.scenario), expected), load.duration)
    if job.target.loopback:  # else `target_lines` say more of it
        minutes = session_minutes(job)
        cost = f", about {minutes * price:.2f}" if price is not None else ""
        yield f"minutes   {run_minutes(job):.1f}, {minutes:.1f} session-minutes at most{cost}"
    yield f"kept      {folder}: messages and texts, no audio"


def expected_of(job: Job) -> Forecast | None:
    """How many turns and sessions a run of the job comes to; None where nobody can know."""
    return forecast(job.scenario, job.slots, speech_of(job))


def run_minutes(job: Job) -> float:
    """How long the load of a job lasts."""
    return job.scenario.load.whole / _NS_PER_MINUTE


def _open_gates(found: Sequence[Lack], duration_ns: int) -> Iterator[str]:
    """The gates that stay open however well it goes; those that need most come first."""
    worst = sorted(found, key=lambda lack: -lack.times)
    for lack in worst[:_MOST_GATES]:
        seconds = ceil(lack.times * duration_ns / NS_PER_S)
        length = f"{seconds}s" if seconds <= 600 else f"{ceil(seconds / 60)}m"
        needs = f"{lack.needs} {lack.of}{'' if lack.needs == 1 else 's'}"
        yield f"too few   {lack.gate.figure} needs {needs}: --duration {length}"
    if len(worst) > _MOST_GATES:
        yield f"          and {count(len(worst) - _MOST_GATES, 'gate')} more"


def target_lines(job: Job, options: RunOptions) -> Iterator[str]:
    """What a run against a real service takes: sessions, minutes, packets, cost, its account."""
    sessions = open_at_once(job)
    packets = sessions * 1000 / job.scenario.chunk_ms
    held = session_minutes(job)
    upper = "" if job.scenario.load.arrivals is None else f" at once, of {len(job.slots)} in all"
    if options.probe:
        probe = probe_cost(job)
        held += probe.audio_s / 60
        yield f"probe     {probe}, before the run"
    price = options.price_per_minute
    cost = f"about {held * price:.2f}" if price is not None else "give --price-per-minute to see it"
    yield f"target    {job.target.name}"
    yield from network_lines(job.target)
    yield f"sessions  {sessions}{upper}"
    yield f"minutes   {run_minutes(job):.1f} ({held:.1f} session-minutes at most)"
    yield f"packets   {packets:.0f} a second sent (chunks of {job.scenario.chunk_ms} ms)"
    yield f"cost      {cost}"
    if options.exceed_limits:
        for text in broken_limits(sessions, job.scenario.chunk_ms, account_of(job, options)):
            yield f"note      {text.partition(':')[0]}: expect refusals and slowness"


def probe_cost(job: Job) -> Cost:
    """What `--probe` will send to the target of a job."""
    return estimate(str(job.corpus.folder), only=scripts_for(job.target.dialect))

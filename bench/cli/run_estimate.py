"""What `bench run` says before it starts: what the run will come to, take, cost and keep.

What is expected is an estimate (`bench.plan.forecast`); minutes are at most, as in
`bench.cli.budget`. None of the lines refuses anything.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Final

from bench.cli.budget import session_minutes
from bench.cli.network_lines import network_lines
from bench.cli.verbs import RunOptions
from bench.corpus.manifest import NONSPEECH, Entry
from bench.plan.forecast import Forecast, Lack, Speech, Words, forecast, lacking
from bench.plan.scenario import gates_of
from bench.probe.probe_cost import Cost, estimate
from bench.probe.probe_scripts import scripts_for
from bench.reference.voices import HUMS_MS, REPLY
from bench.report.text import count
from bench.runs.job import Job, line_ids, tagged_ids
from bench.runs.target import REFERENCE
from bench.voice.audio import NS_PER_MS, NS_PER_S

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
    load = job.scenario.load
    sessions = load.sessions or len(job.slots)
    packets = sessions * 1000 / job.scenario.chunk_ms
    held = session_minutes(job)
    upper = "" if load.sessions else " in all, were they all open at once"
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
    dialect = job.target.dialect
    for what, asked, most, option in (
        ("sessions", sessions, options.account_sessions or dialect.most_sessions, "sessions"),
        ("packets a second", packets, options.account_packets or dialect.most_packets, "packets"),
    ):
        if most is not None and asked > most:
            yield (
                f"note      {asked:.0f} {what} asked, {most} allowed by the account: expect "
                "refusals and slowness; ask for fewer, or say your plan's limit with "
                f"--account-{option}"
            )


def probe_cost(job: Job) -> Cost:
    """What `--probe` will send to the target of a job."""
    return estimate(str(job.corpus.folder), only=scripts_for(job.target.dialect))


def speech_of(job: Job) -> Speech:
    """How long on average what callers say is, and what is said to them: replies of the corpus."""
    entries = {entry.id: entry for entry in job.corpus.entries}
    caller = job.scenario.caller
    said = [entry for entry in job.corpus.entries if NONSPEECH not in entry.tags]
    replies = [entry.duration_ms for entry in said if REPLY in entry.tags] or HUMS_MS
    return Speech(
        _words([entries[name] for name in line_ids(job.scenario, job.corpus)]),
        tuple(
            _words([entries[name] for name in tagged_ids(job.corpus, tag)]) for tag in caller.into
        ),
        round(mean(replies) * NS_PER_MS),
    )


def _words(entries: Sequence[Entry]) -> Words:
    if not entries:
        return Words(0, 0)
    ends = [entry.duration_ms if entry.offset_ms is None else entry.offset_ms for entry in entries]
    lengths = [entry.duration_ms for entry in entries]
    return Words(round(mean(lengths) * NS_PER_MS), round(mean(ends) * NS_PER_MS))

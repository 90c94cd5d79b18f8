"""What `bench run` says before it starts: what the run will come to, take and keep.

A few short lines, none of which refuses anything. What is expected is an estimate
(`bench.plan.forecast`); minutes are at most, as in `bench.cli.spending`.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Final

from bench.cli.spending import session_minutes
from bench.corpus.manifest import NONSPEECH, Entry
from bench.plan.arrivals import arrivals
from bench.plan.forecast import Lack, Speech, Words, forecast, lacking
from bench.plan.scenario import gates_of
from bench.runs.job import Job, line_ids, tagged_ids
from bench.voice.audio import NS_PER_MS, NS_PER_S

_MOST_GATES: Final = 2
_REPLY: Final = "reply"


def outlook(job: Job, folder: Path, price: float | None) -> Iterator[str]:
    """The lines, each with its heading. `price` is that of a session-minute, where it is known."""
    load = job.scenario.load
    starts = arrivals(load, job.scenario.seeds.arrivals)
    speech = speech_of(job)
    expected = forecast(job.scenario, starts, speech)
    if expected is None:
        yield "expected  nobody knows how many turns a script of your own has"
    else:
        yield (
            f"expected  about {_count(expected.turns, 'turn')} in "
            f"{_count(expected.sessions, 'session')}, if replies at speed 1 last "
            f"{speech.reply_ns / NS_PER_S:.1f} s"
        )
        yield from _open(lacking(gates_of(job.scenario), expected), load.duration)
    if job.target.loopback:  # else more is said of it, and asked
        minutes = session_minutes(job)
        cost = f", about {minutes * price:.2f}" if price is not None else ""
        whole = (load.warmup + load.duration) / (60 * NS_PER_S)
        yield f"minutes   {whole:.1f}, {minutes:.1f} session-minutes at most{cost}"
    yield f"kept      {folder}: messages and texts, no audio"


def _open(found: Sequence[Lack], duration_ns: int) -> Iterator[str]:
    """The gates that stay open however well it goes; those that need most come first."""
    worst = sorted(found, key=lambda lack: -lack.times)
    for lack in worst[:_MOST_GATES]:
        seconds = ceil(lack.times * duration_ns / NS_PER_S)
        length = f"{seconds}s" if seconds <= 600 else f"{ceil(seconds / 60)}m"
        yield (
            f"too few   {lack.gate.figure} needs {_count(lack.needs, lack.of)}: --duration {length}"
        )
    if len(worst) > _MOST_GATES:
        yield f"          and {_count(len(worst) - _MOST_GATES, 'gate')} more"


def speech_of(job: Job) -> Speech:
    """How long on average what callers say is, and what is said to them: replies of the corpus."""
    entries = {entry.id: entry for entry in job.corpus.entries}
    caller = job.scenario.caller
    said = [entry for entry in job.corpus.entries if NONSPEECH not in entry.tags]
    replies = [entry for entry in said if _REPLY in entry.tags] or said
    return Speech(
        _words([entries[name] for name in line_ids(job.scenario, job.corpus)]),
        tuple(
            _words([entries[name] for name in tagged_ids(job.corpus, tag)]) for tag in caller.into
        ),
        round(mean(entry.duration_ms for entry in replies) * NS_PER_MS) if replies else NS_PER_S,
    )


def _words(entries: Sequence[Entry]) -> Words:
    if not entries:
        return Words(0, 0)
    ends = [entry.duration_ms if entry.offset_ms is None else entry.offset_ms for entry in entries]
    lengths = [entry.duration_ms for entry in entries]
    return Words(round(mean(lengths) * NS_PER_MS), round(mean(ends) * NS_PER_MS))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

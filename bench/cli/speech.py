"""What a corpus has to say for a scenario, on average: what a forecast is reckoned from."""

from collections.abc import Sequence
from statistics import mean

from bench.corpus.manifest import NONSPEECH, Entry
from bench.plan.forecast import Speech, Words
from bench.reference.voices import HUMS_MS, REPLY
from bench.runs.job import Job, line_ids, tagged_ids
from bench.voice.audio import NS_PER_MS


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

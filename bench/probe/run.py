"""A probe from beginning to end: the first session alone, then the others beside it.

Theory of operation
-------------------
The first sitting is opened alone: where there is nothing to connect to, that is one error and no
probe, and where the upgrade is refused or nobody ever answers, the others would only ask the same
again. Once it is answered, up to three more run beside it, so that a probe never holds more than
four connections. A sitting that was turned away with HTTP 429 is tried once more when all others
are over. Everything stops at the limit, and what was found by then is what was found.

This is asyncio in a process of its own: never call it where gevent has patched the sockets.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import monotonic, time
from typing import Final, NamedTuple

from bench.corpus.decode import utterance
from bench.corpus.manifest import Corpus, Entry, find_corpus, load_corpus
from bench.corpus.units import spoken, weight
from bench.errors import CorpusError, TargetError, UsageError
from bench.probe.findings import Cost, Probe, Spent
from bench.probe.line import CHUNK_NS, Gone, Line
from bench.probe.messages import message_states
from bench.probe.replies import replies
from bench.probe.rows import all_rows
from bench.probe.sittings import SITTINGS, sittings_for
from bench.probe.steps import Kit
from bench.probe.tape import APPEND, Tape
from bench.protocol.dialects import session_url
from bench.runs.job import Target
from bench.voice.audio import NS_PER_S, AudioFormat
from bench.voice.microphone import Recording, record

LIMIT_S: Final = 55.0
_BESIDE: Final = 3
_TURNED_AWAY: Final = "HTTP 429"


def estimate(
    corpus: Path | str = "everyday",
    *,
    limit_s: float = LIMIT_S,
    only: Iterable[str] = tuple(SITTINGS),
) -> Cost:
    """What a probe may cost, to be stated before it starts; of every sitting, where none are named.

    CorpusError where it cannot speak.
    """
    says_s = _line(load_corpus(find_corpus(str(corpus)))).duration_ms / 1000
    sittings = [SITTINGS[name] for name in only]
    audio_s = sum(sitting.says * says_s + sitting.silence_s for sitting in sittings)
    appends = round(audio_s * NS_PER_S / CHUNK_NS)
    return Cost(
        sessions=len(sittings),
        audio_s=round(audio_s, 1),
        messages=appends + sum(sitting.messages for sitting in sittings),
        responses=sum(sitting.responses for sitting in sittings),
        limit_s=limit_s,
    )


def run_probe(
    target: Target,
    headers: list[tuple[str, str]],
    *,
    corpus: Path | str = "everyday",
    limit_s: float = LIMIT_S,
) -> Probe:
    """`probe`, for whoever has no loop."""
    return asyncio.run(probe(target, headers, corpus=corpus, limit_s=limit_s))


async def probe(
    target: Target,
    headers: list[tuple[str, str]],
    *,
    corpus: Path | str = "everyday",
    limit_s: float = LIMIT_S,
    only: Iterable[str] | None = None,
) -> Probe:
    """What `target` can do. `only` names the sittings (None: all that are for its dialect).

    Rows that need others say `not seen`.

    TargetError where it cannot be reached; CorpusError where the corpus has nothing to say;
    UsageError for a target without a URL (the reference server must have been started).
    """
    if not target.url:
        raise UsageError(f"target {target.name!r} has no URL: start the reference server first")
    found = load_corpus(find_corpus(str(corpus)))
    kit = Kit(target.dialect, _speech(found, _line(found)))
    only = sittings_for(target.dialect) if only is None else tuple(only)
    cost = estimate(corpus, limit_s=limit_s, only=only)
    when, begun = datetime.now(UTC), monotonic()
    lines = [_new_line(name, target, headers) for name in only]
    try:
        async with asyncio.timeout(limit_s):
            await _conduct(lines, kit, target, headers)
    except TimeoutError:
        pass
    tapes = tuple(line.tape() for line in lines)
    return Probe(
        target=target.name,
        dialect=target.dialect.name,
        when=when.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=round(monotonic() - begun, 1),
        cost=cost,
        spent=_spent(tapes),
        rows=all_rows(tapes, target.dialect.name, when.timestamp()),
        messages=message_states(tapes),
        troubles=tuple(f"{tape.name}: {tape.trouble}" for tape in tapes if tape.trouble),
    )


def _new_line(name: str, target: Target, headers: list[tuple[str, str]]) -> Line:
    key = f"probe-{int(time() * 1000)}-{name}"
    return Line(name, session_url(target.dialect, target.url, key=key), headers, target.offer)


# ── the order of sessions ────────────────────────────────────────────────────────────────────


async def _conduct(
    lines: list[Line], kit: Kit, target: Target, headers: list[tuple[str, str]]
) -> None:
    first, *others = lines
    try:
        await first.open(compress=True)
    except Gone as gone:
        first.trouble = str(gone)
        _not_tried(others)
        await first.close()
        return
    except BaseException:
        await first.close()
        raise
    sitting = asyncio.create_task(_play(first, kit))
    answered = asyncio.create_task(first.answered.wait())
    try:
        await asyncio.wait({sitting, answered}, return_when=asyncio.FIRST_COMPLETED)
        if not first.answered.is_set():
            _not_tried(others)
            return
        doors = _Doors(asyncio.Semaphore(_BESIDE), asyncio.Lock())
        await asyncio.gather(sitting, *(_sit(line, kit, doors) for line in others))
    finally:
        answered.cancel()
        sitting.cancel()
        await asyncio.gather(sitting, answered, return_exceptions=True)
    for index, line in enumerate(lines):
        if _TURNED_AWAY in line.link.status:
            lines[index] = again = _new_line(line.name, target, headers)
            await _sit(again, kit, doors)


def _not_tried(lines: Iterable[Line]) -> None:
    for line in lines:
        line.trouble = "not tried, as the first session was not answered"


class _Doors(NamedTuple):
    """So many sessions beside the first, and one upgrade at a time, in order."""

    free: asyncio.Semaphore
    one: asyncio.Lock


async def _sit(line: Line, kit: Kit, doors: _Doors) -> None:
    async with doors.free:
        try:
            async with doors.one:
                await line.open()
        except (Gone, TargetError) as error:
            line.trouble = str(error)
            await line.close()
            return
        except asyncio.CancelledError:
            line.trouble = "stopped by the time limit"
            await line.close()
            raise
        await _play(line, kit)


async def _play(line: Line, kit: Kit) -> None:
    """One sitting on an open line; how it ended goes onto the tape."""
    try:
        await SITTINGS[line.name].play(line, kit)
    except Gone as gone:
        line.trouble = str(gone)
    except asyncio.CancelledError:
        line.trouble = "stopped by the time limit"
        raise
    finally:
        await line.close()


# ── speech and cost ──────────────────────────────────────────────────────────────────────────

_NOT_SAID: Final = frozenset({"reply", "nonspeech", "interruption", "noise", "pause"})
_FEWEST_WORDS: Final = 5
"""Enough for a transcription in several deltas, if the target sends such."""


def _line(corpus: Corpus) -> Entry:
    """The shortest clear sentence of a corpus; CorpusError where it has no speech."""
    speech = [entry for entry in corpus.entries if entry.onset_ms is not None]
    clear = [entry for entry in speech if not _NOT_SAID & set(entry.tags)] or speech
    if not clear:
        raise CorpusError(f"{corpus.folder}: no utterance is speech; probe with another corpus")
    sentences = [entry for entry in clear if weight(spoken(entry.text)) >= _FEWEST_WORDS]
    return min(sentences or clear, key=lambda entry: entry.duration_ms)


def _speech(corpus: Corpus, entry: Entry) -> Callable[[AudioFormat], Recording]:
    @cache
    def in_format(fmt: AudioFormat) -> Recording:
        return record(utterance(corpus, entry, fmt), CHUNK_NS)

    return in_format


def _spent(tapes: Iterable[Tape]) -> Spent:
    sent = [frame for tape in tapes for frame in tape.frames if frame.out]
    told = [reply for tape in tapes for reply in replies(tape)]
    heard_ns = sum(reply.format.duration_ns(reply.nbytes) for reply in told)
    appends = sum(frame.type == APPEND for frame in sent)
    return Spent(
        sessions=sum(tape.link.status != "" for tape in tapes),
        audio_s=round(appends * CHUNK_NS / NS_PER_S, 1),
        messages=len(sent),
        responses=len(told),
        received=sum(1 for tape in tapes for _ in tape.heard),
        reply_s=round(heard_ns / NS_PER_S, 1),
    )

"""What a probe may cost, to be said before it starts, and what it did cost."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.corpus.manifest import Corpus, Entry, find_corpus, load_corpus
from bench.corpus.text_units import spoken, weight
from bench.errors import CorpusError
from bench.probe.probe_scripts import CHUNK_NS, PROBE_SCRIPTS
from bench.voice.audio import NS_PER_S

LIMIT_S: Final = 55.0


class Cost(Struct, frozen=True, kw_only=True):
    """What a probe may cost at most: sessions, seconds of audio sent, messages sent, responses."""

    sessions: int
    audio_s: float
    messages: int
    responses: int
    limit_s: float

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.audio_s:.0f} s of audio sent, about {self.messages} "
            f"messages and {self.responses} responses, at most {self.limit_s:.0f} s"
        )


class Spent(Struct, frozen=True, kw_only=True):
    """What it did cost; `received` messages and `reply_s` seconds of audio came back."""

    sessions: int
    audio_s: float
    messages: int
    responses: int
    received: int
    reply_s: float

    def __str__(self) -> str:
        return (
            f"{self.sessions} sessions, {self.audio_s:.1f} s of audio and {self.messages} messages "
            f"sent, {self.responses} responses, {self.received} messages and "
            f"{self.reply_s:.1f} s of audio received"
        )


def estimate(
    corpus: Path | str = "everyday",
    only: Iterable[str] = tuple(PROBE_SCRIPTS),
    limit_s: float = LIMIT_S,
) -> Cost:
    """What a probe may cost, to be stated before it starts; `only` names its scripts.

    CorpusError where it cannot speak.
    """
    says_s = probe_sentence(load_corpus(find_corpus(str(corpus)))).duration_ms / 1000
    scripts = [PROBE_SCRIPTS[name] for name in only]
    audio_s = sum(one.says * says_s + one.silence_s for one in scripts)
    appends = round(audio_s * NS_PER_S / CHUNK_NS)
    return Cost(
        sessions=len(scripts),
        audio_s=round(audio_s, 1),
        messages=appends + sum(one.messages for one in scripts),
        responses=sum(one.responses for one in scripts),
        limit_s=limit_s,
    )


_NOT_SAID: Final = frozenset({"reply", "nonspeech", "interruption", "noise", "pause"})
_FEWEST_WORDS: Final = 5
"""Enough for a transcription in several deltas, if the target sends such."""


def probe_sentence(corpus: Corpus) -> Entry:
    """The shortest clear sentence of a corpus; CorpusError where it has no speech."""
    speech = [entry for entry in corpus.entries if entry.onset_ms is not None]
    clear = [entry for entry in speech if not _NOT_SAID & set(entry.tags)] or speech
    if not clear:
        raise CorpusError(f"{corpus.folder}: no utterance is speech; probe with another corpus")
    sentences = [entry for entry in clear if weight(spoken(entry.text)) >= _FEWEST_WORDS]
    return min(sentences or clear, key=lambda entry: entry.duration_ms)

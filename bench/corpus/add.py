"""Somebody's own recordings made into a corpus, or added to one.

Theory of operation
-------------------
Every WAV, FLAC, OGG and MP3 under a folder is decoded, mixed down, annotated and stored as mono
16 bit FLAC at its own rate (48 kHz at most). What cannot serve is refused with a reason, and the
rest goes on. The result is put together in a folder beside the corpus and takes its place in one
rename at the end: a corpus is never half-written, whatever stops the work.

A recording without speech is kept only if its name, a folder above it or its tags in the
transcripts say `nonspeech`: else it is more likely a mistake than a test.

What it refuses to know: who speaks. The voice is called as the folder that the recording lay in.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import soundfile

from bench.corpus.annotate import Annotation, annotate
from bench.corpus.check import AUDIO_SUFFIXES
from bench.corpus.decode import read_samples, resample
from bench.corpus.manifest import MANIFEST, NONSPEECH, Entry, load_corpus, manifest_text
from bench.corpus.sample_codec import Samples
from bench.corpus.sources import Source, find_sources
from bench.errors import CorpusError

_HIGHEST_RATE: Final = 48_000
_SHORTEST_MS: Final = 100
_LONGEST_MS: Final = 60_000

Progress = Callable[[int, int, Path], None]


class AddResult(NamedTuple):
    """What became of a folder of recordings: entries added, and (path, reason) of the refused."""

    added: tuple[Entry, ...]
    refused: tuple[tuple[Path, str], ...]


class _Refused(Exception):  # noqa: N818  not an error: an answer about one recording
    """Why one recording cannot serve."""


def add(
    source_dir: Path, corpus_dir: Path, *, licence: str, on_progress: Progress | None = None
) -> AddResult:
    """Turn the recordings under `source_dir` into the corpus `corpus_dir`, or add them to it.

    `on_progress(done, total, path)` is called after each recording. If nothing could be added,
    nothing is written. Raises `CorpusError` if there is nothing to read or nowhere to write.
    """
    sources = find_sources(source_dir, besides=corpus_dir)
    if not sources:
        raise CorpusError(f"{source_dir}: holds no WAV, FLAC, OGG or MP3 file; name another folder")
    added: list[Entry] = []
    refused: list[tuple[Path, str]] = []
    with _workshop(corpus_dir) as workshop:
        old = load_corpus(workshop) if (workshop / MANIFEST).is_file() else None
        entries = list(old.entries) if old else []
        for done, source in enumerate(sources, 1):
            try:
                added.append(_store(source, workshop, licence, [*entries, *added]))
            except _Refused as reason:
                refused.append((source.path, str(reason)))
            if on_progress:
                on_progress(done, len(sources), source.path)
        if added:
            text = manifest_text(
                name=old.name if old else corpus_dir.resolve().name,
                licence=old.licence if old else licence,
                about=old.about if old else f"Recordings added from {source_dir.resolve().name}.",
                entries=[*entries, *added],
            )
            (workshop / MANIFEST).write_text(text, encoding="utf-8")
            _take_place(workshop, corpus_dir)
    return AddResult(tuple(added), tuple(refused))


def _store(source: Source, folder: Path, licence: str, entries: list[Entry]) -> Entry:
    """The entry of one recording, its FLAC written into `folder`; or `_Refused` with the reason."""
    samples, rate = _samples(source.path)
    tags = set(source.tags)
    if NONSPEECH in source.name.as_posix().lower():
        tags.add(NONSPEECH)
    truth = annotate(samples, rate)
    if NONSPEECH in tags:
        truth = truth._replace(onset_ms=None, offset_ms=None, pauses=())
    elif truth.onset_ms is None:
        raise _Refused(f"no speech was found; put {NONSPEECH!r} into its name to keep it as such")
    identity = _free_id(source.name, folder)
    path = folder / f"{identity}.flac"
    soundfile.write(path, samples, rate, "PCM_16", format="FLAC")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    twin = next((entry.id for entry in entries if entry.sha256 == sha256), None)
    if twin:
        path.unlink()
        raise _Refused(f"is the same recording as {twin!r}")
    return Entry(
        id=identity,
        file=path.name,
        text=source.text,
        voice=source.name.parent.as_posix() if source.name.parent.name else "",
        rate=rate,
        duration_ms=round(len(samples) * 1000 / rate, 3),
        onset_ms=truth.onset_ms,
        offset_ms=truth.offset_ms,
        pauses_ms=truth.pauses,
        loudness=truth.loudness,
        tags=tuple(sorted(tags | _kinds(truth))) or ("plain",),
        licence=licence,
        sha256=sha256,
    )


def _samples(path: Path) -> tuple[Samples, int]:
    """Mono samples and rate of a recording of a length that can serve."""
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        raise _Refused("is of a kind that is not read; convert it to WAV, FLAC, OGG or MP3")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _Refused(f"cannot be read ({error.strerror})") from None
    if not raw:
        raise _Refused("is empty")
    try:
        samples, rate = read_samples(raw, path)
    except CorpusError as error:
        reason = str(error).removeprefix(f"{path}: ").removesuffix("; restore or remove it")
        raise _Refused(reason) from None
    duration_ms = len(samples) * 1000 / rate
    if not len(samples):
        raise _Refused("is empty")
    if duration_ms < _SHORTEST_MS:
        raise _Refused(f"is too short: {duration_ms:.0f} ms, the least is {_SHORTEST_MS} ms")
    if duration_ms > _LONGEST_MS:
        most = _LONGEST_MS // 1000
        raise _Refused(f"is too long: {duration_ms / 1000:.1f} s, the most is {most} s; cut it up")
    if rate > _HIGHEST_RATE:
        return resample(samples, rate, _HIGHEST_RATE), _HIGHEST_RATE
    return samples, rate


def _kinds(truth: Annotation) -> set[str]:
    """The tags that can be seen from the annotation alone."""
    if truth.onset_ms is None or truth.offset_ms is None:
        return set()
    spoken_ms = truth.offset_ms - truth.onset_ms
    kinds = {"short": spoken_ms < 1000, "long": spoken_ms > 6000}
    kinds["pause"] = any(end - start >= 400 for start, end in truth.pauses)
    return {kind for kind, holds in kinds.items() if holds}


def _free_id(name: Path, folder: Path) -> str:
    """A readable id from a recording's name that no file in `folder` has yet."""
    word = re.sub(r"[^\w]+", "-", name.with_suffix("").as_posix().lower()).strip("-") or "recording"
    number, identity = 1, word
    while (folder / f"{identity}.flac").exists():
        number += 1
        identity = f"{word}-{number}"
    return identity


@contextmanager
def _workshop(corpus_dir: Path) -> Iterator[Path]:
    """A folder beside the corpus with a copy of what it holds; gone afterwards unless it moved."""
    target = corpus_dir.resolve()
    if target.exists() and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise CorpusError(f"{corpus_dir}: holds other things than a corpus; name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        bench_made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise CorpusError(
            f"{corpus_dir}: cannot be written ({error.strerror}); name another folder"
        ) from None
    try:
        workshop = bench_made / "new"
        if target.exists():
            shutil.copytree(target, workshop)
        else:
            workshop.mkdir()
        yield workshop
    finally:
        shutil.rmtree(bench_made, ignore_errors=True)


def _take_place(workshop: Path, corpus_dir: Path) -> None:
    """Put the finished folder where the corpus belongs; the old one stays until it is there."""
    target, old = corpus_dir.resolve(), workshop.parent / "old"
    try:
        if target.exists():
            target.replace(old)
        workshop.replace(target)
    except BaseException:  # an interrupt between the two would lose the corpus
        if old.exists():
            old.replace(target)
        raise

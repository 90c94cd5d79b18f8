"""Whether a corpus is still what its manifest says.

Theory of operation
-------------------
Each recording is read, hashed, decoded and annotated again, and everything that differs is a
`Problem`: a value, not an exception, because a check is asked for all that is wrong and not for
the first of it. A missing recording whose bytes lie in the folder under another name was renamed;
an audio file that no entry lists is said so. Clean recordings must agree with a fresh annotation
within 10 ms. Where noise was added the truth is that of the clean recording, which nobody can
find again in the noise: there only gross errors count.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from bench.corpus.annotate import Annotation, annotate
from bench.corpus.decode import MOST_RECORDING, read_samples
from bench.corpus.manifest import NONSPEECH, Corpus, Entry, load_corpus
from bench.data_file import DataError, read_bytes
from bench.errors import CorpusError

AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".ogg", ".mp3"})
TOLERANCE_MS: Final = 10.0
NOISY_TOLERANCE_MS: Final = 300.0
_LOUDNESS_TOLERANCE_DB: Final = 0.5


class Problem(NamedTuple):
    """One thing that is wrong with a corpus: the file, the manifest's key, and a sentence."""

    file: str
    key: str
    text: str


def check(folder: Path) -> list[Problem]:
    """All that is wrong with the corpus in `folder`; an empty list if it is sound.

    Raises `CorpusError` where the manifest itself cannot be read.
    """
    corpus = load_corpus(folder)
    listed = {entry.file for entry in corpus.entries}
    strays = {
        _sha256(path) or file: file
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES
        and (file := path.relative_to(folder).as_posix()) not in listed
    }
    problems: list[Problem] = []
    for entry in corpus.entries:
        if (folder / entry.file).is_file():
            problems += _recording_problems(corpus, entry)
        elif entry.sha256 in strays:
            found = strays.pop(entry.sha256)
            text = f"was renamed to {found!r}; rename it back, or correct the manifest"
            problems.append(Problem(entry.file, "file", text))
        else:
            problems.append(Problem(entry.file, "file", "is missing; restore it"))
    text = "is not listed in the manifest; add it with `bench corpus add` or remove it"
    return problems + [Problem(file, "file", text) for file in strays.values()]


def _sha256(path: Path) -> str:
    """The hash of a file; none of what is no recording at all (a pipe, a folder, far too large)."""
    try:
        return hashlib.sha256(read_bytes(path, MOST_RECORDING)).hexdigest()
    except DataError:
        return ""


def _recording_problems(corpus: Corpus, entry: Entry) -> Iterable[Problem]:
    """What is wrong with one recording that is there."""
    path = corpus.folder / entry.file
    try:
        raw = read_bytes(path, MOST_RECORDING)
        samples, rate = read_samples(raw, path)
    except (CorpusError, DataError) as error:
        return [Problem(entry.file, "file", str(error).removeprefix(f"{path}: "))]
    if hashlib.sha256(raw).hexdigest() != entry.sha256:
        text = "is not the recording that was annotated; restore it, or add it anew"
        return [Problem(entry.file, "sha256", text)]
    if rate != entry.rate:
        text = f"the manifest says {entry.rate} Hz, the file {rate} Hz; correct the manifest"
        return [Problem(entry.file, "rate", text)]
    duration_ms = len(samples) * 1000 / rate
    problems = []
    if abs(duration_ms - entry.duration_ms) > 1:
        text = f"the manifest says {entry.duration_ms} ms, the file {duration_ms:.3f} ms"
        problems.append(Problem(entry.file, "duration_ms", text))
    return problems + _truth_problems(entry, annotate(samples, rate))


def _truth_problems(entry: Entry, found: Annotation) -> list[Problem]:
    """Where the manifest's truth and a fresh annotation differ by more than the tolerance."""
    noisy = entry.snr_db is not None
    if NONSPEECH in entry.tags:
        if found.onset_ms is None:
            return []
        text = f"tagged {NONSPEECH!r}, but speech was found at {found.onset_ms:g} ms"
        return [Problem(entry.file, "tags", text)]
    if found.onset_ms is None or found.offset_ms is None:
        return [Problem(entry.file, "onset_ms", "no speech was found in the recording")]
    tolerance = NOISY_TOLERANCE_MS if noisy else TOLERANCE_MS
    pairs = [
        ("onset_ms", entry.onset_ms or 0.0, found.onset_ms),
        ("offset_ms", entry.offset_ms or 0.0, found.offset_ms),
    ]
    if not noisy:
        if len(entry.pauses_ms) != len(found.pauses):
            text = f"the manifest has {len(entry.pauses_ms)} pauses, {len(found.pauses)} were found"
            return [Problem(entry.file, "pauses_ms", text)]
        said = [t for pause in entry.pauses_ms for t in pause]
        heard = [t for pause in found.pauses for t in pause]
        pairs += [("pauses_ms", s, h) for s, h in zip(said, heard, strict=True)]
    problems = [
        Problem(
            entry.file,
            key,
            f"the manifest says {said:g} ms, {heard:g} ms was found (tolerance {tolerance:g} ms)",
        )
        for key, said, heard in pairs
        if abs(said - heard) > tolerance
    ]
    if not noisy and abs(entry.loudness - found.loudness) > _LOUDNESS_TOLERANCE_DB:
        text = f"the manifest says {entry.loudness:g} dBFS, {found.loudness:g} dBFS was found"
        problems.append(Problem(entry.file, "loudness", text))
    return problems

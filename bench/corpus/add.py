"""Somebody's own recordings made into a corpus, or added to one.

Theory of operation
-------------------
Every recording under a folder (`sources`) is decoded (`recording`), made mono (`channels`), cut if
that is wanted (`utterance_cuts`), annotated and stored as mono 16 bit FLAC at its own rate (48 kHz
at most). What cannot serve is refused with a reason, and the rest goes on; what was assumed of a
recording, repaired or left out of it is a remark. The result is put together beside the corpus and
takes its place at the end (`workshop`).

A recording without speech is kept only if its name, a folder above it or its tags in the
transcripts say `nonspeech`: else it is more likely a mistake than a test. A recording that the
corpus has already gets its transcript, if it had none.

What it refuses to know: who speaks. The voice is what a table says, or as the folder that the
recording lay in is called.
"""

import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Final, NamedTuple

import msgspec
import soundfile

from bench.corpus.annotate import Annotation, annotate
from bench.corpus.channels import Take, check_channel, takes
from bench.corpus.manifest import MANIFEST, NONSPEECH, Entry, load_corpus, manifest_text
from bench.corpus.recording import Recording, survey
from bench.corpus.sample_codec import Samples
from bench.corpus.sources import Source, find_sources
from bench.corpus.stream import Refused
from bench.corpus.tape import Tape, taped
from bench.corpus.transcript_text import check_encoding
from bench.corpus.utterance_cuts import Cut, speech_cuts, trimmed
from bench.corpus.workshop import take_place, workshop
from bench.errors import CorpusError, UsageError

_SHORTEST_MS: Final = 100
_LONGEST_S: Final = 60
_LONGEST_CALL_S: Final = 4 * 3600
_BEYOND_S: Final = 0.5  # what a part may be stated to go on behind the end: rounding, and padding
_MOST_ID: Final = 160  # bytes: with a number and an ending, less than any file system takes
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")

Progress = Callable[[int, int, Path], None]
_Say = Callable[[str], None]


class Handling(NamedTuple):
    """What is done with recordings: see the options of `bench corpus add`."""

    licence: str = "private"
    channel: str = ""
    trim: bool = False
    split: bool = False
    language: str = ""
    encoding: str = ""


class AddResult(NamedTuple):
    """What became of a folder.

    `added` are new entries, `filled` ids that got their transcript now; `refused`, `unread` (not
    looked at) and `remarks` are (path, sentence), `missing` (table, file of a row that is not
    here).
    """

    added: tuple[Entry, ...]
    filled: tuple[str, ...]
    refused: tuple[tuple[Path, str], ...]
    unread: tuple[tuple[Path, str], ...]
    remarks: tuple[tuple[Path, str], ...]
    missing: tuple[tuple[Path, str], ...]


class _Piece(NamedTuple):
    """What becomes one utterance: its part of a tape, its name, and what is said of it."""

    cut: Cut
    name: PurePath
    text: str
    voice: str


def add(
    source_dir: Path,
    corpus_dir: Path,
    handling: Handling | None = None,
    *,
    on_progress: Progress | None = None,
) -> AddResult:
    """Turn the recordings under `source_dir` into the corpus `corpus_dir`, or add them to it.

    `on_progress(done, total, path)` is called after each recording. If nothing could be added,
    nothing is written. Raises `CorpusError` if there is nothing to read or nowhere to write,
    `UsageError` for a handling that makes no sense.
    """
    handling = handling or Handling()
    check_channel(handling.channel)
    check_encoding(handling.encoding)
    if handling.language and not _LANGUAGE.fullmatch(handling.language):
        raise UsageError(f"--language {handling.language!r}: give a tag as in en, de or pt-BR")
    found = find_sources(
        source_dir, besides=corpus_dir, encoding=handling.encoding, language=handling.language
    )
    if not found.recordings:
        raise CorpusError(
            f"{source_dir}: holds no recording{_passed_over(found.unread)}; name another folder"
        )
    with workshop(corpus_dir) as folder:
        old = load_corpus(folder) if (folder / MANIFEST).is_file() else None
        bench = _Bench(folder, handling, list(old.entries) if old else [])
        for done, source in enumerate(found.recordings, 1):
            bench.take(source)
            if on_progress:
                on_progress(done, len(found.recordings), source.path)
        if bench.added or bench.filled:
            text = manifest_text(
                name=old.name if old else corpus_dir.resolve().name,
                licence=old.licence if old else handling.licence,
                about=old.about if old else f"Recordings added from {source_dir.resolve().name}.",
                entries=bench.entries,
            )
            (folder / MANIFEST).write_text(text, encoding="utf-8")
            take_place(folder, corpus_dir)
    return AddResult(
        tuple(bench.added),
        tuple(bench.filled),
        (*found.refused, *bench.refused),
        found.unread,
        (*found.remarks, *bench.remarks),
        found.missing,
    )


class _Bench:
    """Where recordings are worked on, one after the other: `entries` grow in `folder`."""

    def __init__(self, folder: Path, handling: Handling, entries: list[Entry]) -> None:
        self._folder, self._handling = folder, handling
        self._by_hash = {entry.sha256: at for at, entry in enumerate(entries)}
        self.entries = entries
        self.added: list[Entry] = []
        self.filled: list[str] = []
        self.refused: list[tuple[Path, str]] = []
        self.remarks: list[tuple[Path, str]] = []

    def take(self, source: Source) -> None:
        """Make of a recording as many entries as it comes to; what it cannot be is `refused`."""
        handling = self._handling
        whole = not (handling.split or handling.trim or source.parts)
        try:
            recording = survey(source.path, _LONGEST_S if whole else _LONGEST_CALL_S)
            wanted = takes(recording, handling.channel)
        except Refused as reason:
            self.refused.append((source.path, str(reason)))
            return
        self.remarks += ((source.path, remark) for remark in recording.remarks)
        for one in wanted:
            self._take(source, recording, one, many=len(wanted) > 1)

    def _take(self, source: Source, recording: Recording, take: Take, *, many: bool) -> None:
        """One signal of a recording."""
        self.remarks += ((source.path, remark) for remark in take.remarks)
        clean = PurePath(_printable(source.name.as_posix()))
        voice = source.voice or (clean.parent.as_posix() if clean.parent.name else "")
        if many:
            voice = f"{voice or clean.stem}/{take.name}"
            clean = clean.with_name(f"{clean.stem}-{take.name}{clean.suffix}")
            if source.text or source.parts:
                parts = tuple(row._replace(text="", voice="") for row in source.parts)
                source = source._replace(text="", parts=parts)
                self._say(source, f"its transcript is of all channels, so {take.name} has none")
        try:
            with taped(recording, take, self._folder.parent) as tape:
                for piece in self._pieces(source, tape, clean, voice):
                    where = f"{_span(piece.cut, tape)}: " if piece.cut != _whole(tape) else ""
                    try:
                        self._store(source, tape, piece)
                    except Refused as reason:
                        self.refused.append((source.path, f"{where}{reason}"))
        except Refused as reason:
            self.refused.append((source.path, str(reason)))

    def _pieces(self, source: Source, tape: Tape, name: PurePath, voice: str) -> Iterator[_Piece]:
        """The parts of a tape that become utterances."""
        if source.parts:
            yield from _stated_pieces(source, tape, name, voice)
            return
        whole = _whole(tape)
        nonspeech = NONSPEECH in _tags(source)
        if self._handling.split and not nonspeech:
            cuts = speech_cuts(tape, _LONGEST_S * 1000) or [whole]
        elif self._handling.trim and tape.frames > _LONGEST_S * tape.rate:
            cuts = speech_cuts(tape, _LONGEST_CALL_S * 1000, _LONGEST_CALL_S * 1000) or [whole]
        else:
            cuts = [whole]
        if len(cuts) == 1:
            yield _Piece(cuts[0], name, source.text, voice)
        else:
            left = sum(cut.last - cut.first for cut in cuts)
            silence = (tape.frames - left) / tape.rate
            self._say(
                source, f"cut into {len(cuts)} utterances, {silence:.1f} s of silence left out"
            )
            if source.text:
                self._say(source, "its transcript is of the whole, so the parts have none")
            for number, cut in enumerate(cuts, 1):
                part = name.with_name(f"{name.stem}-{number:03d}{name.suffix}")
                yield _Piece(cut, part, "", voice)
            return
        if cuts[0] != whole:
            self._say(source, f"{_span(cuts[0], tape)} of it taken, the rest is silence")

    def _store(self, source: Source, tape: Tape, piece: _Piece) -> None:
        """Write the FLAC of one utterance and its entry; or `Refused` with the reason."""
        _refuse_length(piece.cut, tape)
        samples, tags = tape.samples(*piece.cut), _tags(source)
        truth = annotate(samples, tape.rate)
        if NONSPEECH in tags:
            truth = truth._replace(onset_ms=None, offset_ms=None, pauses=())
        elif truth.onset_ms is None:
            raise Refused(
                f"no speech was found; put {NONSPEECH!r} into its name to keep it as such"
            )
        cut = trimmed(piece.cut, truth, tape.rate) if self._handling.trim else piece.cut
        if cut != piece.cut:
            samples = tape.samples(*cut)
            truth = annotate(samples, tape.rate)
            before, after = cut.first - piece.cut.first, piece.cut.last - cut.last
            trims = f"{before / tape.rate:.2f} s before and {after / tape.rate:.2f} s after"
            self._say(source, f"{trims} its speech trimmed")
        self._keep(source, tape.rate, piece, samples, truth)

    def _keep(
        self, source: Source, rate: int, piece: _Piece, samples: Samples, truth: Annotation
    ) -> None:
        identity = _free_id(piece.name, self._folder)
        path = self._folder / f"{identity}.flac"
        raw = (
            io.BytesIO()
        )  # libsndfile does not say why a file cannot be written, or that it is not
        soundfile.write(raw, samples, rate, "PCM_16", format="FLAC")
        sha256 = hashlib.sha256(raw.getbuffer()).hexdigest()
        if sha256 in self._by_hash:
            self._meet(source, self._by_hash[sha256], piece.text)
            return
        path.write_bytes(raw.getbuffer())
        entry = Entry(
            id=identity,
            file=path.name,
            text=piece.text,
            voice=piece.voice,
            language=self._handling.language or source.language,
            rate=rate,
            duration_ms=round(len(samples) * 1000 / rate, 3),
            onset_ms=truth.onset_ms,
            offset_ms=truth.offset_ms,
            pauses_ms=truth.pauses,
            loudness=truth.loudness,
            tags=tuple(sorted(_tags(source) | _kinds(truth))) or ("plain",),
            licence=self._handling.licence,
            sha256=sha256,
        )
        self._by_hash[sha256] = len(self.entries)
        self.entries.append(entry)
        self.added.append(entry)

    def _meet(self, source: Source, at: int, text: str) -> None:
        """A recording that is there already: its transcript is added, if it had none."""
        twin = self.entries[at]
        if twin.text or not text:
            raise Refused(f"is the same recording as {twin.id!r}")
        self.entries[at] = msgspec.structs.replace(twin, text=text)
        if twin in self.added:
            self.added[self.added.index(twin)] = self.entries[at]
            raise Refused(f"is the same recording as {twin.id!r}, which got its transcript")
        self.filled.append(twin.id)
        self._say(source, f"is the same recording as {twin.id!r}, which got its transcript")

    def _say(self, source: Source, remark: str) -> None:
        self.remarks.append((source.path, remark))


def _stated_pieces(source: Source, tape: Tape, name: PurePath, voice: str) -> Iterator[_Piece]:
    """The parts that a table speaks of, each with its text."""
    for number, row in enumerate(source.parts, 1):
        first = round((row.start_s or 0) * tape.rate)
        length = max(0, tape.frames - first)
        if row.length_s is not None:
            length = round(row.length_s * tape.rate)
        last = first + length
        if last - tape.frames <= _BEYOND_S * tape.rate:
            last = min(last, tape.frames)
        cut = Cut(first, max(first, last))
        part = name.with_name(f"{name.stem}-{number:03d}{name.suffix}")
        yield _Piece(cut, part, row.text, row.voice or voice)


def _refuse_length(cut: Cut, tape: Tape) -> None:
    """`Refused` for a piece that does not lie in its tape, or is of a length that cannot serve."""
    if cut.first > tape.frames or cut.last > tape.frames:
        end = f"{tape.frames / tape.rate:.2f} s"
        raise Refused(f"ends behind its recording, which has {end}; correct the table's times")
    ms = (cut.last - cut.first) * 1000 / tape.rate
    if ms < _SHORTEST_MS:
        raise Refused(f"is too short: {ms:.0f} ms, the least is {_SHORTEST_MS} ms")
    if ms > _LONGEST_S * 1000:
        raise Refused(
            f"is too long: {ms / 1000:.1f} s, the most is {_LONGEST_S} s; cut it up, or let "
            "--split do it where there is silence"
        )


def _passed_over(unread: tuple[tuple[Path, str], ...]) -> str:
    """What a folder without recordings holds instead, as the tail of a sentence."""
    if not unread:
        return ""
    path, why = unread[0]
    return f" ({len(unread)} files not looked at, the first, {_printable(path.name)!r}, {why})"


def _whole(tape: Tape) -> Cut:
    return Cut(0, tape.frames)


def _span(cut: Cut, tape: Tape) -> str:
    return f"{cut.first / tape.rate:.2f}…{cut.last / tape.rate:.2f} s"


def _tags(source: Source) -> set[str]:
    named = NONSPEECH in source.name.as_posix().lower()
    return {*source.tags, NONSPEECH} if named else set(source.tags)


def _kinds(truth: Annotation) -> set[str]:
    """The tags that can be seen from the annotation alone."""
    if truth.onset_ms is None or truth.offset_ms is None:
        return set()
    spoken_ms = truth.offset_ms - truth.onset_ms
    kinds = {"short": spoken_ms < 1000, "long": spoken_ms > 6000}
    kinds["pause"] = any(end - start >= 400 for start, end in truth.pauses)
    return {kind for kind, holds in kinds.items() if holds}


def _printable(name: str) -> str:
    """A name as text that can be written: composed, and bytes that are no UTF-8 as "?"."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def _free_id(name: PurePath, folder: Path) -> str:
    """A readable id from a recording's name that no file in `folder` has yet."""
    word = re.sub(r"[^\w]+", "-", name.with_suffix("").as_posix().lower()).strip("-") or "recording"
    word = word.encode()[:_MOST_ID].decode(errors="ignore")
    number, identity = 1, word
    while (folder / f"{identity}.flac").exists():
        number += 1
        identity = f"{word}-{number}"
    return identity

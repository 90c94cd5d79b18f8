"""Recordings as people keep them: audio files in folders, with transcripts beside them.

Theory of operation
-------------------
A file is a recording if its first bytes are audio, or its name says so. Its transcript is the
`.txt` of its name beside it, else a row of a table (`transcript_tables`) in its folder or above,
the nearest first. A row means the file at its path, seen from the table or a folder above it; where
there is none, the one of its name below the table that shares most of the path. A row that fits
several equally is refused, and so are rows that contradict each other: a wrong transcript is worse
than none. Rows that name no file here are counted. Names are the same in any Unicode normal form,
and in either case.

One file that cannot be read costs what it says, and no other.

What it refuses to know: whether a recording can serve.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from bench.corpus.check import AUDIO_SUFFIXES
from bench.corpus.folder_files import folder_files
from bench.corpus.recording import audio_kind
from bench.corpus.transcript_tables import (
    NoTableError,
    Row,
    Table,
    is_part_of_table,
    is_table,
    normal,
    one_line,
    read_table,
)
from bench.corpus.transcript_text import UncertainTextError, read_text
from bench.errors import CorpusError

# By their names alone: refused with a reason, rather than passed over in silence.
_AUDIO: Final = AUDIO_SUFFIXES | {
    ".m4a", ".mp4", ".aac", ".wma", ".aiff", ".aif", ".aifc", ".opus", ".oga", ".amr", ".webm",
    ".au", ".snd", ".sph", ".caf", ".w64", ".rf64", ".raw", ".pcm", ".gsm", ".vox",
}  # fmt: skip


class Source(NamedTuple):
    """A recording as it was found: its path, its path inside the source folder, what is said of it.

    `parts` are rows that each speak of a part of it; then `text` is empty.
    """

    path: Path
    name: Path
    text: str = ""
    tags: tuple[str, ...] = ()
    voice: str = ""
    language: str = ""
    parts: tuple[Row, ...] = ()


class Sources(NamedTuple):
    """What a folder holds: recordings; files refused or not looked at, and why; remarks on files.

    `missing` are (table, file) of the rows that name no file here.
    """

    recordings: tuple[Source, ...]
    refused: tuple[tuple[Path, str], ...]
    unread: tuple[tuple[Path, str], ...]
    remarks: tuple[tuple[Path, str], ...]
    missing: tuple[tuple[Path, str], ...]


def find_sources(
    source_dir: Path, *, besides: Path, encoding: str = "", language: str = ""
) -> Sources:
    """All that is under `source_dir` in order of names, what is under `besides` left out.

    `encoding` is that of texts, "" to detect it; `language` helps with that.
    """
    if not source_dir.is_dir():
        raise CorpusError(f"{source_dir}: is no folder; name one that holds recordings")
    own = Path(os.path.realpath(besides))  # unlike `resolve` it takes a link to itself
    if own == Path(os.path.realpath(source_dir)):
        raise CorpusError(f"{source_dir}: is the corpus itself; name another folder to add from")
    search = _Search(source_dir, encoding, language)
    files, others = folder_files(source_dir, besides=own)
    recordings = [path for path in files if _is_recording(path)]
    rest = sorted(set(files) - set(recordings))
    search.look_at(recordings, rest)
    found = search.found()
    return found._replace(unread=(*found.unread, *others))


def _is_recording(path: Path) -> bool:
    if path.name.startswith("."):  # what systems put beside files
        return False
    try:
        with path.open("rb") as file:
            kind = audio_kind(file.read(64))
    except OSError:
        kind = None
    return kind is not None or path.suffix.lower() in _AUDIO


def _key(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold()


class _Search:
    """A folder while it is looked through."""

    def __init__(self, top: Path, encoding: str, language: str) -> None:
        self._top, self._encoding, self._language = top, encoding, language
        self._said: dict[Path, list[Row]] = {}
        self._said_by: dict[Path, Path] = {}
        self._beside: dict[Path, str] = {}
        self._recordings: list[Path] = []
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_place: dict[str, Path] = {}
        self._refused: list[tuple[Path, str]] = []
        self._unread: list[tuple[Path, str]] = []
        self._remarks: list[tuple[Path, str]] = []
        self._missing: list[tuple[Path, str]] = []

    def look_at(self, recordings: list[Path], others: list[Path]) -> None:
        self._know(recordings)
        beside: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for path in recordings:
            beside[path.parent, _key(path.stem)].append(path)
        tables = []
        for path in others:
            mine = beside.get((path.parent, _key(path.stem)), [])
            if path.suffix.lower() == ".txt" and mine:
                if (text := self._read(path)) is not None:
                    self._beside |= dict.fromkeys(mine, one_line(text))
            elif is_table(path) and not path.name.startswith("."):
                tables.append(path)
            elif not is_part_of_table(path):
                self._unread.append((path, "is neither audio nor a table"))
        for path in sorted(tables, key=lambda one: (-len(one.parts), one)):
            self._apply(path)

    def _know(self, recordings: list[Path]) -> None:
        self._recordings = recordings
        for path in recordings:
            for name in {_key(path.name), _key(path.stem)}:
                self._by_name[name].append(path)
            for place in (os.path.abspath(path), os.path.realpath(path)):  # noqa: PTH100
                self._by_place.setdefault(_key(place), path)

    def found(self) -> Sources:
        return Sources(
            tuple(self._source(path) for path in self._recordings),
            tuple(self._refused),
            tuple(self._unread),
            tuple(self._remarks),
            tuple(self._missing),
        )

    def _source(self, path: Path) -> Source:
        rows = self._said.get(path, [])
        beside = self._beside.get(path, "")
        source = Source(path, path.relative_to(self._top), beside)
        if not rows:
            return source
        if beside or not _are_parts(rows):
            row = rows[0]
            return source._replace(
                text=beside or row.text, tags=row.tags, voice=row.voice, language=row.language
            )
        return source._replace(parts=tuple(sorted(rows, key=lambda row: row.start_s or 0.0)))

    def _read(self, path: Path) -> str | None:
        try:
            return self._text(path)
        except UncertainTextError as error:
            self._refused.append((path, f"{error}; its text is in no recording"))
            return None

    def _text(self, path: Path) -> str:
        text, detected = read_text(path, self._encoding, self._language)
        if detected:
            self._remarks.append((path, f"read as {detected}"))
        return text

    def _apply(self, path: Path) -> None:
        """Give the rows of one table to the recordings that they mean."""
        below = path.parent
        try:
            table: Table = read_table(path, self._text, lambda cell: self._knows(cell, below))
        except UncertainTextError as error:
            self._refused.append((path, f"{error}; its texts are in no recording"))
            return
        except NoTableError as error:
            self._unread.append((path, f"is no table of recordings: {error}"))
            return
        meant: dict[Path, list[Row]] = defaultdict(list)
        for row in table.rows:
            if row.fault:
                self._refused.append(
                    (path, f"line {row.line}: {row.fault}; its text is in no recording")
                )
                continue
            match self._meant(row.file, below):
                case [one]:
                    meant[one].append(row)
                case []:
                    self._missing.append((path, row.file))
                case several:
                    text = f"line {row.line}: {row.file!r} may be {len(several)} recordings"
                    self._refused.append((path, f"{text}; give its path"))
        self._remarks += ((path, remark) for remark in table.remarks)
        self._keep(path, {one: self._agreed(path, one, rows) for one, rows in meant.items()})

    def _keep(self, path: Path, said: dict[Path, list[Row]]) -> None:
        """Rows of a table for recordings of which no nearer one, or one before it, spoke."""
        against: Counter[Path] = Counter()
        for recording, rows in said.items():
            if rows and recording not in self._said:
                self._said[recording], self._said_by[recording] = rows, path
            elif rows and _differ([*rows, *self._said[recording]]):
                against[self._said_by[recording]] += 1
        for kept, count in against.items():
            if kept.parent == path.parent:
                text = f"says otherwise of {count} recordings than {kept.name}, which is kept"
                self._remarks.append((path, text))

    def _agreed(self, path: Path, recording: Path, rows: list[Row]) -> list[Row]:
        """What rows of one table say of a recording: parts of it, one text, or nothing certain."""
        if _are_parts(rows) or not _differ(rows):
            return rows if _are_parts(rows) else rows[:1]
        lines = " and ".join(str(row.line) for row in rows[:2])
        text = f"lines {lines} say different things of {recording.name!r}; neither is taken"
        self._refused.append((path, text))
        return []

    def _knows(self, cell: str, below: Path) -> bool:
        """Whether a cell of a table in a folder names a recording."""
        return bool(self._named(cell, below) or self._at(normal(cell), below))

    def _at(self, file: str, below: Path) -> Path | None:
        """The recording at a path: an absolute one, or one from a folder or those above it."""
        if "/" not in file:
            return None  # a name alone means nothing that lies elsewhere
        top, folder = Path(os.path.abspath(self._top)), Path(os.path.abspath(below))  # noqa: PTH100
        above = (one for one in folder.parents if one == top or top in one.parents)
        for start in (folder, *above):
            place = os.path.normpath(f"{start}/{file}" if file[0] != "/" else file)
            if (found := self._by_place.get(_key(place))) is not None:
                return found
        return None

    def _named(self, cell: str, below: Path) -> list[Path]:
        """The recordings below a folder that have the name that a cell ends in."""
        name = _key(PurePosixPath(normal(cell)).name)
        return [path for path in self._by_name.get(name, ()) if below in path.parents]

    def _meant(self, file: str, below: Path) -> list[Path]:
        """The recordings that a row may mean: one, or as many as fit equally well."""
        if (at := self._at(file, below)) is not None:
            return [at]
        candidates = self._named(file, below)
        wanted = [_key(part) for part in reversed(PurePosixPath(file).parts[:-1])]

        def places(path: Path) -> tuple[bool, int]:
            have = [_key(part) for part in reversed(path.relative_to(below).parts[:-1])]
            shared = 0
            while shared < min(len(have), len(wanted)) and have[shared] == wanted[shared]:
                shared += 1
            return have == wanted, shared

        best = max(map(places, candidates), default=None)
        return [path for path in candidates if places(path) == best]


def _are_parts(rows: Iterable[Row]) -> bool:
    """Whether rows speak of parts; one row of all from 0 on is of the whole."""
    every = list(rows)
    return all(row.start_s is not None for row in every) and (
        len(every) > 1 or bool(every[0].start_s)
    )


def _differ(rows: list[Row]) -> bool:
    return len({row.text for row in rows}) > 1

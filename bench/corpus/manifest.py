"""The list of a corpus: which recordings it has and what is true of each.

Theory of operation
-------------------
A corpus is a folder with `manifest.toml` beside its recordings. The manifest is the only truth:
a recording that it does not list does not exist, and what it says about onset, offset and pauses
is what every latency is counted from. It is written by `bench corpus add` (or by the maker of a
shipped corpus), carries the version of its own format, and is hashed whole, so that a run can say
exactly which truth it used.

Reading a manifest opens no recording: that is for `bench.corpus.decode` and `check`.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

import msgspec

from bench.data_file import MIB, read_bytes, reading, text_of, toml_of
from bench.errors import CorpusError, UsageError, nearest
from bench.shelves import CORPORA, shelves

MANIFEST: Final = "manifest.toml"
FORMAT: Final = 1
_OPTIONAL: Final = frozenset({"pauses_ms", "language"})
_MOST_NAME: Final = 100  # bytes
NONSPEECH: Final = "nonspeech"
MOST_MANIFEST: Final = 16 * MIB
"""Forty thousand recordings."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recording as the manifest describes it.

    Times are ms from the start of the file. `onset_ms` and `offset_ms` bound the speech; both are
    None exactly when the tags hold `nonspeech`. `pauses_ms` are the silences of 200 ms or more
    inside the speech, as (start, end). `loudness` is the RMS in dBFS of the speech without its
    pauses, of the whole file when there is no speech. `snr_db` is set where noise was added.
    `language` is a tag as in "pt-BR", "" where nobody said.
    """

    id: str
    file: str
    text: str
    voice: str
    language: str = ""
    rate: int
    duration_ms: float
    onset_ms: float | None = None
    offset_ms: float | None = None
    pauses_ms: tuple[tuple[float, float], ...] = ()
    loudness: float
    tags: tuple[str, ...]
    snr_db: float | None = None
    licence: str
    sha256: str


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of recordings and its manifest. `sha256` is the hash of the manifest's bytes."""

    name: str
    folder: Path
    licence: str
    about: str
    entries: tuple[Entry, ...]
    sha256: str


class _Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of `manifest.toml`."""

    format: int
    name: str
    licence: str
    about: str
    utterance: tuple[dict[str, Any], ...] = ()


def load_corpus(folder: Path) -> Corpus:
    """The corpus in `folder`, its manifest read and validated; no recording is opened.

    Raises `CorpusError`, naming file, line where there is one, key and remedy.
    """
    path = folder / MANIFEST
    made = "make a corpus with `bench corpus add DIR`"
    with reading(path, CorpusError, "restore or correct it", missing=made):
        raw = read_bytes(path, MOST_MANIFEST)
        text = text_of(raw)
        table = toml_of(text)
    if table.get("format", FORMAT) != FORMAT:
        raise CorpusError(
            f"{path}: format: this version reads {FORMAT}, not {table['format']!r}; "
            "install the version of bench that wrote it"
        )
    manifest = _convert(table, _Manifest, str(path), ())
    headers = [n for n, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    headers += [0] * (len(manifest.utterance) - len(headers))  # inline tables have no header
    lines = text.splitlines()
    entries: list[Entry] = []
    for row, number in zip(manifest.utterance, headers, strict=False):
        where = f"{path}, line {number}" if number else str(path)
        entry = _convert(row, Entry, where, lines[number:] if number else ())
        _refuse_nonsense(entry, where)
        entries.append(entry)
    _refuse_twins(entries, path)
    return Corpus(
        name=manifest.name,
        folder=folder,
        licence=manifest.licence,
        about=manifest.about,
        entries=tuple(entries),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


_HEADER = re.compile(r"\s*\[\[\s*utterance\s*\]\]")
_Shape = TypeVar("_Shape", Entry, _Manifest)
_FIELD = re.compile(r"field `(\w+)`|at `\$\.(\w+)")


def _convert(
    table: dict[str, Any], shape: type[_Shape], where: str, lines: Iterable[str]
) -> _Shape:
    """`table` as a struct, or a `CorpusError` that names the key and the nearest valid one."""
    try:
        return msgspec.convert(table, shape)
    except msgspec.ValidationError as error:
        found = _FIELD.search(str(error))
        key = next((group for group in found.groups() if group), "") if found else ""
        valid = [field.name for field in msgspec.structs.fields(shape)]
        unknown = bool(key) and key not in valid
        remedy = f"; {nearest(key, valid)}" if unknown else "; correct it"
        raise CorpusError(f"{_at_key(where, key, lines)}: {error}{remedy}") from None


def _at_key(where: str, key: str, lines: Iterable[str]) -> str:
    """`where`, moved down from the table's header to the line of `key` if it stands there."""
    for distance, line in enumerate(lines, 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"\s*{re.escape(key)}\s*=", line):
            path, _, number = where.rpartition(" ")
            return f"{path} {int(number) + distance}"
    return where


def _refuse_nonsense(entry: Entry, where: str) -> None:
    """Raise if what `entry` says cannot be true of a recording."""
    about = f"{where}: {entry.id}"
    path = PurePosixPath(entry.file)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.file or not entry.file:
        raise CorpusError(f"{about}: file: {entry.file!r} must be a path inside the corpus folder")
    if entry.rate <= 0 or entry.duration_ms <= 0:
        raise CorpusError(f"{about}: rate, duration_ms: must be greater than 0")
    silent = NONSPEECH in entry.tags
    if (entry.onset_ms is None, entry.offset_ms is None) != (silent, silent):
        remedy = "remove onset_ms and offset_ms, or the tag" if silent else "give both, or the tag"
        raise CorpusError(f"{about}: onset_ms, offset_ms and the tag {NONSPEECH!r}: {remedy}")
    if entry.onset_ms is None or entry.offset_ms is None:
        return
    marks = [0.0, entry.onset_ms, *(t for pause in entry.pauses_ms for t in pause)]
    marks += [entry.offset_ms, entry.duration_ms]
    if marks != sorted(marks) or entry.onset_ms == entry.offset_ms:
        raise CorpusError(
            f"{about}: onset_ms, pauses_ms, offset_ms, duration_ms: must follow each other in time"
        )


def _refuse_twins(entries: Iterable[Entry], path: Path) -> None:
    """Raise if two entries share an id or a file."""
    for key in ("id", "file"):
        seen: set[str] = set()
        for entry in entries:
            word = getattr(entry, key)
            if word in seen:
                raise CorpusError(f"{path}: {key}: {word!r} is listed twice; rename or remove one")
            seen.add(word)


def manifest_text(*, name: str, licence: str, about: str, entries: Iterable[Entry]) -> str:
    """The text of `manifest.toml`: what `load_corpus` reads back as the same entries."""
    head = {"format": FORMAT, "name": name, "licence": licence, "about": about}
    tables = ["".join(f"{key} = {_toml(value)}\n" for key, value in head.items())]
    for entry in entries:
        rows = [
            f"{field} = {_toml(value)}\n"
            for field, value in msgspec.structs.asdict(entry).items()
            if value is not None and not (field in _OPTIONAL and not value)
        ]
        tables.append("[[utterance]]\n" + "".join(rows))
    return "\n".join(tables)


def _toml(value: object) -> str:
    """A TOML value: strings, numbers and nested sequences, which is all a manifest needs."""
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)


def check_name(name: str, said: str) -> None:
    """UsageError for a name that no corpus on a shelf may get; `said` is where it came from.

    A name is a folder of the shelf itself, it can be shown, and it is no option of a command.
    """
    size = len(name.encode("utf-8", "surrogateescape"))
    plain = name.isprintable() and name == name.strip() and not re.search(r"[/\\:]|^[.-]", name)
    if not plain or not 0 < size <= _MOST_NAME:
        other = re.sub(r"[^\w.-]+", "-", name)[:40].strip("-.") or "mine"
        raise UsageError(
            f"{said} {name!r}: is no name of a corpus; give one without '/', '\\', ':' and control "
            f"characters that begins with no '.' or '-', as in --name {other}"
        )


def corpora(near: Path = Path()) -> dict[str, Path]:
    """The corpora that come with this program and those in `audio_corpus/` of `near`, by name."""
    return {
        manifest.parent.name: manifest.parent
        for shelf in shelves(CORPORA, near)
        for manifest in sorted(shelf.glob(f"*/{MANIFEST}"))
    }


def find_corpus(name: str, near: Path = Path()) -> Path:
    """The folder of the corpus that `name` means: a name on a shelf, or a path to a folder.

    Raises `CorpusError` with the nearest valid name.
    """
    known = corpora(near)
    if name in known:
        return known[name]
    path = near / name
    if (path / MANIFEST).is_file():
        return path
    if path.is_dir():
        raise CorpusError(
            f"{path}: holds no {MANIFEST}; turn recordings into a corpus with "
            f"`bench corpus add {name}`"
        )
    raise CorpusError(
        f"corpus {name!r}: neither a folder nor a name in {CORPORA}/; {nearest(name, known)}"
    )

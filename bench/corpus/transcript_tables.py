"""Tables that say what is spoken in recordings, in the layouts that people have them in.

Theory of operation
-------------------
A table is rows of a file and a text, by whatever those columns are called (`_FILE`, `_TEXT`):
CSV and TSV with any delimiter, JSON lines (NeMo, audiofolder), a JSON list; lines of an id and
words (LibriSpeech's `.trans.txt`, Kaldi's `text` with `wav.scp`, `segments`, `utt2spk`). Where a
table of columns has no head (FLEURS, LJSpeech), the column whose cells name recordings is the
file's, and the next one is the text: that is assumed, and said.

A row may speak of a part of a recording only: from `start_s`, `length_s` long. A row that is not
to be trusted (a number out of bounds, a quote that is never closed) has a `fault`, and costs itself
alone.

What it refuses to know: which recording a row means. That is for `sources`.
"""

import csv
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.corpus.table_lines import first_lines, lines
from bench.corpus.table_numbers import NumberError, part, segment
from bench.corpus.transcript_text import UncertainTextError
from bench.data_file import DataError, json_of

Read = Callable[[Path], str]
Known = Callable[[str], bool]

_FILE: Final = (
    "file", "file_name", "filename", "path", "file_path", "filepath", "audio_filepath", "audio",
    "audio_file", "audio_path", "wav", "wav_path", "wav_filename", "clip", "recording",
)  # fmt: skip
_TEXT: Final = (
    "text", "transcript", "transcription", "sentence", "raw_transcription", "utterance", "words",
)  # fmt: skip
_VOICE: Final = ("voice", "speaker", "speaker_id", "client_id")
_LANGUAGE: Final = ("language", "locale", "lang")
_DELIMITERS: Final = "\t;|,"
_SAMPLE: Final = 50
_COLUMNS: Final = frozenset({".csv", ".tsv", ".tab", ".psv"})
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
KALDI: Final = "text"
_KALDI_PARTS: Final = frozenset({"wav.scp", "segments", "utt2spk"})


class NoTableError(Exception):
    """A file that says nothing of recordings, and why that is thought."""


class Row(NamedTuple):
    """What a table says of one recording, or of a part of it; `line` counts from 1.

    A `fault` is why the row is not to be trusted.
    """

    line: int
    file: str
    text: str
    tags: tuple[str, ...] = ()
    voice: str = ""
    language: str = ""
    start_s: float | None = None
    length_s: float | None = None
    fault: str = ""


class Table(NamedTuple):
    """The rows of a file, and what was assumed in reading them."""

    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def is_table(path: Path) -> bool:
    """Whether a file may be a table, by its name: it is read only then."""
    return path.suffix.lower() in _COLUMNS | _JSON | {".txt"} or path.name == KALDI


def is_part_of_table(path: Path) -> bool:
    """Whether a file is read with Kaldi's `text` beside it."""
    return path.name in _KALDI_PARTS and path.with_name(KALDI).is_file()


def read_table(path: Path, read: Read, known: Known) -> Table:
    """The rows of one table. `known` says whether a cell names a recording.

    NoTableError where it is none; UncertainTextError where its text cannot be read.
    """
    text = read(path)
    if path.name == KALDI:
        return Table(tuple(_kaldi(path, text, read)))
    if path.name.endswith(".trans.txt"):
        return Table(tuple(_words(text)))
    if path.suffix.lower() in _JSON:
        return _objects(text)
    try:
        return _columns(text, known)
    except csv.Error as error:
        raise UncertainTextError(f"is no table of columns ({error}); correct it") from None


def normal(word: str) -> str:
    """A name as it is compared: composed, with slashes, without blanks around it."""
    return unicodedata.normalize("NFC", word.strip().replace("\\", "/"))


def one_line(text: object) -> str:
    """A text on one line; "" for what is no text."""
    return " ".join(text.split()) if isinstance(text, str) else ""


# ── columns ──────────────────────────────────────────────────────────────────────────────────────


def _columns(text: str, known: Known) -> Table:
    text = text.removeprefix("\ufeff")
    said = ""
    if text[:4].lower() == "sep=" and text[4:5] not in {
        "",
        '"',
        "\r",
        "\n",
    }:  # what spreadsheets write for themselves
        said, text = text[4], "\n" + text.partition("\n")[2]
    parsed = {one: first_lines(text, one, _SAMPLE) for one in said or _DELIMITERS}
    parsed = {one: rows for one, rows in parsed.items() if rows and len(rows[0]) > 1}
    for delimiter, rows in parsed.items():
        heads = [_head(cell) for cell in rows[0]]
        if any(name in heads for name in _FILE) and not any(map(known, rows[0])):
            return _headed(text, delimiter, heads, known)
    for delimiter, rows in parsed.items():
        if (column := _file_column(rows, known)) is not None:
            return _headless(text, delimiter, column, rows, known)
    raise NoTableError("no column names a recording; call them file and text")


def _headed(text: str, delimiter: str, heads: list[str], known: Known) -> Table:
    spoken = next((name for name in _TEXT if name in heads), None)
    if spoken is None:
        raise NoTableError("no column holds a text; call it text")
    column = next(heads.index(name) for name in _FILE if name in heads)
    (_, *rest), about = lines(text, delimiter, column, known)
    rows = (
        _row(line.number, dict(zip(heads, line.cells, strict=False)), line.fault) for line in rest
    )
    return Table(tuple(row for row in rows if row.file), (about,) if about else ())


def _headless(
    text: str, delimiter: str, column: int, rows: Sequence[list[str]], known: Known
) -> Table:
    """Rows without heads that are known: the text is the column behind the file's."""
    width = len(rows[0])
    has_head = not known(rows[0][column]) and len(rows) > 1
    spoken = column + 1 if column + 1 < width else column - 1
    if has_head and width > 2:
        raise NoTableError(f"none of the columns {', '.join(rows[0])} is called text")
    name = f"its columns are not named: column {column + 1} is taken for the file, "
    every, about = lines(text, delimiter, column, known)
    found = tuple(
        Row(line, normal(cells[column]), one_line(cells[spoken]), fault=fault)
        for line, cells, fault in every[has_head:]
        if len(cells) > max(column, spoken)
    )
    said = (f"{name}column {spoken + 1} for the text", about)
    return Table(found, tuple(filter(None, said)))


def _file_column(rows: Sequence[list[str]], known: Known) -> int | None:
    """The last column that names a recording in half of its cells at least, or None.

    A number before it may be the name of one, too, without its ending.
    """
    for column in reversed(range(len(rows[0]))):
        cells = [row[column] for row in rows if len(row) > column]
        if 2 * sum(map(known, cells)) >= len(cells):
            return column
    return None


def _head(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_").replace("-", "_")


# ── objects ──────────────────────────────────────────────────────────────────────────────────────


def _objects(text: str) -> Table:
    """JSON lines, or one JSON list of objects."""
    try:
        whole = json_of(text)
        objects = list(enumerate(whole, 1)) if isinstance(whole, list) else [(1, whole)]
        bad: list[tuple[int, DataError]] = []
    except DataError:
        objects, bad = _lines_of_json(text)
    rows = [
        _row(line, {_head(key): value for key, value in one.items()})
        for line, one in objects
        if isinstance(one, dict)
    ]
    found = tuple(row for row in rows if row.file)
    if not found and bad:
        raise UncertainTextError(f"line {bad[0][0]}: {bad[0][1]}; correct it")
    if not found:
        raise NoTableError("no object has a file and a text")
    about = f"{len(bad)} lines are no JSON objects, first line {bad[0][0]}" if bad else ""
    return Table(found, (about,) if about else ())


def _lines_of_json(text: str) -> tuple[list[tuple[int, Any]], list[tuple[int, DataError]]]:
    objects, bad = [], []
    for line, one in enumerate(text.split("\n"), 1):
        if one.strip():
            try:
                objects.append((line, json_of(one)))
            except DataError as error:
                bad.append((line, error))
    return objects, bad


def _row(line: int, cells: dict[str, Any], fault: str = "") -> Row:
    file = _first(cells, _FILE)
    if isinstance(file, dict):  # audiofolder: {"path": …, "bytes": …}
        file = file.get("path")
    start: float | None = None
    length: float | None = None
    try:
        start, length = part(cells.get("offset"), cells.get("duration"))
    except NumberError as error:
        fault = fault or str(error)
    return Row(
        line,
        normal(file) if isinstance(file, str) else "",
        one_line(_first(cells, _TEXT)),
        tuple(str(cells.get("tags") or "").split()),
        one_line(_first(cells, _VOICE)),
        one_line(_first(cells, _LANGUAGE)),
        start,
        length,
        fault,
    )


def _first(cells: dict[str, Any], names: Iterable[str]) -> Any:
    return next((cells[name] for name in names if cells.get(name)), None)


# ── an id and words ──────────────────────────────────────────────────────────────────────────────


def _words(text: str) -> Iterator[Row]:
    for line, one in enumerate(text.splitlines(), 1):
        identity, _, words = one.strip().partition(" ")
        if identity:
            yield Row(line, normal(identity), one_line(words))


def _kaldi(path: Path, text: str, read: Read) -> Iterator[Row]:
    """The rows of a Kaldi folder: what an utterance is, where it lies, and who speaks."""

    def pairs(name: str) -> dict[str, str]:
        beside = path.with_name(name)
        lines = read(beside).splitlines() if beside.is_file() else []
        return {key: rest.strip() for key, _, rest in (one.partition(" ") for one in lines)}

    files, segments, speakers = pairs("wav.scp"), pairs("segments"), pairs("utt2spk")
    for row in _words(text):
        name, start, length, fault = row.file, None, None, ""
        if row.file in segments:
            name, *times = segments[row.file].split() or [row.file]
            try:
                start, length = segment(times)
            except NumberError as error:
                fault = f"the segment {row.file!r}: {error}"
        yield row._replace(
            file=normal(_of_command(files.get(name, name))),
            voice=speakers.get(row.file, ""),
            start_s=start,
            length_s=length,
            fault=fault,
        )


def _of_command(entry: str) -> str:
    """The file of an entry of wav.scp, which may be a command that ends in a pipe."""
    if not entry.endswith("|"):
        return entry
    words = [word for word in entry[:-1].split() if "." in word]
    return words[-1] if words else entry

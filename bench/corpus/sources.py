"""Recordings as people keep them: audio files in folders, with transcripts beside them.

Theory of operation
-------------------
A transcript is the `.txt` beside a recording, else the row of the nearest `transcripts.csv` in its
folder or above, up to the folder that was named. The table's columns are `file` (a path from the
table's folder, or just the name, with or without its suffix), `text` and, if wanted, `tags`
(words apart). A recording without a transcript has an empty text.

What it refuses to know: what the audio files hold.
"""

from pathlib import Path
from typing import Final, NamedTuple

from bench.corpus.check import AUDIO_SUFFIXES
from bench.data_file import MOST_TABLE, csv_of, read_bytes, reading
from bench.errors import CorpusError

TRANSCRIPTS: Final = "transcripts.csv"

# Found and refused with a reason, rather than passed over in silence.
_OTHER_AUDIO: Final = frozenset({".m4a", ".aac", ".wma", ".aiff", ".aif", ".opus", ".amr", ".webm"})


class Remark(NamedTuple):
    """What a transcript says of a recording."""

    text: str = ""
    tags: tuple[str, ...] = ()


class Source(NamedTuple):
    """A recording as it was found: its path, its path inside the source folder, its transcript."""

    path: Path
    name: Path
    text: str
    tags: tuple[str, ...]


_Table = dict[str, Remark]


def find_sources(source_dir: Path, *, besides: Path) -> list[Source]:
    """All recordings under `source_dir` in order of their names, those under `besides` left out."""
    if not source_dir.is_dir():
        raise CorpusError(f"{source_dir}: is no folder; name one that holds recordings")
    own = besides.resolve()
    if own == source_dir.resolve():
        raise CorpusError(f"{source_dir}: is the corpus itself; name another folder to add from")
    known = AUDIO_SUFFIXES | _OTHER_AUDIO
    tables: dict[Path, _Table] = {}
    sources = []
    for path in sorted(source_dir.rglob("*")):
        if path.suffix.lower() not in known or not path.is_file() or own in path.resolve().parents:
            continue
        name = path.relative_to(source_dir)
        text, tags = _transcript(path, source_dir, tables)
        sources.append(Source(path, name, text, tags))
    return sources


def _transcript(path: Path, top: Path, tables: dict[Path, _Table]) -> Remark:
    """What is said of a recording: by the `.txt` beside it, then by the nearest table above."""
    beside = path.with_suffix(".txt")
    text = ""
    if beside.is_file():
        text = _one_line(_read_text(beside))
    for folder in (path.parent, *path.parent.parents):
        if folder not in tables:
            tables[folder] = _read_table(folder / TRANSCRIPTS)
        for key in (path.relative_to(folder).as_posix(), path.name, path.stem):
            if remark := tables[folder].get(key):
                return Remark(text or remark.text, remark.tags)
        if folder == top:
            break
    return Remark(text)


def _read_table(path: Path) -> _Table:
    """Remarks by file, from one `transcripts.csv`; empty if there is none."""
    if not path.is_file():
        return {}
    with reading(path, CorpusError, "restore or remove it"):
        rows = csv_of(_read_text(path))
    head, *rows = rows
    if missing := {"file", "text"} - head.keys():
        raise CorpusError(
            f"{path}: column {min(missing)!r} is missing; its first line must be file,text"
        )
    return {
        row["file"].strip().replace("\\", "/"): Remark(
            _one_line(row["text"]), tuple(row.get("tags", "").split())
        )
        for row in rows
    }


def _read_text(path: Path) -> str:
    """What stands in a text file, as far as it is UTF-8. CorpusError where it cannot be read."""
    with reading(path, CorpusError, "restore or remove it"):
        return read_bytes(path, MOST_TABLE).decode("utf-8-sig", "replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())

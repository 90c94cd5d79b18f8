"""Recordings as people keep them: audio files in folders, with transcripts beside them.

Theory of operation
-------------------
A transcript is the `.txt` beside a recording, else the row of the nearest `transcripts.csv` in its
folder or above, up to the folder that was named. The table's columns are `file` (a path from the
table's folder, or just the name, with or without its suffix), `text` and, if wanted, `tags`
(words apart). A recording without a transcript has an empty text.

What it refuses to know: what the audio files hold.
"""

import csv
from pathlib import Path
from typing import Final, NamedTuple

from bench.corpus.check import AUDIO_SUFFIXES
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
        text = _one_line(beside.read_text(encoding="utf-8-sig", errors="replace"))
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
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        missing = {"file", "text"} - set(rows.fieldnames or ())
        if missing:
            raise CorpusError(
                f"{path}: column {min(missing)!r} is missing; its first line must be file,text"
            )
        return {
            (row["file"] or "").strip().replace("\\", "/"): Remark(
                _one_line(row["text"] or ""), tuple((row.get("tags") or "").split())
            )
            for row in rows
        }


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""The verbs `corpus add` and `corpus remove`: recordings come into a corpus, and go."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bench.cli.console import out, print_json, say, talk
from bench.cli.corpus_verbs import CorpusAddOptions, CorpusRemoveOptions
from bench.corpus.manifest import check_name, find_corpus
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.corpus.add import AddResult

_MOST_LINES: Final = 20


def add_verb(options: CorpusAddOptions) -> int:
    """Add with a progress bar; 2 where nothing could be added."""
    from bench.corpus.add import Handling, add  # noqa: PLC0415 - decoders are slow to import

    to = options.to / _name(options)
    handling = Handling(
        licence=options.licence,
        channel=options.channel,
        trim=options.trim,
        split=options.split,
        language=options.language,
        encoding=options.encoding,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=talk) as progress:
        bar = progress.add_task("annotating", total=None)

        def on_progress(done: int, total: int, _path: Path) -> None:
            progress.update(bar, completed=done, total=total)

        result = add(options.folder, to, handling, on_progress=on_progress)
    if options.as_json:
        print_json(_document(result, to))
    else:
        _print(result, options.folder, to)
    return 0 if result.added or result.filled else 2


def _name(options: CorpusAddOptions) -> str:
    """What the corpus is called; UsageError where that is no plain word."""
    if options.name is not None:
        check_name(options.name, "--name")
        return options.name
    own = unicodedata.normalize("NFC", Path(os.path.realpath(options.folder)).name)
    check_name(own, f"{options.folder}: its own name")
    return own


def _print(result: "AddResult", source: Path, to: Path) -> None:
    """A line for each thing that is to be known, and in the end what it comes to."""
    _print_lines("note", result.remarks, source)
    _print_lines("unread", result.unread, source)
    for table, count in Counter(table for table, _ in result.missing).items():
        first = next(file for one, file in result.missing if one == table)
        text = f"{count} rows name no recording that is here, the first {first!r}"
        _print_lines("missing", [(table, text)], source)
    _print_lines("refused", result.refused, source)
    added = result.added
    about = ""
    if added:
        seconds = sum(entry.duration_ms for entry in added) / 1000
        voices = len({entry.voice for entry in added if entry.voice})
        texts = sum(bool(entry.text) for entry in added)
        about = f": {seconds:.1f} s, {voices} voices, {texts} with a transcript"
    say(out, f"added    {len(added)} utterances to {to}{about}")
    if result.filled:
        say(out, f"filled   {len(result.filled)} utterances with a transcript")
    say(
        out,
        f"others   {len(result.refused)} refused, {len(result.unread)} not looked at, "
        f"{len(result.missing)} rows without a file, {len(result.remarks)} notes",
    )


def _print_lines(word: str, rows: Sequence[tuple[Path, str]], source: Path) -> None:
    for path, text in rows[:_MOST_LINES]:
        say(out, f"{word:8} {_inside(path, source)}: {text}")
    if len(rows) > _MOST_LINES:
        say(out, f"{word:8} and {len(rows) - _MOST_LINES} more; --json has them all")


def _inside(path: Path, source: Path) -> str:
    """A path inside the source folder, as text that can be printed."""
    return str(path.relative_to(source)).encode("utf-8", "replace").decode()


def _document(result: "AddResult", to: Path) -> dict[str, Any]:
    def rows(pairs: Iterable[tuple[Path, str]]) -> list[dict[str, str]]:
        named = ((str(path).encode("utf-8", "replace").decode(), text) for path, text in pairs)
        return [{"file": file, "text": text} for file, text in named]

    return {
        "corpus": str(to),
        "added": [
            {
                "id": entry.id,
                "duration_ms": entry.duration_ms,
                "voice": entry.voice,
                "language": entry.language,
                "text": entry.text,
            }
            for entry in result.added
        ],
        "filled": list(result.filled),
        "refused": rows(result.refused),
        "unread": rows(result.unread),
        "notes": rows(result.remarks),
        "rows_without_file": rows(result.missing),
    }


def remove_verb(options: CorpusRemoveOptions) -> None:
    """What is gone, and what stays in the folder because it is not of the corpus."""
    from bench.corpus.removal import remove_corpus, remove_utterances  # noqa: PLC0415 - as above

    folder = find_corpus(options.name)
    if options.ids:
        removal = remove_utterances(folder, options.ids)
    elif options.yes:
        removal = remove_corpus(folder)
    else:
        raise UsageError(f"{folder}: name the utterances to remove, or say --yes for all of them")
    seconds = sum(entry.duration_ms for entry in removal.removed) / 1000
    say(out, f"removed  {len(removal.removed)} utterances, {seconds:.1f} s, from {folder}")
    if removal.left:
        say(out, f"kept     {len(removal.left)} files that are not of the corpus, in {folder}")

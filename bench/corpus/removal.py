"""Utterances, or a whole corpus, taken away."""

from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from bench.corpus.manifest import MANIFEST, Entry, load_corpus, manifest_text
from bench.corpus.workshop import take_place, workshop, writing
from bench.errors import CorpusError, nearest

_OURS: Final = (MANIFEST, "LICENSE")


class Removal(NamedTuple):
    """The entries that are gone, and files that are not of the corpus and stay in its folder."""

    removed: tuple[Entry, ...]
    left: tuple[Path, ...] = ()


def remove_utterances(folder: Path, ids: Collection[str]) -> Removal:
    """Take the utterances `ids` out of the corpus in `folder`, with their recordings.

    Raises `CorpusError` for an id that it does not have, and where none would be left; then
    nothing is changed.
    """
    corpus = load_corpus(folder)
    known = {entry.id for entry in corpus.entries}
    for one in ids:
        if one not in known:
            about = nearest(one, known, listed=5)
            raise CorpusError(f"{folder}: has no utterance {one!r}; {about}")
    gone = tuple(entry for entry in corpus.entries if entry.id in ids)
    kept = [entry for entry in corpus.entries if entry.id not in ids]
    if not kept:
        raise CorpusError(
            f"{folder}: no utterance would be left; remove the whole corpus, by naming none"
        )
    with workshop(folder) as made:
        for entry in gone:
            (made / entry.file).unlink(missing_ok=True)
        text = manifest_text(
            name=corpus.name, licence=corpus.licence, about=corpus.about, entries=kept
        )
        (made / MANIFEST).write_text(text, encoding="utf-8")
        take_place(made, folder)
    return Removal(gone)


def remove_corpus(folder: Path) -> Removal:
    """Remove the corpus in `folder`: what its manifest lists, and the folder if that is all."""
    corpus = load_corpus(folder)
    with writing(folder):
        for name in (*(entry.file for entry in corpus.entries), *_OURS):
            (folder / name).unlink(missing_ok=True)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        left = tuple(path for path in sorted(folder.rglob("*")) if not path.is_dir())
        if not left:
            folder.rmdir()
    return Removal(corpus.entries, left)

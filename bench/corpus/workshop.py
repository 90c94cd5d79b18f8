"""A corpus while it is changed: a copy beside it that takes its place in one rename.

A corpus is never half-written, whatever stops the work.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.corpus.manifest import MANIFEST
from bench.errors import CorpusError


@contextmanager
def workshop(corpus_dir: Path) -> Iterator[Path]:
    """A folder beside the corpus with a copy of what it holds; gone afterwards unless it moved.

    `CorpusError` where it cannot be made or, while it is worked in, be written: a full disk.
    """
    with writing(corpus_dir):
        target = Path(os.path.realpath(corpus_dir))
        if target.exists() and not (target / MANIFEST).is_file() and any(target.iterdir()):
            raise CorpusError(
                f"{corpus_dir}: holds other things than a corpus; name another folder"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        bench_made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            made = bench_made / "new"
            if target.exists():
                _copy(target, made)
            else:
                made.mkdir()
            yield made
        finally:
            shutil.rmtree(bench_made, ignore_errors=True)


class _CopyError(Exception):
    """Of copying one file: unlike an OSError it ends the copying of all."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _copy(folder: Path, made: Path) -> None:
    """Copy a folder; OSError with the reason of the first file that cannot be."""

    def copied(one: str, to: str) -> str:
        try:
            return shutil.copy2(one, to)
        except OSError as error:
            raise _CopyError(error) from None

    try:
        shutil.copytree(folder, made, copy_function=copied)
    except _CopyError as error:
        raise error.error from None


@contextmanager
def writing(corpus_dir: Path) -> Iterator[None]:
    """Say in one line that a corpus cannot be written, and what to do."""
    try:
        yield
    except BrokenPipeError:  # whoever read what is said went away
        raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "make room there, or name another folder" if full else "name another folder"
        why = error.strerror or error
        raise CorpusError(f"{corpus_dir}: cannot be written ({why}); {remedy}") from None


def take_place(made: Path, corpus_dir: Path) -> None:
    """Put the finished folder where the corpus belongs; the old one stays until it is there."""
    target, old = Path(os.path.realpath(corpus_dir)), made.parent / "old"
    try:
        if target.exists():
            target.replace(old)
        made.replace(target)
    except BaseException:  # an interrupt between the two would lose the corpus
        if old.exists():
            old.replace(target)
        raise

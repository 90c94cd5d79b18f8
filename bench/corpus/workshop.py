"""A corpus while it is changed: a copy beside it that takes its place in one rename.

A corpus is never half-written, whatever stops the work.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.corpus.manifest import MANIFEST
from bench.errors import CorpusError


@contextmanager
def workshop(corpus_dir: Path) -> Iterator[Path]:
    """A folder beside the corpus with a copy of what it holds; gone afterwards unless it moved."""
    target = corpus_dir.resolve()
    if target.exists() and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise CorpusError(f"{corpus_dir}: holds other things than a corpus; name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        bench_made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise CorpusError(
            f"{corpus_dir}: cannot be written ({error.strerror}); name another folder"
        ) from None
    try:
        made = bench_made / "new"
        if target.exists():
            shutil.copytree(target, made)
        else:
            made.mkdir()
        yield made
    finally:
        shutil.rmtree(bench_made, ignore_errors=True)


def take_place(made: Path, corpus_dir: Path) -> None:
    """Put the finished folder where the corpus belongs; the old one stays until it is there."""
    target, old = corpus_dir.resolve(), made.parent / "old"
    try:
        if target.exists():
            target.replace(old)
        made.replace(target)
    except BaseException:  # an interrupt between the two would lose the corpus
        if old.exists():
            old.replace(target)
        raise

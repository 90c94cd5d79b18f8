"""What the corpus tests share: the shipped corpus, and a small one that a test may break."""

import shutil
from pathlib import Path

import pytest

from bench.corpus.manifest import MANIFEST, Corpus, load_corpus, manifest_text

SHIPPED = Path(__file__).resolve().parents[2] / "audio_corpus" / "everyday"


@pytest.fixture(scope="session")
def everyday() -> Corpus:
    return load_corpus(SHIPPED)


@pytest.fixture
def small(everyday: Corpus, tmp_path: Path) -> Path:
    """A sound corpus of three entries: one short, one with a pause, one without speech."""
    folder = tmp_path / "small"
    folder.mkdir()
    wanted = ("short-yes", "pause-date", "nonspeech-cough")
    entries = [entry for entry in everyday.entries if entry.id in wanted]
    for entry in entries:
        shutil.copy(everyday.folder / entry.file, folder)
    text = manifest_text(name="small", licence="CC0-1.0", about="For a test.", entries=entries)
    (folder / MANIFEST).write_text(text)
    return folder

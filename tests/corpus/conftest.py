"""What the corpus tests share: the shipped corpus, and a small one that a test may break."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.corpus.decode import read_samples, resample
from bench.corpus.manifest import MANIFEST, Corpus, load_corpus, manifest_text
from bench.corpus.recording import survey

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


@pytest.fixture
def speech(everyday):
    """A recording of speech at any rate, cut from the shipped corpus."""

    def recorded(name: str = "short-yes", rate: int = 16_000) -> np.ndarray:
        path = everyday.folder / f"{name}.flac"
        samples, own = read_samples(path.read_bytes(), path)
        return resample(samples, own, rate)

    return recorded


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


@pytest.fixture
def known(tmp_path):
    """A function: the bytes of a recording ▶ what is known of it before it is decoded."""

    def look(raw):
        path = tmp_path / "recording"
        path.write_bytes(raw)
        return survey(path, 600)

    return look

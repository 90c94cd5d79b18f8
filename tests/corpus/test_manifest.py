from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus.manifest import MANIFEST, Entry, find_corpus, load_corpus, manifest_text
from bench.errors import CorpusError

WORDS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
MS = st.floats(0, 1e6).map(lambda value: round(value, 3))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    marks = sorted(draw(st.sets(MS, min_size=5, max_size=5)))
    return Entry(
        id=draw(WORDS),
        file=f"{draw(st.integers(0, 999))}.flac",
        text=draw(WORDS),
        voice=draw(WORDS),
        rate=draw(st.integers(8000, 48_000)),
        duration_ms=marks[4],
        onset_ms=marks[0],
        offset_ms=marks[3],
        pauses_ms=draw(st.sampled_from([(), ((marks[1], marks[2]),)])),
        loudness=draw(st.floats(-90, 0)),
        tags=tuple(draw(st.lists(WORDS.filter(lambda tag: tag != "nonspeech"), max_size=3))),
        snr_db=draw(st.none() | st.floats(0, 40)),
        licence=draw(WORDS),
        sha256="0" * 64,
    )


@given(st.lists(entries(), max_size=3, unique_by=(lambda e: e.id, lambda e: e.file)), WORDS)
def test_what_is_written_is_read_back(tmp_path_factory, listed, about):
    folder = tmp_path_factory.mktemp("corpus")
    text = manifest_text(name="n", licence="l", about=about, entries=listed)
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="")
    corpus = load_corpus(folder)
    assert corpus.entries == tuple(listed)
    assert corpus.about == about


def broken(folder: Path, old: str, new: str) -> str:
    """The error that replacing `old` by `new` in the manifest leads to."""
    path = folder / MANIFEST
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CorpusError) as caught:
        load_corpus(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(small):
    message = broken(small, "onset_ms", "onsett_ms")
    number = 1 + (small / MANIFEST).read_text().splitlines().index(
        next(x for x in (small / MANIFEST).read_text().splitlines() if "onsett_ms" in x)
    )
    assert f"line {number}:" in message
    assert "'onset_ms'" in message


def test_a_missing_key_is_named_with_the_line_of_its_table(small):
    message = broken(small, 'voice = "flite-slt"\n', "")
    assert "line " in message
    assert "voice" in message


def test_a_value_of_the_wrong_type_is_named_with_its_line(small):
    message = broken(small, "rate = 16000", 'rate = "fast"')
    lines = (small / MANIFEST).read_text().splitlines()
    number = lines.index('rate = "fast"') + 1
    assert f"line {number}:" in message


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('id = "short-yes"', 'id = "pause-date"', "'pause-date' is listed twice"),
        ('file = "short-yes.flac"', 'file = "pause-date.flac"', "listed twice"),
        ('file = "short-yes.flac"', 'file = "../short-yes.flac"', "inside the corpus folder"),
        ('file = "short-yes.flac"', 'file = "/short-yes.flac"', "inside the corpus folder"),
        ('tags = ["short"]', 'tags = ["nonspeech"]', "remove onset_ms and offset_ms"),
        ('tags = ["nonspeech"]', 'tags = ["plain"]', "give both"),
        ("onset_ms = ", "onset_ms = 9", "must follow each other in time"),
        ("rate = 16000", "rate = 0", "greater than 0"),
        ("format = 1", "format = 2", "this version reads 1, not 2"),
        ("format = 1", "", "format"),
        ('name = "small"', 'naem = "small"', "'name'"),
        ('name = "small"', "name = small", "no TOML"),
    ],
)
def test_nonsense_is_refused_in_one_line(small, old, new, word):
    assert word in broken(small, old, new)


def test_a_manifest_that_is_not_there_or_not_text_is_an_error(small, tmp_path):
    with pytest.raises(CorpusError, match="bench corpus add"):
        load_corpus(tmp_path)
    (small / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="UTF-8"):
        load_corpus(small)


def test_the_hash_is_that_of_the_manifest(small):
    before = load_corpus(small).sha256
    with (small / MANIFEST).open("a") as file:
        file.write("# a word\n")
    assert load_corpus(small).sha256 != before


def test_a_name_is_found_on_the_shelf_beside_us_before_the_checkouts(small, tmp_path, everyday):
    assert find_corpus("everyday", tmp_path) == everyday.folder
    shelf = tmp_path / "audio_corpus"
    shelf.mkdir()
    own = small.rename(shelf / "everyday")
    assert find_corpus("everyday", tmp_path) == own


def test_a_path_to_a_corpus_is_taken_as_it_is(small, tmp_path):
    assert find_corpus(str(small)) == small
    assert find_corpus("small", tmp_path) == small


def test_an_unknown_name_is_an_error_with_the_nearest_one(tmp_path):
    with pytest.raises(CorpusError, match="'everyday'"):
        find_corpus("evreyday", tmp_path)


def test_a_folder_without_a_manifest_is_an_error_with_the_remedy(tmp_path):
    (tmp_path / "wavs").mkdir()
    with pytest.raises(CorpusError, match="bench corpus add wavs"):
        find_corpus("wavs", tmp_path)

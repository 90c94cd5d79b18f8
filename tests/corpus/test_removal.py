import pytest

from bench.corpus.check import check
from bench.corpus.manifest import load_corpus
from bench.corpus.removal import remove_corpus, remove_utterances
from bench.errors import CorpusError


def test_an_utterance_is_removed_with_its_recording_and_the_rest_stays_sound(small):
    before = load_corpus(small).entries
    removal = remove_utterances(small, ["short-yes"])
    assert [entry.id for entry in removal.removed] == ["short-yes"]
    assert load_corpus(small).entries == tuple(one for one in before if one.id != "short-yes")
    assert not (small / "short-yes.flac").exists()
    assert check(small) == []


@pytest.mark.parametrize(
    ("ids", "word"),
    [
        (["short-yes", "short-yse"], "did you mean 'short-yes'"),
        (["short-yes", "pause-date", "nonspeech-cough"], "no utterance would be left"),
    ],
)
def test_what_cannot_be_removed_changes_nothing(small, ids, word):
    before = {path: path.read_bytes() for path in small.iterdir()}
    with pytest.raises(CorpusError, match=word):
        remove_utterances(small, ids)
    assert {path: path.read_bytes() for path in small.iterdir()} == before


def test_a_whole_corpus_is_removed_and_what_is_not_of_it_stays(small):
    (small / "LICENSE").write_text("mine")
    (small / "notes").mkdir()
    (small / "notes" / "thesis.txt").write_text("years of work")
    removal = remove_corpus(small)
    assert len(removal.removed) == 3
    assert [path for path in small.rglob("*") if path.is_file()] == list(removal.left)
    assert [path.name for path in removal.left] == ["thesis.txt"]


def test_of_a_corpus_alone_nothing_stays(small):
    (small / "empty").mkdir()
    assert remove_corpus(small).left == ()
    assert not small.exists()

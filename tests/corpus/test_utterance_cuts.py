"""Calls cut up and silence cut off: the truth of a piece is where its speech was put."""

import numpy as np
import pytest
import soundfile

from bench.corpus.add import Handling, add
from bench.corpus.check import check
from bench.corpus.decode import read_samples
from bench.corpus.manifest import load_corpus

RATE = 16_000
TOLERANCE_MS = 3


@pytest.fixture
def call(everyday, speech):
    """(samples of a call, [(onset, offset) in ms of each utterance]): `gaps_s` before each."""

    def made(names, gaps_s, tail_s=1.0, rate=RATE):
        by_id = {entry.id: entry for entry in everyday.entries}
        parts, marks, at = [], [], 0
        for name, gap in zip(names, gaps_s, strict=True):
            said = speech(name, rate)
            parts += [np.zeros(round(gap * rate), np.int16), said]
            at += len(parts[-2])
            entry = by_id[name]
            marks.append((at * 1000 / rate + entry.onset_ms, at * 1000 / rate + entry.offset_ms))
            at += len(said)
        return np.concatenate([*parts, np.zeros(round(tail_s * rate), np.int16)]), marks

    return made


@pytest.fixture
def added(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()

    def become(samples, rate=RATE, text="", **handling):
        soundfile.write(folder / "call.wav", samples, rate)
        if text:
            (folder / "call.txt").write_text(text)
        result = add(folder, tmp_path / "corpus", Handling(**handling))
        if result.added:
            assert check(tmp_path / "corpus") == []
        return result

    return become


def place_of(piece, whole):
    """Frame at which the samples of a piece stand in the whole."""
    loud = int(np.argmax(np.abs(piece.astype(int))))
    for at in np.flatnonzero(whole == piece[loud]) - loud:
        if at >= 0 and np.array_equal(whole[at : at + len(piece)], piece):
            return int(at)
    raise AssertionError("a piece is not of the call")


def truths(result, corpus, whole, rate=RATE):
    """Onset and offset of each entry in ms of the whole call, by where its samples stand there."""
    found = []
    for entry in result.added:
        path = corpus / entry.file
        at = place_of(read_samples(path.read_bytes(), path)[0], whole) * 1000 / rate
        found.append((at + entry.onset_ms, at + entry.offset_ms))
    return found


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("trim", [False, True])
def test_a_call_becomes_utterances_whose_speech_is_where_it_was(call, added, tmp_path, rate, trim):
    names = ("short-tuesday", "digits-card", "short-okay")
    whole, marks = call(names, (1.3, 2.0, 1.0), rate=rate)
    result = added(whole, rate, split=True, trim=trim)
    assert [entry.id for entry in result.added] == ["call-001", "call-002", "call-003"]
    found = truths(result, tmp_path / "corpus", whole, rate)
    for mine, true in zip(found, marks, strict=True):
        assert mine == pytest.approx(true, abs=TOLERANCE_MS)
    if trim:
        for entry in result.added:
            assert entry.onset_ms <= 202
            assert entry.duration_ms - entry.offset_ms <= 202
    assert "cut into 3 utterances" in result.remarks[0][1]


def test_no_silence_shorter_than_the_gap_cuts_a_sentence(call, added):
    whole, _ = call(("short-tuesday", "short-okay"), (0.5, 0.1), tail_s=0.5)
    result = added(whole, split=True, text="Tuesday. Okay.")
    assert [(entry.id, entry.text) for entry in result.added] == [("call", "Tuesday. Okay.")]


def test_a_transcript_of_the_whole_is_of_no_part_and_that_is_said(call, added):
    whole, _ = call(("short-tuesday", "short-okay"), (0.5, 2.0))
    result = added(whole, split=True, text="Tuesday. Okay.")
    assert [entry.text for entry in result.added] == ["", ""]
    assert any("the parts have none" in text for _, text in result.remarks)


def test_trimming_moves_the_marks_by_what_was_cut_and_says_it(call, added, tmp_path):
    whole, marks = call(("pause-date",), (2.5,), tail_s=3.0)
    plain = added(whole).added[0]
    result = added(whole, trim=True)
    (mine,) = truths(result, tmp_path / "corpus", whole)
    assert mine == pytest.approx(marks[0], abs=TOLERANCE_MS)
    (entry,) = result.added
    assert entry.onset_ms == pytest.approx(200, abs=2)
    shift = plain.onset_ms - entry.onset_ms
    assert [a + shift for a, _ in entry.pauses_ms] == pytest.approx(
        [a for a, _ in plain.pauses_ms], abs=2
    )
    said = float(result.remarks[0][1].partition(" s before")[0])
    assert said == pytest.approx(shift / 1000, abs=0.01)


def test_a_short_utterance_in_minutes_of_silence_is_kept_by_trimming_alone(call, added, tmp_path):
    whole, marks = call(("digits-card",), (70.0,), tail_s=4.0)
    assert "too long" in added(whole).refused[0][1]
    result = added(whole, trim=True)
    (mine,) = truths(result, tmp_path / "corpus", whole)
    assert mine == pytest.approx(marks[0], abs=TOLERANCE_MS)
    assert any("the rest is silence" in text for _, text in result.remarks)


def test_speech_without_a_gap_is_cut_at_the_widest_pauses_under_a_minute(call, added, tmp_path):
    names = ("long-hotel", "long-move", "long-router") * 3
    gaps = [0.1] * len(names)
    whole, _ = call(names, gaps)
    result = added(whole, split=True)
    assert len(result.added) > 1
    assert all(entry.duration_ms <= 60_000 for entry in result.added)
    spoken = sum(entry.duration_ms for entry in result.added)
    assert spoken > 0.95 * len(whole) / RATE * 1000 - 2_000
    assert load_corpus(tmp_path / "corpus").entries == result.added

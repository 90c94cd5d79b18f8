import os
import re

import pytest
import soundfile

from bench.corpus.check import check
from bench.corpus.manifest import MANIFEST
from bench.errors import CorpusError


def edit(folder, pattern: str, new: str) -> None:
    path = folder / MANIFEST
    text, count = re.subn(pattern, new, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)


def only(folder):
    (problem,) = check(folder)
    return problem


def test_a_sound_corpus_has_no_problem(small):
    assert check(small) == []


def test_a_missing_recording_is_a_problem(small):
    (small / "short-yes.flac").unlink()
    problem = only(small)
    assert problem.file == "short-yes.flac"
    assert "is missing" in problem.text


def test_a_renamed_recording_is_recognised_by_its_bytes(small):
    (small / "short-yes.flac").rename(small / "yes.flac")
    problem = only(small)
    assert problem.file == "short-yes.flac"
    assert "renamed to 'yes.flac'" in problem.text


def test_a_recording_that_is_not_listed_is_a_problem(small):
    soundfile.write(small / "stray.wav", [0.0] * 100, 16_000)
    problem = only(small)
    assert problem.file == "stray.wav"
    assert "not listed" in problem.text


def test_a_stray_that_is_no_recording_at_all_is_named_and_not_waited_for(small):
    os.mkfifo(small / "stray.wav")
    (small / "folder.mp3").mkdir()
    assert sorted(problem.file for problem in check(small)) == ["folder.mp3", "stray.wav"]


def test_another_recording_under_the_name_is_a_problem_of_the_hash(small):
    samples, rate = soundfile.read(small / "short-yes.flac", dtype="int16")
    soundfile.write(small / "short-yes.flac", samples // 2, rate)
    assert only(small).key == "sha256"


@pytest.mark.parametrize(("kept", "word"), [(3000, "cut short"), (0, "not audio")])
def test_a_damaged_recording_is_a_problem(small, kept, word):
    path = small / "short-yes.flac"
    path.write_bytes(path.read_bytes()[:kept])
    assert word in only(small).text


@pytest.mark.parametrize(
    ("pattern", "new", "key"),
    [
        (r"rate = 16000", "rate = 24000", "rate"),
        (r"duration_ms = (\d+)", r"duration_ms = 1\1", "duration_ms"),
        (r"onset_ms = \d+", "onset_ms = 5", "onset_ms"),
        (r"pauses_ms = .*", "", "pauses_ms"),
        (r"pauses_ms = \[\[(\d)\d\d", r"pauses_ms = [[\g<1>30", "pauses_ms"),
        (r"loudness = -", "loudness = -1", "loudness"),
        (r"onset_ms.*\noffset_ms.*\n(.*\n)tags = .*", r'\1tags = ["nonspeech"]', "tags"),
    ],
)
def test_a_manifest_that_says_what_is_not_so_is_a_problem_of_that_key(small, pattern, new, key):
    edit(small, pattern, new)
    assert only(small).key == key


def test_an_onset_within_the_tolerance_is_no_problem(small):
    onset = float(re.search(r"onset_ms = (\d+)", (small / MANIFEST).read_text())[1])
    edit(small, r"onset_ms = \d+", f"onset_ms = {onset + 9:g}")
    assert check(small) == []
    edit(small, r"onset_ms = \d+", f"onset_ms = {onset + 11:g}")
    assert only(small).key == "onset_ms"


def test_speech_that_is_not_there_is_a_problem(small):
    edit(small, r'tags = \["nonspeech"\]', 'onset_ms = 100\noffset_ms = 300\ntags = ["plain"]')
    assert "no speech was found" in only(small).text


def test_a_corpus_without_a_manifest_is_an_error(tmp_path):
    with pytest.raises(CorpusError):
        check(tmp_path)

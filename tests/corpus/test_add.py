import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.corpus.add import Handling, add
from bench.corpus.annotate import annotate
from bench.corpus.check import check
from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.corpus.recording import survey
from bench.errors import CorpusError
from bench.voice.audio import PCM16_24K


def made(source, corpus, **more):
    return add(source, corpus, Handling(licence="CC0-1.0"), **more)


def test_recordings_of_every_kind_become_a_sound_corpus(source, tmp_path, speech):
    (source / "anna" / "calls").mkdir(parents=True)
    soundfile.write(source / "Yes.WAV", speech(rate=8_000), 8_000)
    soundfile.write(source / "anna" / "no.flac", speech("short-no", 44_100), 44_100)
    stereo = np.column_stack([speech("short-tuesday", 48_000)] * 2)
    soundfile.write(source / "anna" / "calls" / "day.ogg", stereo, 48_000)
    loud = speech("digits-card", 22_050).astype(np.float32) / 32_768
    soundfile.write(source / "anna" / "calls" / "card.mp3", loud, 22_050)
    soundfile.write(source / "fast.wav", speech("short-okay", 96_000), 96_000)
    corpus = tmp_path / "corpus"
    result = made(source, corpus)
    assert result.refused == ()
    assert check(corpus) == []
    loaded = load_corpus(corpus)
    assert loaded.entries == result.added
    assert (loaded.name, loaded.licence) == ("corpus", "CC0-1.0")
    by_id = {entry.id: entry for entry in loaded.entries}
    assert {i: (e.rate, e.voice) for i, e in by_id.items()} == {
        "yes": (8_000, ""),
        "anna-no": (44_100, "anna"),
        "anna-calls-day": (48_000, "anna/calls"),
        "anna-calls-card": (22_050, "anna/calls"),
        "fast": (48_000, ""),
    }
    assert len(load_utterances(loaded, loaded.entries, PCM16_24K)) == 5
    assert by_id["yes"].tags == ("short",)


def test_the_truth_of_an_added_recording_is_that_of_its_samples(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech("pause-date"), 16_000)
    (entry,) = made(source, tmp_path / "corpus").added
    truth = annotate(speech("pause-date"), 16_000)
    assert (entry.onset_ms, entry.offset_ms, entry.pauses_ms) == truth[:3]
    assert "pause" in entry.tags


def test_a_transcript_is_the_text_beside_it_or_the_nearest_table_above(source, tmp_path, speech):
    (source / "deep" / "er").mkdir(parents=True)
    soundfile.write(source / "one.wav", speech("short-yes"), 16_000)
    soundfile.write(source / "deep" / "two.wav", speech("short-no"), 16_000)
    soundfile.write(source / "deep" / "er" / "three.wav", speech("short-tuesday"), 16_000)
    soundfile.write(source / "four.wav", speech("short-okay"), 16_000)
    (source / "one.txt").write_text("Yes,\n  indeed. \n")
    (source / "transcripts.csv").write_text(
        "\ufefffile,text,tags\none.wav,not this,\ndeep/two.wav,not this either,\n"
        "deep/er/three.wav,Day three.,digits weekday\n",
        encoding="utf-8",
    )
    (source / "deep" / "transcripts.csv").write_text('file,text\ntwo,"No, thanks."\n')
    entries = {e.id: e for e in made(source, tmp_path / "corpus").added}
    assert {name: entry.text for name, entry in entries.items()} == {
        "one": "Yes, indeed.",
        "deep-two": "No, thanks.",
        "deep-er-three": "Day three.",
        "four": "",
    }
    assert set(entries["deep-er-three"].tags) == {"digits", "weekday", "short"}


def test_what_cannot_serve_is_refused_with_its_reason_and_the_rest_goes_on(
    source, tmp_path, speech
):
    soundfile.write(source / "good.wav", speech(), 16_000)
    soundfile.write(source / "again.wav", speech(), 16_000)
    (source / "bytes.wav").write_bytes(b"")
    soundfile.write(source / "empty.wav", np.zeros(0, np.int16), 16_000)
    soundfile.write(source / "hiss.wav", np.random.default_rng(1).normal(0, 0.01, 16_000), 16_000)
    soundfile.write(source / "blip.wav", speech()[:1500], 16_000)
    soundfile.write(source / "hours.wav", np.zeros(8_000 * 61, np.int16), 8_000)
    (source / "junk.mp3").write_bytes(b"nothing to hear" * 99)
    (source / "phone.m4a").write_bytes(b"whatever" * 9)
    (source / "notes.pdf").write_bytes(b"no recording")
    soundfile.write(source / "cut.flac", speech("digits-card"), 16_000)
    (source / "cut.flac").write_bytes((source / "cut.flac").read_bytes()[:9000])
    result = made(source, tmp_path / "corpus")
    assert [entry.id for entry in result.added] == ["again"]
    reasons = {path.name: reason for path, reason in result.refused}
    assert all("\n" not in reason and str(source) not in reason for reason in reasons.values())
    for name, word in {
        "good.wav": "same recording as 'again'",
        "bytes.wav": "is empty",
        "empty.wav": "is empty",
        "hiss.wav": "no speech was found",
        "blip.wav": "too short: 94 ms",
        "hours.wav": "too long: 61.0 s",
        "junk.mp3": "is not audio",
        "phone.m4a": "is not audio",
        "cut.flac": "cut short",
    }.items():
        assert word in reasons.pop(name)
    assert reasons == {}


def test_non_speech_is_kept_if_a_name_or_a_tag_says_so(source, tmp_path):
    hiss = np.random.default_rng(1).normal(0, 0.01, (3, 16_000))
    (source / "nonspeech").mkdir()
    soundfile.write(source / "nonspeech" / "fan.wav", hiss[0], 16_000)
    soundfile.write(source / "nonspeech-street.wav", hiss[1], 16_000)
    soundfile.write(source / "hum.wav", hiss[2], 16_000)
    (source / "transcripts.csv").write_text("file,text,tags\nhum.wav,,nonspeech\n")
    result = made(source, tmp_path / "corpus")
    assert [entry.tags for entry in result.added] == [("nonspeech",)] * 3
    assert check(tmp_path / "corpus") == []


def test_a_corpus_grows_and_keeps_what_it_had(small, source, speech):
    before = load_corpus(small)
    soundfile.write(source / "new.wav", speech("short-no"), 16_000)
    soundfile.write(source / "short-yes.wav", speech("short-tuesday"), 16_000)
    (small / "LICENSE").write_text("mine")
    made(source, small)
    after = load_corpus(small)
    assert (after.name, after.about) == (before.name, before.about)
    assert after.entries[:3] == before.entries
    assert [entry.id for entry in after.entries[3:]] == ["new", "short-yes-2"]
    assert (small / "LICENSE").read_text() == "mine"
    assert check(small) == []


def test_adding_the_same_again_adds_nothing_and_changes_nothing(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    corpus = tmp_path / "corpus"
    made(source, corpus)
    before = load_corpus(corpus)
    again = made(source, corpus)
    assert again.added == ()
    assert "same recording as 'a'" in again.refused[0][1]
    assert load_corpus(corpus) == before


def test_progress_is_told_after_every_recording(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    (source / "b.wav").write_bytes(b"junk")
    told = []
    made(source, tmp_path / "corpus", on_progress=lambda *step: told.append(step))
    assert told == [(1, 2, source / "a.wav"), (2, 2, source / "b.wav")]


@pytest.mark.parametrize("grow", [False, True])
def test_work_that_is_stopped_midway_leaves_everything_as_it_was(
    source, tmp_path, speech, small, grow
):
    soundfile.write(source / "a.wav", speech("short-no"), 16_000)
    soundfile.write(source / "b.wav", speech("short-okay"), 16_000)
    corpus = small if grow else tmp_path / "corpus"
    before = sorted(tmp_path.rglob("*"))

    def stop(done, *_):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(source, corpus, on_progress=stop)
    assert sorted(tmp_path.rglob("*")) == before


def test_where_nothing_can_serve_nothing_is_written(source, tmp_path):
    (source / "junk.wav").write_bytes(b"junk")
    assert made(source, tmp_path / "corpus").added == ()
    assert list(tmp_path.iterdir()) == [source]


def test_a_folder_without_recordings_is_an_error(source, tmp_path):
    with pytest.raises(CorpusError, match="holds no recording"):
        made(source, tmp_path / "corpus")
    with pytest.raises(CorpusError, match="is no folder"):
        made(tmp_path / "nowhere", tmp_path / "corpus")


def test_a_folder_with_other_things_is_not_overwritten(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(CorpusError, match="other things"):
        made(source, precious)
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_corpus_is_not_added_to_itself(small):
    with pytest.raises(CorpusError, match="is the corpus itself"):
        made(small, small)


def test_a_corpus_inside_the_source_is_not_read_as_a_source(source, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    made(source, source / "corpus")
    again = made(source, source / "corpus")
    assert [path.name for path, _ in again.refused] == ["a.wav"]


def test_a_place_that_cannot_be_written_is_an_error(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"):
        made(source, tmp_path / "file" / "corpus")


def test_a_table_without_its_columns_costs_its_texts_and_no_recording(source, tmp_path, speech):
    soundfile.write(source / "a.wav", speech(), 16_000)
    (source / "transcripts.csv").write_text("name,words,more\na.wav,hello,there\n")
    result = made(source, tmp_path / "corpus")
    assert [entry.text for entry in result.added] == [""]
    assert [(path.name, "column" in text) for path, text in result.unread] == [
        ("transcripts.csv", True)
    ]


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("what", ["*.flac", "manifest.toml"])
def test_a_full_disk_is_one_line_and_leaves_everything_as_it_was(
    source, tmp_path, speech, small, monkeypatch, grow, what
):
    soundfile.write(source / "a.wav", speech("short-no"), 16_000)
    corpus = small if grow else tmp_path / "corpus"
    before = sorted(tmp_path.rglob("*"))

    def full(path, *_, **__):
        if path.match(what):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CorpusError, match=r"cannot be written \(No space left .*make room there"):
        made(source, corpus)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_corpus_that_cannot_be_copied_is_one_line(source, tmp_path, speech, small, monkeypatch):
    soundfile.write(source / "a.wav", speech("short-no"), 16_000)
    before = sorted(tmp_path.rglob("*"))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(CorpusError, match=r"small: cannot be written \(No space left on device\);"):
        made(source, small)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_tape_that_cannot_be_written_is_one_line(source, tmp_path, speech, monkeypatch):
    soundfile.write(source / "a.wav", speech("long-hotel"), 16_000)
    full = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115, PTH123 - what it is for closes it
    monkeypatch.setattr("bench.corpus.tape.SpooledTemporaryFile", lambda **_: full)
    with pytest.raises(CorpusError, match="No space left"):
        made(source, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == [source]


def test_a_recording_that_is_gone_when_it_is_read_again_costs_itself_alone(
    source, tmp_path, speech, monkeypatch
):
    soundfile.write(source / "a.wav", speech("short-no"), 16_000)
    soundfile.write(source / "b.wav", speech("short-okay"), 16_000)
    from bench.corpus import add as module

    def surveyed(path, longest_s):
        found = survey(path, longest_s)
        if path.name == "a.wav":
            path.unlink()
        return found

    monkeypatch.setattr(module, "survey", surveyed)
    result = made(source, tmp_path / "corpus")
    assert [entry.id for entry in result.added] == ["b"]
    assert [why for _, why in result.refused] == ["cannot be read (No such file or directory)"]


def test_a_name_of_any_length_makes_an_id_that_a_file_may_have(source, tmp_path, speech):
    folder = source / ("ö" * 100) / ("ü" * 100)
    folder.mkdir(parents=True)
    soundfile.write(folder / f"{'x' * 240}.wav", speech(), 16_000)
    soundfile.write(folder / f"{'x' * 240}-2.wav", speech("short-no"), 16_000)
    result = made(source, tmp_path / "corpus")
    assert len({entry.id for entry in result.added}) == 2
    assert check(tmp_path / "corpus") == []

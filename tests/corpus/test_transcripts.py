"""Transcripts as data sets and people have them: found, in their encoding, or refused aloud."""

import json
import unicodedata

import numpy as np
import pytest
import soundfile

from bench.corpus.add import Handling, add
from bench.corpus.sources import find_sources
from bench.errors import UsageError


@pytest.fixture
def folder(tmp_path, speech):
    """A folder, and a way to put recordings into it; they differ by what is said."""
    top = tmp_path / "mine"
    top.mkdir()
    words = iter(("short-yes", "short-no", "short-tuesday", "short-okay", "short-right"))

    def put(*names):
        for name in names:
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, speech(next(words)), 16_000, format="WAV")
        return top

    return put


def found(top, **more):
    return find_sources(top, besides=top.parent / "corpus", **more)


def texts(top, **more):
    return {one.name.as_posix(): one.text for one in found(top, **more).recordings}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
                                      "utf-32", "windows-1252"])  # fmt: skip
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_has_any_delimiter_and_any_encoding_that_is_certain(folder, encoding, delimiter):
    top = folder("a.wav")
    table = f"File{delimiter}Sentence\r\na.wav{delimiter}Grüße - schön\r\n"
    (top / "words.csv").write_bytes(table.encode(encoding))
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["Grüße - schön"]
    detected = [text for _, text in sources.remarks]
    assert all(text.startswith("read as") for text in detected)
    assert bool(detected) == (encoding not in {"utf-8", "utf-8-sig"})


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Привет, мир", "windows-1251"),
        ("žluťoučký kůň", "windows-1250"),
        ("kapal\u0131 kap\u0131", "windows-1254"),
        ("viena mėnuo", "windows-1257"),
        ("καλημέρα", "windows-1253"),
        ("こんにちは", "shift_jis"),
        ("déjà là", "windows-1252"),
    ],
)
def test_an_encoding_that_is_not_certain_is_asked_for(folder, text, encoding):
    top = folder("a.wav", "b.wav")
    (top / "a.txt").write_bytes(text.encode(encoding))
    (top / "b.txt").write_text("Plain.")
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["", "Plain."]
    assert [(path.name, "--encoding" in why) for path, why in sources.refused] == [("a.txt", True)]
    assert texts(top, encoding=encoding) == {"a.wav": text, "b.wav": "Plain."}


def test_the_language_may_make_an_encoding_certain(folder):
    top = folder("a.wav")
    (top / "a.txt").write_bytes("déjà là".encode("windows-1252"))
    assert texts(top, language="fr-CA") == {"a.wav": "déjà là"}
    assert texts(top, language="cs") == {"a.wav": ""}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_the_same_in_any_normal_form_and_case(folder, form):
    other = "NFD" if form == "NFC" else "NFC"
    top = folder(unicodedata.normalize(form, "Zoë.wav"), unicodedata.normalize(form, "né/ü.wav"))
    (top / unicodedata.normalize(other, "zoë.txt")).write_text("One.")
    (top / "t.csv").write_text(unicodedata.normalize(other, "file,text\nNÉ/Ü.WAV,Two.\n"))
    assert set(texts(top).values()) == {"One.", "Two."}
    added = add(top, top.parent / "corpus").added
    assert all(unicodedata.is_normalized("NFC", one.id + one.voice) for one in added)


def test_librispeech(folder):
    top = folder("84/121/84-121-0000.flac", "84/121/84-121-0001.flac")
    (top / "84/121/84-121.trans.txt").write_text("84-121-0000 GO  ON\n84-121-0001 STOP\n")
    assert list(texts(top).values()) == ["GO ON", "STOP"]


def test_common_voice_with_quotes_speakers_and_rows_for_clips_that_are_not_here(folder):
    top = folder("clips/cv_1.mp3", "clips/cv_2.mp3")
    (top / "validated.tsv").write_text(
        'client_id\tpath\tsentence\tlocale\nabc\tcv_1.mp3\tHe said "no\tde\n'
        'def\tcv_2.mp3\t"Quoted ""here""."\tde\nghi\tcv_3.mp3\tGone.\tde\n'
    )
    sources = found(top)
    assert [(one.text, one.voice, one.language) for one in sources.recordings] == [
        ('He said "no', "abc", "de"),
        ('Quoted "here".', "def", "de"),
    ]
    assert [file for _, file in sources.missing] == ["cv_3.mp3"]


def test_fleurs_has_no_heads_and_what_is_taken_is_said(folder):
    top = folder("audio/train/10.wav", "audio/train/11.wav")
    rows = [f"{n}\t{n}.wav\tText {n}.\ttext {n}\tt e x t\t160\tMALE" for n in (10, 11)]
    (top / "train.tsv").write_text("\n".join(rows))
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["Text 10.", "Text 11."]
    assert "column 2 is taken for the file, column 3 for the text" in sources.remarks[0][1]


@pytest.mark.parametrize("key", ["text", "transcription", "sentence"])
def test_audiofolder(folder, key):
    top = folder("data/a.wav", "data/b.wav")
    rows = [{"file_name": "a.wav", key: "A."}, {"file_name": "b.wav", key: "B."}]
    (top / "data/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert list(texts(top).values()) == ["A.", "B."]


def test_nemo_has_paths_of_another_machine_and_one_bad_line_costs_one_line(folder):
    top = folder("wavs/x/1.wav", "wavs/y/1.wav")
    rows = [{"audio_filepath": f"/data/old/wavs/{d}/1.wav", "duration": 1.0, "text": d.upper()}
            for d in "xy"]  # fmt: skip
    (top / "train_manifest.json").write_text("\n".join([*map(json.dumps, rows), "{oh no"]))
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["X", "Y"]
    assert [text for _, text in sources.remarks] == ["1 lines are no JSON objects, first line 3"]


def test_kaldi_with_commands_speakers_and_segments(folder, everyday, tmp_path, speech):
    top = folder("sph/one.wav")
    (top / "text").write_text("utt-b OKAY THEN\nutt-a YES\nutt-c ALONE\n")
    (top / "wav.scp").write_text(
        "rec sph2pipe -f wav /corpora/sph/call.sph |\nutt-c cat /x/sph/one.wav |\n"
    )
    (top / "segments").write_text("utt-a rec 0.5 2.0\nutt-b rec 2.0 4.25\n")
    (top / "utt2spk").write_text("utt-a anna\nutt-b ben\nutt-c cleo\n")
    quiet = [0] * 8_000
    yes, okay = speech("short-yes"), speech("short-okay")
    call = [*quiet, *yes, *([0] * (32_000 - 8_000 - len(yes))), *okay]
    call += [0] * (5 * 16_000 - len(call))
    call = np.array(call, np.int16)
    soundfile.write(top / "sph/call.sph", call, 16_000, format="NIST", subtype="PCM_16")
    result = add(top, tmp_path / "corpus", Handling())
    assert result.refused == ()
    told = {(entry.voice, entry.text): entry for entry in result.added}
    assert told.keys() == {("anna", "YES"), ("ben", "OKAY THEN"), ("cleo", "ALONE")}
    by_id = {entry.id: entry for entry in everyday.entries}
    for who, name in ((("anna", "YES"), "short-yes"), (("ben", "OKAY THEN"), "short-okay")):
        assert told[who].onset_ms == pytest.approx(by_id[name].onset_ms, abs=3)
        assert told[who].offset_ms == pytest.approx(by_id[name].offset_ms, abs=3)


def test_a_name_that_several_recordings_have_needs_its_path(folder):
    top = folder("a/1.wav", "b/1.wav")
    (top / "t.csv").write_text("file,text\n1.wav,Whose?\nb/1.wav,Of b.\n")
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["", "Of b."]
    assert "line 2: '1.wav' may be 2 recordings; give its path" in sources.refused[0][1]


def test_rows_that_contradict_each_other_are_taken_by_nobody(folder):
    top = folder("a.wav")
    (top / "t.csv").write_text("file,text\na.wav,Yes.\na.wav,No.\n")
    sources = found(top)
    assert sources.recordings[0].text == ""
    assert "lines 2 and 3 say different things" in sources.refused[0][1]


def test_of_two_tables_the_first_is_kept_and_the_difference_said(folder):
    top = folder("a.wav")
    (top / "a-train.tsv").write_text("path\tsentence\na.wav\tYes.\n")
    (top / "b-other.tsv").write_text("path\tsentence\na.wav\tNo.\n")
    sources = found(top)
    assert sources.recordings[0].text == "Yes."
    assert [text for _, text in sources.remarks] == [
        "says otherwise of 1 recordings than a-train.tsv, which is kept"
    ]


@pytest.mark.parametrize("junk", [b"\0\1\2" * 50, b"file,text\n" + b'"' * 200_000, b""])
def test_a_table_that_is_none_costs_no_recording(folder, junk):
    top = folder("a.wav")
    (top / "t.csv").write_bytes(junk)
    (top / "a.txt").write_text("Yes.")
    sources = found(top)
    assert [one.text for one in sources.recordings] == ["Yes."]
    assert [path.name for path, _ in (*sources.refused, *sources.unread)] == ["t.csv"]


def test_what_is_neither_audio_nor_table_is_named(folder):
    top = folder("a.wav")
    (top / "notes.pdf").write_bytes(b"%PDF-1.7")
    (top / "readme.txt").write_text("Read me.\n")
    (top / "._a.wav").write_bytes(b"\0\5\x16\7")
    assert sorted(path.name for path, _ in found(top).unread) == [
        "._a.wav",
        "notes.pdf",
        "readme.txt",
    ]


def test_a_transcript_that_comes_later_fills_the_utterance_that_is_there(folder, tmp_path):
    top = folder("a.wav")
    corpus = tmp_path / "corpus"
    assert add(top, corpus).added[0].text == ""
    (top / "a.txt").write_text("Yes.")
    result = add(top, corpus)
    assert (result.added, result.filled) == ((), ("a",))
    again = add(top, corpus)
    assert (again.filled, "same recording" in again.refused[0][1]) == ((), True)


def test_the_language_of_a_row_or_of_all_is_kept(folder, tmp_path):
    top = folder("a.wav", "b.wav")
    (top / "t.csv").write_text("file,text,language\na.wav,Ja.,de\nb.wav,Nee.,\n")
    assert [one.language for one in add(top, tmp_path / "one").added] == ["de", ""]
    said = add(top, tmp_path / "two", Handling(language="nl")).added
    assert [one.language for one in said] == ["nl", "nl"]


@pytest.mark.parametrize(
    ("handling", "word"),
    [
        (Handling(encoding="utf-9"), "--encoding 'utf-9'"),
        (Handling(language="german!"), "--language"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(folder, tmp_path, handling, word):
    with pytest.raises(UsageError, match=word):
        add(folder("a.wav"), tmp_path / "corpus", handling)

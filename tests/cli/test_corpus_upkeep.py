"""`bench corpus add` and `corpus remove`: what they print, and their exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

EVERYDAY = Path(__file__).parents[2] / "audio_corpus" / "everyday"


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "mine"
    (top / "anna").mkdir(parents=True)
    yes, rate = soundfile.read(EVERYDAY / "short-yes.flac", dtype="int16")
    soundfile.write(top / "anna" / "yes.wav", np.column_stack([yes, yes]), rate)
    (top / "anna" / "yes.txt").write_text("Yes.")
    okay, rate = soundfile.read(EVERYDAY / "short-okay.flac", dtype="float32")
    soundfile.write(top / "okay", okay * 8, rate, format="WAV", subtype="FLOAT")
    (top / "junk.mp3").write_bytes(b"no audio" * 20)
    (top / "notes.pdf").write_bytes(b"%PDF")
    (top / "t.csv").write_text("file;text\nokay;Okay.\ngone.wav;Gone.\nlost.wav;Lost.\n")
    return top


def test_the_table_says_what_was_added_assumed_passed_over_and_refused(bench, folder, tmp_path):
    code, out, _ = bench("corpus", "add", folder, "--to", tmp_path, "--name", "new")
    assert code == 0
    *notes, unread, missing, refused, added, others = out.splitlines()
    assert [line.split(": ")[0] for line in notes] == ["note     anna/yes.wav", "note     okay"]
    assert "scaled down by" in notes[1]
    assert notes[0].endswith("2 channels are mixed")
    assert unread == "unread   notes.pdf: is neither audio nor a table"
    assert missing == (
        "missing  t.csv: 2 rows name no recording that is here, the first 'gone.wav'"
    )
    assert refused.startswith("refused  junk.mp3: is not audio")
    assert added.startswith(f"added    2 utterances to {tmp_path / 'new'}: ")
    assert added.endswith(" s, 1 voices, 2 with a transcript")
    assert others == "others   1 refused, 1 not looked at, 2 rows without a file, 2 notes"


def test_json_has_all_of_it_with_the_duration_of_each(bench, folder, tmp_path):
    for number in range(30):
        (folder / f"{number}.pdf").write_bytes(b"%PDF")
    _, out, _ = bench(
        "corpus", "add", folder, "--to", tmp_path / "to", "--json", "--language", "en"
    )
    told = json.loads(out)
    assert [(one["id"], one["voice"], one["language"], one["text"]) for one in told["added"]] == [
        ("anna-yes", "anna", "en", "Yes."),
        ("okay", "", "en", "Okay."),
    ]
    assert all(one["duration_ms"] > 100 for one in told["added"])
    assert [len(told[key]) for key in ("unread", "refused", "rows_without_file", "notes")] == [
        31, 1, 2, 2,
    ]  # fmt: skip


def test_a_folder_of_nothing_but_junk_is_exit_2_and_says_why(bench, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "junk.wav").write_bytes(b"junk" * 20)
    code, out, _ = bench("corpus", "add", tmp_path / "mine", "--to", tmp_path / "shelf")
    assert code == 2
    assert out.startswith("refused  junk.wav: is not audio")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--channel", "lef"), "did you mean 'left'"),
        (("--encoding", "utf-9"), "--encoding 'utf-9'"),
        (("--language", "english please"), "--language"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(bench, folder, tmp_path, options, word):
    code, out, err = bench("corpus", "add", folder, "--to", tmp_path / "shelf", *options)
    assert (code, out) == (2, "")
    assert word in err
    assert not (tmp_path / "shelf").exists()


def test_utterances_go_by_their_ids_and_a_whole_corpus_only_with_yes(bench, folder, tmp_path):
    bench("corpus", "add", folder, "--to", tmp_path, "--name", "new")
    corpus = tmp_path / "new"
    code, out, _ = bench("corpus", "remove", corpus, "okay")
    assert (code, out.startswith("removed  1 utterances")) == (0, True)
    code, _, err = bench("corpus", "remove", corpus)
    assert (code, "say --yes" in err, corpus.exists()) == (2, True, True)
    code, out, _ = bench("corpus", "remove", corpus, "--yes")
    assert (code, corpus.exists()) == (0, False)


def test_to_exclude_a_tag_that_no_utterance_has_excludes_nothing(bench, scenario):
    code, _, err = bench("check", scenario(), "--set", "caller.exclude=['no-such-tag']")
    assert (code, err) == (0, "")
    code, _, err = bench("check", scenario(), "--set", "caller.include=['no-such-tag']")
    assert (code, "no-such-tag" in err) == (2, True)


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", "/dev/null/x", "..", ".x", "-x", "", " a", "\x1b[31m", "a\nb", "x" * 101],
)
def test_a_name_that_is_no_folder_of_the_shelf_is_refused_and_writes_nothing(
    bench, folder, tmp_path, name
):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = bench("corpus", "add", folder, "--to", tmp_path / "deep/er", f"--name={name}")
    assert (code, out) == (2, "")
    assert "is no name of a corpus; give one without" in err
    assert (len(err.splitlines()), "\x1b" in err) == (1, False)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["x", "anna-2_b.v3", "größe", "calls (May)"])
def test_what_can_be_shown_is_a_name(bench, folder, tmp_path, name):
    code, _, _ = bench("corpus", "add", folder, "--to", tmp_path / "shelf", "--name", name)
    assert (code, (tmp_path / "shelf" / name / "manifest.toml").is_file()) == (0, True)


def test_a_folder_whose_name_cannot_be_shown_needs_another(bench, folder, tmp_path):
    odd = folder.rename(tmp_path / "my\trecordings")
    code, _, err = bench("corpus", "add", odd, "--to", tmp_path / "shelf")
    assert (code, "--name my-recordings" in err) == (2, True)
    assert not (tmp_path / "shelf").exists()

"""Tables with a bad number, document or quote: that row is refused, and the rest goes on."""

import json

import numpy as np
import pytest
import soundfile

from bench.corpus.add import add
from bench.corpus.sources import find_sources


@pytest.fixture
def top(source, speech):
    """A folder with c.wav and e.wav."""
    soundfile.write(source / "c.wav", speech("short-yes"), 16_000)
    soundfile.write(source / "e.wav", speech("short-no"), 16_000)
    return source


def found(top):
    return find_sources(top, besides=top.parent / "corpus")


def texts(top):
    return {one.path.name: one.text for one in found(top).recordings}


@pytest.mark.parametrize("name", ["m.jsonl", "x.json", "y.ndjson"])
@pytest.mark.parametrize(
    "junk", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "{", '["\\ud800"]']
)
def test_a_document_that_is_none_costs_its_texts_alone(top, name, junk):
    (top / name).write_text(junk)
    (top / "c.txt").write_text("Yes.")
    sources = found(top)
    assert texts(top) == {"c.wav": "Yes.", "e.wav": ""}
    assert [path.name for path, _ in (*sources.refused, *sources.unread)] == [name]


def test_a_line_that_is_too_deep_costs_one_line(top):
    good = json.dumps({"file": "e.wav", "text": "No."})
    (top / "m.jsonl").write_text("[" * 100_000 + "\n" + good + "\n")
    assert texts(top)["e.wav"] == "No."
    assert found(top).remarks == ((top / "m.jsonl", "1 lines are no JSON objects, first line 1"),)


@pytest.mark.parametrize(
    ("offset", "duration", "word"),
    [
        ("-5", "null", "offset is -5"),
        ("1e308", "null", "offset is 1e+308"),
        (f"1{'0' * 200}", "null", "offset is 1"),
        ('"nan"', "null", "offset is 'nan'"),
        ('"soon"', "null", "offset is 'soon'"),
        ("true", "null", "offset is True"),
        ("[1]", "null", "offset is [1]"),
        ("0.5", "-1", "duration is -1"),
        ("0.5", '"inf"', "duration is 'inf'"),
        ("0.5", "0", "duration is 0"),
    ],
)
def test_a_row_with_a_number_out_of_bounds_is_refused_with_its_line(
    top, tmp_path, offset, duration, word
):
    row = f'{{"file": "c.wav", "text": "t", "offset": {offset}, "duration": {duration}}}'
    (top / "n.jsonl").write_text(row + '\n{"file": "e.wav", "text": "No."}\n')
    result = add(top, tmp_path / "corpus")
    assert {entry.id: entry.text for entry in result.added} == {"c": "", "e": "No."}
    ((path, why),) = result.refused
    assert (path.name, why.startswith(f"line 1: {word}")) == ("n.jsonl", True)


def test_a_number_beyond_all_numbers_is_no_json_and_costs_its_line(top):
    row = '{"audio_filepath":"c.wav","text":"t","offset":1e999}\n'
    (top / "n.jsonl").write_text(row + '{"file": "e.wav", "text": "No."}\n')
    assert texts(top) == {"c.wav": "", "e.wav": "No."}


def test_so_it_is_in_a_csv(top):
    (top / "t.csv").write_text("file,text,offset,duration\n\nc.wav,t,-1,\ne.wav,No.,,00:01\n")
    assert texts(top) == {"c.wav": "", "e.wav": "No."}
    assert found(top).refused[0][1].startswith("line 3: offset is '-1'")


def test_a_part_that_lies_behind_its_recording_is_refused(top, tmp_path, speech):
    length = len(speech("short-yes")) / 16_000
    rows = [(length + 9, 1), (0.01, length + 9), (0, length + 0.1)]
    (top / "n.jsonl").write_text(
        "\n".join(
            json.dumps({"file": "c.wav", "text": f"{n}", "offset": start, "duration": long})
            for n, (start, long) in enumerate(rows)
        )
    )
    result = add(top, tmp_path / "corpus")
    assert [entry.text for entry in result.added] == ["2", ""]
    assert ["ends behind its recording" in why for _, why in result.refused] == [True, True]


def kaldi(top, segments):
    (top / "wav.scp").write_text("c c.wav\n")
    names = [line.split()[0] for line in segments.splitlines()]
    (top / "text").write_text("".join(f"{name} WORDS {name}\n" for name in names))
    (top / "segments").write_text(segments)


@pytest.mark.parametrize(
    "times", ["c nan 1", "c -1 1", "c 0 inf", "c 1 0.5", "c 1 1", "c 1 -2", "c 0", "c", "", "c x y"]
)
def test_a_segment_out_of_bounds_costs_itself_alone(top, tmp_path, times):
    kaldi(top, f"u1 {times}\nu2 c 0 0.6\nu3 c 0.01 -1\n")
    result = add(top, tmp_path / "corpus")
    assert {entry.text for entry in result.added} == {"WORDS u2", "WORDS u3", ""}
    ((path, why),) = result.refused
    assert (path.name, why.startswith("line 1: the segment 'u1': ")) == ("text", True)


def test_an_end_of_minus_one_is_the_end_of_the_recording(top, tmp_path, speech):
    pause = np.zeros(8_000, np.int16)
    soundfile.write(top / "c.wav", np.concatenate([pause, speech("pause-date")]), 16_000)
    kaldi(top, "u1 c 0.5 -1\n")
    entry = next(one for one in add(top, tmp_path / "corpus").added if one.text)
    assert entry.duration_ms == pytest.approx(len(speech("pause-date")) / 16, abs=1)


def test_an_unclosed_quote_costs_its_row_and_makes_no_wrong_text(top):
    (top / "t.csv").write_text('file,text\nc.wav,"unclosed quote\ne.wav,second\n')
    sources = found(top)
    assert texts(top) == {"c.wav": "", "e.wav": "second"}
    assert [why for _, why in sources.refused] == [
        "line 2: a quotation mark is not closed; close it; its text is in no recording"
    ]
    assert "every line is read by itself" in sources.remarks[0][1]


def test_so_it_does_without_heads_and_before_other_quotes(top):
    (top / "t.csv").write_text('c.wav,"unclosed\ne.wav,"second, quoted"\n')
    assert texts(top) == {"c.wav": "", "e.wav": "second, quoted"}


def test_quotes_that_come_out_even_by_chance_are_found_by_the_names_inside(top):
    (top / "t.csv").write_text('file,text\nc.wav,"unclosed\ne.wav,closed"\n')
    sources = found(top)
    assert texts(top) == {"c.wav": "", "e.wav": ""}
    assert "line 2: its text goes on to a line that names 'e.wav'" in sources.refused[0][1]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_that_holds_a_line_break_is_fine(top, end):
    rows = ["file,text", 'c.wav,"first line, and', '""second"" line"', 'e.wav,5" pipe', ""]
    (top / "t.csv").write_text(end.join(rows), newline="")
    assert texts(top) == {"c.wav": 'first line, and "second" line', "e.wav": '5" pipe'}
    assert (found(top).refused, found(top).remarks) == ((), ())


def test_in_a_table_of_bars_an_odd_quote_is_a_quote(top):
    (top / "t.csv").write_text('file|text\nc.wav|"He said\ne.wav|No.\n')
    assert texts(top) == {"c.wav": '"He said', "e.wav": "No."}


@pytest.mark.parametrize("mark", ['"', "\n", ""])
def test_a_delimiter_that_is_none_costs_no_recording(top, mark):
    (top / "t.csv").write_text(f"sep={mark}")
    assert len(found(top).recordings) == 2


def test_a_kaldi_folder_beside_its_audio_is_found_by_its_paths(source, speech, monkeypatch):
    for number, name in enumerate(("short-yes", "short-no", "short-okay")):
        (source / "audio").mkdir(exist_ok=True)
        soundfile.write(source / "audio" / f"{number}.wav", speech(name), 16_000)
    for folder, file, text in (
        ("data", f"{source}/audio/0.wav", "YES"),
        ("exp/train", "audio/1.wav", "NO"),
        ("other", "../audio/2.wav", "OKAY"),
    ):
        (source / folder).mkdir(parents=True)
        (source / folder / "wav.scp").write_text(f"u {file}\n")
        (source / folder / "text").write_text(f"u {text}\n")
    for top in (source, source.parent / "link"):
        if top != source:
            top.symlink_to(source)
        sources = found(top)
        assert sources.missing == ()
        assert [one.text for one in sources.recordings] == ["YES", "NO", "OKAY"]
    monkeypatch.chdir(source)
    assert found(source.relative_to(source)).recordings[0].text == "YES"


def test_a_name_alone_means_nothing_in_a_folder_beside(source, speech):
    (source / "a").mkdir()
    (source / "b").mkdir()
    soundfile.write(source / "b" / "1.wav", speech(), 16_000)
    (source / "a" / "t.csv").write_text("file,text\n1.wav,Of another.\n/x/b/1.wav,And this.\n")
    sources = found(source)
    assert ([one.text for one in sources.recordings], len(sources.missing)) == ([""], 2)

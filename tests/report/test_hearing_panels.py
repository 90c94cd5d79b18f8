from dataclasses import replace

import numpy as np
import pytest

from bench.report.hearing_panels import VAD, WORDS


def test_the_rate_has_its_interval_and_the_kinds_of_error(runs):
    run = runs["rich"]
    words = run.summary["words"]
    answer = WORDS(run).answer
    rate = 100 * words["errors"] / words["words"]
    assert answer.startswith(f"{rate:.1f}\u202f% [9, 14.5] of the words are wrong: ")
    assert f"{words['substitutions']} heard as another, 2 left out, 1 added" in answer
    assert "the transcriptions were there within" in answer


def test_each_turn_is_a_point_at_its_delay_on_the_line_of_its_errors(runs):
    run = runs["rich"]
    ((_, figure),) = WORDS(run).figures
    turns = run.counted[run.counted["transcription_delay"].notna()]
    drawn = {trace.name: trace for trace in figure.data}
    for wrong, name in enumerate(("no word wrong", "one word wrong", "two words wrong")):
        part = turns[turns["word_errors"] == wrong]
        assert sorted(drawn[name].x) == pytest.approx(sorted(part["transcription_delay"]))
    most = turns[turns["word_errors"] >= 3]
    assert len(drawn["three or more wrong"].x) == len(most)
    assert np.abs(np.asarray(drawn["no word wrong"].y) - 3).max() < 0.5


def test_the_worst_turns_show_what_was_said_and_what_was_heard(runs):
    (table,) = WORDS(runs["rich"]).tables
    assert table.rows[0] == [
        "session\u00a06 · turn\u00a02",
        "It's four seven one, nine nine zero two.",
        "It's for seven one nine nine oh to",
        "4",
    ]


@pytest.mark.parametrize("words", [None, {}, {"words": 0, "errors": 0, "worst": []}])
def test_without_words_to_compare_there_is_no_panel_and_one_sentence(runs, words):
    run = runs["rich"]
    run = replace(run, summary=run.summary | {"words": words})
    assert WORDS(run) is None
    sentence = "Word errors are not known: there is no text in the corpus to compare it with."
    assert sentence in VAD(run).notes
    mute = replace(run, turns=run.turns.assign(transcript=""))
    assert "Word errors are not known: there is no transcription." in VAD(mute).notes
    assert not any("Word errors" in note for note in VAD(runs["rich"]).notes)


def test_an_older_folder_says_nothing_of_words_it_never_counted(runs):
    assert WORDS(runs["whole"]) is None
    assert not any("Word errors" in note for note in VAD(runs["whole"]).notes)

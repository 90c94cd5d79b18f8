"""Turns that nobody came to are what they would have been."""

import pandas as pd
import pytest

from bench.analysis.unreached_turns import impute
from tests.analysis.story import IN_TEXT, Story, analysed, conversation

VAD = {"type": "server_vad"}


def refused(number, script="text_chat", setting=""):
    story = Story(number).begin(script=script, setting=setting)
    story.rows = story.rows[:1]
    return story.end(-30, "refused", "HTTP 429")


def asking(**effective):
    """run.json of a scenario."""
    return {"name": "s", "effective": effective}


def waited(rows):
    """How many wait for text, for audio, and for the VAD."""
    names = ("first_text_latency", "first_audio_latency", "speech_start_delay")
    return [rows[name, "p50"]["n"] for name in names]


def test_turns_that_were_never_come_to_are_taken_for_what_their_peers_are(tmp_path):
    chat = Story(0).begin(script="text_chat", session=IN_TEXT).microphone().write(100)
    chat.created(150).text(300).done(400).heard_out(410)
    refused = Story(1).begin(script="text_chat")
    refused.rows = refused.rows[:1]
    turns, _, rows, _ = analysed(tmp_path, chat.finish(), refused.end(-30, "refused"))
    assert turns["role"].tolist() == ["text", "text"]
    assert rows["first_text_latency", "p50"]["n"] == 2
    assert rows["first_audio_latency", "p50"]["n"] == 0


def test_a_run_that_was_refused_whole_waits_for_what_its_scenario_asks(tmp_path):
    """Flaw F12: nobody was answered in writing, and the median of that is no missing figure."""
    scenario = asking(script="text_chat", session={"output_modalities": ["text"]})
    stories = [refused(n) for n in range(5)]
    turns, _, rows, _ = analysed(
        tmp_path, *stories, scenario=scenario, gates=("p95(first_text_latency) < 1 s",)
    )
    assert turns[["role", "textual", "manual"]].drop_duplicates().to_numpy().tolist() == [
        ["text", True, False]
    ]
    assert waited(rows) == [5, 0, 0]
    assert (rows["first_text_latency", "p50"]["value"], turns["good_turn"].any()) == (None, False)


def told(scenario, *missing, lived=()):
    """(role, manual, textual) of turns of (script, setting) that nobody came to.

    `lived` are (script, setting, role, manual, textual).
    """
    never = pd.DataFrame(missing, columns=["script", "setting"]).assign(role="line")
    columns = ["script", "setting", "role", "manual", "textual"]
    turns = pd.DataFrame(lived, columns=columns).astype({"manual": bool, "textual": bool})
    found = impute(never, turns, scenario["effective"])
    return found[["role", "manual", "textual"]].to_numpy().tolist()


SPOKEN = ["line", False, False]


@pytest.mark.parametrize(
    ("session", "manual", "textual"),
    [
        ({}, False, False),
        ({"turn_detection": "none"}, True, False),
        ({"turn_detection": VAD, "output_modalities": ["text"]}, False, True),
        ({"output_modalities": ["text", "audio"]}, False, False),
        ({"speed": "of another version"}, False, False),
    ],
)
def test_a_spoken_turn_is_heard_and_answered_as_the_session_was_asked_for(session, manual, textual):
    scenario = asking(script="turn_taking", session=session)
    assert told(scenario, ("turn_taking", "")) == [["line", manual, textual]]


def test_a_setting_in_which_nobody_was_answered_is_told_by_the_sweep_and_not_by_another():
    scenario = asking(script="turn_taking", sweep={"turn_detection": ["none", VAD]})
    lived = [("turn_taking", "server_vad", *SPOKEN)]
    missing = [("turn_taking", "none"), ("turn_taking", "server_vad")]
    assert told(scenario, *missing, lived=lived) == [["line", True, False], SPOKEN]


def test_what_peers_lived_counts_before_what_was_asked_for():
    """The server did not give what was asked."""
    scenario = asking(script="turn_taking", session={"output_modalities": ["text"]})
    lived = [("turn_taking", "", *SPOKEN)]
    assert told(scenario, ("turn_taking", ""), lived=lived) == [SPOKEN]


def test_a_kind_of_a_mixture_is_told_by_its_own_session():
    kinds = [
        {"script": "turn_taking", "weight": 1.0, "session": {}},
        {"script": "text_chat", "weight": 1.0, "session": {"output_modalities": ["text"]}},
    ]
    scenario = asking(script="turn_taking", session={"turn_detection": "none"}, mixture=kinds)
    assert told(scenario, ("turn_taking", ""), ("text_chat", "")) == [
        ["line", True, False], ["text", False, True],
    ]  # fmt: skip


def test_a_run_whose_scenario_is_not_known_is_taken_for_the_usual_one():
    assert told(asking(), ("turn_taking", "")) == [SPOKEN]


def test_of_a_script_that_no_scenario_knows_its_own_turns_tell(tmp_path):
    chat = Story(0).begin(script="mine:chat", setting="a", session=IN_TEXT).microphone().write(100)
    chat.created(150).text(300).done(400).heard_out(410)
    turns, _, rows, _ = analysed(
        tmp_path, chat.finish(), refused(1, "mine:chat", "b"), conversation(2, 1)
    )
    assert turns["role"].tolist() == ["text", "text", "line"]
    assert rows["first_text_latency", "p50"]["n"] == 2

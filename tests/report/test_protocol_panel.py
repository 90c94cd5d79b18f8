from dataclasses import replace

import pytest

from bench.report.page import render
from bench.report.protocol_panel import PROTOCOL, changed_a_format, changed_settings
from bench.report.text import setting
from tests.report.riches import UNHONOURED


def tables(panel):
    return {table.caption: table for table in panel.tables}


def clean(run, **more):
    keys = {"violations": [], "leaks": [], "errors_by_code": {}, "unhonoured": [], "quirks": []}
    return replace(run, summary=run.summary | keys | more)


def test_a_server_that_kept_to_all_is_said_to(runs):
    panel = PROTOCOL(clean(runs["rich"]))
    assert panel.answer == (
        "Yes: no session broke a rule of the message grammar (0 breaches). Nothing that one "
        "session said came back in another. No setting was given otherwise than asked. It sent no "
        "error."
    )
    assert not panel.tables
    assert not panel.closeups


def test_breaches_leaks_settings_errors_and_races_are_counted_by_name(runs):
    answer = PROTOCOL(runs["rich"]).answer
    for part in (
        "No: 13 breaches of 2 rules.",
        "came back in another once: session 9 got words of session 4.",
        "2 settings were not given as asked: audio.output.format and audio.output.speed.",
        "1 error message (rate_limit_exceeded) and told of 4 races (response_cancel_not_active)",
    ):
        assert part in answer


def test_a_rule_has_its_count_what_it_says_and_leads_to_an_example(runs):
    panel = PROTOCOL(runs["rich"])
    table = tables(panel)["Rules of the protocol that were broken"]
    assert table.rows[0] == [
        "no audio after done",
        "No audio delta of a response comes after its response.done.",
        "12",
    ]
    assert list(table.links) == [closeup.anchor for closeup in panel.closeups]


def test_the_culprit_is_marked_among_its_surrounding_events(runs):
    closeup = PROTOCOL(runs["rich"]).closeups[0]
    assert closeup.text == "audio of resp_9_2 came 31 ms after its end"
    assert "session 9 at 14.251\u202fs" in closeup.title
    assert [row[0] for row in closeup.events.rows][3] == "▶ 14.251\u202fs"
    assert list(closeup.events.tones) == ["", "", "", "culprit", ""]
    assert [row[1] for row in closeup.events.rows] == ["←", "←", "←", "←", "→"]


def test_a_rule_without_an_example_is_still_counted(runs):
    violations = [{"rule": "r", "about": "a", "count": 3, "examples": []}]
    panel = PROTOCOL(clean(runs["rich"], violations=violations))
    assert tables(panel)["Rules of the protocol that were broken"].rows == [["r", "a", "3"]]
    assert not panel.closeups


def test_a_leak_names_both_sessions_and_the_words(runs):
    table = tables(PROTOCOL(runs["rich"]))["Words of one session in another"]
    assert table.rows == [["9", "4", "17.200\u202fs", "transcript", "marigold"]]


def test_quirks_that_were_seen_are_listed(runs):
    assert tables(PROTOCOL(runs["rich"]))["Quirks: no breach, and worth knowing"].rows == [
        ["late transcription", "3", "session 4: item_1"]
    ]


def test_a_check_that_was_not_made_is_not_taken_for_a_pass(runs):
    run = runs["rich"]
    panel = PROTOCOL(replace(run, summary={"rows": [], "violations": []}))
    assert panel.answer.endswith(
        "Not checked: leaks between sessions, the settings given and errors."
    )
    assert PROTOCOL(replace(run, summary={"rows": []})) is None


def test_settings_not_given_have_path_asked_got_and_sessions_formats_first(runs):
    table = tables(PROTOCOL(runs["rich"]))["Settings asked for and not given"]
    assert table.rows == [
        ["audio.output.format", "audio/pcmu", "audio/pcm 24000", "20"],
        ["audio.output.speed", "1.2", "1.0", "20"],
        ["providerData.tts.language", "en-US", "not echoed", "20"],
    ]
    assert list(table.tones) == ["limit", "", "quiet"]


def test_what_the_target_changed_is_one_line_of_the_header(runs, pages):
    line = changed_settings(runs["rich"])
    assert line == (
        "The target changed what was asked: audio.output.format asked audio/pcmu, "
        "got audio/pcm 24000; audio.output.speed asked 1.2, got 1.0."
    )
    header = pages["rich"].split("</header>", 1)[0]
    assert f'<p class="changed format">{line}</p>' in header
    assert 'class="changed' not in pages["whole"]


def test_a_long_list_of_changes_is_cut_in_the_header(runs):
    many = [{"path": f"p{number}", "asked": 1, "got": 2, "sessions": 1} for number in range(5)]
    run = clean(runs["rich"], unhonoured=many)
    assert changed_settings(run).endswith("p2 asked 1, got 2; and 2 more settings.")
    assert not changed_a_format(run)
    assert '<p class="changed">' in render(run)


def test_what_is_not_echoed_changed_nothing(runs):
    silent = [entry for entry in UNHONOURED if entry.get("echoed") is False]
    run = clean(runs["rich"], unhonoured=silent)
    assert changed_settings(run) == ""
    assert "No setting was given otherwise than asked, and said nothing of 1 more." in (
        PROTOCOL(run).answer
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        ({"type": "audio/pcm", "rate": 24000}, "audio/pcm 24000"),
        ({"type": "semantic_vad", "eagerness": "low"}, "semantic_vad low"),
        (["audio", "text"], '["audio", "text"]'),
        ("Clive", "Clive"),
    ],
)
def test_a_setting_is_written_as_people_write_it(value, text):
    assert setting(value) == text

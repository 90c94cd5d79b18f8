"""What was asked of the server and not given is listed by path, asked and got."""

import pytest

from bench.analysis.settings_mismatch import count_unhonoured, unhonoured
from tests.analysis.story import Story, analysed, told_of

PCM = {"type": "audio/pcm", "rate": 24000}


def reconfigured(tmp_path, asked, got, *more):
    story = Story().begin().microphone().say(200).answered()
    story.update(4000, asked).updated(4020, got)
    for step in more:
        step(story)
    found = told_of(tmp_path, story.finish()).mismatches
    return count_unhonoured(found), unhonoured(found)


def sound(way, **fields):
    return {"audio": {way: fields}}


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (sound("input", format="g711_ulaw"), sound("input", format={"type": "audio/pcmu"})),
        (sound("input", format={"type": "audio/pcm"}), sound("input", format=PCM)),
        (sound("output", format={"type": "audio/pcma"}), {"output_audio_format": "g711_alaw"}),
        (sound("output", voice="Clive"), sound("output", voice={"id": "Clive"})),
        ({"output_modalities": ["text", "audio"]}, {"output_modalities": ["audio", "text"]}),
        ({"instructions": ""}, {"instructions": None}),
        (
            sound("input", turn_detection={"type": "server_vad"}),
            sound("input", turn_detection={"type": "server_vad", "threshold": 0.5}),
        ),
        (
            sound("input", turn_detection={"type": "semantic_vad", "eagerness": "auto"}),
            sound("input", turn_detection={"type": "semantic_vad", "eagerness": "medium"}),
        ),
        (sound("input", turn_detection=None), sound("input", turn_detection=None)),
        ({"tools": [{"name": "t"}]}, {"tools": [{"name": "t", "strict": False}]}),
        ({"type": "realtime"}, {}),
        ({"speed": 1}, {"speed": 1.0}),
        ({"speed": 0.8}, {"speed": 0.800000011920929}),  # through a float of 32 bits
        ({"tools": [{"limit": 0.1}]}, {"tools": [{"limit": 0.10000000149011612}]}),
    ],
)
def test_two_spellings_of_one_thing_are_the_same(tmp_path, asked, got):
    assert reconfigured(tmp_path, asked, got) == (0, [])


@pytest.mark.parametrize(
    ("path", "asked", "got"),
    [
        ("audio.input.format", {"type": "audio/pcmu"}, PCM),
        ("audio.output.format", "pcm16", {"type": "audio/pcm", "rate": 16000}),
        ("audio.output.voice", "Clive", "Dennis"),
        ("audio.input.turn_detection", {"type": "server_vad"}, None),
        ("audio.input.turn_detection.eagerness", "low", "medium"),
        ("output_modalities", ["text"], ["audio"]),
        ("tools", [{"name": "t"}], []),
        ("model", "a/b", "c/d"),
        ("speed", 0.8, 0.80001),
        ("tracing", True, 1.0000001),
    ],
)
def test_what_the_server_has_instead_is_named(tmp_path, path, asked, got):
    def whole(value):
        for key in reversed(path.split(".")):
            value = {key: value}
        return value

    count, found = reconfigured(tmp_path, whole(asked), whole(got))
    assert count == 1
    assert found == [{"path": path, "asked": asked, "got": got, "echoed": True, "sessions": 1}]


def test_what_the_server_does_not_say_at_all_is_listed_and_not_counted(tmp_path):
    asked = {"providerData": {"auto_tool_response": False}}
    count, found = reconfigured(tmp_path, asked, {"model": "m"})
    assert count == 0
    assert found == [
        {"path": "providerData", "asked": asked["providerData"], "got": None, "echoed": False,
         "sessions": 1}
    ]  # fmt: skip


def test_a_setting_is_counted_once_a_session_and_shown_once_for_all(tmp_path):
    stories = []
    for number in range(3):
        story = Story(number).begin().microphone().say(200).answered()
        for at in (4000, 5000):
            story.update(at, {"model": "a"}).updated(at + 20, {"model": "b"})
        stories.append(story.finish())
    _, _, rows, summary = analysed(tmp_path, *stories)
    assert rows["unhonoured", "count"]["value"] == 3
    assert [entry["sessions"] for entry in summary["unhonoured"]] == [3]


def test_a_response_that_speaks_with_another_voice_than_is_in_force_is_named(tmp_path):
    asked = sound("output", voice="Clive")

    def respond(story):
        story.created(4100, "r2", voice="Dennis").done(4200, "r2")

    count, found = reconfigured(tmp_path, asked, asked, respond)
    assert count == 1
    assert (found[0]["path"], found[0]["asked"], found[0]["got"]) == (
        "response.voice", "Clive", "Dennis",
    )  # fmt: skip


def test_a_response_is_held_to_what_was_in_force_when_it_was_created(tmp_path):
    """Before the update, while it was under way, and where the caller asked for its own."""
    new = {"output_modalities": ["text"]}
    story = Story().begin(session={"output_modalities": ["audio"]}).microphone().say(200)
    story.created(3000, "old", modalities=["audio"]).done(3100, "old").update(4000, new)
    story.created(4010, "soon", modalities=["text"]).done(4015, "soon").updated(4020, new)
    story.create(4100, output_modalities=["audio"])
    story.created(4200, "own", modalities=["audio"]).done(4300, "own")
    story.created(4400, "next", modalities=["audio"]).done(4500, "next")
    _, _, _, summary = analysed(tmp_path, story.finish())
    assert [(entry["path"], entry["got"]) for entry in summary["unhonoured"]] == [
        ("response.output_modalities", ["audio"])
    ]


def refuse(story, after):
    story.update(5000, {"model": "bad", "speed": 9}, "bad").error(5010, "invalid_value", "bad")
    story.update(5100, {"speed": 1}).updated(5120, after)


def test_an_update_that_was_refused_must_change_nothing(tmp_path):
    good = {"model": "good", "speed": 1}
    assert reconfigured(tmp_path, good, good, lambda story: refuse(story, good)) == (0, [])


def test_an_update_that_was_refused_and_applied_is_named(tmp_path):
    good = {"model": "good", "speed": 1}
    count, found = reconfigured(
        tmp_path, good, good, lambda story: refuse(story, {**good, "model": "bad"})
    )
    assert count == 1
    assert found[0]["path"] == "invalid update applied"
    assert found[0]["got"] == {"model": "bad"}


@pytest.mark.parametrize(("event_id", "count"), [("bad-provoked", 1), ("u9", 0)])
def test_an_error_that_names_nothing_is_held_to_be_about_an_update_only_where_it_was_provoked(
    tmp_path, event_id, count
):
    """Else it may have been about something else, and the update is rightly in force."""
    good, bad = {"model": "good"}, {"model": "bad"}

    def ask(story):
        story.update(5000, bad, event_id).error(5010, "server_error").updated(5020, bad)

    assert reconfigured(tmp_path, good, good, ask)[0] == count


def test_an_update_that_was_never_answered_is_not_held_against_the_next_ones(tmp_path):
    """Acknowledgements are taken in their order, and one that never came must shift none."""
    asked, last = {"model": "a"}, {"model": "d"}

    def ask(story):
        story.update(5000, {"model": "b"}).error(5020, "invalid_value")  # which names no message
        story.update(6000, {"model": "c"}).update(20_000, last).updated(20_050, last)

    assert reconfigured(tmp_path, asked, asked, ask) == (0, [])


def test_a_number_beyond_all_floats_is_another_one(tmp_path):
    assert reconfigured(tmp_path, {"speed": 0.8}, {"speed": 10**400})[0] == 1


def test_a_long_value_is_shown_by_its_beginning(tmp_path):
    _, found = reconfigured(
        tmp_path, {"instructions": "be kind " * 100}, {"instructions": "be brief"}
    )
    assert len(found[0]["asked"]) == 200
    assert found[0]["asked"].endswith("…")

"""What is no answer: fillers, padding, and the agent's own backchannels."""

import pytest

from bench.analysis.trackers import tracked
from tests.analysis.story import (
    LOUD,
    NOTHING,
    SOFT,
    Answer,
    Story,
    analysed,
    conversation,
    events_of,
)

RESPONSIVE = {"providerData": {"responsiveness": {"enabled": True}}}


def filled(session):
    """A filler at 2000…2050 (200 ms), words at 2400, the answer from 2500 on."""
    story = Story().begin(session=session).microphone().say(0)
    story.ear()
    story.created(1750).delta(2000).delta(2050).words(2400).delta(2500, silence=30).delta(2550)
    return story.done(2600).heard_out(3000).finish()


def test_a_filler_is_no_answer_and_is_reported_apart(tmp_path):
    turns, _, rows, summary = analysed(tmp_path, filled(RESPONSIVE))
    expected = {
        "filler_latency": 800, "first_audio_latency": 1300, "leading_silence": 30,
        "voice_to_voice_latency": 1330, "delta_gap": 50, "reply_audio_ns": 200_000_000,
    }  # fmt: skip
    assert {name: turns.loc[0, name] for name in expected} == expected
    assert rows["filler_latency", "p50"]["n"] == 1
    assert summary["checks"]["identity_breaches"] == 0


def test_without_responsiveness_early_audio_is_the_answer(tmp_path):
    turns, _, rows, _ = analysed(tmp_path, filled(None))
    assert turns.loc[0, ["first_audio_latency", "delta_gap"]].tolist() == [800, 450]
    assert rows["filler_latency", "p50"]["n"] == 0


def test_an_answer_that_waits_for_its_own_filler_is_queued(tmp_path):
    story = Story().begin(session=RESPONSIVE).microphone(jitter=40).say(0)
    story.ear()
    story.created(1750).delta(2000, 400).words(2100).delta(2150).done(2200).heard_out(3000)
    turns, _, _, summary = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["queued_ns", "jitter_buffer_ns"]].tolist() == [290_000_000, 0]
    assert turns.loc[0, "voice_to_voice_latency"] == 2440 - 1200
    assert summary["checks"] == {"identity_breaches": 0, "identity_checked": 1}


def test_a_response_of_nothing_but_a_filler_is_no_answer(tmp_path):
    story = Story().begin(2, session=RESPONSIVE).microphone().say(0)
    at = story.ear()
    story.created(at + 10, "f").delta(at + 200, response="f").done(at + 210, "f")
    story.created(at + 300).words(at + 400).delta(at + 500).done(at + 510).heard_out(at + 700)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["response_id", "first_audio_latency"]].tolist() == ["resp1", at - 700]
    assert turns.loc[0, "filler_latency"] == at - 1000


def test_a_server_that_sends_no_words_has_no_fillers_that_could_be_told(tmp_path):
    story = Story().begin(session=RESPONSIVE).microphone().say(0)
    at = story.ear()
    story.created(at).delta(at + 300).done(at + 310).heard_out(at + 400)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "first_audio_latency"]].tolist() == ["ok", at + 300 - 1200]


def test_silence_before_the_words_is_leading_silence_and_no_filler(tmp_path):
    story = Story().begin(session=RESPONSIVE).microphone().say(0)
    at = story.ear()
    story.created(at).delta(at + 300, silence=100).words(at + 310).delta(at + 350)
    turns, _, _, _ = analysed(tmp_path, story.done(at + 360).heard_out(at + 600).finish())
    assert turns.loc[0, ["first_audio_latency", "leading_silence"]].tolist() == [at - 900, 100]
    assert turns["filler_latency"].isna().all()


def test_padding_after_the_reply_is_in_no_figure_of_it(tmp_path):
    plain, padded = conversation(0, 1), Story(1).begin().microphone().say(200)
    padded.answered(Answer()).delta(2900, 20, levels=[NOTHING] * 2)
    turns, _, _, _ = analysed(tmp_path, plain, padded.finish())
    same = ["delta_gap", "realtime_factor", "min_buffer", "reply_audio_ns", "underrun_time"]
    assert turns.loc[1, same].tolist() == turns.loc[0, same].tolist()


def test_a_pause_inside_a_reply_and_soft_audio_behind_it_are_no_padding(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at).delta(at + 300, levels=[LOUD] * 10).delta(at + 350, levels=[NOTHING] * 10)
    story.delta(at + 400, levels=[LOUD] * 10).delta(at + 450, levels=[SOFT] * 10)
    turns, _, _, _ = analysed(tmp_path, story.done(at + 460).heard_out(at + 800).finish())
    assert turns.loc[0, "reply_audio_ns"] == 400_000_000


def test_an_interjection_of_the_agent_is_never_the_first_audio(tmp_path):
    story = Story().begin().microphone().say(0)  # speech 200…1200
    for at in (900, 950):
        story.hear(at, "response.backchannel.audio.delta", nbytes=480, audio_ns=1, detail="b1")
    story.hear(960, "response.backchannel.audio.done", detail="I see.")
    story.hear(1300, "response.backchannel.audio.delta", nbytes=480, audio_ns=1, detail="b2")
    at = story.ear()
    story.created(at).delta(at + 300).done(at + 310).heard_out(at + 400)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["backchannel_delay", "first_audio_latency"]].tolist() == [700, at - 900]
    assert not turns.loc[0, "talked_over"]
    assert rows["backchannels", "count"]["value"] == 2


def test_an_interjection_after_the_end_of_speech_is_no_backchannel_of_the_turn(tmp_path):
    story = Story().begin().microphone().say(200).answered()
    story.hear(1500, "response.backchannel.audio.delta", nbytes=480, audio_ns=1, detail="b1")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["backchannel_delay"].isna().all()


@pytest.mark.parametrize(
    ("asked", "said", "filler"),
    [
        (RESPONSIVE, {"model": "m"}, True),
        (RESPONSIVE, {"providerData": None}, False),
        (RESPONSIVE, {"providerData": {"responsiveness": {"enabled": False}}}, False),
        ({"providerData": {"responsiveness": {"enabled": False}}}, {}, False),
        ({"instructions": "be kind"}, RESPONSIVE, True),
    ],
)
def test_what_the_server_does_not_say_of_fillers_is_as_the_caller_asked(
    tmp_path, asked, said, filler
):
    story = filled(said).update(-20, asked)
    [(_, tracker)] = tracked(events_of(tmp_path, story), {})
    assert tracker.configs.configs[-1].responsive is filler


def test_where_the_server_does_not_say_fillers_that_were_asked_for_are_told_apart(tmp_path):
    _, _, rows, _ = analysed(tmp_path, filled({"model": "m"}).update(-20, RESPONSIVE))
    assert rows["filler_latency", "p50"]["n"] == 1


def test_fillers_that_were_asked_for_and_refused_are_none(tmp_path):
    story = filled({}).update(-20, RESPONSIVE, "bad").error(-10, "invalid_value", "bad")
    [(_, tracker)] = tracked(events_of(tmp_path, story), {})
    assert not tracker.configs.configs[-1].responsive

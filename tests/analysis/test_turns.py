"""From events to turns: every figure of an ordinary turn, worked out by hand, and attribution."""

import pandas as pd

from tests.analysis.story import Answer, Story, analysed, conversation

# A turn said at media 200: onset 400, offset 1400; stopped 1920, committed 1930, created 1950.
EXPECTED = {
    "voice_to_voice_latency": 2250 + 130 - 1400,  # first delta, its leading silence
    "first_audio_latency": 2250 - 1400,
    "leading_silence": 130,
    "first_transcript_latency": 2050 - 1400,
    "speech_start_delay": 150,
    "speech_start_error": 20,
    "endpointing_delay": 520,
    "endpointing_error": 500,
    "vad_lag": 1920 - 1900.5,  # the chunk [1800, 1900) was sent at 1900.5
    "commit_delay": 10,
    "response_start_delay": 20,
    "generation_delay": 300,
    "response_latency": 2250 - 1920,
    "transcription_delay": 2010 - 1400,
    "realtime_factor": 75 / 400,
    "delta_gap": 25,
    "underrun_time": 0,
    "min_buffer": 0,
}


def test_every_figure_of_an_ordinary_turn_is_what_the_events_say(tmp_path):
    turns, _, _, _ = analysed(tmp_path, conversation(0, 1, Answer(silence=130)))
    assert {name: turns.loc[0, name] for name in EXPECTED} == EXPECTED
    assert turns.loc[0, ["outcome", "transcript", "reply", "text"]].tolist() == [
        "ok", "hello there", "good day", "hello",
    ]  # fmt: skip


def test_session_figures_are_counted_from_the_start_of_connecting(tmp_path):
    _, sessions, rows, _ = analysed(tmp_path, conversation(0, 1))
    expected = {
        "tcp_time": 1, "tls_time": 4, "upgrade_time": 10, "connect_time": 15,
        "session_created_time": 30, "session_ready_time": 60, "arrival_lateness": 2,
    }  # fmt: skip
    assert {name: sessions.loc[0, name] for name in expected} == expected
    assert rows["connect_time", "p50"]["value"] == 15
    assert sessions.loc[0, ["input_format", "planned_turns", "outcome"]].tolist() == [
        "audio/pcm 24000", 1, "finished",
    ]  # fmt: skip


def test_a_session_without_tls_has_a_tls_time_of_zero(tmp_path):
    story = conversation(0, 1)
    story.rows = [row for row in story.rows if row.type != "bench.secured"]
    _, sessions, _, _ = analysed(tmp_path, story)
    assert sessions.loc[0, ["tls_time", "upgrade_time"]].tolist() == [0, 14]


def test_latency_is_counted_from_the_true_end_of_speech_and_no_later_event(tmp_path):
    """Flaw F8: a slow endpointer makes every caller wait, so it must show."""
    turns, _, _, _ = analysed(
        tmp_path, conversation(0, 1, Answer(stop=520)), conversation(1, 1, Answer(stop=1520))
    )
    assert turns["first_audio_latency"].tolist() == [850, 1850]
    assert turns["response_latency"].tolist() == [330, 330]


def test_a_reply_before_the_callers_end_has_a_negative_latency_and_is_talk_over(tmp_path):
    """Flaw F18: clipping at zero hides it."""
    story = Story().begin().microphone().say(0)  # speech 200…1200
    story.started(350, position=20).stopped(700, position=680).committed(710).created(720)
    story.delta(900).delta(950).done(960).heard_out(1300)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "first_audio_latency"] == -300
    assert turns.loc[0, "voice_to_voice_latency"] == -300
    assert turns.loc[0, "endpointing_delay"] == -500
    assert turns.loc[0, "talked_over"]
    assert rows["first_audio_latency", "min"]["value"] == -300
    assert rows["talked_over", "share"]["value"] == 100


def test_a_turn_that_the_server_cut_in_two_is_split_and_answered_by_the_last_response(tmp_path):
    story = Story().begin().microphone().say(0)
    story.started(350, "a", 0).stopped(700, "a", 650).committed(710, "a").created(720, "r1")
    story.started(800, "b", 480).done(820, "r1", "cancelled", "turn_detected")
    story.stopped(1700, "b", 1700).committed(1710, "b").created(1730, "r2")
    story.hear(1740, "conversation.item.input_audio_transcription.completed", item_id="a",
               detail="one")  # fmt: skip
    story.hear(1750, "conversation.item.input_audio_transcription.completed", item_id="b",
               detail="two")  # fmt: skip
    story.delta(2000, response="r2").done(2010, "r2").heard_out(2100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["split_turn", "response_id", "outcome"]].tolist() == [True, "r2", "ok"]
    assert turns.loc[0, "speech_start_delay"] == 150  # the first start
    assert turns.loc[0, "endpointing_delay"] == 500  # the last stop
    assert turns.loc[0, "transcript"] == "one two"
    assert turns.loc[0, "transcription_delay"] == 550
    assert rows["split_turn", "share"]["value"] == 100


def test_a_start_where_nobody_spoke_is_spurious_and_its_response_answers_nobody(tmp_path):
    story = Story().begin(2).microphone().say(200).answered()
    story.started(3500, "noise", 3200).stopped(3800, "noise", 3700).committed(3810, "noise")
    story.created(3830, "r-noise").delta(4000, response="r-noise").done(4010, "r-noise")
    story.say(6000).answered()
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["spurious"].tolist() == [1, 0]
    assert turns["response_id"].tolist() == ["resp1", "resp2"]
    assert rows["spurious", "share"]["value"] == 50
    assert rows["answered", "share"]["value"] == 100


def test_a_sound_is_no_turn_and_a_start_in_it_is_spurious(tmp_path):
    story = Story().begin().microphone().say(200).answered()
    story.say(4000, onset=None)
    story.started(4200, "cough", position=3900)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert len(turns) == 1
    assert turns.loc[0, "spurious"] == 1


def test_a_position_decides_whose_start_it_was_however_late_the_message(tmp_path):
    story = Story().begin(2).microphone().say(0).say(2000)  # speech 200…1200 and 2200…3200
    story.started(2300, "a", position=0).started(2400, "b", position=2000)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["speech_start_delay"].tolist() == [2100, 200]
    assert turns["spurious"].tolist() == [0, 0]


def test_without_a_position_a_start_belongs_to_what_was_said_last(tmp_path):
    story = Story().begin(2).microphone().say(0).say(2000)
    story.started(2100, "a").started(2300, "b")
    story.stopped(2350, "a").stopped(3700, "b")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["speech_start_delay"].tolist() == [1900, 100]
    assert turns["endpointing_delay"].tolist() == [1150, 500]
    assert turns["speech_start_error"].isna().all()


def test_the_tolerance_around_speech_is_300_ms_before_and_200_ms_after(tmp_path):
    story = Story().begin(4).microphone()
    for turn, position in enumerate((-99, -100, 1400, 1401)):  # of speech 200…1200, padding 300
        story.say(turn * 5000)
        story.started(turn * 5000 + 1500, position=turn * 5000 + position - 300)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["spurious"].tolist() == [0, 0, 0, 1]
    assert turns["speech_started_ns"].notna().tolist() == [True, True, True, False]


def test_a_start_that_the_server_clamped_to_the_beginning_has_no_error(tmp_path):
    story = Story().begin().microphone().say(0, onset=100)  # heard at 110: 110 - 300 < 0
    story.started(250, position=0)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "speech_start_delay"] == 150
    assert turns["speech_start_error"].isna().all()


def test_in_manual_mode_the_commit_belongs_to_what_was_said_last(tmp_path):
    story = Story().begin(2).microphone(padding=0)
    for turn in (1, 2):
        at = turn * 5000
        story.say(at).committed(at + 1400).created(at + 1420).delta(at + 1700)
        story.done(at + 1710).heard_out(at + 1800)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["outcome"].tolist() == ["ok", "ok"]
    assert turns["first_audio_latency"].tolist() == [500, 500]
    assert turns["response_start_delay"].tolist() == [20, 20]
    assert turns["commit_delay"].isna().all()


def test_without_any_commit_a_response_answers_what_was_said_last(tmp_path):
    story = Story().begin().microphone().say(0).created(1300).delta(1500).done(1510).heard_out(1600)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "first_audio_latency"]].tolist() == ["ok", 300]


def test_beta_spellings_of_deltas_are_heard_too(tmp_path):
    story = conversation(0, 1)
    story.rows = [
        row._replace(type=row.type.replace("response.output_audio", "response.audio"))
        for row in story.rows
    ]
    turns, _, _, _ = analysed(tmp_path, story)
    assert turns.loc[0, ["first_audio_latency", "first_transcript_latency"]].tolist() == [850, 650]


def test_an_empty_delta_is_no_audio_and_no_text(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at)
    story.hear(at + 10, "response.output_audio.delta", response_id="resp1", item_id="a-resp1",
               audio_ns=0, envelope=b"")  # fmt: skip
    story.hear(at + 20, "response.output_text.delta", response_id="resp1", detail="")
    story.hear(at + 40, "response.output_text.delta", response_id="resp1", detail="hi")
    story.delta(at + 100).done(at + 110).heard_out(at + 200)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "first_audio_latency"] == at + 100 - 1200
    assert turns.loc[0, "first_text_latency"] == at + 40 - 1200


def test_the_error_of_a_stamp_is_carried_to_the_turn(tmp_path):
    story = conversation(0, 1)
    story.rows = [
        row._replace(at_err_ns=1_500_000) if row.type == "response.output_audio.delta" else row
        for row in story.rows
    ]
    turns, _, _, _ = analysed(tmp_path, story)
    assert turns.loc[0, "error_ms"] == 1.5


def test_messages_with_one_stamp_keep_the_order_of_the_log(tmp_path):
    """The kernel stamps coalesced segments alike: stopped, committed, created at one instant."""
    answer = Answer(commit=0, create=0)
    turns, _, _, _ = analysed(tmp_path, conversation(0, 2, answer), conversation(1, 2, answer))
    assert turns["response_id"].tolist() == ["resp1", "resp2", "resp1", "resp2"]
    assert (turns["commit_delay"] == 0).all()


def test_a_turn_is_measured_by_the_onset_of_its_speech(tmp_path):
    story = conversation(0, 3, opens=0)  # onsets at 400, 4400, 8400
    begin = story.zero + 4_400_000_000
    plan = {"measured_from_ns": begin, "measured_to_ns": begin + 4_000_000_000}
    turns, _, rows, _ = analysed(tmp_path, story, plan=plan)
    assert turns["measured"].tolist() == [False, True, False]
    assert rows["turns", "count"]["value"] == 1


def test_an_utterance_whose_speech_had_not_begun_when_the_session_ended_is_no_attempt(tmp_path):
    story = Story().begin(3).microphone().say(200).answered().say(4000).end(4100, "drained")
    turns, _, _, _ = analysed(tmp_path, story)
    assert turns["turn"].tolist() == [1]


def test_a_length_that_no_session_has_was_not_said(tmp_path):
    """Of older folders: what the wire now leaves out as odd."""
    huge = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    huge["audio"]["input"]["turn_detection"]["prefix_padding_ms"] = 2**61
    story = Story().begin(session=huge).microphone(padding=2**61).say(200).answered()
    story.started(9000, "odd", position=2**60)
    turns, sessions, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "speech_start_delay"]].tolist() == ["ok", 150]
    assert sessions["prefix_padding_ns"].isna().all()
    assert turns["speech_start_error"].isna().all()  # nobody knows what was taken off


def test_speech_that_is_said_to_stop_again_stopped_when_it_was_first_said(tmp_path):
    plain = Story().begin().microphone().say(200).answered()
    expected, _, _, _ = analysed(tmp_path / "plain", plain.finish())
    story = Story().begin().microphone().say(200).answered()
    for at in (1925, 2000, 2300):
        story.stopped(at, position=at)
    turns, _, _, _ = analysed(tmp_path / "again", story.finish())
    figures = ["endpointing_delay", "endpointing_error", "response_latency", "response_id"]
    assert turns[figures].equals(expected[figures])


def test_a_start_without_a_place_that_nothing_follows_is_spurious_and_splits_no_turn(tmp_path):
    story = Story().begin(2).microphone().say(200).answered()
    story.started(1600, "stray")
    story.say(5000).answered()
    turns, _, _, _ = analysed(tmp_path / "run", story.finish())
    assert turns["spurious"].tolist() == [1, 0]
    assert turns["split_turn"].tolist() == [False, False]


def test_where_a_server_never_says_when_speech_ends_no_start_is_spurious_for_that(tmp_path):
    story = Story().begin().microphone().say(0).started(400, "a").started(900, "b")
    turns, _, _, _ = analysed(tmp_path / "run", story.finish())
    assert turns["spurious"].tolist() == [0]
    assert turns["split_turn"].tolist() == [True]


def test_a_server_without_response_created_breaks_no_objective_about_it(tmp_path):
    gates = ("p95(generation_delay) < 500 ms", "p95(first_audio_latency) < 5 s")
    story = conversation(0, 2)
    story.rows = [row for row in story.rows if row.type != "response.created"]
    turns, _, rows, _ = analysed(tmp_path / "run", story, gates=gates)
    assert turns["good_turn"].tolist() == [True, True]
    assert rows["generation_delay", "p50"]["n"] == 0
    silent = conversation(0, 2)
    silent.rows = [row for row in silent.rows if not row.type.startswith("response.")]
    turns, _, _, _ = analysed(tmp_path / "silent", silent, gates=gates)
    assert turns["good_turn"].tolist() == [False, False]


def test_a_server_that_never_acknowledges_is_waited_for_by_nobody(tmp_path):
    def told(acknowledges):
        story = conversation(0, 1)
        story.update(-1, {})
        if not acknowledges:
            story.rows = [row for row in story.rows if row.type != "session.updated"]
        _, sessions, rows, _ = analysed(tmp_path / str(acknowledges), story)
        return sessions.loc[0, "session_ready_time"], rows["update_ack", "p50"]["n"]

    assert told(acknowledges=True) == (60, 1)
    ready, acknowledged = told(acknowledges=False)
    assert pd.isna(ready)
    assert acknowledged == 0

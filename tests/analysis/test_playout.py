"""The tracker's player is the caller's player, and the headline is the sum of its parts."""

from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.envelopes import audible_windows
from bench.corpus.energy import AUDIBLE_DBFS, dbfs
from bench.tracker.event import AudioDelta
from bench.tracker.playout import AUDIBLE, Playback
from bench.voice.player import Player
from tests.analysis.story import LOUD, SOFT, Answer, Story, analysed
from tests.examples import examples

MS = 1_000_000
ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which item, so that some come back
        st.integers(0, 300),  # after the one before, ms
        st.integers(0, 250),  # how long it plays, ms
        st.booleans(),  # the player is emptied before it
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@examples(200)
@given(ARRIVALS, st.integers(0, 200))
def test_a_session_plays_exactly_as_the_callers_player_would(arrivals, jitter):
    live, player, at = Player(jitter * MS), Playback(jitter * MS), 7_000_000_000_000
    for number, (item, wait, length, flush) in enumerate(arrivals):
        at += wait * MS
        if flush and number:
            live.flush(at)
            player.flush(at)
        response = item + 10 * player.epoch  # what a flush silenced never comes back
        live.feed(str(response), at, length * MS)
        delta = AudioDelta(number, at, 0, None, str(response), length * MS, None, -1, -1)
        player.play(delta, response, player.epoch)
        assert (delta.start_ns, delta.end_ns) == (live.ends_ns - length * MS, live.ends_ns)


def test_audibility_is_the_corpus_rooms_own():
    assert dbfs(AUDIBLE) >= AUDIBLE_DBFS > dbfs(AUDIBLE - 1)


def test_the_first_and_last_audible_window_of_each_delta_are_found():
    loud, soft = bytes([AUDIBLE]), bytes([AUDIBLE - 1])
    first, last = audible_windows([soft * 3 + loud + soft, None, b"", soft, loud + soft + loud])
    assert first.tolist() == [3, -1, -1, -1, 0]
    assert last.tolist() == [3, -1, -1, -1, 2]


def test_nothing_at_all_is_audible_in_no_deltas():
    assert [len(part) for part in audible_windows([])] == [0, 0]


def reply(tmp_path, jitter, *deltas):
    """A turn whose response was created at 2000, its first delta at 2000 + the first arrival."""
    story = Story().begin().microphone(jitter).say(0)
    story.ear()
    story.created(2000)
    for arrival, length, levels in deltas:
        story.delta(2000 + arrival, length, levels=levels)
    story.done(2900).heard_out(5000)
    turns, _, _, summary = analysed(tmp_path, story.finish())
    assert summary["checks"] == {"identity_breaches": 0, "identity_checked": 1}
    return turns.loc[0]


def test_a_starved_player_is_measured_and_needs_the_buffer_that_is_stated(tmp_path):
    voice = [LOUD] * 10
    # Plays 300…400, starves to 450, plays to 550, starves to 700, plays to 800.
    turn = reply(tmp_path, 0, (300, 100, voice), (450, 100, voice), (700, 100, voice))
    assert turn["underrun_time"] == 50 + 150
    assert turn["min_buffer"] == 200  # the third came 400 after the first, with 200 to play
    assert turn["delta_gap"] == 250
    assert turn["realtime_factor"] == 400 / 300
    assert turn["voice_to_voice_latency"] == 2300 - 1200


def test_a_jitter_buffer_delays_what_is_heard_and_not_what_arrives(tmp_path):
    voice = [LOUD] * 10
    turn = reply(tmp_path, 200, (300, 100, voice), (450, 100, voice), (700, 100, voice))
    assert turn["first_audio_latency"] == 1100
    assert turn["voice_to_voice_latency"] == 1300
    assert turn["underrun_time"] == 0
    assert turn["jitter_buffer_ns"] == 200 * MS


def test_starving_in_the_leading_silence_is_part_of_the_wait(tmp_path):
    turn = reply(
        tmp_path,
        0,
        (300, 100, [SOFT] * 10),
        (460, 100, [SOFT] * 3 + [LOUD] * 7),
        (500, 100, [LOUD] * 10),
    )
    assert turn["leading_silence"] == 130
    assert turn["underrun_before_onset_ns"] == 60 * MS
    assert turn["voice_to_voice_latency"] == 2300 + 130 + 60 - 1200


def test_a_reply_behind_another_in_the_player_is_queued(tmp_path):
    story = Story().begin(2).microphone().say(0)
    story.ear()
    story.created(1750).delta(2000, 3000).done(2010)  # plays to 5000
    story.say(2200)  # speech 2400…3400: talks over it, nothing is emptied
    story.ear()  # commits at 3930
    story.created(3950).delta(4200).done(4210).heard_out(5100)
    turns, _, _, summary = analysed(tmp_path, story.finish())
    assert turns.loc[1, "queued_ns"] == 800 * MS
    assert turns.loc[1, "first_audio_latency"] == 800
    assert turns.loc[1, "voice_to_voice_latency"] == 1600
    assert summary["checks"]["identity_breaches"] == 0


def test_what_was_still_waiting_when_the_player_was_emptied_was_never_heard(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear(Answer(stop=100))  # commits at 1310
    story.created(at).delta(1400, 100, silence=100).delta(1410, 100)
    story.note(1450, "flush", detail={"heard_ms": 50})
    story.delta(1460, 100).done(1500)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["heard_ns"].isna().all()
    assert turns.loc[0, "leading_silence"] == 100
    assert turns.loc[0, "outcome"] == "error"

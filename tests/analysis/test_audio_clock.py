"""The server's clock stands still while the microphone is muted: positions are mapped to media."""

from hypothesis import given
from hypothesis import strategies as st

from bench.tracker.audio_clock import AudioClock
from tests.analysis.story import MANUAL, MS, Story, analysed

VAD = {"audio": {"input": {"turn_detection": {"type": "server_vad", "prefix_padding_ms": 300}}}}


def muted(*, tell):
    """Muted until 5000, then open: said at 5000 (speech 5200…6200), where the server's clock is 0.

    `tell`: whether the log has the appends.
    """
    story = Story().begin(session=MANUAL).microphone().updated(4900, VAD)
    story.say(5000).started(5400, position=20)
    story.stopped(6800, position=1750).committed(6810)
    story.created(6830).delta(7100).done(7110).heard_out(7300)
    if tell:
        for index in range(30):
            at = 5000 + 100 * index
            story.row(at + 100.5, "out", "input_audio_buffer.append", media_ns=at * MS,
                      audio_ns=100 * MS, nbytes=4800)  # fmt: skip
    return story.finish()


def test_positions_are_on_the_servers_clock_and_errors_on_the_microphones(tmp_path):
    turns, _, _, _ = analysed(tmp_path, muted(tell=True))
    # 20 ms of written audio and 300 ms of padding are media 5320: the onset is at 5200.
    assert turns.loc[0, "speech_start_error"] == 120
    assert turns.loc[0, "endpointing_error"] == 5000 + 1750 - 6200
    assert turns.loc[0, "speech_start_delay"] == 200
    assert turns.loc[0, "vad_lag"] == 6800 - 6800.5  # the append [6700, 6800)
    assert turns.loc[0, ["audio_start_ms", "audio_end_ms"]].tolist() == [20, 1750]
    assert turns.loc[0, "spurious"] == 0


def test_without_the_appends_nobody_could_tell(tmp_path):
    turns, _, _, _ = analysed(tmp_path, muted(tell=False))
    assert turns.loc[0, "spurious"] == 1


def test_the_padding_in_force_is_the_one_that_is_taken_out(tmp_path):
    story = Story().begin(session=VAD).microphone(padding=300).say(0).started(400, position=0)
    vad = {"type": "server_vad", "prefix_padding_ms": 100}
    story.updated(3000, {"audio": {"input": {"turn_detection": vad}}})
    story.say(4000).started(4400, position=4110)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["speech_start_error"].isna().tolist() == [True, False]
    assert turns.loc[1, "speech_start_error"] == 10


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), min_size=1, max_size=20),
    st.data(),
)
def test_every_written_sample_is_found_where_it_was_spoken(pieces, data):
    """Silences of any length between appends of any length."""
    media = written = 0
    clock, truth = AudioClock(), []
    for gap, length in pieces:
        media += gap
        clock.append([media], [media], [length])
        truth += range(media, media + length)
        media, written = media + length, written + length
    for position in data.draw(st.lists(st.integers(0, written - 1), min_size=1)):
        assert clock.to_media(position) == truth[position]

from hypothesis import given
from hypothesis import strategies as st

from bench.voice.audio import ms
from bench.voice.player import Player


def test_a_reply_plays_from_its_arrival_and_never_faster_than_real_time():
    player = Player()
    for n in range(5):  # five chunks of 100 ms arrive within 4 ms
        player.feed("a", ms(1000 + n), ms(100))
    assert player.ends_ns == ms(1500)
    assert player.heard_ns(ms(1250)) == ms(250)
    assert player.reaches_ns(ms(300)) == ms(1300)
    assert player.reaches_ns(ms(501)) is None


def test_the_jitter_buffer_holds_back_the_first_chunk_only():
    player = Player(ms(60))
    player.feed("a", ms(0), ms(100))
    player.feed("a", ms(10), ms(100))
    assert player.ends_ns == ms(260)


def test_a_late_chunk_starves_the_player_and_is_played_at_its_arrival():
    player = Player()
    player.feed("a", ms(0), ms(100))
    player.feed("a", ms(150), ms(100))
    assert player.ends_ns == ms(250)
    assert player.heard_ns(ms(140)) == ms(100)
    assert player.reaches_ns(ms(101)) == ms(151)


def test_flush_drops_what_has_not_been_played_and_says_how_much_was():
    player = Player()
    player.feed("a", ms(0), ms(1000))
    assert player.flush(ms(300)) == ms(300)
    assert not player.playing(ms(300))
    assert player.heard_ns(ms(2000)) == ms(300)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)), max_size=40))
def test_what_is_heard_never_exceeds_what_arrived_nor_the_time_that_passed(chunks):
    player, at, total = Player(), 0, 0
    for gap, length in chunks:
        at += gap
        player.feed("a", at, length)
        total += length
        assert player.heard_ns(at) <= min(at, total)
    assert player.heard_ns(10**12) == total

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corpus.sample_codec import decode
from bench.reference.recogniser import UNRECOGNISED, Recogniser
from bench.voice.audio import ms
from tests.reference.stage import LINES, REPLIES, hiss, quiet, utterance, voiced

KNOWN = Recogniser((*LINES, *REPLIES))


def samples(one):
    return decode(one.audio, one.format.type)


@given(before=st.integers(0, 30_000), after=st.integers(0, 30_000), n=st.integers(0, 2))
@settings(max_examples=30)
def test_an_utterance_is_known_wherever_silence_falls_around_it(before, after, n):
    audio = np.concatenate((np.zeros(before, "<i2"), samples(LINES[n]), np.zeros(after, "<i2")))
    assert KNOWN.text(audio) == LINES[n].text


def test_utterances_in_one_item_are_named_in_the_order_of_time():
    audio = np.concatenate([samples(LINES[n]) for n in (2, 0, 2)])
    assert KNOWN.text(audio) == " ".join(LINES[n].text for n in (2, 0, 2))


def test_edges_clipped_by_a_detector_cost_no_word():
    assert KNOWN.text(samples(LINES[1])[24 * 300 : -24 * 240]) == LINES[1].text


@pytest.mark.parametrize("audio", [quiet(500), hiss(500), voiced(500, 133, 5), quiet(0)])
def test_what_is_not_known_is_not_guessed(audio):
    assert KNOWN.text(audio) == UNRECOGNISED


def test_another_gain_is_another_recording():
    assert KNOWN.text((samples(LINES[0]) // 2).astype("<i2")) == UNRECOGNISED


@pytest.mark.parametrize(
    ("text", "blank"), [("one two three four five six", " "), ("今天我们去公园散步", "")]
)
def test_each_half_of_an_utterance_split_at_its_pause_has_its_share_of_the_words(text, blank):
    halves = [voiced(800, 120, 40), quiet(700), voiced(800, 150, 41)]
    whole = utterance("x", 1, text=text)
    audio = np.concatenate((quiet(100), *halves, quiet(100)))
    whole = whole._replace(audio=audio.tobytes(), onset_ns=ms(100), offset_ns=ms(2400))
    known = Recogniser([whole])
    middle = 24 * (100 + 800 + 350)
    first, second = known.text(audio[:middle]), known.text(audio[middle:])
    assert f"{first}{blank}{second}" == whole.text
    assert first
    assert second


def test_an_utterance_is_whole_when_its_last_sound_is_there():
    halves = [voiced(800, 120, 40), quiet(700), voiced(800, 150, 41)]
    audio = np.concatenate((quiet(100), *halves, quiet(100)))
    one = utterance("x", 1, text="one two three four")
    one = one._replace(audio=audio.tobytes(), onset_ns=ms(100), offset_ns=ms(2400))
    known = Recogniser([one, *LINES])
    assert known.said_whole(audio) is True
    assert known.said_whole(audio[: 24 * 1100]) is False
    assert known.said_whole(audio[24 * 1500 :]) is True
    assert known.said_whole(np.concatenate((audio, samples(LINES[0])[: 24 * 600]))) is False
    assert known.said_whole(voiced(700, 133, 5)) is None
    assert known.said_whole(quiet(700)) is None

"""Several channels: mixed if they are one sound, asked for if they are not, and always said."""

from itertools import count

import numpy as np
import pytest
import soundfile

from bench.corpus.add import Handling, add
from bench.corpus.decode import read_samples
from bench.errors import UsageError

RATE = 16_000


@pytest.fixture
def channels(tmp_path):
    """What becomes of a recording of these channels."""
    folder = tmp_path / "mine"
    folder.mkdir()
    number = count()

    def become(*signals, **handling):
        length = max(map(len, signals))
        columns = [np.pad(one, (0, length - len(one))) for one in signals]
        soundfile.write(folder / "call.wav", np.column_stack(columns), RATE)
        corpus = tmp_path / f"corpus-{next(number)}"
        return add(folder, corpus, Handling(**handling))

    return become


def test_channels_of_one_sound_are_mixed(channels, speech, tmp_path):
    said = speech("short-tuesday")
    result = channels(said, said)
    assert [text for _, text in result.remarks] == ["2 channels are mixed"]
    path = tmp_path / "corpus-0" / "call.flac"
    assert np.array_equal(read_samples(path.read_bytes(), path)[0], said)


def test_channels_in_antiphase_do_not_vanish(channels, speech):
    said = speech("short-tuesday")
    result = channels(said, -said)
    assert "antiphase" in result.remarks[0][1]
    assert result.added[0].loudness > -30


def test_a_silent_channel_is_left_out(channels, speech):
    said = speech("short-tuesday")
    result = channels(said * 0, said)
    assert "only right of 2 channels" in result.remarks[0][1]
    assert result.added[0].loudness > -30


def test_a_constant_in_both_channels_makes_two_speakers_no_one_sound(channels, speech):
    result = channels(speech("short-tuesday") + 3000, speech("short-okay") + 3000)
    assert (result.added, len(result.refused)) == ((), 1)


def test_a_speaker_a_channel_is_asked_for(channels, speech):
    signals = speech("short-tuesday"), speech("short-okay")
    result = channels(*signals)
    assert result.added == ()
    assert "say --channel left, right, split or mix" in result.refused[0][1]


@pytest.mark.parametrize("asked", ["left", "right", "split", "mix"])
def test_what_is_asked_for_is_taken_with_its_own_truth(channels, speech, asked):
    quiet = np.zeros(RATE, np.int16)
    left = speech("short-tuesday")
    right = np.concatenate((quiet, speech("short-okay")))
    alone = {"left": channels(left).added[0], "right": channels(right).added[0]}
    result = channels(left, right, channel=asked)
    if asked == "mix":
        (entry,) = result.added
        assert entry.onset_ms == pytest.approx(alone["left"].onset_ms, abs=3)
        assert entry.offset_ms == pytest.approx(alone["right"].offset_ms, abs=3)
        assert result.remarks[0][1] == "2 channels are mixed"
        return
    sides = ("left", "right") if asked == "split" else (asked,)
    assert [text for _, text in result.remarks] == [f"{side} of 2 channels" for side in sides]
    for side, entry in zip(sides, result.added, strict=True):
        assert entry.onset_ms == pytest.approx(alone[side].onset_ms, abs=2)
        assert entry.offset_ms == pytest.approx(alone[side].offset_ms, abs=2)
    if asked == "split":
        assert [entry.voice for entry in result.added] == ["call/left", "call/right"]
        assert [entry.id for entry in result.added] == ["call-left", "call-right"]


def test_of_five_channels_each_can_be_had(channels, speech):
    names = ("short-tuesday", "short-okay", "short-no", "short-yes", "short-right")
    result = channels(*map(speech, names), channel="split")
    voices = [entry.voice for entry in result.added]
    assert voices == [
        f"call/{one}" for one in ("left", "right", *(f"channel-{n}" for n in (3, 4, 5)))
    ]


def test_a_word_that_is_no_channel_is_named(channels, speech):
    with pytest.raises(UsageError, match="did you mean 'left'"):
        channels(speech(), channel="lef")


def test_a_transcript_of_all_channels_is_of_none_of_them_and_that_is_said(
    channels, speech, tmp_path
):
    (tmp_path / "mine" / "call.txt").write_text("Tuesday. Okay.")
    result = channels(speech("short-tuesday"), speech("short-okay"), channel="split")
    assert [entry.text for entry in result.added] == ["", ""]
    assert sum("transcript is of all channels" in text for _, text in result.remarks) == 2


def test_nor_is_one_of_a_part_of_all_channels(channels, speech, tmp_path):
    row = '{"audio_filepath": "call.wav", "offset": 0.01, "text": "Tuesday. Okay."}'
    (tmp_path / "mine" / "manifest.json").write_text(row)
    signals = speech("short-tuesday"), speech("short-okay")
    assert [entry.text for entry in channels(*signals, channel="split").added] == ["", ""]
    (alone,) = channels(*signals, channel="left").added
    assert alone.text == "Tuesday. Okay."

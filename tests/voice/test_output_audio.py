"""Audio of replies that is not as stated: torn samples, headers, two channels, other formats."""

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.voice.audio import AudioFormat
from bench.voice.output_audio import OutputAudio

PCM16K = AudioFormat("audio/pcm", 16_000)
ULAW = AudioFormat("audio/pcmu", 8_000)
SPEECH = [(n * 7919) % 20_011 - 10_000 for n in range(700)]
SILENCE = [0] * 300
SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=300)
SIZES = st.lists(st.integers(1, 200), min_size=1, max_size=8)


def pcm(samples, channels=1):
    return array("h", [one for one in samples for _ in range(channels)]).tobytes()


def header(rate=24_000, channels=1, *, tag=1, bits=16, extra=b""):
    """A WAV header; `extra` is a chunk before the data."""
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + fmt + extra + b"data" + b"\xff" * 4
    return b"RIFF" + b"\xff" * 4 + b"WAVE" + chunks


def cut(audio, sizes):
    """`audio` in pieces of these sizes, again and again."""
    pieces = []
    while audio:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(audio[:size])
        audio = audio[size:]
    return pieces


def taken(deltas, stated=AudioFormat(), output=None, item_id="item"):
    """The audio of each delta, the names of what was odd in order, and the format at the end."""
    output = output or OutputAudio()
    output.state(stated)
    odd = []
    given = [output.take(item_id, delta, odd) for delta in deltas]
    return given, [one[0] for one in odd], output.format


def whole(given, fmt):
    assert all(len(one) % fmt.bytes_per_sample == 0 for one in given)
    return b"".join(given)


@given(samples=SAMPLES, sizes=SIZES)
def test_a_stream_of_one_channel_in_pieces_of_any_size_is_that_stream(samples, sizes):
    # The first sample and its neighbour differ: nobody can take them for two channels.
    audio = pcm([1, 2, *samples])
    deltas = cut(audio, sizes)
    given, odd, fmt = taken(deltas)
    assert whole(given, fmt) == audio
    assert fmt == AudioFormat()
    ends = [sum(map(len, deltas[: n + 1])) for n in range(len(deltas))]
    assert odd == ["odd_deltas" for end in ends if end % 2]


@given(samples=SAMPLES, sizes=SIZES, channels=st.sampled_from([1, 2]), every=st.booleans())
def test_a_header_is_taken_off_and_believed(samples, sizes, channels, every):
    deltas = cut(pcm(samples, channels), sizes) or [b""]
    before = header(16_000, channels)
    wrapped = [before + one if every or not n else one for n, one in enumerate(deltas)]
    given, odd, fmt = taken(wrapped)
    assert whole(given, fmt) == pcm(samples)
    assert fmt == PCM16K
    assert odd.count("wav_header") == odd.count("other_format") == (len(deltas) if every else 1)
    assert set(odd) <= {"wav_header", "other_format", "odd_deltas"}
    ends = [sum(map(len, deltas[: n + 1])) for n in range(len(deltas))]
    assert odd.count("odd_deltas") == sum(end % (2 * channels) > 0 for end in ends)


@given(samples=SAMPLES, sizes=SIZES, at=st.integers(4, 43))
def test_a_header_may_come_in_two_deltas(samples, sizes, at):
    before = header(24_000)
    given, odd, fmt = taken([before[:at], before[at:], *cut(pcm(samples), sizes)])
    assert whole(given, fmt) == pcm(samples)
    assert fmt == AudioFormat()
    assert odd[:1] == ["wav_header"]
    assert "other_format" not in odd


@given(samples=SAMPLES, first=st.integers(64, 400), sizes=SIZES)
def test_two_channels_are_known_by_being_alike_whatever_the_cuts(samples, first, sizes):
    audio = pcm([*SPEECH, *samples], 2)
    given, odd, fmt = taken([audio[:first], *cut(audio[first:], sizes)])
    assert whole(given, fmt) == pcm([*SPEECH, *samples])
    assert fmt == AudioFormat()
    assert odd.count("two_channels") == 1
    assert set(odd) <= {"two_channels", "odd_deltas"}


@given(sizes=SIZES)
def test_silence_before_two_channels_are_known_is_taken_for_one_and_the_rest_is_exact(sizes):
    """Silence looks the same in any number of channels; it is not held back to find out."""
    silence = cut(pcm(SILENCE, 2), sizes)
    given, odd, fmt = taken([*silence, pcm(SPEECH, 2)])
    assert whole(given, fmt) == pcm(SILENCE, 2) + pcm(SPEECH)
    assert odd.count("two_channels") == 1


@pytest.mark.parametrize("quiet", [1, 2, 3])
def test_a_cut_between_two_twins_in_silence_hides_no_second_channel(quiet):
    audio = pcm([0, 0, 0, *SPEECH], 2)
    given, odd, fmt = taken([audio[: 2 * quiet], audio[2 * quiet :]])
    assert odd == ["two_channels"]
    assert whole(given, fmt).endswith(pcm(SPEECH))
    # each twin that was given before is one sample too many, and no more
    assert len(whole(given, fmt)) == len(pcm([0, 0, 0, *SPEECH])) + 2 * (quiet // 2)


def test_a_square_wave_in_one_channel_is_no_second_channel():
    audio = pcm(([9000] * 60 + [-9000] * 60) * 10)
    given, odd, fmt = taken([audio])
    assert (whole(given, fmt), odd) == (audio, [])


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_is_never_taken_for_two_channels_without_a_header(kind):
    audio = bytes(value for value in range(256) for _ in range(8))
    stated = AudioFormat(kind, 8_000)
    assert taken([audio, audio[:3]], stated) == ([audio, audio[:3]], [], stated)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("tag", "kind"), [(6, "audio/pcma"), (7, "audio/pcmu")])
def test_a_header_of_g711_is_believed_too(tag, kind, channels):
    voice = bytes(range(256))
    audio = bytes(value for value in voice for _ in range(channels))
    given, odd, fmt = taken([header(8_000, channels, tag=tag, bits=8) + audio])
    assert (given, fmt) == ([voice], AudioFormat(kind, 8_000))
    assert odd == ["wav_header", "other_format"]


@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 24), (3, 32), (85, 0)])
@pytest.mark.parametrize("length", [40, 8_000])
def test_a_header_of_a_format_that_nobody_reads_is_no_sound_and_is_told(tag, bits, length):
    audio = pcm(range(length // 2))
    given, odd, fmt = taken([header(24_000, tag=tag, bits=bits) + audio])
    assert (given, odd, fmt) == ([audio], ["unread_header"], AudioFormat())


def test_other_chunks_may_stand_before_the_data():
    note = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    audio = pcm(SPEECH)
    assert taken([header(extra=note) + audio]) == ([audio], ["wav_header"], AudioFormat())


def test_a_new_item_does_not_begin_with_the_torn_byte_of_the_old_one():
    output, audio = OutputAudio(), pcm(SPEECH)
    first, odd, _ = taken([audio[:-1]], output=output)
    assert (first, odd) == ([audio[:-2]], ["odd_deltas"])
    assert taken([audio], output=output, item_id="other")[:2] == ([audio], [])


def test_what_is_known_of_one_reply_holds_for_the_next_until_another_format_is_stated():
    output = OutputAudio()
    stereo = pcm(SPEECH, 2)
    taken([header(16_000, 2) + stereo], output=output)
    assert taken([stereo], output=output, item_id="b") == ([pcm(SPEECH)], [], PCM16K)
    taken([stereo[:1]], output=output, item_id="b")
    assert taken([pcm(SPEECH)], ULAW, output, "b") == ([pcm(SPEECH)], [], ULAW)
    assert taken([pcm(SPEECH)], PCM16K, output, "b") == ([pcm(SPEECH)], [], PCM16K)

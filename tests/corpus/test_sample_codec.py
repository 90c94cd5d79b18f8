import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.corpus.sample_codec import decode, encode

LAWS = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}
EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)
EVERY_BYTE = bytes(range(256))


@given(arrays(np.int16, st.integers(0, 500)))
def test_pcm_comes_back_as_it_went(samples):
    assert np.array_equal(decode(encode(samples, "audio/pcm"), "audio/pcm"), samples)


def test_pcm_is_little_endian():
    assert encode(np.array([1, -2], np.int16), "audio/pcm") == b"\x01\x00\xfe\xff"


def test_every_byte_of_a_law_survives_decoding_and_encoding():
    assert encode(decode(EVERY_BYTE, "audio/pcma"), "audio/pcma") == EVERY_BYTE
    once = encode(decode(EVERY_BYTE, "audio/pcmu"), "audio/pcmu")
    assert once == EVERY_BYTE.replace(b"\x7f", b"\xff")  # negative zero is zero


@pytest.mark.parametrize(("codec", "bias"), [("audio/pcmu", 132), ("audio/pcma", 0)])
def test_the_error_of_a_law_is_at_most_half_a_step(codec, bias):
    sample = EVERY_SAMPLE.astype(int)
    back = decode(encode(EVERY_SAMPLE, codec), codec).astype(int)
    # A segment starts at a power of two and has 16 steps: half a step is a 32nd of its start.
    half = np.maximum((np.abs(sample) + bias) / 32, 8)
    inside = np.abs(sample) <= 32_635
    assert np.all(np.abs(back - sample)[inside] <= half[inside])


@pytest.mark.parametrize(("codec", "subtype"), LAWS.items())
def test_the_laws_decode_as_libsndfile_does(codec, subtype):
    file = io.BytesIO(EVERY_BYTE)
    theirs, _ = soundfile.read(
        file, samplerate=8000, channels=1, format="RAW", subtype=subtype, dtype="int16"
    )
    assert np.array_equal(decode(EVERY_BYTE, codec), theirs)


def test_mu_law_encodes_every_sample_as_libsndfile_does():
    file = io.BytesIO()
    soundfile.write(file, EVERY_SAMPLE, 8000, format="RAW", subtype="ULAW")
    assert encode(EVERY_SAMPLE, "audio/pcmu") == file.getvalue()


@pytest.mark.parametrize(("codec", "silence"), [("audio/pcmu", 0xFF), ("audio/pcma", 0xD5)])
def test_silence_is_the_codecs_own_zero(codec, silence):
    assert encode(np.zeros(3, np.int16), codec) == bytes([silence]) * 3

import hashlib

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus.decode import load_utterances, read_samples, resample, utterance
from bench.corpus.manifest import load_corpus
from bench.corpus.sample_codec import decode
from bench.errors import CorpusError
from bench.voice.audio import PCM16_24K, AudioFormat, ms

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]


def tone(rate: int, duration_ms: int = 300, hertz: float = 440) -> np.ndarray:
    at = np.arange(rate * duration_ms // 1000) / rate
    return (10_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def test_an_utterance_carries_the_truth_of_the_manifest(everyday):
    entry = next(e for e in everyday.entries if e.id == "short-yes")
    spoken = utterance(everyday, entry, PCM16_24K)
    assert (spoken.id, spoken.text, spoken.voice) == ("short-yes", "Yes.", "flite-slt")
    assert (spoken.onset_ns, spoken.offset_ns) == (ms(entry.onset_ms), ms(entry.offset_ms))
    assert spoken.tags == {"short"}
    assert abs(spoken.duration_ns - ms(entry.duration_ms)) <= ms(0.1)


def test_non_speech_has_neither_onset_nor_offset(everyday):
    entry = next(e for e in everyday.entries if e.id == "nonspeech-cough")
    spoken = utterance(everyday, entry, PCM16_24K)
    assert (spoken.onset_ns, spoken.offset_ns) == (None, None)


@pytest.mark.parametrize("codec", ["audio/pcm", "audio/pcmu", "audio/pcma"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_every_format_lasts_as_long_and_sounds_as_loud(everyday, codec, rate):
    entry = next(e for e in everyday.entries if e.id == "short-yes")
    spoken = utterance(everyday, entry, AudioFormat(codec, rate))
    assert abs(spoken.duration_ns - ms(entry.duration_ms)) <= 1e9 / rate
    heard = decode(spoken.audio, codec).astype(float) / 32_768
    part = heard[int(entry.onset_ms * rate / 1000) : int(entry.offset_ms * rate / 1000)]
    assert abs(10 * np.log10(np.mean(part**2)) - entry.loudness) < 1.0


@given(st.sampled_from(RATES), st.sampled_from(RATES), st.integers(20, 400))
def test_resampling_keeps_the_duration(rate, to, duration_ms):
    samples = tone(rate, duration_ms)
    assert abs(len(resample(samples, rate, to)) / to - len(samples) / rate) <= 1 / to


def test_resampling_keeps_the_time_of_a_sound():
    samples = np.zeros(16_000, np.int16)
    samples[8_000:8_160] = tone(16_000, 10)
    up = resample(samples, 16_000, 24_000)
    loud = np.flatnonzero(np.abs(up) > 1000)
    assert abs(loud[0] / 24_000 - 0.5) < 0.001


def test_resampling_clips_instead_of_wrapping():
    square = np.repeat(np.array([32_767, -32_768] * 50, np.int16), 20)
    up = resample(square, 16_000, 24_000).astype(int)
    inside = up[100:-100]
    assert np.max(np.abs(np.diff(inside))) <= 65_535
    assert np.mean(inside[:50] > 0) in (0.0, 1.0) or np.max(inside) == 32_767


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_container_is_read_and_mixed_down(tmp_path, suffix, channels):
    path = tmp_path / f"tone.{suffix}"
    wave = tone(24_000, 500).astype(np.float32) / 32_768
    soundfile.write(path, np.column_stack([wave] * channels), 24_000)
    samples, rate = read_samples(path.read_bytes(), path)
    assert rate == 24_000
    assert abs(len(samples) / rate - 0.5) < 0.06  # MP3 pads to its own blocks
    assert abs(np.max(samples[6000:]) - 10_000) < 700


def test_16_bit_samples_come_back_exactly(tmp_path):
    every = np.arange(-32_768, 32_768).astype(np.int16)
    path = tmp_path / "every.flac"
    soundfile.write(path, every, 24_000, "PCM_16")
    assert np.array_equal(read_samples(path.read_bytes(), path)[0], every)


def refused(folder) -> str:
    corpus = load_corpus(folder)
    with pytest.raises(CorpusError) as caught:
        load_utterances(corpus, corpus.entries, PCM16_24K)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder / "short-yes.flac") in message
    assert "object at" not in message
    return message


def test_a_missing_recording_is_named_with_the_remedy(small):
    (small / "short-yes.flac").unlink()
    message = refused(small)
    assert "no such file" in message
    assert "bench corpus check" in message


def test_a_renamed_recording_is_missing_under_its_old_name(small):
    (small / "short-yes.flac").rename(small / "yes.flac")
    assert "restore the file" in refused(small)


def test_another_recording_under_its_name_is_refused_by_its_hash(small):
    (small / "pause-date.flac").replace(small / "short-yes.flac")
    message = refused(small)
    assert "sha256" in message
    assert "bench corpus check" in message


@pytest.mark.parametrize("kept", [50, 2000, 8000])
def test_a_truncated_recording_is_said_to_be_cut_short(small, kept):
    path = small / "short-yes.flac"
    path.write_bytes(path.read_bytes()[:kept])
    assert "is cut short or damaged" in refused(small)


@pytest.mark.parametrize("junk", [b"", b"this is no audio at all" * 50])
def test_a_file_that_is_no_audio_is_said_to_be_none(small, junk):
    (small / "short-yes.flac").write_bytes(junk)
    assert "is not audio" in refused(small)


def test_a_recording_that_promises_more_than_ten_minutes_is_refused_before_it_is_decoded(small):
    path = small / "short-yes.flac"
    soundfile.write(path, np.zeros((1_201 * 24_000, 2), np.int16), 24_000)
    assert path.stat().st_size < 1_000_000
    assert "is too long: 57648000 samples, the most are 57600000" in refused(small)


def test_a_recording_that_is_a_device_is_never_read(small):
    path = small / "short-yes.flac"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "is no regular file" in refused(small)


def test_a_changed_byte_is_noticed(small):
    path = small / "short-yes.flac"
    raw = bytearray(path.read_bytes())
    raw[30] ^= 1  # inside the header, where the decoder does not care
    path.write_bytes(raw)
    before = hashlib.sha256(raw).hexdigest()
    assert before not in (small / "manifest.toml").read_text()
    refused(small)

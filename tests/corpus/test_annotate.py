import os

import numpy as np
import psutil
import pytest

from bench.corpus.annotate import VAD_RATE, annotate, vad_spans
from bench.corpus.decode import read_samples
from bench.corpus.manifest import Corpus

LINES = ["short-yes", "interruption-sorry", "pause-date", "soft-um"]


def recording(corpus: Corpus, name: str) -> tuple[np.ndarray, int]:
    path = corpus.folder / f"{name}.flac"
    return read_samples(path.read_bytes(), path)


def spoken_alone(corpus: Corpus, name: str) -> tuple[np.ndarray, int]:
    """The speech of a recording without the silence around it."""
    entry = next(e for e in corpus.entries if e.id == name)
    samples, rate = recording(corpus, name)
    return samples[int(entry.onset_ms * rate / 1000) : int(entry.offset_ms * rate / 1000)], rate


@pytest.mark.parametrize("name", LINES)
def test_known_silence_before_and_after_moves_the_marks_by_its_length(everyday, name):
    samples, rate = recording(everyday, name)
    plain = annotate(samples, rate)
    for before, after in ((37, 500), (800, 0)):
        padding = (rate * before // 1000, rate * after // 1000)
        padded = annotate(np.pad(samples, padding), rate)
        assert abs(padded.onset_ms - plain.onset_ms - before) <= 10
        assert abs(padded.offset_ms - plain.offset_ms - before) <= 10
        assert len(padded.pauses) == len(plain.pauses)


@pytest.mark.parametrize("name", ["short-no", "digits-card", "plain-refund"])
@pytest.mark.parametrize("silence_ms", [60, 1200])
def test_speech_put_into_known_silence_is_found_where_it_was_put(everyday, name, silence_ms):
    speech, rate = spoken_alone(everyday, name)
    silence = rate * silence_ms // 1000
    found = annotate(np.pad(speech, silence), rate)
    assert abs(found.onset_ms - silence * 1000 / rate) <= 10
    assert abs(found.offset_ms - (silence + len(speech)) * 1000 / rate) <= 10


@pytest.mark.parametrize("silence_ms", [250, 400, 1200])
def test_a_known_pause_is_found_where_it_was_put(everyday, silence_ms):
    first, rate = spoken_alone(everyday, "short-yes-please")
    second, other = spoken_alone(everyday, "plain-password")
    assert rate == other
    parts = [np.zeros(rate // 5), first, np.zeros(rate * silence_ms // 1000), second]
    found = annotate(np.concatenate([*parts, np.zeros(rate // 5)]).astype(np.int16), rate)
    ((start, end),) = [gap for gap in found.pauses if gap[1] - gap[0] >= silence_ms - 20]
    known = 200 + len(first) * 1000 / rate
    assert abs(start - known) <= 10
    assert abs(end - known - silence_ms) <= 10


def test_louder_or_softer_speech_has_the_same_marks(everyday):
    samples, rate = recording(everyday, "plain-refund")
    plain, soft = annotate(samples, rate), annotate((samples // 8).astype(np.int16), rate)
    assert abs(plain.onset_ms - soft.onset_ms) <= 10
    assert abs(plain.offset_ms - soft.offset_ms) <= 10
    assert abs(plain.loudness - soft.loudness - 18.06) < 0.2


def test_a_click_before_the_speech_is_no_onset(everyday):
    samples, rate = recording(everyday, "plain-refund")
    padded = np.pad(samples, (rate // 2, 0))
    plain = annotate(padded, rate)
    padded[rate // 10 : rate // 10 + 20] = 9000
    assert annotate(padded, rate).onset_ms == plain.onset_ms


def test_a_constant_offset_of_the_recording_changes_no_mark(everyday):
    samples, rate = recording(everyday, "short-yes")
    plain, shifted = annotate(samples, rate), annotate(samples + np.int16(300), rate)
    assert abs(plain.onset_ms - shifted.onset_ms) <= 1
    assert abs(plain.offset_ms - shifted.offset_ms) <= 1


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.int16),
        np.zeros(30, np.int16),
        np.zeros(16_000, np.int16),
        np.full(16_000, 1200, np.int16),
        np.random.default_rng(1).normal(0, 2000, 16_000).astype(np.int16),
    ],
    ids=["nothing", "a moment", "silence", "offset alone", "white noise"],
)
def test_where_nobody_speaks_there_is_neither_onset_nor_offset(samples):
    found = annotate(samples, 16_000)
    assert (found.onset_ms, found.offset_ms, found.pauses) == (None, None, ())
    assert found.loudness <= 0


@pytest.mark.parametrize("snr_db", [20, 10])
def test_steady_noise_moves_the_marks_by_less_than_a_fifth_of_a_second(everyday, snr_db):
    rng = np.random.default_rng(3)
    for name in ("plain-refund", "digits-postcode"):
        samples, rate = recording(everyday, name)
        plain = annotate(samples, rate)
        level = 32_768 * 10 ** ((plain.loudness - snr_db) / 20)
        noisy = annotate((samples + rng.normal(0, level, len(samples))).astype(np.int16), rate)
        assert abs(noisy.onset_ms - plain.onset_ms) <= 200
        assert abs(noisy.offset_ms - plain.offset_ms) <= 200


def test_the_voice_activity_detector_has_one_thread(monkeypatch):
    """Two that wait for each other take twenty times as long."""
    monkeypatch.setenv("OMP_THREAD_LIMIT", "7")
    before = psutil.Process().num_threads()
    found = vad_spans([np.zeros(VAD_RATE, np.float32)])
    assert (found, psutil.Process().num_threads()) == ([], before)
    assert os.environ["OMP_THREAD_LIMIT"] == "7"

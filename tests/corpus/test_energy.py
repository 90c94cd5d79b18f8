import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.corpus.energy import AUDIBLE_DBFS, dbfs, envelope, first_audible

SIGNALS = arrays(np.int16, st.integers(0, 1500))


def slow(samples: np.ndarray, rate: int) -> list[float]:
    """The definition, written without haste."""
    size = rate * 10 // 1000
    levels = []
    for at in range(0, len(samples), size):
        window = samples[at : at + size].astype(np.float64) / 32_768
        power = np.mean((window - window.mean()) ** 2)
        levels.append(10 * math.log10(power) if power > 1e-14 else -math.inf)
    return levels


@given(SIGNALS, st.sampled_from([8_000, 16_000, 22_050, 24_000, 48_000]))
def test_a_byte_is_the_level_of_its_window_to_a_quarter_of_a_decibel(samples, rate):
    env, levels = envelope(samples, rate), slow(samples, rate)
    assert len(env) == len(levels)
    for code, level in zip(env, levels, strict=True):
        assert code == 0 if level == -math.inf else abs(dbfs(code) - level) <= 0.2501


@given(SIGNALS, st.integers(-8_000, 8_000))
def test_a_constant_offset_changes_nothing(samples, offset):
    quiet = samples // 8
    assert envelope(quiet, 24_000) == envelope(quiet + np.int16(offset), 24_000)


@given(st.integers(-32_768, 32_767), st.integers(1, 1000))
def test_silence_is_zero_whatever_its_offset(value, length):
    assert set(envelope(np.full(length, value, np.int16), 24_000)) == {0}


def test_a_full_scale_square_wave_is_the_highest_code():
    square = np.tile(np.array([32_767, -32_768], np.int16), 1200)
    assert envelope(square, 24_000) == b"\xff" * 10
    assert dbfs(255) == 0.0


@given(arrays(np.int16, st.just(2400)), st.integers(1, 9))
def test_chunks_of_whole_windows_have_the_envelope_of_the_whole(samples, cut):
    at = cut * 240
    assert envelope(samples[:at], 24_000) + envelope(samples[at:], 24_000) == envelope(
        samples, 24_000
    )


def test_no_samples_have_no_envelope():
    assert envelope(np.zeros(0, np.int16), 24_000) == b""


@pytest.mark.parametrize(
    ("levels", "index"), [([-80, -51, -50, -20], 2), ([-50.5], None), ([], None), ([-10], 0)]
)
def test_the_first_audible_window_is_the_first_at_the_threshold(levels, index):
    env = bytes(round(2 * (level + 127.5)) for level in levels)
    assert first_audible(env, AUDIBLE_DBFS) == index

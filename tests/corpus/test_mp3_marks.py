"""MP3 as people keep it: joined, without a length, with tags in the middle, and cut short."""

import io
import struct
import sys

import numpy as np
import pytest
import soundfile

from bench.corpus.mp3_marks import AudioOnly, mp3_marks
from bench.corpus.stream import Refused

RATE = 16_000


def mp3(samples, mode="VARIABLE"):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3", compression_level=0.6, bitrate_mode=mode)
    return file.getvalue()


def tagged(raw, text=b"a title" * 9):
    """An MP3 with an ID3v2 tag before it and an ID3v1 tag behind."""
    length = struct.pack(">BBBB", 0, 0, len(text) >> 7, len(text) & 0x7F)
    return b"ID3\4\0\0" + length + text + raw + b"TAG" + b" " * 125


def headless(raw):
    return raw[raw.find(raw[:2], 4) :]


@pytest.fixture
def parts(speech):
    """Two recordings: one whose frames grow, so that its first is no measure, and another."""
    quiet = np.zeros(RATE, np.int16)
    return np.concatenate([quiet, speech("long-hotel")]), speech("long-move")


def seconds(*waves):
    return sum(map(len, waves)) / RATE


def marks(raw):
    return mp3_marks(io.BytesIO(raw), len(raw))


def test_an_mp3_without_a_length_is_whole_however_libsndfile_guesses(known, parts):
    pytest.importorskip("av")
    for mode in ("VARIABLE", "CONSTANT", "AVERAGE"):
        found = known(headless(mp3(parts[0], mode)))
        assert found.frames / RATE == pytest.approx(seconds(parts[0]), abs=0.2)


def test_without_ffmpeg_an_mp3_that_is_guessed_at_is_refused(known, parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for raw in (headless(mp3(parts[0])), tagged(mp3(parts[0])) + tagged(mp3(parts[1]))):
        with pytest.raises(Refused, match="pip install"):
            known(raw)


def test_joined_mp3s_are_whole_whatever_stands_between_them(known, parts):
    pytest.importorskip("av")
    one, other = map(mp3, parts)
    for raw in (
        one + other,
        tagged(one) + tagged(other),
        tagged(one, b"\xff\xfb\x90\x64" * 900) + tagged(other, b"Info" * 400),
        tagged(one) + headless(other),
        headless(one) + tagged(other),
    ):
        found = known(raw)
        assert found.frames / RATE == pytest.approx(seconds(*parts), abs=0.3)
        assert "read by FFmpeg" in found.remarks[0]


def test_an_mp3_that_is_cut_short_is_refused_be_it_a_part_of_another(known, parts):
    one, other = (tagged(mp3(wave)) for wave in parts)
    short = one[: len(one) * 2 // 3]
    for raw in (short, short + other, other + short):
        with pytest.raises(Refused, match=r"cut short: \d\.\d s of what its header states"):
            known(raw)


def test_one_mp3_with_tags_is_one_part_that_has_its_length(parts):
    raw = mp3(parts[0])
    for one in (raw, tagged(raw)):
        found = marks(one)
        assert (found.parts, found.has_length, len(found.audio)) == (1, True, 1)
        assert found.missing_s < 0.1
    assert not marks(headless(raw)).has_length


def test_a_length_in_frames_alone_is_a_length_too(known, parts):
    raw = bytearray(mp3(parts[0]))
    at = max(raw.find(b"Xing"), raw.find(b"Info"))
    raw[at + 7] &= ~2
    raw[at + 12 :] = raw[at + 16 :]
    assert marks(bytes(raw)).has_length
    with pytest.raises(Refused, match="cut short"):
        known(bytes(raw[: len(raw) * 2 // 3]))


def test_the_length_of_a_fraunhofer_encoder_is_known():
    frame = b"\xff\xfb\x90\x64" + bytes(32) + b"VBRI" + bytes(6) + struct.pack(">II", 40_000, 100)
    found = marks(frame.ljust(20_000, b"\0"))
    assert (found.parts, found.has_length) == (1, True)
    assert found.missing_s == pytest.approx(100 * 1152 / 44_100 / 2)


def test_a_mark_without_a_frame_around_it_is_none():
    for junk in (b"Info" * 999, b"ID3\4\0\0\0\0\0\5" * 99, b"\xff\xfb" + b"Xing" * 99, b""):
        found = marks(junk)
        assert (found.has_length, found.missing_s) == (False, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_bytes_stand_there_the_audio_lies_inside_the_file(parts, seed):
    chance = np.random.default_rng(seed)
    raw = bytearray(tagged(mp3(parts[0])) * 2)
    for at in chance.integers(0, len(raw), 2_000):
        raw[at] = chance.integers(256)
    found = marks(bytes(raw))
    edges = [edge for span in found.audio for edge in span]
    assert edges == sorted(edges)
    assert edges[-1] <= len(raw) + 4_096


def test_only_the_audio_is_shown():
    shown = AudioOnly(io.BytesIO(b"0123456789"), ((0, 2), (4, 4), (5, 8)))
    assert io.BufferedReader(shown).read() == b"01567"
    assert (shown.seek(-2, 2), shown.read(9)) == (3, b"67")
    assert (shown.seek(1), shown.read(1), shown.tell()) == (1, b"1", 2)

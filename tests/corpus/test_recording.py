"""Files as people have them: read whole whatever they are called, or refused with the reason."""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from bench.corpus.add import add
from bench.corpus.recording import audio_kind, survey
from bench.corpus.stream import BLOCK, Refused

RATE = 16_000


def written(samples, rate=RATE, **how):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    return file.getvalue()


@pytest.fixture
def wave(speech):
    return speech("short-tuesday").astype(np.float32) / 32_768


@pytest.fixture
def known(tmp_path):
    """What is known of bytes in a file whose name says nothing."""

    def look(raw, longest_s=60):
        path = tmp_path / "recording.bin"
        path.write_bytes(raw)
        return survey(path, longest_s)

    return look


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(
            ("WAV", kind)
            for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW",
                         "GSM610", "IMA_ADPCM", "MS_ADPCM")
        ),
        ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AU", "ULAW"),
        ("NIST", "PCM_16"), ("CAF", "PCM_16"), ("AIFF", "PCM_16"),
    ],
)  # fmt: skip
def test_every_kind_is_known_by_its_content_and_read_whole(known, wave, form, subtype):
    found = known(written(wave, format=form, subtype=subtype))
    assert (found.rate, found.channels, found.remarks) == (RATE, 1, ())
    assert abs(found.frames - len(wave)) / RATE < 0.05
    heard = np.concatenate(list(found.blocks()))[: len(wave), 0]
    assert np.corrcoef(heard, wave[: len(heard)])[0, 1] > 0.9


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AU", "NIST", "AIFF", "CAF", "FLAC", "MP3"])
def test_a_file_that_is_cut_short_is_refused_whatever_its_header_states(known, wave, form):
    raw = written(wave, format=form)
    with pytest.raises(Refused, match=r"cut short|damaged"):
        known(raw[: len(raw) * 2 // 3])


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AU", "NIST", "AIFF", "CAF"])
def test_a_second_recording_behind_the_first_is_never_passed_over(known, wave, form):
    raw = written(wave, format=form)
    with pytest.raises(Refused, match="part them"):
        known(raw + raw)


def test_an_ogg_stream_without_its_last_page_is_said_to_be(known, speech):
    raw = written(speech("long-hotel"), format="OGG", subtype="OPUS")
    assert known(raw).remarks == ()
    (remark,) = known(raw[:-300]).remarks
    assert "last page" in remark


def stated(raw, mark, at, order, value):
    """`raw` with another length in its header."""
    place = raw.find(mark) + at
    return raw[:place] + struct.pack(order, value) + raw[place + 4 :]


@pytest.mark.parametrize("value", [0, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("form", "mark", "at", "order"), [("WAV", b"data", 4, "<I"), ("AU", b".snd", 8, ">I")]
)
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "FLOAT"])
def test_a_length_that_was_never_written_is_the_rest_of_the_file_and_said(
    known, wave, form, mark, at, order, value, subtype
):
    found = known(stated(written(wave, format=form, subtype=subtype), mark, at, order, value))
    assert found.frames == len(wave)
    assert found.remarks == ("its header states no length: read to the end of the file",)


def test_a_wav_without_samples_is_empty_and_its_other_chunks_are_no_sound(known):
    with pytest.raises(Refused, match="is empty"):
        known(written(np.zeros(0, np.int16), format="WAV"))
    raw = written(np.zeros(0, np.int16), format="WAV") + b"LIST\x40\0\0\0INFO" + bytes(60)
    with pytest.raises(Refused, match="is empty"):
        known(raw)


def without_first_frame(raw):
    """An MP3 whose first frame, which has the length, is gone."""
    return raw[raw.find(raw[:2], 4) :]


@pytest.mark.parametrize("odd", ["joined", "headless"])
def test_an_mp3_that_libsndfile_reads_in_part_is_read_by_ffmpeg_or_refused(known, speech, odd):
    wave = speech("long-hotel").astype(np.float32) / 32_768
    whole = written(wave, format="MP3")
    times = 2 if odd == "joined" else 1
    raw = whole * times if odd == "joined" else without_first_frame(whole)
    try:
        import av  # noqa: F401
    except ImportError:
        with pytest.raises(Refused, match=r"libsndfile reads .* pip install"):
            known(raw)
        return
    found = known(raw)
    assert abs(found.frames / RATE - times * len(wave) / RATE) < 0.2
    assert "read by FFmpeg" in found.remarks[0]


def test_without_ffmpeg_the_remedy_is_said_and_nothing_is_read_in_part(known, speech, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    raw = written(speech("long-hotel"), format="MP3")
    with pytest.raises(Refused, match=r"libsndfile reads .* pip install"):
        known(raw + raw)
    with pytest.raises(Refused, match="pip install"):
        known(b"\x1a\x45\xdf\xa3" + bytes(99))


def test_an_mp3_with_tags_at_its_end_is_whole(known, wave):
    raw = written(wave, format="MP3")
    tag = b"APETAGEX" + struct.pack("<IIII", 2000, 4000, 1, 0) + bytes(8)
    for tail in (b"TAG" + bytes(125), bytes(4000 - 32) + tag):
        assert known(raw + tail).remarks == ()


def test_samples_beyond_full_scale_are_scaled_down_and_it_is_said(known, wave):
    found = known(written(wave / np.abs(wave).max() * 4, format="WAV", subtype="FLOAT"))
    assert found.gain == pytest.approx(1 / 4, rel=1e-3)
    assert found.remarks == ("samples reach 4 times full scale: scaled down by 12.0 dB",)


def test_a_recording_that_was_clipped_before_says_so(known, wave):
    loud = np.clip(wave * 20, -1, 1)
    count = int(np.count_nonzero(np.rint(np.abs(loud) * 32_767) >= 32_766))
    (remark,) = known(written(loud, format="WAV")).remarks
    assert remark == f"{count} samples are at full scale: it was clipped before"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_finite_numbers_are_refused_with_their_place(known, wave, value):
    bad = wave.copy()
    bad[4000:] = value
    with pytest.raises(Refused, match=r"no finite numbers, first at 0\.250 s"):
        known(written(bad, format="WAV", subtype="FLOAT"))


def test_a_length_beyond_the_limit_is_refused_before_it_is_decoded(known):
    raw = written(np.zeros(120 * 8_000, np.int16), 8_000, format="FLAC")
    with pytest.raises(Refused, match=r"too long: 120\.0 s, the most is 60 s.*--split"):
        known(raw)
    headless = stated(written(np.zeros(61 * 8_000, np.int16), 8_000, format="WAV"), b"data", 4,
                      "<I", 0)  # fmt: skip
    with pytest.raises(Refused, match="too long"):
        known(headless)


def test_no_block_has_more_samples_than_its_bound(known):
    found = known(written(np.zeros((100_000, 6), np.int16), format="WAV"))
    assert max(block.size for block in found.blocks()) <= BLOCK


@pytest.mark.parametrize(
    ("rate", "channels", "word"), [(1_000, 1, "1000 Hz"), (8_000, 9, "9 channels")]
)
def test_what_no_recording_of_speech_has_is_refused(known, rate, channels, word):
    with pytest.raises(Refused, match=word):
        known(written(np.zeros((2_000, channels), np.int16), rate, format="WAV"))


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xfe<\0h\0", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WEBP", b"PK\3\4", b"\xff" * 9],
)
def test_what_only_looks_like_audio_is_none(head):
    assert audio_kind(head) is None


def encoded(path, wave, rate, codec, form):
    """A file of a kind that only FFmpeg writes."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format=form) as file:
        track = file.add_stream(codec, rate=48_000 if codec == "libopus" else rate)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        plain = av.AudioResampler(track.format.name, "mono", track.rate, track.frame_size or None)
        for one in (*plain.resample(frame), *plain.resample(None), None):
            for packet in track.encode(one):
                file.mux(packet)


@pytest.mark.parametrize(
    ("codec", "form"),
    [("aac", "ipod"), ("aac", "adts"), ("libopus", "webm"), ("alac", "ipod"), ("flac", "matroska")],
)
def test_kinds_of_telephones_and_browsers_keep_the_time_of_speech(tmp_path, wave, codec, form):
    folder = tmp_path / "mine"
    folder.mkdir()
    soundfile.write(folder / "plain.wav", wave, RATE)
    (plain,) = add(folder, tmp_path / "plain").added
    (folder / "plain.wav").unlink()
    encoded(folder / "other", wave, RATE, codec, form)
    (other,) = add(folder, tmp_path / "other").added
    lead = 64 if form == "adts" else 0  # ms: a bare stream does not say what its encoder put first
    assert other.onset_ms - lead == pytest.approx(plain.onset_ms, abs=25)
    assert other.offset_ms - lead == pytest.approx(plain.offset_ms, abs=25)


def test_an_m4a_that_is_cut_short_is_refused(known, tmp_path, speech):
    encoded(tmp_path / "whole", speech("long-hotel").astype(np.float32) / 32_768, RATE, "libopus",
            "webm")  # fmt: skip
    raw = (tmp_path / "whole").read_bytes()
    with pytest.raises(Refused, match="cut short"):
        known(raw[: len(raw) // 2])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AU", "NIST", "CAF", "W64"])
def test_whatever_is_damaged_of_a_file_is_refused_or_read_and_nothing_else(known, wave, form, seed):
    chance = np.random.default_rng(seed)
    whole = written(wave, format=form)
    for _ in range(6):
        raw = bytearray(whole)
        for at in chance.integers(0, 128, 5):
            raw[at] = chance.integers(256)
        try:
            found = known(bytes(raw))
        except Refused:
            continue
        assert sum(map(len, found.blocks())) == found.frames

"""Headers that state less than there is: the speech behind is read or refused, never lost."""

import io
import struct

import pytest
import soundfile

from bench.corpus.stream import Refused

RATE = 16_000
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
BEXT = b"bext" + struct.pack("<I", 602) + bytes(602)


def written(samples, form, subtype):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form, subtype=subtype)
    return file.getvalue()


def stale(raw, mark, at, number):
    """`raw` with a third of its length in its header."""
    place = raw.find(mark) + at
    (length,) = struct.unpack_from(number, raw, place)
    third = struct.pack(number, length // 3 // 8 * 8)
    return raw[:place] + third + raw[place + len(third) :]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW", "GSM610",
                                     "MS_ADPCM"])  # fmt: skip
@pytest.mark.parametrize("tail", [b"", LIST, BEXT + LIST])
@pytest.mark.parametrize("riff", [True, False])
def test_a_wav_header_that_was_written_early_loses_no_speech(known, speech, subtype, tail, riff):
    raw = written(speech("short-tuesday") / 32_768, "WAV", subtype)
    whole = known(raw)
    early = stale(raw, b"data", 4, "<I")
    if riff:
        early = stale(early, b"RIFF", 4, "<I")
    found = known(early + tail)
    assert found.frames == whole.frames
    (remark,) = found.remarks
    length = struct.unpack_from("<I", raw, raw.find(b"data") + 4)[0]
    assert remark.startswith(f"its header states {length // 3 // 8 * 8} bytes of audio, {length}")


@pytest.mark.parametrize(
    ("form", "mark", "at", "number"),
    [("AU", b".snd", 8, ">I"), ("RF64", b"ds64", 16, "<Q"), ("CAF", b"data", 4, ">q")],
)
def test_so_do_its_relatives(known, speech, form, mark, at, number):
    raw = written(speech("short-tuesday"), form, "PCM_16")
    assert known(raw).remarks == ()
    found = known(stale(raw, mark, at, number))
    assert found.frames == known(raw).frames
    assert "bytes of audio" in found.remarks[0]


def test_what_one_number_does_not_mend_is_refused_with_both_lengths(known, speech):
    raw = written(speech("short-tuesday"), "AIFF", "PCM_16")
    with pytest.raises(Refused, match=r"states \d+ bytes of audio, \d+ are there; export it anew"):
        known(stale(raw, b"SSND", 4, ">I"))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "FLOAT"])
@pytest.mark.parametrize(
    "tail",
    [
        LIST,
        BEXT + LIST,
        b"id3 " + struct.pack("<I", 20) + b"ID3\3" + bytes(16),
        b"fact" + struct.pack("<II", 4, 9) + LIST,
        b"cue " + struct.pack("<II", 4, 0) + LIST,
        b"none" + struct.pack("<I", 3) + b"odd",
        LIST[:20],
        b"TAG" + b" " * 125,
        bytes(5_000),
    ],
)
def test_chunks_tags_and_zeros_behind_the_audio_are_no_speech(known, speech, subtype, tail):
    raw = written(speech("short-tuesday") / 32_768, "WAV", subtype)
    found = known(raw + tail)
    assert (found.frames, found.remarks) == (len(speech("short-tuesday")), ())

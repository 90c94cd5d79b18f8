import pytest

from bench.corpus.energy import AUDIBLE_DBFS, envelope, first_audible
from bench.corpus.sample_codec import decode
from bench.corpus.text_units import spoken
from bench.reference.voices import HUMS_MS, REPLY, RecordedReply, SpokenReply, Voices
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from tests.reference.stage import LINES, REPLIES


@pytest.mark.parametrize("fmt", [PCM16_24K, AudioFormat("audio/pcmu", 8000)])
def test_replies_are_those_tagged_and_start_where_they_can_be_heard(fmt):
    replies = Voices.of(*LINES, *REPLIES).replies(fmt)
    assert [reply.text for reply in replies] == [one.text for one in REPLIES]
    for reply, one in zip(replies, REPLIES, strict=True):
        samples = decode(reply.audio, fmt.type)
        assert first_audible(envelope(samples, fmt.rate), AUDIBLE_DBFS) == 0
        lost = one.duration_ns - fmt.duration_ns(len(reply.audio))
        assert abs(lost - one.onset_ns) <= ms(10)


@pytest.mark.parametrize("fmt", [PCM16_24K, AudioFormat("audio/pcmu", 8000)])
def test_over_a_corpus_without_replies_the_server_hums_and_says_no_sentence_of_a_caller(fmt):
    silent = LINES[0]._replace(id="silent", onset_ns=None, offset_ns=None, tags=frozenset({REPLY}))
    said = {word for one in LINES for word in spoken(one.text).split()}
    for corpus in (LINES, (*LINES, silent), ()):
        replies = Voices.of(*corpus).replies(fmt)
        lengths = [fmt.duration_ns(len(reply.audio)) for reply in replies]
        assert lengths == [ms(length) for length in HUMS_MS]
        for reply in replies:
            assert not said & set(spoken(reply.text).split())
            samples = decode(reply.audio, fmt.type)
            assert first_audible(envelope(samples, fmt.rate), AUDIBLE_DBFS) == 0


def test_a_format_is_loaded_once():
    asked = []

    def load(fmt):
        asked.append(fmt)
        return LINES

    voices = Voices(load)
    for _ in range(3):
        voices.replies(PCM16_24K)
        voices.recogniser(PCM16_24K)
    assert asked == [PCM16_24K]


def test_speech_is_silence_then_voice_whatever_part_is_asked_for():
    whole = SpokenReply.of(RecordedReply(bytes(range(1, 201)) * 480, "x"), PCM16_24K, ms(50), None)
    audio = whole.part(0, whole.nbytes)
    assert len(audio) == whole.nbytes
    assert audio == bytes(PCM16_24K.nbytes(ms(50))) + whole.reply.audio
    for start in range(0, whole.nbytes, 700):
        assert whole.part(start, start + 700) == audio[start : start + 700]


def test_a_filler_comes_first_and_padding_last_wherever_it_is_cut():
    whole = SpokenReply.of(
        RecordedReply(bytes(range(1, 201)) * 48, "x"),
        PCM16_24K,
        ms(5),
        None,
        filler=b"\x07" * 960,
        padding_ns=ms(10),
    )
    silence, padding = bytes(PCM16_24K.nbytes(ms(5))), bytes(PCM16_24K.nbytes(ms(10)))
    audio = b"\x07" * 960 + silence + whole.reply.audio + padding
    assert whole.nbytes == len(audio)
    for size in (100, 961, 5000):
        pieces = [whole.part(at, at + size) for at in range(0, len(audio), size)]
        assert b"".join(pieces) == audio


def test_what_is_cut_off_is_not_padded():
    whole = SpokenReply.of(
        RecordedReply(bytes(48_000), "x"), PCM16_24K, 0, ms(500), padding_ns=ms(10)
    )
    assert whole.nbytes == PCM16_24K.nbytes(ms(500))


def test_words_put_together_are_the_text():
    assert "".join(RecordedReply(b"", "Thank you  for calling.").words) == "Thank you for calling."

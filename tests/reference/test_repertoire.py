import pytest

from bench.corpus.codec import decode
from bench.corpus.energy import AUDIBLE_DBFS, envelope, first_audible
from bench.errors import CorpusError
from bench.reference.voices import Voices
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


def test_a_corpus_without_replies_lends_its_speech():
    assert len(Voices.of(*LINES).replies(PCM16_24K)) == len(LINES)


def test_a_corpus_without_speech_is_no_voice():
    silent = LINES[0]._replace(onset_ns=None, offset_ns=None)
    with pytest.raises(CorpusError, match="voice"):
        Voices.of(silent).replies(PCM16_24K)


def test_a_format_is_loaded_once():
    asked = []

    def load(fmt):
        asked.append(fmt)
        return LINES

    repertoire = Voices(load)
    for _ in range(3):
        repertoire.replies(PCM16_24K)
        repertoire.recogniser(PCM16_24K)
    assert asked == [PCM16_24K]

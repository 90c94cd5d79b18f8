from base64 import b64decode

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bench.voice.audio import AudioFormat, ms
from bench.voice.microphone import Microphone, record
from bench.voice.utterance import Utterance

FORMAT = AudioFormat("audio/pcm", 24_000)


def utterance(nbytes, fmt=FORMAT, fill=b"\x01\x02"):
    audio = (fill * nbytes)[: nbytes - nbytes % fmt.bytes_per_sample]
    return Utterance("u", audio, fmt, 0, fmt.duration_ns(len(audio)), "text")


def audio_of(payload):
    return b64decode(msgspec.json.decode(payload)["audio"])


@given(st.integers(0, 2**60), st.integers(1, 100), st.integers(0, 5000))
def test_every_chunk_is_due_when_its_last_sample_is_captured_and_never_drifts(opened, tens, count):
    chunk_ns = ms(10 * tens)
    microphone = Microphone(opened, chunk_ns, FORMAT)
    for n in range(min(count, 50)):
        chunk = microphone.take()
        assert chunk.due_ns == opened + (n + 1) * chunk_ns
        assert chunk.media_ns == n * chunk_ns
    for _ in range(max(0, count - 50)):
        microphone.take()
    assert microphone.due_ns == opened + (count + 1) * chunk_ns


@given(st.integers(2, 60_000), st.integers(1, 50), st.integers(0, 40), st.integers(0, 10**9))
def test_no_sample_of_an_utterance_is_lost_repeated_or_moved(nbytes, tens, taken, late):
    chunk_ns = ms(10 * tens)
    microphone = Microphone(1000, chunk_ns, FORMAT)
    for _ in range(taken):
        microphone.take()
    said = utterance(nbytes)
    now = 1000 + taken * chunk_ns + late
    media_ns = microphone.say(record(said, chunk_ns), now)
    stream = b""
    while microphone.due_ns <= 1000 + media_ns + said.duration_ns + 2 * chunk_ns:
        stream += audio_of(microphone.take().payload)
    start = FORMAT.nbytes(media_ns - taken * chunk_ns)
    assert stream[start : start + len(said.audio)] == said.audio
    assert not any(stream[:start])
    assert not any(stream[start + len(said.audio) :])


def test_speech_never_starts_before_it_was_decided_and_within_one_chunk_after():
    for late in (0, 1, ms(50), ms(100) - 1):
        microphone = Microphone(0, ms(100), FORMAT)
        now = ms(300) + late
        media_ns = microphone.say(record(utterance(4800), ms(100)), now)
        assert now <= media_ns < now + ms(100)


def test_two_utterances_follow_each_other_without_overlap():
    microphone = Microphone(0, ms(100), FORMAT)
    first = microphone.say(record(utterance(FORMAT.nbytes(ms(250))), ms(100)), 0)
    second = microphone.say(record(utterance(4800), ms(100)), 0)
    assert (first, second) == (0, ms(300))


def test_silence_is_streamed_while_nobody_speaks_in_the_codecs_own_zero():
    for fmt, zero in (
        (FORMAT, b"\x00"),
        (AudioFormat("audio/pcmu", 8000), b"\xff"),
        (AudioFormat("audio/pcma", 8000), b"\xd5"),
    ):
        chunk = Microphone(0, ms(20), fmt).take()
        assert audio_of(chunk.payload) == zero * fmt.nbytes(ms(20))


def test_a_recording_is_encoded_once_and_shared():
    recording = record(utterance(9600), ms(100))
    first, second = Microphone(0, ms(100), FORMAT), Microphone(5, ms(100), FORMAT)
    first.say(recording, 0)
    second.say(recording, 5)
    assert first.take().payload is second.take().payload

from hypothesis import given
from hypothesis import strategies as st

from bench.reference.input_buffer import MOST_HELD, InputBuffer
from bench.reference.settings import Detection
from bench.reference.vad import Edge
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from tests.reference.stage import quiet, voiced

VAD = Detection(0.5, 300, 500, create_response=True, interrupt_response=True)
TURN = quiet(1000).tobytes() + voiced(600).tobytes() + quiet(700).tobytes()


def test_a_turn_is_cut_out_with_its_padding_and_its_silence():
    started, stopped = InputBuffer(PCM16_24K, VAD).append(TURN)
    assert (started.edge, started.start_ns, started.at_ns) == (Edge.STARTED, ms(700), ms(1000))
    assert (stopped.edge, stopped.at_ns) == (Edge.STOPPED, ms(2100))
    assert stopped.audio == TURN[PCM16_24K.nbytes(ms(700)) : PCM16_24K.nbytes(ms(2100))]


@given(cuts=st.lists(st.integers(0, len(TURN)), max_size=8))
def test_the_cut_is_the_same_however_the_stream_is_torn_even_inside_samples(cuts):
    buffer, decided, last = InputBuffer(PCM16_24K, VAD), [], 0
    for cut in [*sorted(cuts), len(TURN)]:
        decided += buffer.append(TURN[last:cut])
        last = cut
    assert decided == InputBuffer(PCM16_24K, VAD).append(TURN)
    assert buffer.clock_ns == ms(2300)


def test_nothing_rewinds_the_clock():
    buffer = InputBuffer(PCM16_24K, VAD)
    buffer.append(bytes(48_000))
    buffer.take()
    buffer.clear()
    buffer.configure(AudioFormat("audio/pcmu", 8000), VAD)
    assert buffer.clock_ns == ms(1000)
    assert buffer.append(AudioFormat("audio/pcmu", 8000).silence(800)) == []
    assert buffer.clock_ns == ms(1100)


def test_silence_older_than_the_padding_is_forgotten():
    buffer = InputBuffer(PCM16_24K, VAD)
    for _ in range(50):
        buffer.append(bytes(4800))
    assert buffer.held_ns == ms(300)


def test_what_is_held_by_hand_is_bounded():
    buffer = InputBuffer(PCM16_24K, None)
    for _ in range(20):
        buffer.append(bytes(2**20))
    assert len(buffer.take()) == MOST_HELD


def test_speech_under_way_survives_a_change_of_threshold():
    buffer = InputBuffer(PCM16_24K, VAD)
    buffer.append(voiced(400).tobytes())
    buffer.configure(PCM16_24K, VAD._replace(silence_ms=200))
    (stopped,) = buffer.append(quiet(300).tobytes())
    assert (stopped.edge, stopped.at_ns) == (Edge.STOPPED, ms(600))

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus.energy import envelope
from bench.corpus.sample_codec import decode, encode
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.runs.log import Log, read_log
from bench.runs.rows import Row
from bench.voice.audio import AudioFormat

FORMATS = [
    *(AudioFormat("audio/pcm", rate) for rate in (8000, 16_000, 24_000, 48_000)),
    AudioFormat("audio/pcmu", 8000),
    AudioFormat("audio/pcma", 8000),
]
CHUNKS = st.lists(
    st.tuples(st.sampled_from(FORMATS), st.integers(0, 3000), st.integers(0, 2**31)),
    max_size=90,
)


@given(CHUNKS)
def test_levels_and_order_are_as_if_each_chunk_had_been_worked_out_at_once(
    tmp_path_factory, chunks
):
    path = tmp_path_factory.mktemp("levels") / "x.log"
    log = Log(path)
    levels = EnvelopeBuffer(log)
    wanted = []
    for number, (fmt, count, seed) in enumerate(chunks):
        samples = np.random.default_rng(seed).integers(-9000, 9000, count).astype("<i2")
        row = Row(number, number, 0, 0, "in", "response.output_audio.delta")
        audio = encode(samples, fmt.type)
        levels.append(row, audio, fmt)
        heard = envelope(decode(audio, fmt.type), fmt.rate)
        wanted.append(row._replace(envelope=heard) if count else row)
        if seed % 7 == 0:
            log.append(Row(number, number, 0, None, "note", "bench.say"))
            wanted.append(Row(number, number, 0, None, "note", "bench.say"))
        if seed % 11 == 0:
            log.flush()
    log.close()
    assert list(read_log(path)) == wanted
    assert log.rows == len(wanted)


def test_half_a_sample_at_the_end_of_a_chunk_has_no_level(tmp_path):
    log = Log(tmp_path / "x.log")
    row = Row(0, 0, 0, 0, "in", "response.output_audio.delta", nbytes=481)
    EnvelopeBuffer(log).append(row, b"\x00" * 481, AudioFormat())
    log.close()
    [read] = read_log(tmp_path / "x.log")
    assert read.envelope == b"\x00"

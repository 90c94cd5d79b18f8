from pathlib import Path
from unittest import mock

import pytest

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.corpus.sample_codec import decode
from bench.reference import __main__ as program
from bench.reference.profile import Profile
from bench.reference.recogniser import Recogniser
from bench.reference.server_process import prepare
from bench.voice.audio import PCM16_24K, AudioFormat

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
PCMU = AudioFormat("audio/pcmu", 8_000)


def test_the_formats_asked_for_are_ready_beside_the_rates_of_the_profile():
    voices = prepare(Profile(), str(CORPUS), [PCMU])
    for made in (voices._replies, voices._recognisers):
        assert set(made) == {PCM16_24K, PCMU}


def test_a_seed_that_is_asked_for_takes_the_place_of_the_profiles(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text("seed = 5\n[response]\ndelta_ms = 40\n")
    served = []
    for more in ([], ["--seed", "7"]):
        with mock.patch.object(program, "serve") as serve:
            serve.return_value.line = ""
            assert program.main(["--profile", str(path), *more]) == 0
        (profile, *_), _ = serve.call_args
        served.append((profile.seed, profile.response.delta_ms))
    assert served == [(5, 40), (7, 40)]


@pytest.mark.parametrize("fmt", [PCM16_24K, PCMU])
def test_all_that_the_corpus_says_is_judged_whole_and_its_pauses_are_not(fmt):
    corpus = load_corpus(CORPUS)
    entries = [one for one in corpus.entries if one.onset_ms is not None]
    utterances = load_utterances(corpus, entries, fmt)
    known = Recogniser(utterances)
    for entry, one in zip(entries, utterances, strict=True):
        samples = decode(one.audio, fmt.type)
        at = fmt.rate // 1000
        first = max(0, round(entry.onset_ms - 300) * at)
        assert known.said_whole(samples[first : round(entry.offset_ms + 200) * at]) is True
        for start, _ in entry.pauses_ms or ():
            assert known.said_whole(samples[first : round(start + 200) * at]) is False, entry.id

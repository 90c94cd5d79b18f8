from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.corpus.sample_codec import decode
from bench.reference.vad import Edge, Vad
from bench.voice.audio import AudioFormat
from tests.reference.stage import hiss, quiet, voiced

RATE = 24_000
CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"


def heard(samples, *, rate=RATE, silence_ms=500, threshold=0.5, cuts=()):
    """Decisions on these samples, in ms, the stream cut at these samples."""
    vad = Vad(rate, threshold, silence_ms)
    parts = np.split(samples, sorted(cuts))
    return [(one.edge, one.window * 10) for part in parts for one in vad.feed(part)]


def test_speech_starts_at_its_first_loud_window_and_stops_when_the_wait_is_over():
    stream = np.concatenate((quiet(1000), voiced(600), quiet(1000)))
    assert heard(stream) == [(Edge.STARTED, 1000), (Edge.STOPPED, 2100)]


def test_an_unvoiced_first_sound_belongs_to_the_speech_it_leads_into():
    stream = np.concatenate((quiet(500), hiss(80), quiet(50), voiced(400), quiet(900)))
    assert heard(stream)[0] == (Edge.STARTED, 500)


def test_a_pause_shorter_than_the_wait_does_not_end_speech_and_a_longer_one_does():
    short = np.concatenate((voiced(400), quiet(400), voiced(400), quiet(900)))
    assert [edge for edge, _ in heard(short)] == [Edge.STARTED, Edge.STOPPED]
    assert len(heard(short, silence_ms=300)) == 4


@pytest.mark.parametrize("length_ms", [80, 200, 400, 2000])
def test_loud_noise_without_a_pitch_is_no_speech(length_ms):
    assert heard(np.concatenate((quiet(300), hiss(length_ms, seed=length_ms), quiet(800)))) == []


def test_a_click_is_no_speech():
    assert heard(np.concatenate((quiet(300), voiced(30), quiet(800)))) == []


def test_a_threshold_is_a_loudness():
    soft = np.concatenate((quiet(300), voiced(500, level=60), quiet(800)))
    assert heard(soft, threshold=0.9) == []
    assert heard(soft, threshold=0.2)[0] == (Edge.STARTED, 300)


@given(cuts=st.lists(st.integers(0, 24 * 2600), max_size=12))
@settings(max_examples=40)
def test_decisions_do_not_depend_on_how_the_stream_is_cut(cuts):
    stream = np.concatenate(
        (quiet(300), hiss(90), voiced(500), quiet(700), voiced(300), quiet(700))
    )
    assert heard(stream, cuts=cuts) == heard(stream)


@pytest.fixture(scope="module")
def everyday():
    """The shipped corpus: (entry, samples) by rate."""
    corpus = load_corpus(CORPUS)
    return {
        rate: list(
            zip(
                corpus.entries,
                (
                    decode(one.audio, "audio/pcm")
                    for one in load_utterances(
                        corpus, corpus.entries, AudioFormat("audio/pcm", rate)
                    )
                ),
                strict=True,
            )
        )
        for rate in (16_000, RATE)
    }


def between_silences(samples, rate):
    return np.concatenate((np.zeros(rate, "<i2"), samples, np.zeros(2 * rate, "<i2")))


@pytest.mark.parametrize("rate", [16_000, RATE])
def test_onsets_of_the_clean_corpus_are_found_within_20_ms_and_ends_within_20(everyday, rate):
    errors = {}
    for entry, samples in everyday[rate]:
        if entry.onset_ms is None or "noise" in entry.tags:
            continue
        said = heard(between_silences(samples, rate), rate=rate, silence_ms=1500)
        assert [edge for edge, _ in said] == [Edge.STARTED, Edge.STOPPED], entry.id
        errors[entry.id] = (
            said[0][1] - 1000 - entry.onset_ms,
            said[1][1] - 1500 - 1000 - entry.offset_ms,
        )
    assert len(errors) >= 50
    wrong = {name: pair for name, pair in errors.items() if max(map(abs, pair)) > 20}
    assert wrong == {}


def test_what_the_manifest_calls_nonspeech_opens_no_turn(everyday):
    noises = [(e.id, s) for e, s in everyday[RATE] if "nonspeech" in e.tags]
    assert len(noises) >= 3
    assert {name for name, samples in noises if heard(between_silences(samples, RATE))} == set()
    for _, samples in noises:
        assert heard(np.concatenate([samples] * 5)) == []


def test_speech_in_noise_is_found_though_its_edges_are_those_of_the_noise(everyday):
    noisy = [(e, s) for e, s in everyday[RATE] if "noise" in e.tags]
    assert noisy
    for entry, samples in noisy:
        (started, at), *_ = heard(between_silences(samples, RATE))
        assert started is Edge.STARTED
        assert at - 1000 <= entry.onset_ms + 20


def test_a_pause_is_told_once_and_its_end_and_may_be_given_a_wait_of_its_own():
    audio = np.concatenate((voiced(500), quiet(400), voiced(500, seed=3), quiet(900)))
    vad = Vad(24_000, 0.5, 2_000, pause_ms=150)
    heard = []
    for one in vad.feed(audio):
        heard.append((one.edge, one.window * 10))
        if one.edge is Edge.PAUSED and one.window > 100:
            vad.wait_for(300)
    assert heard == [
        (Edge.STARTED, 0),
        (Edge.PAUSED, 650),
        (Edge.RESUMED, 900),
        (Edge.PAUSED, 1550),
        (Edge.STOPPED, 1700),
    ]
    assert not vad.speaking


def test_nobody_is_told_of_pauses_who_did_not_ask():
    audio = np.concatenate((voiced(500), quiet(400), voiced(500, seed=3), quiet(900)))
    edges = [one.edge for one in Vad(24_000, 0.5, 500).feed(audio)]
    assert edges == [Edge.STARTED, Edge.STOPPED]

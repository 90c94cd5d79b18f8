"""semantic_vad: complete, incomplete and unknown; and the trade-off that it is there for."""

import msgspec
import numpy as np
import pytest

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.reference.profile import ByEagerness, SemanticProfile, SharesByEagerness
from bench.reference.voices import Voices
from bench.voice.audio import PCM16_24K, ms
from bench.voice.utterance import Utterance
from tests.reference.stage import LINES, REPLIES, ROUND, Caller, quiet, voiced

PAUSES = (420, 700, 900, 1200)


def hesitant(number, pause_ms):
    """An utterance with a pause in its middle, and the truth about it."""
    halves = [voiced(900, 120, 50 + number), quiet(pause_ms), voiced(800, 140, 60 + number)]
    audio = np.concatenate((quiet(200), *halves, quiet(150)))
    words = f"number {number} hesitates and then goes on to the end"
    length = 900 + pause_ms + 800
    return Utterance(
        f"pause{number}", audio.tobytes(), PCM16_24K, ms(200), ms(200 + length), words,
        tags=frozenset({"pause"}),
    )  # fmt: skip


HESITANT = tuple(hesitant(number, pause) for number, pause in enumerate(PAUSES))
VOICES = Voices.of(*LINES, *REPLIES, *HESITANT)


def semantic(**changes):
    return msgspec.structs.replace(ROUND, semantic=SemanticProfile(**changes))


NEVER = SharesByEagerness(low=0, medium=0, high=0)
ALWAYS = SharesByEagerness(low=1, medium=1, high=1)


def heard(detection, audio, *, profile=ROUND, number=0, quiet_ms=2500):
    """The turns of one utterance: (start, end) in ms of written audio."""
    caller = Caller(profile, voices=VOICES, number=number)
    caller.detect({**detection, "create_response": False})
    caller.say(audio)
    caller.silence(quiet_ms)
    return caller, [
        due.message.audio_end_ms for due in caller.every(say.InputAudioBufferSpeechStopped)
    ]


@pytest.mark.parametrize(("eagerness", "wait"), [("low", 800), ("medium", 500), ("high", 300)])
def test_an_utterance_said_whole_ends_after_the_wait_of_its_eagerness(eagerness, wait):
    _, ends = heard({"type": "semantic_vad", "eagerness": eagerness}, LINES[0].audio)
    assert ends == [200 + 700 + wait]


def test_auto_is_medium():
    one, two = (
        heard({"type": "semantic_vad", "eagerness": word}, LINES[0].audio)[1]
        for word in ("auto", "medium")
    )
    assert one == two


@pytest.mark.parametrize("eagerness", ["low", "medium", "high"])
@pytest.mark.parametrize("number", range(len(PAUSES)))
def test_an_inner_pause_that_is_judged_rightly_splits_nothing(eagerness, number):
    caller, ends = heard(
        {"type": "semantic_vad", "eagerness": eagerness},
        HESITANT[number].audio,
        profile=semantic(mistake=NEVER),
    )
    assert len(ends) == 1
    completed = caller.last(say.InputAudioTranscriptionCompleted)
    assert completed.transcript == HESITANT[number].text


@pytest.mark.parametrize(
    ("eagerness", "split"), [("low", {900, 1200}), ("medium", {700, 900, 1200})]
)
def test_a_mistaken_judgement_splits_pauses_longer_than_its_wait(eagerness, split):
    for number, pause in enumerate(PAUSES):
        _, ends = heard(
            {"type": "semantic_vad", "eagerness": eagerness},
            HESITANT[number].audio,
            profile=semantic(mistake=ALWAYS),
        )
        assert (len(ends) == 2) == (pause in split), pause


@pytest.mark.parametrize(("eagerness", "cap"), [("low", 8000), ("medium", 4000), ("high", 2000)])
def test_a_caller_who_breaks_off_is_waited_for_up_to_the_cap(eagerness, cap):
    half = HESITANT[0].audio[: PCM16_24K.nbytes(ms(200 + 900))]
    _, ends = heard(
        {"type": "semantic_vad", "eagerness": eagerness},
        half,
        profile=semantic(mistake=NEVER),
        quiet_ms=9000,
    )
    assert ends == [200 + 900 + cap]


@pytest.mark.parametrize(("eagerness", "wait"), [("low", 2000), ("medium", 1000), ("high", 500)])
def test_a_stranger_is_waited_for_in_between(eagerness, wait):
    _, ends = heard({"type": "semantic_vad", "eagerness": eagerness}, voiced(700, 133, 99))
    assert ends == [700 + wait]


def test_the_waits_are_those_of_the_profile():
    waits = ByEagerness(low=1000, medium=700, high=210)
    for eagerness in ("low", "medium", "high"):
        _, ends = heard(
            {"type": "semantic_vad", "eagerness": eagerness},
            LINES[0].audio,
            profile=semantic(complete_ms=waits, judge_ms=100),
        )
        assert ends == [900 + getattr(waits, eagerness)]


def test_each_pause_is_judged_once_and_the_draw_is_kept():
    caller, _ = heard({"type": "semantic_vad", "eagerness": "high"}, HESITANT[3].audio)
    drawn = [one for one in caller.server.draws.drawn if one.name == "mistake"]
    assert [one.n for one in drawn] == [0]


@pytest.mark.parametrize("chunk", [480, 4800, 200_000])
def test_the_judgement_does_not_depend_on_how_the_stream_is_cut(chunk):
    caller = Caller(semantic(mistake=NEVER), voices=VOICES)
    caller.detect({"type": "semantic_vad"})
    whole = HESITANT[2].audio + bytes(PCM16_24K.nbytes(ms(1000)))
    for at in range(0, len(whole), chunk):
        caller.ask(ask.InputAudioBufferAppend(audio=whole[at : at + chunk]))
    caller.wait(50)
    ends = [d.message.audio_end_ms for d in caller.every(say.InputAudioBufferSpeechStopped)]
    assert ends == [200 + 900 + 900 + 800 + 500]


def tradeoff(detection):
    """Endpointing delay in ms and share of utterances that were split, over many sessions."""
    delays, splits = [], 0
    for number in range(60):
        one = HESITANT[number % len(HESITANT)]
        _, ends = heard(detection, one.audio, number=number, quiet_ms=1000)
        delays.append(ends[-1] - one.offset_ns // ms(1))
        splits += len(ends) > 1
    return sum(delays) / len(delays), splits / len(delays)


def test_waiting_longer_costs_delay_and_saves_splits_with_either_detector():
    server = [
        tradeoff({"type": "server_vad", "silence_duration_ms": wait}) for wait in (200, 500, 800)
    ]
    judged = [
        tradeoff({"type": "semantic_vad", "eagerness": word}) for word in ("high", "medium", "low")
    ]
    for curve in (server, judged):
        delays, splits = zip(*curve, strict=True)
        assert list(delays) == sorted(set(delays))
        assert list(splits) == sorted(set(splits), reverse=True), splits
    # At the same delay the judge splits fewer: that is what it is for.
    assert judged[1][0] == pytest.approx(server[1][0], abs=10)
    assert judged[1][1] < server[1][1]

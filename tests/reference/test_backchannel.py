"""Back-channel: interjections while the caller talks, where `providerData` wants them."""

import pytest

from bench.protocol import server as say
from bench.protocol import server_extras
from bench.voice.audio import PCM16_24K, ms
from tests.reference.stage import Caller, odd, voiced

BACKCHANNEL = {"backchannel": {"enabled": True, "min_gap_ms": 1000}}


def test_interjections_come_while_the_caller_talks_and_belong_to_no_response():
    caller = Caller()
    caller.update(providerData=BACKCHANNEL)
    caller.say(voiced(5000))
    while_talking = len(caller.every(server_extras.BackchannelAudioDone))
    caller.silence(1500)
    caller.wait(3000)
    done = caller.every(server_extras.BackchannelAudioDone)
    assert while_talking == len(done) == 3  # max_per_turn
    assert {due.message.phrase for due in done} == {"mm-hmm"}
    skipped = [due.message.reason for due in caller.every(server_extras.BackchannelSkipped)]
    assert set(skipped) == {"min_gap_not_elapsed"}
    audio = b"".join(due.message.delta for due in caller.every(server_extras.BackchannelAudioDelta))
    assert len(audio) == 3 * PCM16_24K.nbytes(ms(300))
    started = caller.only(say.InputAudioBufferSpeechStarted)
    assert done[0].due_ns - started.due_ns >= ms(600)  # the start was told 200 ms late
    assert len({due.message.backchannel_id for due in done}) == 3


@pytest.mark.parametrize(
    ("change", "spoken"),
    [
        ({"enabled": False}, 0),
        ({"max_per_turn": 1}, 1),
        ({"min_speech_ms": 60_000}, 0),
        ({"min_gap_ms": 60_000}, 1),
        ({"decider_kind": "rule", "rule_fire_probability": 0}, 0),
        ({"allowed_phrases": "nonsense"}, 3),
    ],
)
def test_interjections_obey_their_settings(change, spoken):
    caller = Caller()
    caller.update(providerData={"backchannel": {**BACKCHANNEL["backchannel"], **change}})
    caller.say(voiced(5000))
    assert len(caller.every(server_extras.BackchannelAudioDone)) == spoken


def test_interjections_that_are_skipped_or_muted_have_no_sound():
    skipped = Caller(odd(backchannel_skipped=1.0))
    skipped.update(providerData=BACKCHANNEL)
    skipped.say(voiced(2000))
    assert {due.message.reason for due in skipped.every(server_extras.BackchannelSkipped)} == {
        "no_phrase"
    }
    assert not skipped.every(server_extras.BackchannelAudioDone)
    muted = Caller()
    muted.update(providerData={"backchannel": {**BACKCHANNEL["backchannel"], "volume_gain": 0}})
    muted.say(voiced(2000))
    assert muted.every(server_extras.BackchannelAudioDone)
    assert not muted.every(server_extras.BackchannelAudioDelta)


def test_a_short_answer_is_not_interjected():
    caller = Caller()
    caller.update(providerData=BACKCHANNEL)
    caller.spoken_turn()
    assert not caller.every(server_extras.BackchannelAudioDone)

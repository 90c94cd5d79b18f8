"""Servers that do not say their formats, or send other audio, have the figures of the clean one.

Ten turns are held with the reference server and with the same one behind something that changes
what it says: what a caller did and every figure of every turn must be the same to the nanosecond,
and the summary says what was assumed or put right.
"""

import json
from array import array
from base64 import b64decode, b64encode
from functools import cache

import numpy as np
import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.plan.session_request import session_object
from bench.protocol.client import SessionUpdate
from bench.protocol.objects import Session
from bench.reference.profile import (
    Profile,
    ResponseProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.voice.audio import ms
from bench.voice.directions import Await, HearOut, Say, Send
from tests.virtual.test_odd_servers import DOWN, LINES, UP
from tests.voice.test_output_audio import header
from tests.world import World

ASKED = {"input_format": {"type": "audio/pcm", "rate": 16_000}}
DELTA = "response.output_audio.delta"


class Between(World):
    """A world in which `change(body, memory)` changes what servers send; memory is a session's."""

    def __init__(self, change, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._change = change

    def spoken(self, said, fmt):
        samples = np.frombuffer(said.audio, "<i2")
        at = np.arange(len(samples) * fmt.rate // said.format.rate) * said.format.rate / fmt.rate
        heard = np.rint(np.interp(at, np.arange(len(samples)), samples)).astype("<i2")
        return said._replace(audio=heard.tobytes(), format=fmt)

    def admit(self, call):
        verdict = super().admit(call)
        frame, memory = call.server.frame, {}

        def changed(message):
            body = json.loads(frame(message))
            self._change(body, memory)
            return json.dumps(body)

        call.server.frame = changed
        return verdict


# ── what servers say of their formats ────────────────────────────────────────────────────────────


def clean(body, _memory):
    """Everything as it is."""


def without_formats(body, _memory):
    if body["type"] == "session.updated":
        for way in body["session"]["audio"].values():
            way.pop("format", None)


def flat(body, _memory):
    if body["type"] == "session.updated":
        session = body["session"]
        heard = session.pop("audio")["input"]
        session["turn_detection"] = heard["turn_detection"]
        session["modalities"] = session.pop("output_modalities")
        session["input_audio_format"] = session["output_audio_format"] = "pcm16"


def flat_without_formats(body, memory):
    flat(body, memory)
    if body["type"] == "session.updated":
        del body["session"]["input_audio_format"], body["session"]["output_audio_format"]


def empty(body, _memory):
    if body["type"] == "session.updated":
        body["session"] = {}


def no_object(body, _memory):
    if body["type"] == "session.updated":
        del body["session"]


def greeted_without_object(body, _memory):
    if body["type"] == "session.created":
        del body["session"]


# ── what servers send as audio ───────────────────────────────────────────────────────────────────


def audio(change):
    """What changes every delta: `change(audio, memory)`; memory["first"]: it begins a reply."""

    def changed(body, memory):
        if body["type"] == DELTA:
            memory["first"] = memory.get("item") != body["item_id"]
            memory["item"] = body["item_id"]
            body["delta"] = b64encode(change(b64decode(body["delta"]), memory)).decode()

    return changed


def _torn(pcm, memory):
    """Every other delta has a byte less, and the next one has it: all are odd."""
    if kept := memory.pop("kept", b""):
        return kept + pcm
    memory["kept"] = pcm[-1:]
    return pcm[:-1]


def _half_rate(pcm, memory):
    """12 kHz, which a header at the beginning of each reply says and nothing else."""
    before = header(12_000) if memory["first"] else b""
    return before + array("h", pcm)[::2].tobytes()


def _stereo(pcm, _memory):
    return array("h", [one for one in array("h", pcm) for _ in "lr"]).tobytes()


def _wrapped_stereo(pcm, memory):
    return header(24_000, 2) + _stereo(pcm, memory)


def _mislabelled(pcm, _memory):
    """PCM16 as the session states, behind a header of 8 bits, which nobody reads."""
    return header(8_000, bits=8) + pcm


torn, half_rate, stereo, wrapped_stereo, mislabelled = map(
    audio, (_torn, _half_rate, _stereo, _wrapped_stereo, _mislabelled)
)

SILENT = [without_formats, flat, flat_without_formats, empty, no_object]
SOUNDS = {
    torn: ["odd_deltas"],
    half_rate: ["wav_header", "other_format"],
    stereo: ["two_channels"],
    wrapped_stereo: ["wav_header"],
    mislabelled: ["unread_header"],
}
DELTAS = 16
ROUNDED = ["reply_audio_ns", "waited_until_ns", "realtime_factor"]
"""The length of a delta is rounded down to a ns, and a torn one is no whole ms: a reply of so many
deltas may be so many ns shorter."""


def turn_taking(part):
    for line in part.lines:
        yield Say(line)
        yield HearOut()


def changing(part):
    """From 24 to 16 kHz before the third line, and 8 kHz, which is refused, before the fourth.

    An update that changes nothing follows each at once: the server's answer to it is not alone.
    """
    refused = {"input_format": {"type": "audio/pcm", "rate": 8_000}, "speed": 99.0}
    updates = {2: (ASKED, False), 3: (refused, True)}
    for number, line in enumerate(part.lines):
        if number in updates:
            session, wrong = updates[number]
            yield Send(SessionUpdate(session=session_object(session)), provokes=wrong)
            yield Send(SessionUpdate(session=Session()))
            yield Await("session.updated")
        yield Say(line)
        yield HearOut()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A function from change and script to the turns, sessions and summary of what was held."""
    return cache(
        lambda change, script=turn_taking, rate=16_000: _told(
            tmp_path_factory.mktemp("formats"), change, script, rate
        )
    )


def _told(path, change, script, rate):
    """Two sessions of five turns each."""
    profile = Profile(
        vad=VadProfile(lag_ms=15),
        response=ResponseProfile(created_ms=20, first_delta_ms=350, leading_silence_ms=40),
        transcription=TranscriptionProfile(delay_ms=120),
    )
    world = Between(change, profile, up_ns=UP, down_ns=DOWN)
    session = {"input_format": {"type": "audio/pcm", "rate": rate}}
    for start_ns in (0, ms(130)):
        world.call(script, (LINES,), start_ns=start_ns, session=session)
    world.run(ms(300_000))
    assert {call.caller.outcome for call in world.calls} == {"finished"}
    folder = world.seal(path / "run")
    analyse(folder.path)
    turns, sessions = pd.read_parquet(folder.turns), pd.read_parquet(folder.sessions)
    return turns, sessions, json.loads(folder.summary.read_text())


def assumed(summary):
    return [one for one in summary["remarks"] if "never said" in one]


@pytest.mark.parametrize("change", SILENT)
def test_what_was_asked_and_not_contradicted_is_in_force_and_the_run_says_so(told, change):
    turns, sessions, summary = told(change)
    expected, clean_sessions, clean_summary = told(clean)
    assert len(turns) == 10
    assert set(turns.outcome) == {"ok"}
    assert turns.endpointing_error.notna().all()
    pd.testing.assert_frame_equal(turns, expected, check_exact=True)
    kept = [name for name in sessions if name != "assumed"]
    pd.testing.assert_frame_equal(sessions[kept], clean_sessions[kept], check_exact=True)
    [heard] = [one for one in assumed(summary) if "input format in 2 of 2 sessions" in one]
    assert "16000" in heard
    assert assumed(clean_summary) == []


def test_a_server_that_contradicts_is_obeyed(told):
    """It is asked for 16 kHz, takes 24 kHz and says so; the clean one is asked for 24 kHz."""

    def asked_in_vain(body, _memory):
        if body["type"] == "session.updated":
            body["session"]["audio"]["input"]["format"]["rate"] = 24_000

    turns, sessions, summary = told(asked_in_vain)
    assert set(sessions["input_format"]) == {told(clean, rate=24_000)[1]["input_format"][0]}
    assert set(told(clean)[1]["input_format"]) != set(sessions["input_format"])
    assert assumed(summary) == []
    assert len(turns) == 10


@pytest.mark.parametrize("change", [without_formats, no_object])
def test_a_change_in_mid_session_holds_when_acknowledged_and_not_when_refused(told, change):
    turns = told(change, changing, 24_000)[0]
    expected = told(clean, changing, 24_000)[0]
    assert set(expected.outcome) == {"ok"}
    pd.testing.assert_frame_equal(turns, expected, check_exact=True)
    later = turns[turns.turn >= turns.turn.max() - 2]
    assert len(later) == 6
    assert (later.endpointing_error - turns.endpointing_error[0]).abs().max() < 100


def test_a_session_is_ready_as_soon_with_a_server_that_greets_without_a_session_object(told):
    turns, sessions, _ = told(greeted_without_object)
    expected, clean_sessions, _ = told(clean)
    assert sessions["session_ready_time"].notna().all()
    pd.testing.assert_frame_equal(sessions, clean_sessions, check_exact=True)
    pd.testing.assert_frame_equal(turns, expected, check_exact=True)


@pytest.mark.parametrize("change", SOUNDS, ids=lambda change: SOUNDS[change][0])
def test_audio_that_is_not_as_stated_has_the_figures_of_what_it_is(told, change):
    turns, _, summary = told(change)
    expected = told(clean)[0]
    assert expected.realtime_factor.notna().all()
    rounded = ROUNDED if change is torn else []
    kept = [name for name in expected if name not in rounded]
    pd.testing.assert_frame_equal(turns[kept], expected[kept], check_exact=True)
    for column in rounded:
        most = 1e-6 if column == "realtime_factor" else DELTAS
        assert (turns[column] - expected[column]).abs().max() <= most, column
    assert [one["quirk"] for one in summary["quirks"]] == SOUNDS[change]
    for quirk in summary["quirks"]:
        [remark] = [one for one in summary["remarks"] if quirk["about"] in one]
        assert remark.startswith(f"{quirk['count']} ")
        assert "session 0: " in remark
    assert told(clean)[2]["quirks"] == []

"""A session played dry is the session of a run, instant by instant."""

import msgspec
import pytest

from bench.plan.session import session_object
from bench.protocol.codec import type_of
from bench.protocol.server import ServerMessage
from bench.reference.admission import Admitted
from bench.reference.profile import Failures, Profile
from bench.reference.rehearsal import Rehearsal
from bench.reference.schedule import Close
from bench.reference.served_session import ServedSession
from bench.voice.audio import ms
from bench.voice.conversation import Conversation
from bench.voice.directions import Part, Pause
from bench.voice.microphone import record
from bench.voice.outbox import Note
from bench.voice.scripts import SCRIPTS
from tests.world import VAD, World, voice

PART = Part((voice("one", 100, 900), voice("two", 50, 700)), (voice("no", 60, 400),) * 2)


def rehearsed(world, script, part=PART):
    asked = session_object({"type": "realtime", "turn_detection": VAD})
    caller = Conversation(script(part), asked, lambda said, _: record(said, ms(100)), name="s0")
    server = ServedSession(world.profile, world.voices, Admitted(0, "inworld", "", ""))
    session = Rehearsal(caller, server)
    session.play(ms(600_000))
    return session, caller


@pytest.mark.parametrize("script", ["turn_taking", "barge_in", "interrupt_client", "tour"])
def test_a_rehearsal_comes_to_what_the_same_session_of_a_run_comes_to(script):
    world = World()
    call = world.call(script, PART)
    world.run()
    session, caller = rehearsed(world, SCRIPTS[script].play)
    theirs = [row.type for row in call.rows if row.direction == "in"]
    ours = [type_of(one) for one in session.happened if isinstance(one, ServerMessage)]
    assert ours == theirs
    notes = [(one.type, one.at_ns) for one in session.happened if isinstance(one, Note)]
    kept = {name for name, _ in notes}
    assert notes == [(row.type, row.at_ns) for row in call.rows if row.type in kept]
    assert caller.outcome == "finished"
    assert session.ends_ns == call.ended_ns


def test_a_server_that_closes_ends_it():
    profile = msgspec.structs.replace(Profile(), failures=Failures(close_mid_turn=1.0))
    session, caller = rehearsed(World(profile), SCRIPTS["turn_taking"].play)
    assert isinstance(session.happened[-1], Close)
    assert caller.outcome is None
    assert session.ends_ns < ms(10_000)


def test_a_rehearsal_is_over_after_as_long_as_it_may_last():
    def for_ever(_part):
        while True:
            yield Pause(ms(500))

    session, caller = rehearsed(World(), for_ever)
    assert caller.outcome is None
    assert ms(599_000) < session.ends_ns <= ms(600_000)

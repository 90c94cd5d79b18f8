"""A session played dry is the session of a run, instant by instant."""

import msgspec
import pytest

from bench.plan.session import session_object
from bench.protocol.codec import type_of
from bench.protocol.server import ServerMessage
from bench.reference.behaviour import Behaviour
from bench.reference.misbehaviour import Failures
from bench.reference.profile import Profile
from bench.reference.rehearsal import Rehearsal
from bench.reference.schedule import Close
from bench.reference.virtual_time import VirtualTime
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
    server = Behaviour(world.profile, world.repertoire, number=0)
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


class Clock:
    """A party that is due every 10 ms, three times."""

    def __init__(self, number, told):
        self.number, self.queued_ns = number, None
        self.left, self.told = 3, told

    def next_due(self):
        return ms(10 * (4 - self.left)) if self.left else None

    def turn(self, now_ns):
        self.left -= 1
        self.told.append((self.number, now_ns))


def test_at_one_instant_what_is_later_comes_first_and_then_parties_by_number():
    time, told = VirtualTime(), []
    clocks = [Clock(number, told) for number in (2, 1)]
    for clock in clocks:
        time.wake(clock)
    for at in (10, 5, 10):
        time.later(ms(at), lambda at=at: told.append(("later", ms(at))))
    time.run(ms(15))
    assert told == [
        ("later", ms(5)), ("later", ms(10)), ("later", ms(10)), (1, ms(10)), (2, ms(10)),
    ]  # fmt: skip
    assert time.now_ns == ms(10)


def test_a_party_that_has_changed_its_mind_is_not_run_for_what_it_wanted_before():
    time, told = VirtualTime(), []
    clock = Clock(0, told)
    time.wake(clock)
    clock.left = 2  # now it wants 20 ms
    time.wake(clock)
    time.run(ms(100))
    assert told == [(0, ms(20))]


def test_nothing_happens_after_the_end():
    time, told = VirtualTime(), []
    time.later(ms(5), time.end)
    time.later(ms(6), told.append, "too late")
    time.wake(Clock(0, told))
    time.run(ms(100))
    assert told == []

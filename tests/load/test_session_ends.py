"""What a session is said to have ended of, where error and close come in one read."""

import json

import pytest

from bench.reference.profile import Failures, Profile
from bench.reference.schedule import Close
from bench.voice.audio import ms
from tests.world import World, voice


@pytest.mark.parametrize(
    ("message", "outcome"),
    [("The model is at capacity.", "overloaded"), ("Invalid API key.", "refused")],
)
def test_an_error_that_is_read_together_with_the_close_behind_it_says_why(message, outcome):
    world = World(Profile(failures=Failures(mute=1.0)))
    call = world.call("turn_taking", ((voice("one", 100, 500),),))
    world.run(ms(5))
    error = {"type": "error", "error": {"code": "x", "message": message}}
    call._link.arrive(json.dumps(error))
    call._link.arrive(Close(3000, "closed"))
    with world.clock():
        call.session.ready(readable=True, writable=False)
    end = json.loads(call.rows[-1].detail)
    assert (end["outcome"], end["reason"]) == (outcome, f"x: {message}")
    assert end["close_code"] == 3000

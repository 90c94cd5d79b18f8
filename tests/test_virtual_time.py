from bench.voice.audio import ms
from tests.virtual_time import VirtualTime


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

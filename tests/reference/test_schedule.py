from bench.protocol.server import InputAudioBufferCleared
from bench.reference.schedule import Close, Schedule


def test_steps_run_in_order_of_time_then_of_putting_and_stamp_their_own_instant():
    schedule = Schedule("e")
    for due in (30, 10, 30, 20):
        schedule.at(due, "x", lambda: schedule.say(InputAudioBufferCleared(), "x"))
    schedule.advance(25)
    assert [due.due_ns for due in schedule.take()] == [10, 20]
    assert schedule.next_due() == 30
    schedule.advance(1000)
    said = schedule.take()
    assert [due.due_ns for due in said] == [30, 30]
    assert [due.message.event_id for due in said] == ["e_3", "e_4"]


def test_dropping_an_owner_drops_its_future_alone():
    schedule = Schedule("e")
    schedule.at(1, "a", lambda: schedule.say(InputAudioBufferCleared(), "a"))
    schedule.at(2, "b", lambda: schedule.say(InputAudioBufferCleared(), "b"))
    schedule.drop("a")
    schedule.advance(9)
    assert [due.cause for due in schedule.take()] == ["b"]


def test_a_step_may_put_another_at_the_same_instant():
    schedule = Schedule("e")
    schedule.at(5, "a", lambda: schedule.at(5, "a", lambda: schedule.say(Close(1000), "a")))
    schedule.advance(5)
    assert [due.due_ns for due in schedule.take()] == [5]


def test_after_a_close_there_is_no_future():
    schedule = Schedule("e")
    schedule.at(5, "a", lambda: schedule.say(InputAudioBufferCleared(), "a"))
    schedule.say(Close(1011), "a")
    schedule.advance(9)
    assert [due.message for due in schedule.take()] == [Close(1011)]
    assert schedule.next_due() is None


def test_time_never_goes_back():
    schedule = Schedule("e")
    schedule.advance(100)
    schedule.advance(50)
    assert schedule.now_ns == 100

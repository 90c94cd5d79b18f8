"""A tracker is told rows one by one: no table, no clock, the same answer however it is told."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.envelopes import audible_windows
from bench.tracker.event import AudioDelta, Event
from bench.tracker.responses import AUDIO
from bench.tracker.tracker import Tracker
from bench.tracker.turn import SessionEnd
from tests.analysis.story import MS, Answer, Story, conversation

FINISHED = SessionEnd("finished", None, in_order=True, seen=True, words="finished")
APPEND = "input_audio_buffer.append"


def event_of(place, row):
    return Event(
        place, 2 * place, row.at_ns, row.at_err_ns, row.direction, row.type, row.item_id,
        row.response_id, row.media_ns, row.audio_ms, row.nbytes, row.detail, row.call_id,
        row.audio_ns, row.output_index, row.content_index, row.previous_id,
    )  # fmt: skip


def delta_of(place, row):
    [first], [last] = audible_windows([row.envelope])
    return AudioDelta(
        place, row.at_ns, row.at_err_ns, row.response_id, row.item_id, row.audio_ns, row.envelope,
        int(first), int(last),
    )  # fmt: skip


def alike(event):
    """What deltas have in common that are told as one."""
    return (event.type, event.response_id, event.item_id, event.output_index, event.content_index,
            event.nbytes % 2)  # fmt: skip


def told(story, split=lambda _: True):
    """The tracker of a story, told every row by itself, or as many at once as `split` lets."""
    tracker, deltas, appends = Tracker(), [], []

    def hand_over():
        if deltas:
            first, *_ = deltas[0]
            tracker.audio(first, [delta for _, delta in deltas])
        if appends:
            tracker.appends(*zip(*appends, strict=True))
        deltas.clear()
        appends.clear()

    for place, row in enumerate(sorted(story.rows, key=lambda row: row.at_ns)):
        if row.type in AUDIO and row.nbytes:
            event = event_of(place, row)
            if deltas and alike(deltas[-1][0]) != alike(event):
                hand_over()
            deltas.append((event, delta_of(place, row)))
        elif row.type == APPEND:
            appends.append((row.media_ns, row.at_ns - row.at_err_ns, row.audio_ns))
        else:
            hand_over()
            tracker.feed(event_of(place, row))
            continue
        if split(place):
            hand_over()
    hand_over()
    tracker.close(FINISHED)
    return tracker


def facts(tracker):
    return (
        [{name: getattr(turn, name) for name in turn.__slots__} for turn in tracker.turns],
        [(one.utterance.begin_ns, one.silenced) for one in tracker.disturbances],
        tracker.violations,
    )


def barging():
    story = Story().begin(2).microphone().say(0)
    at = story.ear() + 20
    story.created(at)
    for arrival in range(300, 2300, 100):
        story.delta(at + arrival)
    story.done(at + 2300).say(at + 1500, role="interruption")
    story.note(at + 1900, "flush", detail={"heard_ms": 1200})
    return story.answered().appends(9000).finish()


def test_a_turn_is_told_from_its_rows_alone():
    tracker = told(conversation(0, 2, Answer(deltas=(300, 350), silence=30)))
    first, second = tracker.turns
    assert (first.outcome, second.outcome) == ("ok", "ok")
    assert first.next_ns == second.begin_ns
    assert first.heard_ns - first.first_audio_ns == 30 * MS
    assert first.speech_stopped_ns - first.speech_offset_ns == 520 * MS
    assert first.response_id != second.response_id


def test_what_was_said_of_a_session_so_far_is_known_before_its_end():
    tracker = Tracker()
    rows = sorted(conversation(0, 1).rows, key=lambda row: row.at_ns)
    created = next(n for n, row in enumerate(rows) if row.type == "response.created")
    for place, row in enumerate(rows[: created + 1]):
        if row.type == APPEND:
            tracker.appends([row.media_ns], [row.at_ns], [row.audio_ns])
        else:
            tracker.feed(event_of(place, row))
    assert tracker.opened
    assert [one.response_id for one in tracker.responses.all] == [rows[created].response_id]
    assert tracker.responses.all[0].done_ns is None
    assert len(tracker.said) == 1
    assert tracker.turns == []


def test_a_rule_that_is_broken_is_known_at_once():
    tracker = Tracker()
    rows = sorted(conversation(0, 1).rows, key=lambda row: row.at_ns)
    done = event_of(0, next(row for row in rows if row.type == "response.done"))
    tracker.feed(done)
    assert [one.rule for one in tracker.violations] == ["session_first", "response_unannounced"]
    tracker.feed(done._replace(row=1))
    assert tracker.violations[-1][:2] == ("response_done_once", 1)


@settings(max_examples=30)
@given(st.sets(st.integers(0, 400)))
def test_runs_of_chunks_and_deltas_may_be_told_in_any_pieces(splits):
    story = barging()
    assert facts(told(story, splits.__contains__)) == facts(told(story))


def test_the_interrupted_reply_is_heard_to_fall_silent_where_the_player_was_emptied():
    tracker = told(barging())
    cut = next(turn for turn in tracker.turns if turn.role == "interruption")
    assert cut.yielded
    assert cut.interrupted_while == "generating"
    assert cut.agent_silent_ns < cut.agent_silent_unflushed_ns
    assert tracker.turns[0].interrupted_by_caller

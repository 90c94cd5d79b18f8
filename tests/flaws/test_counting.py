"""Who is counted: failures, ends that were none, and callers who never got to call.

Flaws F12, F13, F14, F27.
"""

from time import monotonic_ns
from types import SimpleNamespace

from bench.analysis import measure, turns
from bench.analysis import sessions as session_rows
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.health import Watch
from bench.load.session import Session, Start
from bench.load.wire_events import Ended, Reached
from bench.load.worker import Worker
from bench.plan import arrivals as planned
from bench.plan.duration import Duration, Rate
from bench.plan.scenario import Load
from bench.protocol.objects import Session as SessionObject
from bench.runs.log import Log, read_log
from bench.voice.audio import NS_PER_S, ms
from bench.voice.conversation import Conversation
from bench.voice.directions import Pause
from bench.voice.microphone import Microphone
from tests.analysis.story import Answer, Story, analysed, conversation
from tests.flaws.injection import all_of, caught, put_in
from tests.flaws.stage import Lagging, Stalled, appends, rows_of, silent_for, turns_of, world_of


def only_the_answered(turns, gates):
    """F12: what failed is thrown out before anything is worked out."""
    measured = MEASURE(turns, gates)
    return measured[measured["outcome"] == "ok"]


MEASURE = measure.measure_turns


def test_callers_who_got_no_answer_are_in_every_denominator_and_quantile(fresh):
    """F12: of twenty callers one waits ten seconds in vain, and one is turned away."""
    waits = Story(18).begin().microphone().say(200)
    waits.ear()
    waits.gave_up(11_400).finish()
    refused = Story(19).begin(1).end(20, "refused", "HTTP 503")

    def check():
        callers = [conversation(number, 1) for number in range(18)]
        _, _, rows, _ = analysed(fresh(), *callers, waits, refused)
        answered, tail = rows["answered", "share"], rows["first_audio_latency", "p95"]
        assert (answered["value"], answered["n"], tail["value"], tail["n"]) == (90, 20, None, 20), (
            f"{answered['value']:.0f} % of {answered['n']} were answered, "
            f"p95 of {tail['n']} is {tail['value']:.0f} ms"
        )

    flaw = put_in("bench.analysis.pipeline.measure_turns", only_the_answered)
    caught(check, flaw, "100 % of 18 were answered, p95 of 18 is 850 ms")


def only_the_slow(turns, gates):
    """F27: what came within 0.4 s is taken for an echo of the caller."""
    measured = MEASURE(turns, gates)
    return measured[~(measured["first_audio_latency"] < 400)]


def test_the_quickest_answers_are_answers(fresh):
    """F27: half of the callers are answered within 150 ms, which a good agent can do."""
    quick = Answer(stop=100, commit=5, create=5, deltas=(40, 65, 90, 115))

    def check():
        callers = [conversation(n, 2, quick if n % 2 else Answer()) for n in range(16)]
        _, _, rows, _ = analysed(fresh(), *callers)
        latency = rows["first_audio_latency", "p50"]
        assert (latency["n"], latency["value"]) == (32, 500), (
            f"{32 - latency['n']} of 32 turns are gone, and the median is {latency['value']:.0f} ms"
        )
        assert rows["answered", "share"]["n"] == 32
        assert rows["first_audio_latency", "min"]["value"] == 150

    flaw = put_in("bench.analysis.pipeline.measure_turns", only_the_slow)
    caught(check, flaw, "16 of 32 turns are gone, and the median is 850 ms")


def test_a_connection_that_is_closed_in_mid_call_is_no_success(fresh):
    """F13: close code 1011 in the second of three turns."""

    def check():
        story = Story().begin(3).microphone().say(200).answered()
        story.say(4200).started(4550).end(5000, "closed", "internal error", 1011)
        _, sessions, rows, _ = analysed(fresh(), story)
        assert list(sessions["close_code"]) == [1011]
        answered = rows["answered", "share"]
        assert answered["n"] == 2, f"{answered['value']:.0f} % of {answered['n']} were answered"
        assert answered["value"] == 50
        assert rows["unreached_turns", "count"]["value"] == 1

    in_order = (*session_rows.IN_ORDER, "closed", "broken")
    flaw = put_in("bench.analysis.turns.IN_ORDER", in_order)
    assert turns.IN_ORDER == session_rows.IN_ORDER
    caught(check, flaw, "100 % of 1 were answered")


class Dropping:
    """A wire that connects at once, and whose connection dies at the first look at it."""

    wants_write = False
    bytes_sent = reads = stamped = 0

    def start(self):
        return [Reached(stage, monotonic_ns()) for stage in ("connected", "secured", "upgraded")]

    def ready(self, **_):
        return [Ended("broken", "reset by peer", None, monotonic_ns())]


class Tally:
    def turn(self, *_):
        pass

    def ended(self, *_):
        pass


def dial_again(session, ended):
    """F13: a connection that broke is opened again, and nobody is told."""
    if ended.outcome != "broken":
        END(session, ended)
    else:
        session._happened(session.wire.start())


END = Session._end


def test_a_session_has_one_connection_and_never_a_second_in_silence(fresh):
    """F13: put in is a reconnect."""

    def check():
        folder = fresh()
        log = Log(folder / "worker-0.log")
        caller = Conversation(iter((Pause(ms(60_000)),)), SessionObject(type="realtime"), None)
        start = Start(0, monotonic_ns(), 0, "", 0, 0)
        session = Session(
            start, Dropping(), caller, log, EnvelopeBuffer(log), Watch(), Tally(), lambda: None
        )
        session.begin()
        session.ready(readable=True, writable=False)
        log.close()
        types = [row.type for row in read_log(folder / "worker-0.log")]
        again = types.count("bench.upgraded") - 1
        assert (again, types[-1]) == (0, "bench.end"), f"{again} more connection, and no end"

    caught(check, put_in("bench.load.session.Session._end", dial_again), "1 more connection")


UNIFORM = Load(
    arrivals="uniform",
    rate=Rate.parse("2/s"),
    warmup=Duration.parse("0s"),
    duration=Duration.parse("20s"),
)
FROM_NS = STANDS_NS = 5 * NS_PER_S


class Hand:
    """As much of a worker as gives its slots their instants."""

    _owned = True
    _start_ns = 0
    _job = SimpleNamespace(scenario=SimpleNamespace(load=UNIFORM), slots=())
    first_ns, next_ns, open_load = Worker.first_ns, Worker.next_ns, Worker.open_load
    _gone = Worker._gone


def calls_made(stands_ns):
    """How many calls of 2 s an open load makes to a server that stands still for so long.

    What a user of `bench.load.users` does, in virtual time: it asks its worker when its slot is
    due, calls, and asks when the slot is due again.
    """
    hand, now, made = Hand(), SimpleNamespace(ns=0), 0
    hand._job.slots = planned.schedule(UNIFORM, seed=1)
    with put_in("bench.load.worker.monotonic_ns", lambda: now.ns):
        waiting = [(hand.first_ns(slot), slot) for slot in range(len(hand._job.slots))]
        while waiting and (first := min(waiting))[0] < UNIFORM.duration:
            waiting.remove(first)
            due_ns, slot = first
            made += 1
            now.ns = due_ns + 2 * NS_PER_S
            if due_ns < FROM_NS + stands_ns and now.ns > FROM_NS:
                now.ns += stands_ns - max(0, due_ns - FROM_NS)
            again_ns = hand.next_ns(slot)
            if again_ns is not None:
                waiting.append((again_ns, slot))
    return made


def four_slots(load, seed):
    """F14: as many callers as are enough for a server that is well."""
    return SCHEDULE(load, seed)[:4]


SCHEDULE = planned.schedule


def test_a_server_that_stands_still_is_called_all_the_same():
    """F14, the closed loop: callers who wait for others to hang up spare a slow server."""

    def check():
        spared = calls_made(0) - calls_made(STANDS_NS)
        assert spared == 0, f"{spared} calls were never made while the server stood still"

    flaw = all_of(
        put_in("bench.plan.arrivals.schedule", four_slots),
        put_in(f"{__name__}.Hand.open_load", flawed=False),
    )
    caught(check, flaw, "10 calls were never made while the server stood still")


class Slipping(Microphone):
    """F14: after a late chunk the timetable begins anew."""

    def take(self):
        chunk = super().take()
        slip_ns = Lagging.woken_ns - chunk.due_ns
        if slip_ns > self.chunk_ns:
            self.opened_ns += slip_ns
            self.due_ns += slip_ns
        return chunk


def test_a_stall_is_seen_in_every_chunk_that_it_held_up(fresh):
    """F14, the slipped interval: 1.5 s of stall in 20 s of audio make one late send of 185."""

    def check():
        world = world_of()
        call = world.call(silent_for(ms(20_000)), ((),))
        call.caller = Stalled(call.caller, world, ms(5050), ms(6550))
        folder = fresh()
        turns_of(world, folder)
        late = sum(row.at_ns > row.due_ns for row in appends(call))
        p95 = rows_of(folder / "run")["send_lateness", "p95"]["value"]
        assert late == 15, f"{late} chunk was late, p95 of the lateness {p95:.0f} ms"
        assert p95 > 400

    flaw = put_in("bench.voice.conversation.Microphone", Slipping)
    caught(check, flaw, "^1 chunk was late, p95 of the lateness 0 ms")


def scheduled_when_begun(events, plan, numbers):
    """F14: a session was due when it got its turn."""
    table = SESSIONS(events, plan, numbers)
    return table.assign(scheduled_ns=table["started_ns"])


SESSIONS = session_rows.sessions_table


def test_a_session_that_queued_for_its_start_says_how_long(fresh):
    """F14, the hidden queue: lateness counts from the schedule, not from the head of the queue."""

    def check():
        story = Story().begin(1, lateness=1426).microphone().say(200).answered().finish()
        _, _, rows, _ = analysed(fresh(), story)
        late = rows["arrival_lateness", "max"]["value"]
        assert late == 1426, f"a start that was 1426 ms late reads {late:.0f} ms"

    flaw = put_in("bench.analysis.pipeline.sessions_table", scheduled_when_begun)
    caught(check, flaw, "a start that was 1426 ms late reads 0 ms")

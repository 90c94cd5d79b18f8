"""What the sessions of one server share: slots in order, pace, wear, and a collapse that stays."""

import math
import random
import statistics
from itertools import pairwise

import ciw
import msgspec
import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.protocol import client as ask
from bench.protocol import server as say
from bench.reference.profile import CapacityProfile, LimitsProfile
from bench.reference.server_state import MOST_KEPT, Capacity, LeakSource, PacketLimit, ServerState
from bench.voice.audio import NS_PER_S, ms
from tests.reference.stage import ROUND, Caller
from tests.world import World, voice


def capacity(**profile):
    return Capacity(CapacityProfile(**profile))


def s(seconds):
    return round(seconds * NS_PER_S)


def holding(sessions, **profile):
    """A capacity with so many sessions open."""
    made = capacity(**profile)
    for _ in range(sessions):
        made.enter()
    return made


# ── slots ────────────────────────────────────────────────────────────────────────────────────


def test_slots_are_given_in_order_as_worked_out_by_hand():
    two = capacity(slots=2)
    #         asked  holds   begins
    worked = [(0, 5, 0), (1, 4, 1), (2, 3, 5), (3, 1, 5), (4, 2, 6), (10, 2, 10)]
    assert [two.begin(s(at), s(holds)) for at, holds, _ in worked] == [s(it) for *_, it in worked]


def test_who_runs_and_who_waits_is_known_at_every_instant():
    two = capacity(slots=2)
    for at, holds in ((0, 5), (1, 4), (2, 3), (3, 1)):  # the last two from 5 to 8, from 5 to 6
        two.begin(s(at), s(holds))
    seen = [(two.running(s(at)), two.waiting(s(at))) for at in (3, 4.999, 5, 5.999, 6, 7.999, 8)]
    assert seen == [(2, 2), (2, 2), (2, 0), (2, 0), (1, 0), (1, 0), (0, 0)]


def test_a_response_waits_from_when_it_is_asked_for_until_it_begins():
    one = capacity(slots=1)
    assert one.waiting(0) == 0
    for asked in range(3):
        one.begin(0, s(1))
        assert (one.running(0), one.waiting(0)) == (1, asked)
    assert [one.waiting(s(at)) for at in (0.5, 1, 2)] == [2, 1, 0]


def test_without_slots_nobody_waits_and_nobody_is_counted():
    none = capacity()
    assert [none.begin(s(1), s(9)) for _ in range(50)] == [s(1)] * 50
    assert (none.slots, none.running(s(1)), none.waiting(s(1))) == (0, 0, 0)


def test_nothing_is_kept_of_responses_that_have_begun():
    one = capacity(slots=1)
    for n in range(1000):
        one.begin(s(2 * n), s(1))
    assert len(one._starts_ns) == 1


def ciw_records(seed, *, slots, rate, service, customers):
    """The customers of a queue as `ciw` plays it, in the order of arrival."""
    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate)],
        service_distributions=[service],
        number_of_servers=[slots],
    )
    queue = ciw.Simulation(network)
    queue.simulate_until_max_customers(customers, method="Finish")
    return sorted(queue.get_all_records(), key=lambda record: record.arrival_date)


SERVICES = {
    "exponential": (ciw.dists.Exponential(1.0), lambda chance: chance.expovariate(1.0)),
    "lognormal": (
        ciw.dists.Lognormal(-0.125, 0.5),
        lambda chance: chance.lognormvariate(-0.125, 0.5),
    ),
    "constant": (ciw.dists.Deterministic(1.0), lambda _: 1.0),
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_wait_is_that_of_ciw_on_the_same_path(service):
    told = ciw_records(3, slots=3, rate=2.6, service=SERVICES[service][0], customers=1500)
    three, waits, theirs = capacity(slots=3), [], []
    # Those who arrived before the last that was served are complete in the records.
    for record in told[:1400]:
        at = s(record.arrival_date)
        waits.append((three.begin(at, s(record.service_time)) - at) / NS_PER_S)
        theirs.append(record.waiting_time)
    assert sum(wait > 0.1 for wait in theirs) > 300  # it is a queue
    assert waits == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("service", SERVICES)
def test_the_mean_wait_is_that_of_ciw_within_four_standard_errors(service):
    slots, rate, customers, runs = 4, 3.2, 2500, 20
    drawn_by_ciw, draw = SERVICES[service]
    theirs, ours = [], []
    for seed in range(runs):
        told = ciw_records(seed, slots=slots, rate=rate, service=drawn_by_ciw, customers=customers)
        theirs.append(statistics.fmean(record.waiting_time for record in told))
        chance, made, at, waits = random.Random(f"queue {seed}"), capacity(slots=slots), 0.0, []
        for _ in range(customers):
            at += chance.expovariate(rate)
            waits.append((made.begin(s(at), s(draw(chance))) - s(at)) / NS_PER_S)
        ours.append(statistics.fmean(waits))
    error = math.sqrt((statistics.variance(ours) + statistics.variance(theirs)) / runs)
    assert error < 0.1 * statistics.fmean(theirs)  # or it would show nothing
    assert abs(statistics.fmean(ours) - statistics.fmean(theirs)) < 4 * error


# ── pace ─────────────────────────────────────────────────────────────────────────────────────


def test_replies_that_are_spoken_at_once_share_the_pace():
    shared = capacity(pace_slots=2)
    # 8 s of speech at pace 4: the first two end at 2 s, the third at 3 s, the fourth at 5 s.
    paces = [shared.pace(s(at), 4.0, s(8)) for at in (0, 0, 0, 1, 2, 5)]
    assert paces == pytest.approx([4.0, 4.0, 4 * 2 / 3, 4 * 2 / 4, 4 * 2 / 3, 4.0])


def test_without_pace_slots_everybody_has_the_whole_pace():
    assert [capacity().pace(0, 4.0, s(8)) for _ in range(9)] == [4.0] * 9


# ── wear ─────────────────────────────────────────────────────────────────────────────────────


def test_every_response_delays_those_after_it():
    worn = capacity(wear_ms=10)
    assert [worn.wear_ns(s(at)) for at in (0, 0, 1, 86_400)] == [ms(10 * n) for n in range(4)]


def test_wear_heals_with_its_time_constant():
    worn = capacity(wear_ms=100, wear_heals_s=20)
    assert [worn.wear_ns(0) for _ in range(4)] == [0, ms(100), ms(200), ms(300)]
    assert worn.wear_ns(s(20)) == pytest.approx(ms(400) / math.e, abs=1)
    assert worn.wear_ns(s(40)) == pytest.approx(ms(100) * (4 / math.e + 1) / math.e, abs=1)
    assert worn.wear_ns(s(2000)) == 0


def test_without_wear_nothing_is_added():
    assert [capacity().wear_ns(s(1)) for _ in range(9)] == [0] * 9


# ── collapse ─────────────────────────────────────────────────────────────────────────────────


def test_it_collapses_above_one_count_and_recovers_only_at_another():
    made = holding(5, collapse_sessions=5, recover_sessions=2, collapse_factor=3)
    assert (made.collapsed, made.slowdown) == (False, 1.0)
    made.enter()
    assert (made.open_sessions, made.collapsed, made.slowdown) == (6, True, 3.0)
    for left in (5, 4, 3):
        made.leave()
        assert (made.open_sessions, made.collapsed) == (left, True)
    made.leave()
    assert (made.open_sessions, made.collapsed, made.slowdown) == (2, False, 1.0)
    for _ in range(3):
        made.enter()
        assert not made.collapsed


def test_where_no_recovery_is_stated_only_an_empty_server_recovers():
    made = holding(3, collapse_sessions=2)
    states = []
    for _ in range(3):
        made.leave()
        states.append(made.collapsed)
    assert states == [True, True, False]


def test_without_a_collapse_any_number_is_held():
    assert not holding(5000).collapsed


# ── packets and leaks ────────────────────────────────────────────────────────────────────────


def test_no_limit_hears_any_number():
    packets = PacketLimit(LimitsProfile())
    assert all(packets.takes_packet(0) for _ in range(5000))


def test_no_second_has_more_packets_than_the_limit():
    packets = PacketLimit(LimitsProfile(packets_per_second=10))
    taken = [at for at in range(0, 5000, 7) if packets.takes_packet(ms(at))]
    for at in taken:
        assert sum(at <= other < at + 1000 for other in taken) <= 10
    assert len(taken) >= 45


def test_a_leak_source_tells_the_latest_words_that_are_somebody_elses():
    source = LeakSource()
    assert source.words_of_another(1) == ""
    source.write(1, "one")
    assert source.words_of_another(1) == ""
    source.write(2, "two")
    source.write(3, "one")
    source.write(4, "")
    assert source.words_of_another(1) == "two"
    assert source.words_of_another(2) == "one"
    for number in range(10, 10 + MOST_KEPT):
        source.write(number, str(number))
    assert source.words_of_another(10) == str(9 + MOST_KEPT)
    assert len(source._words) == MOST_KEPT


# ── what callers hear of it ──────────────────────────────────────────────────────────────────


def carrying(**profile):
    return msgspec.structs.replace(ROUND, capacity=CapacityProfile(**profile))


def asked_at(caller, at_ms):
    """The instants at which the answer to a request made then is created and first heard."""
    caller.wait(at_ms)
    caller.respond(20_000)
    return caller.only(say.ResponseCreated).due_ns, caller.every(say.ResponseOutputAudioDelta)


def test_first_audio_comes_later_by_exactly_the_wait_and_created_does_not():
    alone = [asked_at(Caller(number=n), 250 * n) for n in range(4)]
    profile = carrying(slots=2, service_ms=1000)
    shared = ServerState(profile)
    queued = [asked_at(Caller(profile, number=n, state=shared), 250 * n) for n in range(4)]
    waits = [0, 0, 500, 500]  # asked at 500 and 750, and the slots are free at 1000 and 1250
    for (created, audio), (created_too, later), wait in zip(alone, queued, waits, strict=True):
        assert created_too == created
        assert [due.due_ns for due in later] == [due.due_ns + ms(wait) for due in audio]


def test_a_response_that_is_cut_keeps_its_slot():
    profile = carrying(slots=1, service_ms=1000)
    shared = ServerState(profile)
    one, two = (Caller(profile, number=n, state=shared) for n in range(2))
    one.respond(100)
    one.ask(ask.ResponseCancel())
    assert one.last(say.ResponseDone).response.status == "cancelled"
    assert shared.capacity.running(ms(100)) == 1
    _, audio = asked_at(two, 200)
    assert audio[0].due_ns == ms(1000 + 300)


def test_the_pace_of_replies_is_shared_by_sessions():
    profile = carrying(pace_slots=1)
    shared = ServerState(profile)
    steps = []
    for n in range(3):
        _, audio = asked_at(Caller(profile, number=n, state=shared), 0)
        first, second = (due.due_ns for due in audio[:2])
        steps.append(second - first)
    assert steps == [ms(25), ms(50), ms(75)]  # 100 ms at pace 4, at a half and a third of it


def test_wear_delays_the_answers_of_all_sessions():
    profile = carrying(wear_ms=40)
    shared = ServerState(profile)
    callers = [Caller(profile, number=n, state=shared) for n in range(3)]
    firsts = [asked_at(caller, 0)[1][0].due_ns for caller in callers]
    assert firsts == [ms(300), ms(340), ms(380)]


def test_a_collapsed_service_thinks_holds_and_speaks_so_many_times_as_long():
    profile = carrying(slots=1, service_ms=500, collapse_sessions=1, collapse_factor=4)
    shared = ServerState(profile)
    for _ in range(2):
        shared.capacity.enter()
    one, two = (asked_at(Caller(profile, number=n, state=shared), 0)[1] for n in range(2))
    assert one[0].due_ns == ms(4 * 300)
    assert one[1].due_ns - one[0].due_ns == ms(4 * 25)
    assert two[0].due_ns == ms(4 * 500 + 4 * 300)
    shared.capacity.leave()
    shared.capacity.leave()
    assert shared.capacity.slowdown == 1.0


def test_whole_conversations_wait_in_line_and_analysis_finds_the_waits(tmp_path):
    world = World(carrying(slots=1, service_ms=700))
    for _ in range(4):
        world.call("turn_taking", ((voice("one", 130, 1200),),))
    folder = world.run().seal(tmp_path / "run")
    analyse(folder.path)
    turns = pd.read_parquet(folder.turns).sort_values("first_audio_latency")
    assert list(turns["outcome"]) == ["ok"] * 4
    assert {b - a for a, b in pairwise(turns["first_audio_latency"])} == {700.0}
    assert len(set(turns["endpointing_delay"])) == 1


def test_a_session_too_many_hears_words_of_overload_and_room_comes_back():
    profile = msgspec.structs.replace(ROUND, limits=LimitsProfile(sessions=1, breach="at_capacity"))
    world = World(profile)
    starts = (0, 1000, 60_000)
    calls = [
        world.call("turn_taking", ((voice("one", 130, 1200),),), start_ns=ms(at)) for at in starts
    ]
    world.run()
    assert [call.tally.outcome for call in calls] == ["finished", "overloaded", "finished"]

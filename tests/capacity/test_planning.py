import math
import re

import numpy as np
import pytest

from bench.capacity.fleet import Headroom, NodeCapacity, ServiceTarget, exactly
from bench.capacity.planning import make_plan, node_capacity, session_length
from bench.errors import UsageError
from bench.stats.erlang import blocking, mean_wait, slots_for_blocking, waiting_longer
from tests.capacity.found import bounds, capacity_result, tier

ONE_PERCENT = ServiceTarget(0.01)
TWO_SECONDS = ServiceTarget(0.05, 2.0)
NODE = NodeCapacity(bounds(24.0, 21.4, 26.9), "gold")
LENGTH = bounds(192.0, 184.0, 200.0)


def ends(figure):
    return figure.value, figure.low, figure.high


def test_exact_figures_are_those_of_the_formulas():
    plan = make_plan(3000, ONE_PERCENT, NodeCapacity(exactly(24)), exactly(192), price=2.5)
    assert ends(plan.erlangs) == (160, 160, 160)
    assert ends(plan.slots) == (180, 180, 180)
    assert ends(plan.nodes) == ends(plan.planned.nodes) == (8, 8, 8)
    turned_away = 100 * blocking(192, 160)
    assert ends(plan.planned.lost) == (turned_away,) * 3
    assert plan.planned.lost_one_down.value == 100 * blocking(168, 160)
    assert plan.planned.utilisation.value == pytest.approx(160 * (100 - turned_away) / 192)
    assert plan.planned.mean_wait_s is None
    assert ends(plan.planned.cost_per_hour) == (20, 20, 20)
    assert plan.planned.cost_per_month.value == 20 * 730
    assert plan.sentence == (
        "3,000 calls an hour of 3.2 min need 180 slots at 1 % blocking: 8 nodes of 24 sessions, "
        "where at most 0.15 % of the calls are turned away, and at most 3.4 % with one node lost."
    )


def test_intervals_span_the_corners_of_length_and_capacity():
    plan = make_plan(3000, ONE_PERCENT, NODE, LENGTH, price=2.5)
    assert ends(plan.session_s) == (192, 184, 200)
    assert ends(plan.sessions_per_node) == (24, 21, 26)
    assert ends(plan.erlangs) == pytest.approx((160, 460 / 3, 500 / 3))
    assert ends(plan.slots) == (180, slots_for_blocking(460 / 3, 0.01), 187)
    assert ends(plan.nodes) == (8, math.ceil(173 / 26), math.ceil(187 / 21)) == (8, 7, 9)
    assert ends(plan.needed.cost_per_hour) == (20, 17.5, 22.5)
    worst, best = 100 * blocking(8 * 21, 500 / 3), 100 * blocking(8 * 26, 460 / 3)
    assert ends(plan.needed.lost) == (100 * blocking(192, 160), best, worst)
    assert plan.needed.lost_one_down.high == 100 * blocking(7 * 21, 500 / 3)


def test_what_is_planned_keeps_the_promise_in_every_corner():
    for target in (ONE_PERCENT, TWO_SECONDS):
        plan = make_plan(3000, target, NODE, LENGTH, price=2.5)
        assert ends(plan.planned.nodes) == (9, 9, 9)
        assert plan.planned.lost.high <= plan.target_percent < plan.needed.lost.high
        assert plan.planned.cost_per_hour.value == 22.5


def test_headroom_is_nodes_more_or_slots_more():
    more = make_plan(3000, ONE_PERCENT, NODE, LENGTH, headroom=Headroom(nodes=1))
    assert ends(more.nodes) == (8, 7, 9)
    assert ends(more.needed.nodes) == (9, 8, 10)
    assert more.planned.nodes.value == 10
    assert more.planned.lost_one_down.high <= 1
    assert "8 nodes [7, 9] of 24 sessions; 10 with n+1 at the upper end" in more.sentence
    wider = make_plan(3000, ONE_PERCENT, NODE, LENGTH, headroom=Headroom(share=0.2))
    assert ends(wider.needed.nodes) == tuple(
        math.ceil(1.2 * slots / holds) for slots, holds in ((180, 24), (173, 26), (187, 21))
    )
    assert "11 with 20 % at the upper end" in wider.sentence


def test_erlang_c_has_waits():
    plan = make_plan(3000, TWO_SECONDS, NODE, LENGTH)
    assert plan.model == "erlang_c"
    assert plan.planned.lost.high == 100 * waiting_longer(9 * 21, 500 / 3, 200, 2)
    assert plan.planned.mean_wait_s.high == mean_wait(9 * 21, 500 / 3, 200)
    assert plan.planned.utilisation.high == pytest.approx(100 * 500 / 3 / (9 * 21))
    assert "for at most 5 % of them to wait longer than 2 s" in plan.sentence
    assert any("Erlang C supposes" in remark for remark in plan.remarks)


def test_waits_without_end_are_null():
    fewer = NodeCapacity(bounds(24.0, 12.0, 26.0))
    plan = make_plan(3000, TWO_SECONDS, fewer, LENGTH)
    assert plan.needed.mean_wait_s.high is None
    assert plan.needed.lost.high == 100
    assert plan.needed.utilisation.high == 100


def test_a_capacity_of_at_least_so_many_gives_at_most_so_many_nodes():
    found = capacity_result(tier(at_least=True, high=26.0, limit="account 24 sessions"))
    plan = make_plan(3000, ONE_PERCENT, node_capacity(found, None, "c.json"), LENGTH)
    assert plan.at_most
    assert ends(plan.nodes) == (8, None, 9)
    assert ends(plan.sessions_per_node) == (24, 21, None)
    assert plan.planned.nodes.value == 9
    assert plan.needed.lost.low == plan.needed.utilisation.low == 0
    assert "at most 8 nodes [9 at worst] of at least 24 sessions" in plan.sentence
    assert plan.remarks[0] == (
        "the target held 24 sessions and might hold more (limit: account 24 sessions): "
        "as many nodes suffice, fewer may"
    )


def arriving(**changes):
    starts = tier(capacity=0.125, low=0.11, high=0.14)
    return capacity_result(starts, load="arrivals", unit="/s", **changes)


def test_session_starts_become_sessions_in_flight_by_littles_law():
    found = arriving()
    length = session_length(found, "c.json")
    plan = make_plan(3000, ONE_PERCENT, node_capacity(found, None, "c.json"), length)
    # The length is the same in the calls and in the capacity: both long, or both short.
    assert ends(plan.sessions_per_node) == (24, math.floor(0.11 * 184), math.floor(0.14 * 200))
    pairs = [(size, starts) for size in (184, 200) for starts in (0.11, 0.14)]
    nodes = [
        math.ceil(slots_for_blocking(3000 * size / 3600, 0.01) / math.floor(starts * size))
        for size, starts in pairs
    ]
    assert ends(plan.nodes) == (8, min(nodes), max(nodes))
    assert any(
        "0.125 session starts a second; by Little's law, times 3.2 min, that is 24 sessions"
        in remark
        for remark in plan.remarks
    )


def test_sessions_in_flight_are_those_of_the_measured_length_whatever_the_calls_are():
    node = node_capacity(arriving(), None, "c.json")
    plan = make_plan(3000, ONE_PERCENT, node, exactly(480))
    assert ends(plan.sessions_per_node) == (24, math.floor(0.11 * 184), math.floor(0.14 * 200))
    assert plan.erlangs.high == 400


def test_the_corners_cover_the_true_number_of_nodes():
    rng = np.random.default_rng(14)
    rounds, held = 400, 0
    truth = make_plan(9000, ONE_PERCENT, NodeCapacity(exactly(24)), exactly(192)).nodes.value
    for _ in range(rounds):
        length, holds = rng.normal(192, 6), rng.normal(24.5, 1.2)
        node = NodeCapacity(bounds(holds, holds - 1.96 * 1.2, holds + 1.96 * 1.2))
        size = bounds(length, length - 1.96 * 6, length + 1.96 * 6)
        nodes = make_plan(9000, ONE_PERCENT, node, size).nodes
        held += nodes.low <= truth <= nodes.high
    assert held >= 0.95 * rounds


def test_what_was_not_confirmed_and_what_has_no_interval_is_said():
    node = node_capacity(capacity_result(tier(confirmed=False)), "gold", "c.json")
    plan = make_plan(3000, ONE_PERCENT, node, bounds(192.0, None, None))
    assert ends(plan.session_s) == (192, 192, 192)
    assert "no hold has confirmed the capacity of gold" in plan.remarks
    assert "the session length has no interval: it is taken as exact" in plan.remarks


def test_one_node_that_is_lost_is_all_of_them():
    plan = make_plan(10, ONE_PERCENT, NodeCapacity(exactly(24)), exactly(60))
    assert plan.planned.nodes.value == 1
    assert plan.planned.lost_one_down.value == 100
    assert ": 1 node of 24 sessions, where" in plan.sentence


@pytest.mark.parametrize(
    ("result", "wanted", "told"),
    [
        (capacity_result(complete=False), None, "complete: the search has not ended"),
        (capacity_result(tiers=[], objectives=[]), None, "tiers: there is none"),
        (capacity_result(tier(), tier("silver")), None, "2 tiers; give --tier: gold, silver"),
        (capacity_result(tier(), tier("silver")), "sliver", "no tier 'sliver'; did you mean"),
        (capacity_result(tier(capacity=None, said=[])), None, "capacity of 'gold' is not known;"),
        (
            capacity_result(tier(capacity=None, said=["1 session failed the gate"])),
            None,
            "capacity of 'gold' is not known (1 session failed the gate)",
        ),
        (
            capacity_result(tier(capacity=0.0, said=[])),
            None,
            "capacity of 'gold' is 0; search again",
        ),
        (capacity_result(tier(low=None)), None, "low of 'gold' is not known"),
    ],
)
def test_a_result_that_cannot_be_planned_with_is_refused_with_its_key(result, wanted, told):
    with pytest.raises(UsageError, match=r"^c\.json: ") as caught:
        node_capacity(result, wanted, "c.json")
    assert told in str(caught.value)


def test_a_session_of_unknown_length_is_refused():
    found = capacity_result()
    for unknown in (bounds(None, None, None), bounds(0.0, None, None)):
        nothing = type(found.workload)(
            session_s=unknown, turns_per_session=None, turn_s=None,
            talk_ratio=found.workload.talk_ratio,
        )  # fmt: skip
        with pytest.raises(UsageError, match=r"session_s: is not known; give --session-length"):
            session_length(capacity_result(workload=nothing), "c.json")
        with pytest.raises(UsageError, match=r"session_s: is not known; give --sessions-per-node"):
            node_capacity(arriving(workload=nothing), None, "c.json")


@pytest.mark.parametrize(
    "holds", [bounds(0.0, 0.0, 1.0), bounds(3.0, 0.9, 4.0), bounds(3.0, 0.0, 4.0)]
)
def test_a_node_that_may_hold_no_session_is_refused(holds):
    with pytest.raises(UsageError, match="less than one whole session"):
        make_plan(3000, ONE_PERCENT, NodeCapacity(holds), LENGTH)


def test_more_calls_than_can_be_computed_are_refused():
    with pytest.raises(
        UsageError, match=r"--calls-per-hour 1,000,000,000: .* more than 1,000,000 slots"
    ):
        make_plan(1e9, ONE_PERCENT, NODE, LENGTH)


def test_what_is_signed_is_rounded_up_and_never_beyond_the_promise():
    for calls in range(2000, 4000, 37):
        plan = make_plan(calls, ONE_PERCENT, NODE, LENGTH)
        told = re.search(r"at most ([0-9.]+) % of the calls", plan.sentence)
        worst = plan.planned.lost.high
        assert told is None or worst <= float(told[1]) <= min(1.1 * worst, 1)

"""What an account allows at once, and how many sessions a plan has open."""

import pytest

from bench.plan.arrivals import Slot
from bench.plan.limits import Account, broken_limits, most_open


@pytest.mark.parametrize(
    ("slots", "session_ns", "most"),
    [
        ([Slot(0), Slot(5), Slot(9)], None, 3),
        ([Slot(0, 5), Slot(5, 9), Slot(9)], None, 1),
        ([Slot(0, 6), Slot(5, 9), Slot(5), Slot(9)], None, 3),
        ([Slot(0), Slot(5), Slot(9)], 5, 2),
        ([Slot(0, 2), Slot(1), Slot(3)], 5, 2),
        ([], None, 0),
    ],
)
def test_the_most_that_are_open_at_once(slots, session_ns, most):
    assert most_open(slots, 10, session_ns) == most


@pytest.mark.parametrize(
    ("held", "chunk_ms", "account", "fits"),
    [
        (20, 100, Account(20, 1000), None),
        (100, 100, Account(100, 1000), None),
        (101, 100, Account(None, 1000), 110),
        (20, 10, Account(20, 1000), 20),
        (1001, 100, Account(None, 1000), 1010),
    ],
)
def test_the_smallest_chunk_that_fits(held, chunk_ms, account, fits):
    said = list(broken_limits(held, chunk_ms, account))
    assert len(said) == (fits is not None)
    if fits is not None:
        assert (f"chunk_ms = {fits} fits" in said[0]) == (fits <= 1000)
        assert held * 1000 / fits <= account.packets < held * 1000 / (fits - 10)


def test_both_limits_may_be_broken_and_none_where_nobody_knows_any():
    assert len(list(broken_limits(30, 20, Account(20, 1000)))) == 2
    assert not list(broken_limits(3000, 20, Account()))

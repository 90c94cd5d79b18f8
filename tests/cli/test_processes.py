"""Pinned, every worker has a core and nothing else has it."""

import os

import pytest

from bench.cli.processes import Cores, confined, share_out
from bench.errors import UsageError

EIGHT = frozenset(range(8))


def test_every_worker_has_a_core_and_the_rest_have_the_others(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: EIGHT)
    assert share_out(2) == Cores((6, 7), (0, 1, 2, 3, 4, 5))


@pytest.mark.parametrize("workers", [8, 9])
def test_more_workers_than_cores_cannot_be_pinned(monkeypatch, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: EIGHT)
    with pytest.raises(UsageError, match=f"--pin: {workers} workers .* there are 8; use fewer"):
        share_out(workers)


def test_only_the_cores_that_this_process_may_use_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 9})
    assert share_out(1) == Cores((9,), (3, 5))


def test_a_system_that_pins_nothing_says_so(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    with pytest.raises(UsageError, match="pins no process"):
        share_out(1)


def test_this_program_keeps_off_the_workers_cores_while_the_run_lasts(monkeypatch):
    seen, now = [], {0, 1}

    def allow(_, cores):
        seen.append(set(cores))

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: now)
    monkeypatch.setattr(os, "sched_setaffinity", allow)
    with confined(Cores((1,), (0,))):
        assert seen == [{0}]
    assert seen == [{0}, {0, 1}]
    with confined(None):
        pass
    assert len(seen) == 2

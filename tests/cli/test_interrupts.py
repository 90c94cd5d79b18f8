"""Signals that ask a run to end, and code that swallows what they raise."""

import signal
from contextlib import suppress

import pytest

from bench.cli.interrupts import Interrupts


def test_what_somebody_swallowed_is_known_to_who_begins_to_count():
    with Interrupts():
        with suppress(BaseException):  # as an import does that tries one library and then another
            signal.raise_signal(signal.SIGTERM)
        with Interrupts() as inner:
            assert (inner.count, inner.at_once) == (1, True)
            with inner.counted():
                signal.raise_signal(signal.SIGINT)
            assert inner.count == 2


def test_where_nobody_counts_an_interrupt_ends_what_is_under_way():
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert (interrupts.count, interrupts.at_once) == (1, False)
    with Interrupts() as again:
        assert again.count == 0

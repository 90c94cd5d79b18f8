"""How many examples property tests play: a third on every commit, all in `make test-slow`."""

import os

from hypothesis import settings

THOROUGH = "BENCH_THOROUGH" in os.environ
USUAL = 100
"""Of a property that does not say."""


def count(most):
    """How many of so many are played."""
    return most if THOROUGH else -(-most // 3)


def examples(most):
    """The settings of a property that plays so many at most."""
    return settings(max_examples=count(most))

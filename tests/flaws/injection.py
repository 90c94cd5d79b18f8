"""How a flaw is put in: the same check on the bench as it is and on the bench spoilt.

A test of a flaw proves two things: that this bench does not have it, and that the check could see
it. A flaw is put in by replacing one name (`unittest.mock.patch`), never by editing what is tested;
the check then has to fail, in words that name the damage and, where time is virtual, its exact
size.
"""

from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest


def caught(check, flaw, words):
    """`check` passes on the bench as it is, and with `flaw` put in fails with these words."""
    check()
    with flaw, pytest.raises(AssertionError, match=words):
        check()


def put_in(name, flawed):
    """`flawed` in the place of what the dotted `name` means."""
    return mock.patch(name, flawed)


@contextmanager
def all_of(*flaws):
    """Several replacements that make one flaw: where the bench has two defences, both go."""
    with ExitStack() as stack:
        for flaw in flaws:
            stack.enter_context(flaw)
        yield

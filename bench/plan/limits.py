"""What an account allows at once, and whether a plan would break it.

A service that is asked for more than its account allows refuses and slows down: what is measured
then is the account. So a plan that would break a limit is known before the start, with the
arithmetic: sessions open at once, and the chunks that they send a second.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.plan.arrivals import Slot

_LONGEST_CHUNK_MS = 1000
_CHUNK_STEP_MS = 10


class Account(NamedTuple):
    """What is allowed at once; None: nobody knows."""

    sessions: int | None = None
    packets: int | None = None


def most_open(slots: Sequence[Slot], end_ns: int, session_ns: int | None) -> int:
    """Sessions open at once at most, by plan.

    A slot holds sessions until it leaves or the load ends; where `session_ns` is given, as for an
    open load, a single one that lasts so long.
    """
    edges = []
    for slot in slots:
        leaves = end_ns if slot.leave_ns is None else slot.leave_ns
        if session_ns is not None:
            leaves = min(leaves, slot.start_ns + session_ns)
        edges += [(slot.start_ns, 1), (leaves, -1)]
    held = most = 0
    for _, change in sorted(edges):  # who leaves at an instant makes room for who comes then
        held += change
        most = max(most, held)
    return most


def broken_limits(held: int, chunk_ms: int, account: Account) -> Iterator[str]:
    """What so many sessions at once would break, and what to do about it."""
    if account.sessions is not None and held > account.sessions:
        yield (
            f"{held} sessions at once, and the account allows {account.sessions}: ask for fewer, "
            "or say your plan's limit with --account-sessions or limits.sessions"
        )
    packets = held * 1000 / chunk_ms
    if account.packets is None or packets <= account.packets:
        return
    fits = -(-held * 1000 // (account.packets * _CHUNK_STEP_MS)) * _CHUNK_STEP_MS
    remedy = f"chunk_ms = {fits} fits" if fits <= _LONGEST_CHUNK_MS else "no chunk is long enough"
    yield (
        f"{held} sessions × {1000 / chunk_ms:g} chunks a second of {chunk_ms} ms are {packets:.0f} "
        f"packets a second, and the account allows {account.packets}: {remedy}, or ask for fewer "
        "sessions, or say your plan's limit with --account-packets or limits.packets_per_second"
    )

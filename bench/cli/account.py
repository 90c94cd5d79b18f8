"""What the account of a target allows at once, against what a job will have open."""

from bench.cli.speech import speech_of
from bench.cli.verbs import CapacityOptions, RunOptions
from bench.errors import UsageError
from bench.plan.forecast import session_length
from bench.plan.limits import Account, broken_limits, most_open
from bench.runs.job import Job


def open_at_once(job: Job) -> int:
    """Sessions open at once at most; of an open load with a script of one's own, all of them."""
    load = job.scenario.load
    length = None if load.arrivals is None else session_length(job.scenario, speech_of(job))
    return most_open(job.slots, load.whole + load.drain, length)


def account_of(job: Job, options: RunOptions | CapacityOptions) -> Account:
    """What the target allows at once: said on the command line, in the scenario, or known of it.

    A server of one's own speaks the dialect of a service and has no account there.
    """
    own, known = job.scenario.limits, job.target.dialect
    there = not job.target.loopback
    packets = own.packets_per_second or (known.most_packets if there else None)
    return Account(
        options.account_sessions or own.sessions or (known.most_sessions if there else None),
        options.account_packets or packets,
    )


def need_within_limits(job: Job, options: RunOptions) -> None:
    """UsageError for a plan that would break what the account allows, where nobody asked for it."""
    if options.exceed_limits:
        return
    held, chunk_ms = open_at_once(job), job.scenario.chunk_ms
    for text in broken_limits(held, chunk_ms, account_of(job, options)):
        raise UsageError(f"{text}; --exceed-limits measures what lies beyond")

"""The verb `plan from-calls`: a call log made into a trace that a load can play."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import mean, pstdev

from bench.cli.console import say, talk
from bench.cli.verbs import FromCallsOptions
from bench.plan.arrivals import Slot
from bench.plan.limits import most_open
from bench.report.page import put_out
from bench.report.text import count, plain
from bench.runs.call_log import LoggedCall, read_call_log, trace_text
from bench.voice.audio import NS_PER_S


def from_calls_verb(options: FromCallsOptions) -> None:
    """Write the trace; say what it comes to, and how a scenario plays it."""
    calls = read_call_log(options.calls, options.start, options.duration)
    put_out(options.out, trace_text(calls), "--out")
    for line in told_of(calls, options.out):
        say(talk, line)


def told_of(calls: list[LoggedCall], path: Path) -> Iterator[str]:
    """What the calls come to, and the lines of a scenario that plays them."""
    span_s = calls[-1].start_s
    lengths = [call.length_s for call in calls if call.length_s is not None]
    gaps = [after.start_s - before.start_s for before, after in pairwise(calls)]
    yield f"calls     {count(len(calls), 'call')} in {plain(span_s / 60)} minutes"
    if len(gaps) > 1 and mean(gaps) > 0:
        spread = pstdev(gaps) / mean(gaps)
        shape = f"burstiness {1 / spread**2:.2g} (1 is like poisson)" if spread else "like a clock"
        yield f"arrivals  {plain(60 / mean(gaps))} a minute on average, {shape}"
    end_s = max(call.start_s + (call.length_s or 0.0) for call in calls)
    if lengths:
        slots = [
            Slot(round(call.start_s * NS_PER_S), round((call.start_s + call.length_s) * NS_PER_S))
            for call in calls
            if call.length_s is not None
        ]
        most = most_open(slots, round(end_s * NS_PER_S), None)
        yield f"lengths   {plain(mean(lengths))} s on average; {most} at once at most"
    if missing := len(calls) - len(lengths):
        yield f"note      {count(missing, 'call')} without a duration: each says all its turns"
    yield f"trace     {path}; a scenario plays it with turns enough for the longest call, and"
    yield f'          [load] arrivals = "trace", trace = "{path}", warmup = "0s",'
    yield f'          duration = "{ceil(end_s) + 1}s"'

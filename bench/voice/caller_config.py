"""How a simulated caller behaves."""

from typing import NamedTuple

from bench.voice.audio import NS_PER_MS, NS_PER_S


class CallerConfig(NamedTuple):
    """How the caller behaves; lengths in ns. See `bench.plan.scenario.Caller`.

    chunk_ns:          audio in one append
    answer_timeout_ns: patience: how long it waits after the last thing that gave it hope
    jitter_buffer_ns:  how long its player holds back the first audio of a reply
    flush:             it empties its player when the server hears it speak
    truncate:          and then tells the server how much it had heard
    greeting:          it hears the agent's own greeting out before it begins
    """

    chunk_ns: int = 100 * NS_PER_MS
    answer_timeout_ns: int = 10 * NS_PER_S
    jitter_buffer_ns: int = 0
    flush: bool = True
    truncate: bool = False
    greeting: bool = False

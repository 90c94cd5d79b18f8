"""Scripts of outputs: which delta comes when, with which words and how much audio.

Theory of operation
-------------------
Item and part are announced between their cause and the first delta, at 62 % of the way (in the
recording of `protocol.md` section 8: 303 ms of 490 ms); a filler is announced and said as soon as
its wait is over. Audio delta k comes at first + k · delta ÷ pace, plus its jitter if k > 0, never
before delta k-1. A word comes with the delta in which it begins, words spread evenly over the
audio, and before it.

Instants are whole nanoseconds computed from k, never summed, so nothing drifts.
"""

from typing import Final, NamedTuple

from bench.reference.answer import TOKEN_LETTERS, Delta, Script
from bench.reference.calling import ToolCall
from bench.reference.draws import Draws
from bench.reference.profile import ResponseProfile, ToolsProfile
from bench.reference.speech import Speech, words
from bench.voice.audio import ms

_ANNOUNCED_PERCENT: Final = 62


class Opening(NamedTuple):
    """When an output is announced and when its first delta comes."""

    announced_ns: int
    first_ns: int


def spoken_script(
    profile: ResponseProfile,
    draws: Draws,
    n: int,
    opening: Opening,
    spoken: Speech,
    filler_ns: int | None,
    pace: float,
) -> Script:
    """Speech `n` in deltas of the set size at a pace, its words spread evenly over them."""
    filler, voice = len(spoken.filler), spoken.silence + len(spoken.reply.audio)
    said = min(spoken.nbytes - filler, voice)
    text = words(spoken.reply.text)
    kept = text[: len(text) * said // voice]
    size = spoken.format.nbytes(ms(profile.delta_ms))
    steps = -(-said // size)
    due = _audio_instants(profile, draws, n, opening.first_ns, steps, pace)
    deltas = [
        Delta(due[k], _share(kept, k, steps), filler + min((k + 1) * size, said))
        for k in range(steps)
    ]
    announced_ns = opening.announced_ns
    if filler_ns is not None:
        deltas.insert(0, Delta(filler_ns, (), filler))
        announced_ns = min(announced_ns, filler_ns)
    if spoken.nbytes > filler + said:
        deltas.append(Delta(due[-1], (), spoken.nbytes))
    return Script(announced_ns, tuple(deltas), spoken, limited=said < voice)


def written_script(
    profile: ResponseProfile, opening: Opening, text: str, limit: int | None
) -> Script:
    """A reply as text alone, a word in each delta."""
    whole = words(text)
    kept = whole[:limit]
    due = (opening.first_ns + ms(k * profile.word_ms) for k in range(len(kept)))
    deltas = tuple(Delta(at, (word,)) for at, word in zip(due, kept, strict=True))
    return Script(opening.announced_ns, deltas, limited=len(kept) < len(whole))


def call_script(
    profile: ToolsProfile, opening: Opening, call: ToolCall, limit: int | None
) -> Script:
    """A tool call, its arguments some letters at a time."""
    kept = call.arguments[: None if limit is None else limit * TOKEN_LETTERS]
    deltas = tuple(
        Delta(opening.first_ns + ms(k * profile.delta_ms), (kept[at : at + profile.letters],))
        for k, at in enumerate(range(0, len(kept), profile.letters))
    )
    limited = len(kept) < len(call.arguments)
    return Script(opening.announced_ns, deltas, call=call, limited=limited)


def opening_of(created_ns: int, first_ns: int) -> Opening:
    """The first delta never before the creation, the announcement in between."""
    first_ns = max(created_ns, first_ns)
    return Opening(created_ns + (first_ns - created_ns) * _ANNOUNCED_PERCENT // 100, first_ns)


def _share(text: tuple[str, ...], step: int, steps: int) -> tuple[str, ...]:
    """The words that come with this delta; the first always with the first."""
    count = len(text)
    return text[-(-step * count // steps) : -(-(step + 1) * count // steps)]


def _audio_instants(
    profile: ResponseProfile, draws: Draws, n: int, first_ns: int, count: int, pace: float
) -> tuple[int, ...]:
    """When each of `count` audio deltas is due."""
    spacing = ms(profile.delta_ms) / pace
    jitter = draws.generator("jitter_ms", n)
    due, latest = [first_ns], first_ns
    for k in range(1, count):
        late = ms(jitter.uniform(0.0, profile.jitter_ms)) if profile.jitter_ms else 0
        latest = max(latest, first_ns + round(k * spacing) + late)
        due.append(latest)
    return tuple(due)

"""One response: what it is going to say, when, and how much of that is out.

Theory of operation
-------------------
Everything about a response is settled when it begins: its reply, its delays, its instants. With
t0 the instant of its cause (the commit, or `response.create`):

* `response.created` at t0 + created;
* the first delta at t0 + first delta, but never before `response.created`;
* item and part are announced in between, at 62 % of the way (in the recording of `protocol.md`
  section 8: 303 ms of 490 ms);
* audio delta k at first + k · delta ÷ pace, plus its jitter if k > 0, never before delta k-1;
* a word comes with the delta in which it begins, words spread evenly over the audio, and before it;
* the end comes with the last delta.

Instants are whole nanoseconds computed from k, never summed, so nothing drifts.

What it refuses to know: messages and clocks. `bench.reference.responding` turns steps into words.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from bench.protocol.objects import Item
from bench.reference.draws import Draws
from bench.reference.profile import ResponseProfile
from bench.reference.speech import Reply, Speech, speech, words
from bench.voice.audio import AudioFormat, ms

_ANNOUNCED_PERCENT: Final = 62
TOKEN_NS: Final = ms(50)
"""Audio that one output token stands for (20 tokens a second)."""

Fate = Literal["reply", "failed", "close", "stall"]


class Script(NamedTuple):
    """What a response will say: words, speech (None for text alone), and when each delta is due.

    `limited`: the limit on output tokens cuts it short.
    """

    words: tuple[str, ...]
    speech: Speech | None
    deltas_ns: tuple[int, ...]
    delta_bytes: int
    limited: bool

    def words_at(self, step: int) -> tuple[str, ...]:
        """The words that come with this delta; the first always with the first."""
        count, steps = len(self.words), len(self.deltas_ns)
        return self.words[-(-step * count // steps) : -(-(step + 1) * count // steps)]


@dataclass
class Answer:
    """A response under way. Mutable: `steps_done`, `nbytes` and `text` grow as it is sent."""

    id: str
    item_id: str
    created_ns: int
    announced_ns: int
    first_ns: int
    script: Script
    modalities: list[str]
    format: AudioFormat
    voice: str
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    in_conversation: bool
    fate: Fate
    input_tokens: tuple[int, int]
    """Of text and of audio."""
    state: Literal["pending", "created", "announced", "ended"] = "pending"
    previous_item_id: str | None = None
    steps_done: int = 0
    nbytes: int = 0
    text: str = ""
    output: list[Item] = field(default_factory=list)


def fate_of(draws: Draws, n: int, failed: float, close: float, stall: float) -> Fate:
    """What becomes of response `n`: the first misfortune that is drawn, or a reply."""
    shares: tuple[tuple[Fate, float], ...] = (
        ("failed", failed),
        ("close", close),
        ("stall", stall),
    )
    return next((fate for fate, share in shares if draws.happens(fate, share, n)), "reply")


def instants(profile: ResponseProfile, draws: Draws, n: int, t0_ns: int) -> tuple[int, int, int]:
    """When response `n` is created, announced, and first heard of."""
    created = t0_ns + draws.ns("created_ms", profile.created_ms, n)
    first = max(created, t0_ns + draws.ns("first_delta_ms", profile.first_delta_ms, n))
    return created, created + (first - created) * _ANNOUNCED_PERCENT // 100, first


def spoken_script(
    profile: ResponseProfile,
    draws: Draws,
    n: int,
    first_ns: int,
    reply: Reply,
    fmt: AudioFormat,
    limit: int | None,
) -> Script:
    """Reply `n` as speech: the drawn silence, then the voice, in deltas of the set size."""
    silence = draws.ns("leading_silence_ms", profile.leading_silence_ms, n)
    spoken = speech(reply, fmt, silence, None if limit is None else limit * TOKEN_NS)
    whole = spoken.silence + len(reply.audio)
    text = words(reply.text)
    delta_bytes = fmt.nbytes(ms(profile.delta_ms))
    return Script(
        words=text[: len(text) * spoken.nbytes // whole],
        speech=spoken,
        deltas_ns=_audio_instants(profile, draws, n, first_ns, -(-spoken.nbytes // delta_bytes)),
        delta_bytes=delta_bytes,
        limited=spoken.nbytes < whole,
    )


def written_script(
    profile: ResponseProfile, first_ns: int, reply: Reply, limit: int | None
) -> Script:
    """A reply as text alone, a word in each delta."""
    text = words(reply.text)
    kept = text[:limit]
    due = tuple(first_ns + ms(k * profile.word_ms) for k in range(len(kept)))
    return Script(kept, None, due, 0, limited=len(kept) < len(text))


def _audio_instants(
    profile: ResponseProfile, draws: Draws, n: int, first_ns: int, count: int
) -> tuple[int, ...]:
    """When each of `count` audio deltas is due."""
    spacing = ms(profile.delta_ms) / profile.pace
    jitter = draws.generator("jitter_ms", n)
    due, latest = [first_ns], first_ns
    for k in range(1, count):
        late = ms(jitter.uniform(0.0, profile.jitter_ms)) if profile.jitter_ms else 0
        latest = max(latest, first_ns + round(k * spacing) + late)
        due.append(latest)
    return tuple(due)

"""Everything about a response that is settled when it begins: draws, instants, what it will say.

Theory of operation
-------------------
A response is a list of outputs (`output_index` is the place): a message, which is spoken or
written, or a tool call. Each has a *script*: when it is announced, and a row of deltas, each with
its instant, its text and where the audio ends with it. With t0 the instant of the response's cause
(the commit, or `response.create`):

* `response.created` at t0 + created;
* the first delta at t0 + first delta (+ history · items), never before `response.created`; where
  the server's capacity has slots (`bench.reference.server_state`), counted from when it has one;
* a tool call's arguments at t0 + their own first, likewise;
* item and part are announced between their cause and the first delta, at 62 % of the way (in the
  recording of `protocol.md` section 8: 303 ms of 490 ms); a filler is announced and said as soon
  as its wait is over;
* audio delta k at first + k · delta ÷ pace, plus its jitter if k > 0, never before delta k-1; a
  word comes with the delta in which it begins, words spread evenly over the audio, and before it;
* further outputs begin a stagger after the one before them, so that their deltas interleave;
* an output ends with its last delta, and the response with its last output.

Instants are whole nanoseconds computed from k, never summed, so nothing drifts.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from bench.plan.random_duration import Distribution
from bench.protocol.objects import ResponseParams
from bench.reference.conversation_items import TOKEN_LETTERS, TOKEN_NS
from bench.reference.session_context import SessionContext
from bench.reference.settings import ResponseSettings
from bench.reference.tool_calls import ToolCall, calls_of
from bench.reference.vendor import filler_wait_ms
from bench.reference.voices import SpokenReply, hum
from bench.voice.audio import NS_PER_MS, ms

if TYPE_CHECKING:
    from bench.reference.draws import Rate

Fate = Literal["reply", "failed", "errortype", "overloaded", "close", "stall", "malformed_mid_turn"]
OrderFault = Literal["", "late_delta", "late_part"]

_ANNOUNCED_PERCENT: Final = 62
_FILLER_MS: Final = 400
_PADDING_NS: Final = ms(10)


class ScriptStep(NamedTuple):
    """One step of an output: when, the pieces of text that come with it, and audio until `end`."""

    due_ns: int
    text: tuple[str, ...]
    end: int = 0


class Script(NamedTuple):
    """What one output will say: spoken where it has a speech, a call where it has one of those.

    `limited`: the limit on output tokens cuts it short.
    """

    announced_ns: int
    deltas: tuple[ScriptStep, ...]
    speech: SpokenReply | None = None
    call: ToolCall | None = None
    limited: bool = False


@dataclass
class ServedOutput:
    """One output under way. Mutable: `steps_done`, `nbytes` and `text` grow as it is sent."""

    index: int
    item_id: str
    script: Script
    state: Literal["pending", "announced", "closed"] = "pending"
    status: str = "in_progress"
    previous_item_id: str | None = None
    steps_done: int = 0
    nbytes: int = 0
    text: str = ""


@dataclass
class ServedResponse:
    """A response under way. Mutable: its state and its outputs.

    `leaked` are words of another session, to be taken for what this one's caller said.
    """

    id: str
    created_ns: int
    outputs: tuple[ServedOutput, ...]
    wanted: ResponseSettings
    metadata: dict[str, str] | None
    in_conversation: bool
    input_tokens: tuple[int, int]
    """Of text and of audio."""
    fate: Fate = "reply"
    order_fault: OrderFault = ""
    done_twice: bool = False
    late_audio: bool = False
    both_streams: bool = False
    leaked: str = ""
    created: bool = False
    audible_ns: int | None = None
    """When its first audio was sent."""

    @property
    def announced(self) -> list[ServedOutput]:
        """The outputs that were announced, in order."""
        return [output for output in self.outputs if output.state != "pending"]

    def played_out_ns(self, now_ns: int) -> int:
        """The instant at which a caller who plays it as it comes has heard it all."""
        if self.audible_ns is None:
            return now_ns
        nbytes = sum(output.nbytes for output in self.outputs)
        return max(now_ns, self.audible_ns + self.wanted.format.duration_ns(nbytes))


class Opening(NamedTuple):
    """When an output is announced and when its first delta comes."""

    announced_ns: int
    first_ns: int

    @classmethod
    def of(cls, created_ns: int, first_ns: int) -> "Opening":
        """An opening whose first delta is never before the creation, announced in between."""
        first_ns = max(created_ns, first_ns)
        return cls(created_ns + (first_ns - created_ns) * _ANNOUNCED_PERCENT // 100, first_ns)


class _Draft(NamedTuple):
    """Response `n` while it is planned. `leak`: words of another session in place of its own."""

    n: int
    wanted: ResponseSettings
    now_ns: int
    created_ns: int
    leak: str


class ResponsePlanner:
    """Plans the responses of one session."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._profile = context.profile
        self._draws = context.draws
        self._capacity = context.server_state.capacity
        self._count = 0

    def plan(self, params: ResponseParams, now_ns: int, *, to_speech: bool) -> ServedResponse:
        """Plan the next response; `to_speech`: it answers audio that is not transcribed yet."""
        n, self._count = self._count, self._count + 1
        context, draws, failures = self._context, self._draws, self._profile.failures
        ids, wanted = f"{context.name}_{n}", context.settings.for_response(params)
        created_ns = now_ns + draws.ns("created_ms", self._profile.response.created_ms, n)
        leak = self._leak(n)
        draft = _Draft(n, wanted, now_ns, created_ns, "" if to_speech else leak)
        scripts = self._scripts(draft, ids)
        return ServedResponse(
            id=f"resp_{ids}",
            created_ns=created_ns,
            outputs=tuple(
                ServedOutput(k, f"item_{ids}_{'a' if script.call is None else f'c{k}'}", script)
                for k, script in enumerate(scripts)
            ),
            wanted=wanted,
            metadata=params.metadata if isinstance(params.metadata, dict) else None,
            in_conversation=params.conversation != "none",
            input_tokens=context.items.tokens(),
            fate=self._fate(n),
            order_fault=self._order_fault(n, calls=scripts[0].call is not None),
            done_twice=draws.happens("duplicate_done", failures.duplicate_done, n),
            late_audio=draws.happens("late_audio", self._profile.quirks.late_audio, n),
            both_streams="both_streams" in context.quirks and len(wanted.modalities) > 1,
            leaked=leak if to_speech else "",
        )

    def _scripts(self, draft: _Draft, ids: str) -> list[Script]:
        """The outputs of a response, in order."""
        tools, n, wanted = self._profile.tools, draft.n, draft.wanted
        fresh = self._context.items.is_users_turn
        called = calls_of(tools, self._draws, n, ids, wanted, fresh=fresh)
        begin_ns = self._begin_ns(n, draft.now_ns)
        if called.speaks:
            first_ns = self._work_ns("first_delta_ms", self._profile.response.first_delta_ms, n)
        else:
            first_ns = self._work_ns("tool_first_ms", tools.first_ms, n)
        history_ns = round(len(self._context.items) * self._profile.response.history_ms * NS_PER_MS)
        opening = Opening.of(draft.created_ns, begin_ns + first_ns + history_ns)
        scripts = [self._message_script(draft, opening)] if called.speaks else []
        for call in called.calls:
            if scripts:
                opening = Opening.of(opening.first_ns, opening.first_ns + ms(tools.stagger_ms))
            scripts.append(self._call_script(opening, call, wanted.most_tokens))
        return scripts

    def _begin_ns(self, n: int, now_ns: int) -> int:
        """The instant at which work on response `n` begins: once it has a slot, plus the wear."""
        service_ns = 0
        if self._capacity.slots:
            service_ns = self._work_ns("service_ms", self._profile.capacity.service_ms, n)
        return self._capacity.begin(now_ns, service_ns) + self._capacity.wear_ns(now_ns)

    def _work_ns(self, name: str, distribution: Distribution, n: int) -> int:
        """Draw how long a piece of work takes in the present state of the server."""
        return round(self._draws.ns(name, distribution, n) * self._capacity.slowdown)

    def _message_script(self, draft: _Draft, opening: Opening) -> Script:
        """Script a reply: written, a word in each delta, or spoken."""
        n, wanted, voices = draft.n, draft.wanted, self._context.voices
        number = self._draws.index("reply", len(voices.replies(wanted.format)), n)
        if "audio" in wanted.modalities:
            return self._spoken_script(draft, opening, number)
        reply = voices.replies(wanted.format)[number]
        whole = (reply._replace(text=draft.leak) if draft.leak else reply).words
        kept = whole[: wanted.most_tokens]
        word_ms = self._profile.response.word_ms
        deltas = (
            ScriptStep(opening.first_ns + ms(k * word_ms), (word,)) for k, word in enumerate(kept)
        )
        return Script(opening.announced_ns, tuple(deltas), limited=len(kept) < len(whole))

    def _spoken_script(self, draft: _Draft, opening: Opening, number: int) -> Script:
        """Script speech: deltas of the set size at a pace, words spread evenly over them."""
        n, wanted, profile, draws = draft.n, draft.wanted, self._profile, self._draws
        reply = self._context.voices.reply(wanted.format, number, self._context.settings.speed)
        filler_ns = self._filler_ns(draft, opening)
        padded = draws.happens("zero_padding", profile.quirks.zero_padding, n)
        spoken = SpokenReply.of(
            reply._replace(text=draft.leak or reply.text),
            wanted.format,
            draws.ns("leading_silence_ms", profile.response.leading_silence_ms, n),
            None if wanted.most_tokens is None else wanted.most_tokens * TOKEN_NS,
            filler=hum(wanted.format, _FILLER_MS) if filler_ns is not None else b"",
            padding_ns=_PADDING_NS if padded else 0,
        )
        filler, voice = len(spoken.filler), spoken.silence + len(spoken.reply.audio)
        said = min(spoken.nbytes - filler, voice)
        words = spoken.reply.words
        kept = words[: len(words) * said // voice]
        size = spoken.format.nbytes(ms(profile.response.delta_ms))
        steps = -(-said // size)
        due = self._audio_instants(n, opening.first_ns, steps, spoken)
        deltas = [
            ScriptStep(due[k], _share(kept, k, steps), filler + min((k + 1) * size, said))
            for k in range(steps)
        ]
        announced_ns = opening.announced_ns
        if filler_ns is not None:
            deltas.insert(0, ScriptStep(filler_ns, (), filler))
            announced_ns = min(announced_ns, filler_ns)
        if spoken.nbytes > filler + said:
            deltas.append(ScriptStep(due[-1], (), spoken.nbytes))
        return Script(announced_ns, tuple(deltas), spoken, limited=said < voice)

    def _audio_instants(self, n: int, first_ns: int, count: int, spoken: SpokenReply) -> list[int]:
        """The instants of `count` audio deltas, at the pace that the server has left."""
        profile, capacity = self._profile.response, self._capacity
        length_ns = spoken.format.duration_ns(spoken.nbytes)
        pace = capacity.pace(first_ns, profile.pace, length_ns) / capacity.slowdown
        spacing = ms(profile.delta_ms) / pace
        jitter = self._draws.generator("jitter_ms", n)
        due = [first_ns]
        for k in range(1, count):
            late = ms(jitter.uniform(0.0, profile.jitter_ms)) if profile.jitter_ms else 0
            due.append(max(due[-1], first_ns + round(k * spacing) + late))
        return due

    def _call_script(self, opening: Opening, call: ToolCall, most_tokens: int | None) -> Script:
        """Script a tool call, its arguments some letters at a time."""
        profile = self._profile.tools
        kept = call.arguments[: None if most_tokens is None else most_tokens * TOKEN_LETTERS]
        deltas = tuple(
            ScriptStep(
                opening.first_ns + ms(k * profile.delta_ms), (kept[at : at + profile.letters],)
            )
            for k, at in enumerate(range(0, len(kept), profile.letters))
        )
        limited = len(kept) < len(call.arguments)
        return Script(opening.announced_ns, deltas, call=call, limited=limited)

    def _filler_ns(self, draft: _Draft, opening: Opening) -> int | None:
        """The instant to say "hmm", None where the answer comes first or no filler is wanted."""
        wait = filler_wait_ms(self._context.settings.provider_data)
        rate = self._profile.quirks.filler
        if wait is None or not self._draws.happens("filler", rate, draft.n):
            return None
        due = max(draft.created_ns, draft.now_ns + ms(wait))
        return due if due < opening.first_ns else None

    def _leak(self, n: int) -> str:
        """Words of another session, where this response leaks them; else ""."""
        rate = self._profile.failures.leak
        words = (
            self._context.server_state.leaks.words_of_another(self._context.number) if rate else ""
        )
        return words if words and self._draws.happens("leak", rate, n) else ""

    def _fate(self, n: int) -> Fate:
        """Draw what becomes of response `n`: the first failure that happens, or a reply."""
        failures = self._profile.failures
        rates: tuple[tuple[Fate, Rate], ...] = (
            ("failed", failures.response_failed),
            ("errortype", failures.errortype),
            ("overloaded", failures.overloaded),
            ("close", failures.close_mid_turn),
            ("stall", failures.stall),
            ("malformed_mid_turn", failures.malformed_mid_turn),
        )
        happened = (fate for fate, rate in rates if self._draws.happens(fate, rate, n))
        return next(happened, "reply")

    def _order_fault(self, n: int, *, calls: bool) -> OrderFault:
        """Draw which rule of order response `n` breaks; a call has no part that could be late."""
        if not self._draws.happens("order_violation", self._profile.failures.order_violation, n):
            return ""
        return "late_part" if not calls and self._draws.index("order", 2, n) else "late_delta"


def _share(words: tuple[str, ...], step: int, steps: int) -> tuple[str, ...]:
    """The words that come with this delta; the first always with the first."""
    count = len(words)
    return words[-(-step * count // steps) : -(-(step + 1) * count // steps)]

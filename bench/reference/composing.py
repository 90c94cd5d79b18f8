"""Everything about a response that is settled when it begins: draws, instants, scripts.

Theory of operation
-------------------
With t0 the instant of its cause (the commit, or `response.create`):

* `response.created` at t0 + created;
* the first delta at t0 + first delta (+ history · items), never before `response.created`; where
  the server's capacity has slots (`bench.reference.capacity`), counted from when it has one;
* a tool call's arguments at t0 + their own first, likewise;
* further outputs begin a stagger after the one before them, so that their deltas interleave;
* an output ends with its last delta, and the response with its last output.

`bench.reference.scripting` says what comes in between.
"""

from typing import TYPE_CHECKING, Final

from bench.protocol.objects import ResponseParams
from bench.reference.answer import (
    TOKEN_NS,
    Answer,
    Fate,
    Output,
    Script,
    Wrong,
)
from bench.reference.board import Board
from bench.reference.calling import calls_of
from bench.reference.capacity import Capacity
from bench.reference.draws import Draws
from bench.reference.formats import audio_format
from bench.reference.history import History
from bench.reference.humming import hum
from bench.reference.profile import Profile
from bench.reference.repertoire import Repertoire
from bench.reference.scripting import (
    Opening,
    call_script,
    opening_of,
    spoken_script,
    written_script,
)
from bench.reference.settings import Settings
from bench.reference.speech import speech
from bench.reference.vendor import filler_wait_ms
from bench.reference.wording import Wanted, wanted_by
from bench.voice.audio import NS_PER_MS, AudioFormat, ms

if TYPE_CHECKING:
    from bench.reference.spread import Rate, Spread

_FILLER_MS: Final = 400
_PADDING_NS: Final = ms(10)


class Composing:
    """The composer of one session's responses; `ids` makes their ids unlike those of others."""

    def __init__(
        self,
        ids: str,
        number: int,
        profile: Profile,
        repertoire: Repertoire,
        draws: Draws,
        settings: Settings,
        history: History,
        habits: frozenset[str],
        board: Board,
        capacity: Capacity,
    ) -> None:
        self._ids = ids
        self._session = number
        self._profile = profile
        self._repertoire = repertoire
        self._draws = draws
        self._settings = settings
        self._history = history
        self._habits = habits
        self._board = board
        self._capacity = capacity
        self._number = 0

    def compose(self, params: ResponseParams, now_ns: int, *, to_speech: bool) -> Answer:
        """The next response; `to_speech`: it answers audio whose transcription is yet to come."""
        n = self._number
        self._number += 1
        ids = f"{self._ids}_{n}"
        wanted = wanted_by(params, self._settings)
        fmt = audio_format(wanted.format)
        created_ns = now_ns + self._draws.ns("created_ms", self._profile.response.created_ms, n)
        leak = self._leak(n)
        scripts = self._scripts(n, ids, wanted, fmt, now_ns, created_ns, "" if to_speech else leak)
        metadata = params.metadata
        failures = self._profile.failures
        return Answer(
            id=f"resp_{ids}",
            created_ns=created_ns,
            outputs=tuple(
                Output(k, f"item_{ids}_{'a' if script.call is None else f'c{k}'}", script)
                for k, script in enumerate(scripts)
            ),
            modalities=wanted.modalities,
            format=fmt,
            voice=wanted.voice,
            max_output_tokens=wanted.max_output_tokens,
            metadata=metadata if isinstance(metadata, dict) else None,
            in_conversation=params.conversation != "none",
            input_tokens=self._history.tokens(),
            fate=self._fate(n),
            wrong=self._wrong(n, calls=scripts[0].call is not None),
            done_twice=self._draws.happens("duplicate_done", failures.duplicate_done, n),
            late_audio=self._draws.happens("late_audio", self._profile.quirks.late_audio, n),
            both_streams="both_streams" in self._habits and len(wanted.modalities) > 1,
            leaked=leak if to_speech else "",
        )

    def _scripts(
        self,
        n: int,
        ids: str,
        wanted: Wanted,
        fmt: AudioFormat,
        now_ns: int,
        created_ns: int,
        leak: str,
    ) -> list[Script]:
        """The outputs of response `n`, in order."""
        profile = self._profile
        limit = wanted.max_output_tokens if isinstance(wanted.max_output_tokens, int) else None
        called = calls_of(
            profile.tools,
            self._draws,
            n,
            ids,
            wanted.tools,
            wanted.tool_choice,
            fresh=self._history.is_users_turn,
        )
        scripts: list[Script] = []
        begin_ns = self._begin_ns(n, now_ns)
        if called.speaks:
            first = self._think_ns("first_delta_ms", profile.response.first_delta_ms, n)
            opening = opening_of(created_ns, begin_ns + first + self._burden_ns)
            scripts.append(self._message(n, wanted, fmt, now_ns, created_ns, opening, limit, leak))
        else:
            first = self._think_ns("tool_first_ms", profile.tools.first_ms, n)
            opening = opening_of(created_ns, begin_ns + first + self._burden_ns)
        for number, call in enumerate(called.calls):
            if number or called.speaks:
                opening = opening_of(
                    opening.first_ns, opening.first_ns + ms(profile.tools.stagger_ms)
                )
            scripts.append(call_script(profile.tools, opening, call, limit))
        return scripts

    def _begin_ns(self, n: int, now_ns: int) -> int:
        """When the work on response `n` begins: once it has a slot, and later by the wear."""
        service_ns = 0
        if self._profile.capacity.slots:
            service_ns = self._think_ns("service_ms", self._profile.capacity.service_ms, n)
        return self._capacity.begin(now_ns, service_ns) + self._capacity.wear_ns(now_ns)

    def _think_ns(self, name: str, spread: "Spread", n: int) -> int:
        """A time that the work takes, by the state that the server is in."""
        return round(self._draws.ns(name, spread, n) * self._capacity.slowdown)

    @property
    def _burden_ns(self) -> int:
        """What the length of the history adds to every first delta."""
        return round(len(self._history) * self._profile.response.history_ms * NS_PER_MS)

    def _message(
        self,
        n: int,
        wanted: Wanted,
        fmt: AudioFormat,
        now_ns: int,
        created_ns: int,
        opening: Opening,
        limit: int | None,
        leak: str,
    ) -> Script:
        number = self._draws.index("reply", len(self._repertoire.replies(fmt)), n)
        if "audio" not in wanted.modalities:
            text = leak or self._repertoire.replies(fmt)[number].text
            return written_script(self._profile.response, opening, text, limit)
        reply = self._repertoire.reply(fmt, number, self._settings.speed)
        filler_ns = self._filler_ns(n, now_ns, created_ns, opening)
        padded = self._draws.happens("zero_padding", self._profile.quirks.zero_padding, n)
        spoken = speech(
            reply._replace(text=leak or reply.text),
            fmt,
            self._draws.ns("leading_silence_ms", self._profile.response.leading_silence_ms, n),
            None if limit is None else limit * TOKEN_NS,
            filler=hum(fmt, _FILLER_MS) if filler_ns is not None else b"",
            padding_ns=_PADDING_NS if padded else 0,
        )
        response, capacity = self._profile.response, self._capacity
        length_ns = spoken.format.duration_ns(spoken.nbytes)
        pace = capacity.pace(opening.first_ns, response.pace, length_ns) / capacity.slowdown
        return spoken_script(response, self._draws, n, opening, spoken, filler_ns, pace)

    def _filler_ns(self, n: int, now_ns: int, created_ns: int, opening: Opening) -> int | None:
        """When to say "hmm", if the answer is not there by then."""
        wait = filler_wait_ms(self._settings.provider_data)
        if wait is None or not self._draws.happens("filler", self._profile.quirks.filler, n):
            return None
        due = max(created_ns, now_ns + ms(wait))
        return due if due < opening.first_ns else None

    def _leak(self, n: int) -> str:
        """Words of another session, where this response is to give them away."""
        rate = self._profile.failures.leak
        words_of_another = self._board.words_of_another(self._session) if rate else ""
        if words_of_another and self._draws.happens("leak", rate, n):
            return words_of_another
        return ""

    def _fate(self, n: int) -> Fate:
        """What becomes of response `n`: the first misfortune that is drawn, or a reply."""
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

    def _wrong(self, n: int, *, calls: bool) -> Wrong:
        """Which rule of order response `n` breaks; a call has no part that could be late."""
        if not self._draws.happens("order_violation", self._profile.failures.order_violation, n):
            return ""
        return "late_part" if not calls and self._draws.index("order", 2, n) else "late_delta"

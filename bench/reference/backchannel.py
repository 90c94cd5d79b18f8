"""Back-channel: "mm-hmm" while the caller talks, where `providerData.backchannel` wants it.

Theory of operation
-------------------
Time here is written audio, as for the detector. Once the caller has talked for `min_speech_ms`,
and from then on every `eval_interval_ms`, an interjection is considered: too soon after the last it
is skipped (`min_gap_not_elapsed`), by the rule's probability or the profile's quirk for want of a
phrase (`no_phrase`); a turn has at most `max_per_turn`. Audio is PCM16 at 24 kHz whatever the
session speaks; at a gain of 0 it is made and not sent. No interjection belongs to a response.
"""

from typing import Final

from bench.protocol import server as say
from bench.protocol import server_extras
from bench.reference.session_context import SessionContext
from bench.reference.vendor import BackchannelSettings, backchannel_settings
from bench.reference.voices import hum
from bench.voice.audio import PCM16_24K, ms

_LENGTH_MS: Final = 300
_DELTA_NS: Final = ms(100)


class Backchannel:
    """The interjections of one session."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._considered = 0
        self._next_ns: int | None = None
        self._last_ns: int | None = None
        self._this_turn = 0

    @property
    def listens(self) -> bool:
        """Whether an interjection into the present speech is still possible."""
        return self._next_ns is not None

    def speech_started(self, clock_ns: int) -> None:
        """The caller began to talk at this time of written audio, one VAD lag ago."""
        wanted = backchannel_settings(self._context.settings.provider_data)
        self._this_turn = 0
        self._next_ns = None if wanted is None else clock_ns + ms(wanted.min_speech_ms)

    def speech_stopped(self) -> None:
        """The caller has finished."""
        self._next_ns = None

    def heard(self, clock_ns: int) -> None:
        """The caller is talking at this time of written audio: consider what has come due."""
        while self._next_ns is not None and clock_ns >= self._next_ns:
            wanted = backchannel_settings(self._context.settings.provider_data)
            if wanted is None or self._this_turn >= wanted.max_per_turn:
                self._next_ns = None
                return
            self._consider(wanted, self._next_ns)
            self._next_ns += ms(wanted.eval_interval_ms)

    def _consider(self, wanted: BackchannelSettings, at_ns: int) -> None:
        draws, skipped = self._context.draws, self._context.profile.quirks.backchannel_skipped
        n, self._considered = self._considered, self._considered + 1
        if self._last_ns is not None and at_ns - self._last_ns < ms(wanted.min_gap_ms):
            self._say(server_extras.BackchannelSkipped(reason="min_gap_not_elapsed"))
            return
        by_rule = wanted.fire_probability < 1.0 and not draws.happens(
            "backchannel_fires", wanted.fire_probability, n
        )
        if by_rule or draws.happens("backchannel_skipped", skipped, n):
            self._say(server_extras.BackchannelSkipped(reason="no_phrase"))
            return
        phrase = wanted.phrases[draws.index("phrase", len(wanted.phrases), n)]
        self._last_ns = at_ns
        self._this_turn += 1
        name = f"bc_{self._context.name}_{n}"
        audio = hum(PCM16_24K, _LENGTH_MS, wanted.volume_gain) if wanted.volume_gain else b""
        size = PCM16_24K.nbytes(_DELTA_NS)
        for start in range(0, len(audio), size):
            delta = audio[start : start + size]
            self._say(server_extras.BackchannelAudioDelta(backchannel_id=name, delta=delta))
        self._say(server_extras.BackchannelAudioDone(backchannel_id=name, phrase=phrase))

    def _say(self, message: say.ServerMessage) -> None:
        self._context.say(message, "backchannel")

"""How the two services that this server can be differ from each other: one row of values each.

Sources: `protocol.md` sections 1, 2 and 13. What is not documented is chosen here: both start with
server_vad, as it is the one detector whose default settings are written down; Inworld transcribes
unless told `null`, as its transcription is part of the cascade.
"""

from typing import Final, NamedTuple

from bench.reference.profile import PCM_RATES


class Manners(NamedTuple):
    """How one service differs from the other."""

    dialect: str
    model: str
    model_changes: bool
    modalities: tuple[str, ...]
    voice: str
    transcription: str | None
    stt_models: frozenset[str]
    rates: tuple[int, ...]
    unknown_type: tuple[str, str]
    """Code and param of the error for a message of unknown type."""
    not_json: str
    """Code of the error for what is no JSON object."""
    strict: bool
    """Whether an unknown field or word is refused; else it is overlooked (`live.md` 11)."""


MANNERS: Final = {
    "inworld": Manners(
        dialect="inworld",
        model="google-ai-studio/gemini-2.5-flash",
        model_changes=True,
        modalities=("audio", "text"),
        voice="Dennis",
        transcription="inworld/inworld-stt-1",
        stt_models=frozenset(
            {
                "inworld/inworld-stt-1",
                "assemblyai/u3-rt-pro",
                "assemblyai/universal-streaming-multilingual",
                "assemblyai/universal-streaming-english",
                "soniox/stt-rt-v4",
            }
        ),
        rates=PCM_RATES,
        unknown_type=("unknown_event_type", ""),
        not_json="invalid_event",
        strict=False,
    ),
    "openai": Manners(
        dialect="openai",
        model="gpt-realtime",
        model_changes=False,
        modalities=("audio",),
        voice="marin",
        transcription=None,
        stt_models=frozenset(
            {
                "whisper-1",
                "gpt-transcribe",
                "gpt-live-transcribe",
                "gpt-4o-transcribe",
                "gpt-4o-mini-transcribe",
                "gpt-4o-mini-transcribe-2025-12-15",
                "gpt-4o-transcribe-diarize",
                "gpt-realtime-whisper",
            }
        ),
        rates=(24_000,),
        unknown_type=("invalid_value", "type"),
        not_json="invalid_json",
        strict=True,
    ),
}

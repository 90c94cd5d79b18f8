"""Everything that a server does oddly or wrongly on purpose: one key, one rate each.

Theory of operation
-------------------
A *quirk* is what some server is known to do (`protocol.md` sections 5, 12 and 13), and a client
must bear it. Most are legal: every message still fits the typed models of OpenAI's own clients;
those that are not are named in `BEYOND`. A *failure* is a server in trouble, or a wrong one, and a
client must notice.
Each value is a rate (`bench.reference.spread`): the share of sessions, responses, turns or pauses
that it befalls. What befell whom is in the truth log among the draws of the session, under the
key's name.
"""

from typing import Final

from msgspec import Struct

from bench.reference.spread import Rate

REFUSALS: Final = (401, 402, 403, 404, 429, 500)
CLOSE_CODES: Final = (1000, 1001, 1006, 1011, 1012, 1013)

HABITS: Final = (
    "cumulative_deltas",
    "missing_usage",
    "missing_name",
    "missing_ms",
    "both_streams",
    "rate_limits",
    "conversation_created",
    "ping",
    "beta_names",
    "flat_error",
    "previous_null",
    "refuse_g711",
    "mute_shorthand",
    "semantic_unanswered",
    "auto_tools",
    "g711_truncate_thirds",
    "binary_frames",
    "lone_surrogates",
    "odd_numbers",
    "deep_nesting",
    "loose_json",
    "loose_base64",
    "float_positions",
    "error_string",
    "integer_code",
    "untyped_error",
    "missing_ids",
    "no_session_updated",
    "updated_as_created",
    "late_session_created",
    "no_response_created",
    "repeated_response_created",
    "repeated_speech_stopped",
    "stray_speech_started",
    "unknown_types",
    "nameless_calls",
    "idless_calls",
    "greeting",
)
"""Quirks that a session has from its first message to its last, or never."""
BEYOND: Final = (
    "missing_usage",
    "missing_name",
    "missing_ms",
    "ping",
    "beta_names",
    "flat_error",
    "lone_surrogates",
    "deep_nesting",
    "loose_json",
    "float_positions",
    "error_string",
    "integer_code",
    "untyped_error",
    "missing_ids",
    "unknown_types",
    "nameless_calls",
    "idless_calls",
    "turn_suggestion",
    "backchannel_skipped",
)
"""Quirks that no model of OpenAI's holds: a message or a spelling of others, a field left out."""


class Quirks(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Oddities of known servers. The first block are shares of sessions (`HABITS`)."""

    cumulative_deltas: Rate = 0.0
    """Transcription comes as several deltas, each the whole hypothesis so far."""
    missing_usage: Rate = 0.0
    """No `usage` in response.done nor in transcription.completed."""
    missing_name: Rate = 0.0
    """No `name` in response.function_call_arguments.done."""
    missing_ms: Rate = 0.0
    """No `audio_start_ms` in speech_started, no `audio_end_ms` in speech_stopped."""
    both_streams: Rate = 0.0
    """Responses with audio and text say their words as output_text too."""
    rate_limits: Rate = 0.0
    """rate_limits.updated after every response.done."""
    conversation_created: Rate = 0.0
    """conversation.created after session.created."""
    ping: Rate = 0.0
    """An application-level ping 1 s after the start and every 10 s from then on."""
    beta_names: Rate = 0.0
    """response.audio.delta and its like; conversation.item.created for added and done."""
    flat_error: Rate = 0.0
    """An error has a `message` of its own and no `error` object."""
    previous_null: Rate = 0.0
    """previous_item_id is null in the item.done of what the agent says."""
    refuse_g711: Rate = 0.0
    """A request for G.711 is silently turned into PCM16 at 24 kHz."""
    mute_shorthand: Rate = 0.0
    """A format object in old words ({type: pcm16}) is taken, and no audio ever comes."""
    semantic_unanswered: Rate = 0.0
    """semantic_vad that leaves create_response out hears the caller and never answers."""
    auto_tools: Rate = 0.0
    """The server goes on by itself after tools unless auto_tool_response is false."""
    g711_truncate_thirds: Rate = 0.0
    """Truncation of G.711 counts 24 bytes a ms: its bound is a third of the true length."""
    binary_frames: Rate = 0.0
    """Every message is JSON in a binary frame."""
    lone_surrogates: Rate = 0.0
    """Every message has an unknown field that is half a character."""
    odd_numbers: Rate = 0.0
    """Every message has unknown fields that are NaN, 1e999 and an integer of 400 digits."""
    deep_nesting: Rate = 0.0
    """Every message but deltas has an unknown field that is nested 2,000 deep."""
    loose_json: Rate = 0.0
    """Every message begins with a byte order mark and has a line end inside a string."""
    loose_base64: Rate = 0.0
    """Audio is base64 in lines of 76, with the letters of URLs, without padding."""
    float_positions: Rate = 0.0
    """`audio_start_ms` and `audio_end_ms` are floats that are not whole, indexes are strings."""
    error_string: Rate = 0.0
    """The `error` of an error is its text."""
    integer_code: Rate = 0.0
    """The code of an error is a number."""
    untyped_error: Rate = 0.0
    """An error has no `type`."""
    missing_ids: Rate = 0.0
    """What is part of a response names neither the response nor its item."""
    no_session_updated: Rate = 0.0
    """session.update changes the session and is never acknowledged."""
    updated_as_created: Rate = 0.0
    """session.update is acknowledged by session.created."""
    late_session_created: Rate = 0.0
    """session.created comes after 2.5 s, and what was sent before it is lost."""
    no_response_created: Rate = 0.0
    """A response begins with its first output item."""
    repeated_response_created: Rate = 0.0
    """Every response.created comes twice."""
    repeated_speech_stopped: Rate = 0.0
    """Every speech_stopped comes three times."""
    stray_speech_started: Rate = 0.0
    """After every response.created a speech_started that nobody caused and that never stops."""
    unknown_types: Rate = 0.0
    """An `input_audio_buffer.vad_state` beside every speech_started and speech_stopped."""
    nameless_calls: Rate = 0.0
    """Tool calls have no name, in any message."""
    idless_calls: Rate = 0.0
    """Tool calls have no call_id, in any message."""
    greeting: Rate = 0.0
    """The agent speaks first: a response after the first session.updated that nobody asked for."""

    filler: Rate = 1.0
    """Of responses, where providerData.responsiveness.enabled: a "hmm" before the answer."""
    zero_padding: Rate = 0.0
    """Of responses: an all-zero audio delta of 10 ms ends the reply."""
    late_audio: Rate = 0.0
    """Of responses: up to three deltas still come after the speech_started that cut them."""
    transcription_late: Rate = 0.0
    """Of turns: the transcription waits for response.done."""
    transcription_duplicate: Rate = 0.0
    """Of turns: completed lacks the last word, and is repeated with it 200 ms later."""
    transcription_failed: Rate = 0.0
    """Of turns: transcription.failed in place of a transcript."""
    turn_suggestion: Rate = 0.0
    """Of pauses in speech: turn_suggestion, and turn_suggestion_revoked if it goes on."""
    backchannel_skipped: Rate = 0.0
    """Of interjections, where providerData.backchannel.enabled: skipped for want of a phrase."""


class Failures(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong on purpose: shares of sessions, then of responses."""

    refuse: Rate = 0.0
    refuse_status: int = 429
    close_at_once: Rate = 0.0
    mute: Rate = 0.0
    malformed: Rate = 0.0
    binary: Rate = 0.0
    huge: Rate = 0.0
    overloaded_at_once: Rate = 0.0

    response_failed: Rate = 0.0
    errortype: Rate = 0.0
    overloaded: Rate = 0.0
    close_mid_turn: Rate = 0.0
    close_code: int = 1011
    stall: Rate = 0.0
    malformed_mid_turn: Rate = 0.0
    leak: Rate = 0.0
    order_violation: Rate = 0.0
    duplicate_done: Rate = 0.0

    def __post_init__(self) -> None:
        if self.refuse_status not in REFUSALS:
            raise ValueError(f"refuse_status must be one of {', '.join(map(str, REFUSALS))}")
        if self.close_code not in CLOSE_CODES:
            raise ValueError(f"close_code must be one of {', '.join(map(str, CLOSE_CODES))}")

"""How each metric is shown: colour, label where that is not its name, what it acknowledges."""

from typing import Final

from bench.plan.declaration import Metric

_COLOURS: Final = {
    "heard": (
        "voice_to_voice_latency", "leading_silence", "min_buffer", "barge_in_silence", "good_turns",
    ),
    "arrival": (
        "first_audio_latency", "generation_delay", "delta_gap", "realtime_factor",
        "barge_in_last_audio", "first_text_latency", "text_rate", "tool_answer_latency",
        "cancel_last_audio", "truncate_ack", "update_ack", "item_ack", "retrieve_ack", "delete_ack",
        "clear_ack", "client_lag",
    ),
    "vad": (
        "speech_start_delay", "speech_start_error", "endpointing_delay", "endpointing_error",
        "barge_in_detection", "transcription_delay", "word_error_rate",
    ),
    "thinking": ("response_start_delay", "tool_call_latency", "cancel_delay", "hub_lag"),
    "commit": ("commit_delay",),
    "player": ("barge_in_silence_unflushed", "stale_audio", "underrun_time"),
    "caller": ("send_lateness",),
}  # fmt: skip
"""By role in `bench.report.theme`; the rest is ink."""
_LABELS: Final = {
    "voice_to_voice_latency": "voice to voice",
    "first_audio_latency": "first audio",
    "first_text_latency": "first text",
    "first_transcript_latency": "first transcript",
    "speech_start_delay": "speech start",
    "endpointing_delay": "endpointing",
    "barge_in_detection": "barge-in detection",
    "barge_in_silence": "barge-in silence",
    "barge_in_silence_unflushed": "barge-in silence, player not emptied",
    "answered": "turns answered",
    "violations": "protocol violations",
}
_ACKNOWLEDGES: Final = {
    "update_ack": "session.update",
    "item_ack": "conversation.item.create",
    "retrieve_ack": "conversation.item.retrieve",
    "delete_ack": "conversation.item.delete",
    "clear_ack": "input_audio_buffer.clear",
    "truncate_ack": "conversation.item.truncate",
    "cancel_delay": "response.cancel",
}
"""From the send of which client message an acknowledgement is waited for."""
_COLOUR_OF: Final = {name: role for role, names in _COLOURS.items() for name in names}


def displayed(metric: Metric) -> Metric:
    """The metric with all that pages and terminals want to know of it."""
    return metric._replace(
        label=_LABELS.get(metric.name, metric.name.replace("_", " ")),
        colour=_COLOUR_OF.get(metric.name, "ink"),
        acknowledges=_ACKNOWLEDGES.get(metric.name, ""),
    )

"""Codes of `error` messages, and of whose messages, that mean no failure."""

from typing import Final

ALREADY_ACTIVE: Final = "conversation_already_has_active_response"
"""No other response can begin: what was owed will not come."""
BENIGN: Final = ("response_cancel_not_active",)
"""Error codes that are a race and no failure: the reply ended before the cancel arrived."""
PROVOKED: Final = "-provoked"
"""How the event_id of a message ends that is wrong on purpose."""
ASIDE: Final = (
    "session.update", "conversation.item.retrieve", "conversation.item.delete",
    "conversation.item.truncate", "input_audio_buffer.clear", "response.cancel",
)  # fmt: skip
"""Messages of the caller whose refusal is no reason for a turn to go unanswered."""

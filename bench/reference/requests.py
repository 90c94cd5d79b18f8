"""A client's frame as this server reads it: a message, or what keeps it from being one.

A binary frame, and text that is no JSON object, are messages of no type. OpenAI knows every field
of a message and takes none besides; Inworld skips what it does not know.
"""

from typing import Final

from bench.errors import ProtocolError
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage, client_object, decode_client
from bench.protocol.parameters import unknown_parameter

NOT_JSON: Final = "(no JSON)"
"""The type of a frame that holds no JSON object."""


def read(frame: str | bytes, *, strict: bool) -> ClientMessage | UnknownMessage:
    """What a frame says. `strict`: a message with a field that OpenAI does not know is none."""
    if isinstance(frame, bytes):
        return UnknownMessage(type=NOT_JSON, reason="Binary frames carry no message here.", text="")
    try:
        message = decode_client(frame)
        if not strict or isinstance(message, UnknownMessage):
            return message
        whole = client_object(frame)
    except ProtocolError as error:
        return UnknownMessage(type=NOT_JSON, reason=str(error), text="")
    if not (stranger := unknown_parameter(whole)):
        return message
    return UnknownMessage(
        type=whole["type"],
        event_id=whole.get("event_id", ""),
        reason=f"Unknown parameter: '{stranger}'.",
        text=frame,
    )

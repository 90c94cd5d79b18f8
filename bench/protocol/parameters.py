"""What OpenAI knows in each client message: its parameters, at every depth.

Theory of operation
-------------------
OpenAI refuses a message that has one field more than it knows, and names that field by its path;
other services skip what they do not know. So the fields are data here: a table by message type, in
which a table stands for an object (or for each object of a list) and None for a value whose inside
nobody looks at. Where the API has several shapes in one place (kinds of item, of tool, of turn
detection) the fields of all of them are known.

Source: `openai/types/realtime` of the Python package, against which a test holds this table.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Fields: TypeAlias = Mapping[str, "Fields | None"]


def _fields(names: str, **tables: "Fields | None") -> Fields:
    """A table of plain fields by their names, and of what has fields of its own."""
    return dict.fromkeys(names.split()) | tables


_FORMAT: Final = _fields("type rate")
_VOICE: Final = _fields("id")
_PROMPT: Final = _fields("id version variables")
_REASONING: Final = _fields("effort")
_FILTER: Final = _fields("read_only tool_names")
_TOOL: Final = _fields(
    "type name description parameters server_label allowed_callers authorization connector_id "
    "defer_loading headers server_description server_url tunnel_id",
    allowed_tools=_FILTER,
    require_approval=_fields("", always=_FILTER, never=_FILTER),
)
_CHOICE: Final = _fields("type name server_label")
_ITEM: Final = _fields(
    "type id object status role name call_id arguments output approval_request_id approve reason "
    "server_label",
    content=_fields("type text audio transcript image_url detail"),
    tools=_fields("name input_schema annotations description"),
    error=_fields("type code message"),
)
_SESSION: Final = _fields(
    "type model instructions output_modalities include max_output_tokens parallel_tool_calls",
    # What the server itself says of a session, and clients say back to it.
    object=None,
    id=None,
    expires_at=None,
    audio=_fields(
        "",
        input=_fields(
            "",
            format=_FORMAT,
            noise_reduction=_fields("type strength"),
            transcription=_fields("model language languages prompt keywords delay"),
            turn_detection=_fields(
                "type threshold prefix_padding_ms silence_duration_ms idle_timeout_ms eagerness "
                "create_response interrupt_response"
            ),
        ),
        output=_fields("speed", format=_FORMAT, voice=_VOICE),
    ),
    prompt=_PROMPT,
    reasoning=_REASONING,
    tool_choice=_CHOICE,
    tools=_TOOL,
    tracing=_fields("group_id metadata workflow_name"),
    truncation=_fields("type retention_ratio", token_limits=_fields("post_instructions")),
)
_RESPONSE: Final = _fields(
    "conversation instructions output_modalities max_output_tokens metadata parallel_tool_calls",
    audio=_fields("", output=_fields("", format=_FORMAT, voice=_VOICE)),
    input=_ITEM,
    prompt=_PROMPT,
    reasoning=_REASONING,
    tool_choice=_CHOICE,
    tools=_TOOL,
)
PARAMETERS: Final[Mapping[str, Fields]] = {
    "session.update": _fields("type event_id", session=_SESSION),
    "input_audio_buffer.append": _fields("type event_id audio"),
    "input_audio_buffer.commit": _fields("type event_id"),
    "input_audio_buffer.clear": _fields("type event_id"),
    "conversation.item.create": _fields("type event_id previous_item_id", item=_ITEM),
    "conversation.item.truncate": _fields("type event_id item_id content_index audio_end_ms"),
    "conversation.item.delete": _fields("type event_id item_id"),
    "conversation.item.retrieve": _fields("type event_id item_id"),
    "response.create": _fields("type event_id", response=_RESPONSE),
    "response.cancel": _fields("type event_id response_id"),
    "output_audio_buffer.clear": _fields("type event_id"),
}
"""By message type."""


def unknown_parameter(message: Mapping[str, Any]) -> str:
    """The path of the first field that OpenAI does not know (`session.tools[0].x`), or "".

    `message` is plain JSON, of a type that is known.
    """
    return next(_unknown(message, PARAMETERS[message["type"]], ""), "")


def _unknown(table: Mapping[str, Any], known: Fields, prefix: str) -> Iterator[str]:
    for name, value in table.items():
        if name not in known:
            yield prefix + name
            continue
        fields = known[name]
        if fields is None:
            continue
        if isinstance(value, dict):
            yield from _unknown(value, fields, f"{prefix}{name}.")
        for number, inner in enumerate(value if isinstance(value, list) else ()):
            if isinstance(inner, dict):
                yield from _unknown(inner, fields, f"{prefix}{name}[{number}].")

"""The fields that OpenAI knows are those of the typed models of its own package."""

import inspect
from typing import get_args

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import BaseModel

from bench.protocol.parameters import PARAMETERS, unknown_parameter

MODELS = {model.model_fields["type"].annotation.__args__[0]: model
          for model in get_args(get_args(RealtimeClientEvent)[0])}  # fmt: skip
# What a session.updated says, and a client may say back.
SERVERS_OWN = {"session.object", "session.id", "session.expires_at"}
# What a prompt is filled with is the client's own affair.
VERBATIM = {"variables"}


def models(annotation):
    """The models in an annotation, however they are wrapped."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]


def known(annotations):
    """Names and, where there are models behind them, names within, merged over all shapes."""
    table = {}
    for model in annotations:
        for name, field in model.model_fields.items():
            table.setdefault(field.alias or name, []).extend(models(field.annotation))
    return {
        name: None if name in VERBATIM or not inner else known(inner)
        for name, inner in table.items()
    }


def paths(table, prefix=""):
    for name, inner in table.items():
        yield prefix + name
        if inner is not None:
            yield from paths(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("kind", MODELS)
def test_the_table_is_that_of_the_package(kind):
    ours = set(paths(PARAMETERS[kind])) - SERVERS_OWN
    assert ours == set(paths(known([MODELS[kind]])))


def test_every_message_of_the_package_is_there():
    assert set(PARAMETERS) == set(MODELS)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"type": "session.update", "session": {"foo": 1}}, "session.foo"),
        ({"type": "session.update", "session": {"providerData": {}}}, "session.providerData"),
        ({"type": "session.update", "session": {"audio": {"foo": 1}}}, "session.audio.foo"),
        ({"type": "session.update", "session": {"audio": {"output": {"model": "tts"}}}},
         "session.audio.output.model"),
        ({"type": "session.update", "session": {"tools": [{"type": "function"}, {"x": 1}]}},
         "session.tools[1].x"),
        ({"type": "session.update", "session": {"tools": [{"parameters": {"x": 1}}]}}, ""),
        ({"type": "response.create", "response": {"metadata": {"x": "1"}}}, ""),
        ({"type": "response.create", "response": {"voice": "marin"}}, "response.voice"),
        ({"type": "conversation.item.create", "item": {"content": [{"zest": 1}]}},
         "item.content[0].zest"),
        ({"type": "input_audio_buffer.append", "audio": "", "rate": 1}, "rate"),
        ({"type": "input_audio_buffer.commit", "event_id": "e"}, ""),
        ({"type": "session.update", "session": "x"}, ""),
    ],
)  # fmt: skip
def test_the_first_stranger_is_named_by_its_path(message, path):
    assert unknown_parameter(message) == path

"""A sweep: values of session keys, every combination of which is a setting with a name."""

from itertools import product
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One combination of a sweep: its name in the report, and the session that it asks for."""

    label: str
    session: dict[str, Any]


MOST_SETTINGS = 24


def settings(session: dict[str, Any], sweep: dict[str, list[Any]]) -> list[Setting]:
    """Every combination of the sweep, in the file's order; without a sweep: "" alone."""
    keys = list(sweep)
    return [
        Setting(_label(keys, values), {**session, **dict(zip(keys, values, strict=True))})
        for values in product(*sweep.values())
    ]


def _label(keys: list[str], values: tuple[Any, ...]) -> str:
    words = [_words(value) for value in values]
    if len(keys) < 2:
        return "".join(words)
    return ", ".join(f"{key} {word}" for key, word in zip(keys, words, strict=True))


def _words(value: Any) -> str:
    """A value as people say it: "server_vad 500 ms", "semantic_vad high"."""
    if not isinstance(value, dict):
        return str(value)
    said = []
    for key, entry in value.items():
        if key in {"type", "eagerness", "rate"}:
            said.append(str(entry))
        elif key == "silence_duration_ms":
            said.append(f"{entry} ms")
        else:
            said.append(f"{key} {_words(entry)}")
    return " ".join(said)

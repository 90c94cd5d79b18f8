"""Tool calls: whether a response makes any, of which functions, and with which arguments.

Theory of operation
-------------------
A server without a mind calls where a caller can expect it: in the first response after a user's
turn, not in the one that has the answers; left to itself (`auto`), in a seeded share of those
turns, half of them unless the profile says otherwise. `required`, or a function by name, calls
always, `none` never. Which function is called is drawn, and so are arguments that fit its schema in
the simple sense: types, enumerations, ranges; not patterns, formats or conditions.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from bench.reference.draws import SessionDraws
from bench.reference.profile import ToolsProfile
from bench.reference.settings import ResponseSettings

_WORDS: Final = ("Berlin", "tomorrow", "order 5512", "two tickets", "a window seat", "Main Street")
_DEEPEST: Final = 6
_ONE: Final = {"one": 1.0}


class ToolCall(NamedTuple):
    """One tool call: the function's name and the arguments as JSON text."""

    name: str
    call_id: str
    arguments: str


class Calls(NamedTuple):
    """What a response calls; `speaks`: it says something first."""

    calls: tuple[ToolCall, ...]
    speaks: bool


def functions(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools that a client executes itself."""
    return [tool for tool in tools if tool.get("type") == "function"]


def calls_of(
    profile: ToolsProfile,
    draws: SessionDraws,
    n: int,
    ids: str,
    wanted: ResponseSettings,
    *,
    fresh: bool,
) -> Calls:
    """The calls of response `n`; `fresh`: it is the first since the user's turn."""
    known, choice = functions(wanted.tools), wanted.tool_choice
    shares: Mapping[str, float] = {
        "one": profile.one,
        "parallel": profile.parallel,
        "mixed": profile.mixed,
    }
    if isinstance(choice, dict):
        known = [tool for tool in known if tool["name"] == choice.get("name")]
        shares = _ONE
    elif choice == "required":
        whole = sum(shares.values())
        shares = {kind: share / whole for kind, share in shares.items()} if whole else _ONE
    elif choice == "none" or not fresh:
        return Calls((), speaks=True)
    kind = draws.among("tools", shares, n) if known else None
    if kind is None:
        return Calls((), speaks=True)
    count = 2 if kind == "parallel" else 1
    return Calls(
        tuple(_call(draws, 2 * n + k, f"call_{ids}_{k}", known) for k in range(count)),
        speaks=kind == "mixed",
    )


def _call(draws: SessionDraws, n: int, call_id: str, known: list[dict[str, Any]]) -> ToolCall:
    tool = known[draws.index("tool", len(known), n)]
    return ToolCall(tool["name"], call_id, arguments(tool.get("parameters"), draws, n))


def arguments(schema: Any, draws: SessionDraws, n: int) -> str:
    """A JSON object that fits `schema`, drawn; `{}` where there is none."""
    asked = schema if isinstance(schema, dict) else {}
    whole = _object(asked, draws.generator("arguments", n), 0)
    return msgspec.json.encode(whole).decode("utf-8")


def _object(schema: dict[str, Any], chance: Random, depth: int) -> dict[str, Any]:
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        return {}
    return {name: _value(field, chance, depth + 1) for name, field in fields.items()}


def _value(schema: Any, chance: Random, depth: int) -> Any:
    """A value that fits `schema`; a word where the schema says nothing that is understood."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return chance.choice(_WORDS)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return chance.choice(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    return chance.choice(_WORDS) if make is None else make(schema, chance, depth)


_KINDS: Final[dict[str, Callable[[dict[str, Any], Random, int], Any]]] = {
    "object": _object,
    "array": lambda schema, chance, depth: [_value(schema.get("items"), chance, depth + 1)],
    "integer": lambda schema, chance, _: chance.randint(*(round(end) for end in _range(schema))),
    "number": lambda schema, chance, _: round(chance.uniform(*_range(schema)), 2),
    "boolean": lambda _, chance, __: chance.random() < 0.5,
    "null": lambda *_: None,
}


def _range(schema: dict[str, Any]) -> tuple[float, float]:
    """The least and the greatest number, ten apart where the schema leaves that open."""
    low, high = (schema.get(name) for name in ("minimum", "maximum"))
    low = float(low) if isinstance(low, int | float) and abs(low) < 1e15 else None
    high = float(high) if isinstance(high, int | float) and abs(high) < 1e15 else None
    if low is None:
        low = 1.0 if high is None or high >= 1.0 else high - 10
    return low, low + 10 if high is None or high < low else high

"""What was asked of the server and not given: every session.update against what is in force after.

Theory of operation
-------------------
`session.update` is a merge, so only what it says is looked for in the `session.updated` that
answers it. Two spellings of one thing are the same: a format as a word or an object, a voice as a
word or an object, modalities in any order, "" and null, eagerness auto and medium, 0.8 and what a
float of 32 bits makes of it. What the object that should hold a key does not hold at all is *not
echoed*: nobody knows whether it is honoured, and it is listed and not counted.

Three more things are broken promises: a response whose voice or modalities are not those in force
when it was created (unless a response.create asked for its own), and an update that the server
refused and applied all the same.
"""

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from bench.tracker.error_messages import is_provoked
from bench.tracker.event import MISSING, dig
from bench.tracker.requests import Request
from bench.tracker.responses import Response
from bench.tracker.session_config import ConfigHistory
from bench.tracker.tracker import Tracker
from bench.voice.audio import FORMATS

APPLIED: Final = "invalid update applied"
_SHOWN: Final = 200
_NEVER_ECHOED: Final = ("type", "object", "id")
_BETA: Final = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}


class Mismatch(NamedTuple):
    """One thing asked of one session and not given; `echoed`: the server says what it has."""

    session: int
    path: str
    asked: Any
    got: Any
    echoed: bool = True


def mismatches(session: int, tracker: Tracker) -> list[Mismatch]:
    """All of them in a session, whose tracker is closed."""
    updates = [one for one in tracker.requests.all if one.metric == "update_ack"]
    found = [*_updates(updates, tracker.configs), *_responses(tracker)]
    return [Mismatch(session, *one) for one in found]


def unhonoured(found: list[Mismatch]) -> list[dict[str, Any]]:
    """{path, asked, got, echoed, sessions}: alike ones together, those that count first."""
    alike: dict[tuple[bool, str, str, str], set[int]] = {}
    for each in found:
        key = (each.echoed, each.path, json.dumps(each.asked), json.dumps(each.got))
        alike.setdefault(key, set()).add(each.session)
    return [
        {
            "path": path,
            "asked": _shown(asked),
            "got": _shown(got),
            "echoed": echoed,
            "sessions": len(sessions),
        }
        for (echoed, path, asked, got), sessions in sorted(
            alike.items(), key=lambda pair: (not pair[0][0], -len(pair[1]), pair[0][1:])
        )
    ]


def count_unhonoured(found: list[Mismatch]) -> int:
    """Settings of sessions that were not honoured, each once."""
    return len({(each.session, each.path) for each in found if each.echoed})


def _shown(text: str) -> Any:
    """A value as it was; a long one as the beginning of its JSON."""
    return json.loads(text) if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_Found = tuple[str, Any, Any, bool]


def _updates(updates: list[Request], configs: ConfigHistory) -> Iterator[_Found]:
    asked = {one: dig(one.body, "session") for one in updates}
    # What each word of the server answers, to tell an update that was refused from a later one.
    answers = {one.answer_row: body for one, body in asked.items() if one.answer_row is not None}
    word = dict(zip(configs.rows, configs.bodies, strict=True))
    for one, body in asked.items():
        if one.answer_row in word and isinstance(body, dict):
            for path, want, have, echoed in _walk(body, _nested(word[one.answer_row])):
                yield ".".join(path), want, have, echoed
    for one, body in asked.items():
        # An error that names nothing may be about something else, unless one was provoked.
        sure = one.named or is_provoked(one.body.get("event_id"))
        following = bisect_right(configs.rows, one.event.place // 2)
        if not (one.refused and sure) or not isinstance(body, dict):
            continue
        if 0 < following < len(configs.rows):
            another = answers.get(configs.rows[following])
            old, new = configs.bodies[following - 1], configs.bodies[following]
            if taken := _applied(body, _nested(old), _nested(new), another):
                yield APPLIED, taken, taken, True


def _applied(
    asked: dict[str, Any], old: dict[str, Any], new: dict[str, Any], another: Any
) -> dict[str, Any]:
    """What of a refused update is in force after it, was not before, and was not asked again."""
    return {
        ".".join(path): want
        for path, want in _leaves(asked, ())
        if dig(new, *path) is not MISSING
        and _same(path[-1], want, dig(new, *path))
        and not _same(path[-1], want, dig(old, *path))
        and dig(another, *path) is MISSING
    }


def _leaves(body: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in body.items():
        if isinstance(value, dict) and key != "format":
            yield from _leaves(value, (*path, key))
        elif path or key not in _NEVER_ECHOED:
            yield (*path, key), value


def _walk(
    asked: dict[str, Any], got: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any, bool]]:
    """Where `got` is not what is `asked`: path, both values, whether the server says at all."""
    for key, want in asked.items():
        here = (*path, key)
        if (not path and key in _NEVER_ECHOED) or (key not in got and want is None):
            continue
        if key not in got:
            yield here, want, None, False
        elif isinstance(want, dict) and isinstance(got[key], dict) and key != "format":
            yield from _walk(want, got[key], here)
        elif not _same(key, want, got[key]):
            yield here, want, got[key], True


def _same(key: str, want: Any, have: Any) -> bool:
    """Whether two values of a key say the same."""
    if spelled := _SPELLINGS.get(key):
        want, have = spelled(want), spelled(have)
    if isinstance(want, list) and isinstance(have, list):
        return len(want) == len(have) and all(map(_within, want, have))
    if isinstance(want, dict) and isinstance(have, dict):
        return _within(want, have)
    return _equal(want, have) or (want in ("", None) and have in ("", None))


def _within(want: Any, have: Any) -> bool:
    """Whether everything that is wanted is there; a server may add what it likes (tools)."""
    if not isinstance(want, dict) or not isinstance(have, dict):
        return _equal(want, have)
    return all(key in have and _same(key, value, have[key]) for key, value in want.items())


def _equal(want: Any, have: Any) -> bool:
    """Numbers may have been through a float of 32 bits."""
    numbers = [isinstance(one, int | float) and not isinstance(one, bool) for one in (want, have)]
    if want == have or not all(numbers):
        return bool(want == have)
    try:
        return math.isclose(want, have, rel_tol=1e-6)
    except OverflowError:  # an integer beyond all floats
        return False


def _format(value: Any) -> tuple[Any, Any]:
    kind, rate = (
        (value.get("type"), value.get("rate")) if isinstance(value, dict) else (value, None)
    )
    if not isinstance(kind, str):
        return None, rate
    named = FORMATS.get(kind)
    return (named.type, rate or named.rate) if named else (kind, rate)


def _voice(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _modalities(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, list) else value


_SPELLINGS: Final[dict[str, Callable[[Any], Any]]] = {
    "format": _format,
    "voice": _voice,
    "output_modalities": _modalities,
    "eagerness": lambda value: "medium" if value == "auto" else value,
}
"""One spelling for what has several, by key."""


def _nested(body: dict[str, Any]) -> dict[str, Any]:
    """A session with the flat keys of the beta in the places that they have today."""
    flat = [key for key in _BETA if key in body]
    if not flat:
        return body
    whole: dict[str, Any] = json.loads(json.dumps(body))
    for key in flat:
        *tables, last = _BETA[key]
        table = whole
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                break
        else:
            table.setdefault(last, body[key])
    return whole


def _responses(tracker: Tracker) -> Iterator[_Found]:
    """Responses that are not as the session in force when they were created."""
    configs = tracker.configs
    inforce = [_inforce(_nested(body)) for body in configs.bodies]
    own = _with_their_own(tracker)
    for response in tracker.responses.all:
        if response.created is None or response.created.response_id is None or response in own:
            continue
        following = bisect_right(configs.rows, response.created.row)
        if not following:
            continue
        said = _said(response)
        for name, key in (("voice", "voice"), ("output_modalities", "modalities")):
            want, have = inforce[following - 1][name], said.get(key)
            if want is MISSING or not want or not have or _same(name, want, have):
                continue
            # An update that was under way may have been in force already.
            soon = following < len(inforce) and _same(name, inforce[following][name], have)
            if not soon:
                yield f"response.{name}", want, have, True


def _said(response: Response) -> dict[str, Any]:
    """What a response says of itself, when it is created, else when it is done."""
    said = response.created.body() if response.created else {}
    if not said.get("voice") and not said.get("modalities") and response.done is not None:
        return response.done.body()
    return said


def _inforce(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "voice": _voice(dig(body, "audio", "output", "voice")),
        "output_modalities": dig(body, "output_modalities"),
    }


def _with_their_own(tracker: Tracker) -> set[Response]:
    """The responses that a response.create with parameters of its own asked for."""
    created = [one for one in tracker.responses.all if one.created is not None]
    places = [2 * one.created.row for one in created if one.created is not None]
    asked = (one.event.place for one in tracker.triggers if one.create and one.params)
    firsts = (bisect_left(places, place) for place in asked)
    return {created[first] for first in firsts if first < len(created)}

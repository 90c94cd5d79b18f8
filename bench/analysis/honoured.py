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
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.asks import CREATE
from bench.analysis.effective import Effective
from bench.analysis.tables import MISSING, bodies, dig, latest, of_type, places, texts
from bench.voice.audio import FORMATS
from bench.voice.conversation import PROVOKED

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


class Difference(NamedTuple):
    """One thing asked of one session and not given; `echoed`: the server says what it has."""

    session: int
    path: str
    asked: Any
    got: Any
    echoed: bool = True


def differences(events: pd.DataFrame, acks: pd.DataFrame, effective: Effective) -> list[Difference]:
    """All of them, in every session of the run. `acks`: see `acks.acknowledgements`."""
    updates = acks[acks["metric"] == "update_ack"]
    return [*_updates(updates, effective), *_responses(events, effective)]


def unhonoured(found: list[Difference]) -> list[dict[str, Any]]:
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


def count_unhonoured(found: list[Difference]) -> int:
    """Settings of sessions that were not honoured, each once."""
    return len({(each.session, each.path) for each in found if each.echoed})


def _shown(text: str) -> Any:
    """A value as it was; a long one as the beginning of its JSON."""
    return json.loads(text) if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _updates(updates: pd.DataFrame, effective: Effective) -> Iterator[Difference]:
    asked = [dig(body, "session") for body in bodies(updates)]
    word = {int(row): index for index, row in enumerate(effective.row)}
    answered = updates["answer_row"].to_numpy(dtype=np.int64, na_value=-1).tolist()
    sessions = updates["session"].tolist()
    # What each word of the server answers, to tell an update that was refused from a later one.
    answers = {row: body for row, body in zip(answered, asked, strict=True) if row >= 0}
    # An error that names nothing may be about something else, unless one was provoked.
    provoked = [str(body.get("event_id")).endswith(PROVOKED) for body in bodies(updates)]
    sure = updates["named"].to_numpy(bool) | np.array(provoked, bool)
    refused = np.flatnonzero(updates["refused"].to_numpy(bool) & sure)
    for session, body, row in zip(sessions, asked, answered, strict=True):
        if row in word and isinstance(body, dict):
            for path, want, have, echoed in _walk(body, _nested(effective.bodies[word[row]])):
                yield Difference(session, ".".join(path), want, have, echoed)
    place = updates["place"].to_numpy()[refused]
    before = latest(
        updates["session"].to_numpy()[refused], place, effective.session, 2 * effective.row
    )
    for index, last in zip(refused.tolist(), before.tolist(), strict=True):
        following = last + 1
        if last < 0 or following >= len(effective.row):
            continue
        if effective.session[following] != sessions[index] or not isinstance(asked[index], dict):
            continue
        another = answers.get(int(effective.row[following]))
        old, new = effective.bodies[last], effective.bodies[following]
        taken = _applied(asked[index], _nested(old), _nested(new), another)
        if taken:
            yield Difference(sessions[index], APPLIED, taken, taken)


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


def _responses(events: pd.DataFrame, effective: Effective) -> Iterator[Difference]:
    """Responses that are not as the session in force when they were created."""
    created = of_type(events, "response.created")
    created = created[created["response_id"].notna()]
    word = effective.find(created["session"].to_numpy(), created["row"].to_numpy())
    own = _with_their_own(events, created)
    inforce = [_inforce(_nested(body)) for body in effective.bodies]
    said = _said(events, created)
    for session, row, index, response in zip(
        created["session"].tolist(), created["row"].tolist(), word.tolist(), said, strict=True
    ):
        if index < 0 or row in own:
            continue
        # An update that was under way may have been in force already.
        following = index + 1
        soon = following < len(inforce) and effective.session[following] == session
        for name, key in (("voice", "voice"), ("output_modalities", "modalities")):
            want, have = inforce[index][name], response.get(key)
            if want is MISSING or not want or not have or _same(name, want, have):
                continue
            if not (soon and _same(name, inforce[following][name], have)):
                yield Difference(session, f"response.{name}", want, have)


def _said(events: pd.DataFrame, created: pd.DataFrame) -> list[dict[str, Any]]:
    """What each response says of itself, when it is created, else when it is done."""
    # Nearly all say the same, so what they say is read once.
    code, details = pd.factorize(texts(created["detail"]))
    told = bodies(pd.DataFrame({"detail": details}))
    said = [told[index] for index in code]
    silent = [not body.get("voice") and not body.get("modalities") for body in said]
    if any(silent):
        done = of_type(events, "response.done")
        done = done[done["session"].isin(created["session"][silent])]
        keys = zip(done["session"], done["response_id"], strict=True)
        later = dict(zip(keys, bodies(done), strict=True))
        keys = zip(created["session"], created["response_id"], strict=True)
        said = [
            later.get(key, body) if is_silent else body
            for key, body, is_silent in zip(keys, said, silent, strict=True)
        ]
    return said


def _inforce(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "voice": _voice(dig(body, "audio", "output", "voice")),
        "output_modalities": dig(body, "output_modalities"),
    }


def _with_their_own(events: pd.DataFrame, first: pd.DataFrame) -> set[int]:
    """Rows of the responses that a response.create with parameters of its own asked for."""
    creates = of_type(events, CREATE, direction="out")
    params = [dig(body, "response") for body in bodies(creates)]
    special = np.fromiter(
        (isinstance(each, dict) and bool(each) for each in params), bool, len(params)
    )
    creates = creates[special]
    if creates.empty:
        return set()
    # The first response after each: counted back from the end, the last before it.
    session, row = first["session"].to_numpy(), first["row"].to_numpy()
    found = latest(creates["session"].to_numpy(), -places(events, creates), session, -2 * row)
    return set(row[found[found >= 0]].tolist())

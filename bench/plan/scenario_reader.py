"""From the text of a scenario file to its values, checked whole.

Theory of operation
-------------------
msgspec refuses unknown keys and wrong types, the rules refuse what no run could mean, and every
refusal is one line that names the file, the line, the key and the nearest valid word. Nothing here
reads a clock or opens anything: `parse_scenario` takes the text. What the text says is final; a
command-line option is a new text (`override`).
"""

import re
from math import prod
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from bench.data_file import MOST_DEPTH, DataError, reading, toml_of
from bench.errors import GateError, ScenarioError, UsageError, nearest
from bench.plan.arrivals import peak_of
from bench.plan.duration import Duration, Rate
from bench.plan.gates import check_gates, parse_gate
from bench.plan.load_rules import MOST_HELD, has_fit_stages, load_rules
from bench.plan.scenario import (
    NO_PROFILE,
    Caller,
    Health,
    Ingredient,
    Limits,
    Load,
    Reference,
    Scenario,
    Seeds,
    Stage,
    yields_of,
)
from bench.plan.session_request import WORDS, session_object, unknown_keys
from bench.plan.sweep import MOST_SETTINGS
from bench.protocol.objects import Session
from bench.voice.audio import NS_PER_S
from bench.voice.scripts import SCRIPTS


def parse_scenario(text: str, name: str, *, gates: tuple[str, ...] = ()) -> Scenario:
    """The scenario that `text` says, checked. `name` is what errors call it; `gates` are added."""
    return check_scenario(read_document(text, name), text, name, gates=gates)


def read_document(text: str, name: str) -> dict[str, Any]:
    """The TOML tables of `text`. ScenarioError where it is no TOML."""
    with reading(name, ScenarioError, "correct it"):
        return toml_of(text)


def check_scenario(
    raw: dict[str, Any], text: str, name: str, *, gates: tuple[str, ...] = ()
) -> Scenario:
    """As `parse_scenario`, for a document already read; `text` is only asked for line numbers."""
    try:
        scenario = msgspec.convert(raw, Scenario, dec_hook=_hook)
    except msgspec.ValidationError as error:
        raise ScenarioError(_refusal(str(error), text, name)) from None
    scenario = _with_stages(scenario, raw)
    _check_values(scenario, text, name)
    _check_session(scenario, text, name)
    chosen = (*scenario.gates.get(scenario.gate_profile, ()), *gates)
    profiles = (*scenario.gates.values(), *scenario.slo.values())
    every = (*(gate for profile in profiles for gate in profile), *gates)
    yields = yields_of(scenario)
    try:
        parsed = [parse_gate(gate) for gate in every]
        check_gates(parsed, yields=yields, script=scenario.scripts)
    except GateError as error:
        raise GateError(f"{name}: {error}") from None
    return msgspec.structs.replace(scenario, gates={scenario.gate_profile: list(chosen)})


def _with_stages(scenario: Scenario, raw: dict[str, Any]) -> Scenario:
    """The load's own level and duration are those of its stages, where they are not given."""
    load = scenario.load
    if not has_fit_stages(load):
        return scenario
    given = raw["load"]
    most = max(map(peak_of, load.stages))
    length = sum(stage.length for stage in load.stages)
    own: dict[str, Any] = (
        {"sessions": round(most)} if load.arrivals is None else {"rate": Rate(most)}
    )
    own["duration"] = Duration(length)
    own = {key: value for key, value in own.items() if key not in given}
    return msgspec.structs.replace(scenario, load=msgspec.structs.replace(load, **own))


def _hook(kind: type, value: object) -> object:
    if kind in {Duration, Rate}:
        return kind.parse(value)
    raise NotImplementedError(kind)


_STRUCTS: dict[str, type[Struct]] = {
    "$": Scenario,
    "$.caller": Caller,
    "$.load": Load,
    "$.load.stages": Stage,
    "$.seeds": Seeds,
    "$.health": Health,
    "$.limits": Limits,
    "$.reference": Reference,
    "$.mixture": Ingredient,
}


def _refusal(error: str, text: str, name: str) -> str:
    """What msgspec says, turned into a line that names file, line, key and remedy."""
    match = re.fullmatch(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", error, re.DOTALL)
    what, path = (match["what"], match["path"] or "$") if match else (error, "$")
    path = re.sub(r"\[\d+\]", "", path)  # which entry of a list it is, the line tells
    if unknown := re.search(r"unknown field `([^`]+)`", what):
        key = unknown[1]
        valid = [entry.encode_name for entry in msgspec.structs.fields(_STRUCTS[path])]
        table = path.removeprefix("$").strip(".")
        shown = f"{table}.{key}" if table else key
        return f"{name}:{_line(text, key, table)}: unknown key {shown!r}; {nearest(key, valid)}"
    key = path.removeprefix("$.") if path != "$" else "the scenario"
    *tables, last = key.split(".")
    return f"{name}:{_line(text, last, '.'.join(tables))}: {key}: {what[:1].lower()}{what[1:]}"


def _line(text: str, key: str, table: str) -> int:
    """The line where `key` stands in `table`, or 1 where it cannot be told."""
    here, word = "", re.escape(key.split("[", maxsplit=1)[0])
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            here = header[1]
            if here == (f"{table}.{key}" if table else key):
                return number
        elif here == table and re.match(rf"\s*[\"']?{word}[\"']?\s*[=.]", line):
            return number
    return 1


def _check_values(scenario: Scenario, text: str, name: str) -> None:
    for key, wrong, why in _rules(scenario):
        if wrong:
            *tables, last = key.split(".")
            line = _line(text, last, ".".join(tables))
            raise ScenarioError(f"{name}:{line}: {key}: {why}")


_BOUNDS: dict[str, tuple[int, int]] = {
    "turns": (1, 10_000),
    "load.sessions": (1, MOST_HELD),
    "limits.sessions": (1, MOST_HELD),
    "limits.packets_per_second": (1, 100_000_000),
    "seeds.arrivals": (0, 2**32 - 1),
    "seeds.utterances": (0, 2**32 - 1),
    "seeds.mixture": (0, 2**32 - 1),
}
"""The least and the most of the scenario's whole numbers."""
_MOST_ENTRIES = 1_000
"""Of any list of a scenario."""
_MOST_NS = 7 * 24 * 3600 * NS_PER_S
_LENGTHS = (
    "load.warmup", "load.duration", "load.cooldown", "load.drain", "caller.gap", "caller.hear",
    "caller.tool_time",
    "caller.answer_timeout", "caller.jitter_buffer",
)  # fmt: skip
_MOST_WEIGHT = 1e6
_CALLER_LISTS = ("include", "exclude", "into", "changes", "refused_changes")
_PERCENTS = ("cpu", "steal", "run_wait", "neighbours", "throttled", "share", "sessions")
"""The bounds of health that are percent."""


def _rules(scenario: Scenario) -> list[tuple[str, bool, str]]:
    """What no run could mean: key, whether it is so, what to do about it."""
    load, profile = scenario.load, scenario.gate_profile
    chunk = scenario.chunk_ms
    points = prod(len(values) for values in scenario.sweep.values())
    return [
        *(
            (
                "mixture.script" if scenario.mixture else "script",
                kind.script not in SCRIPTS and ":" not in kind.script,
                f"no script {kind.script!r} (or 'package.module:function'); "
                + nearest(kind.script, SCRIPTS),
            )
            for kind in scenario.kinds
        ),
        (
            "mixture",
            any(not 0 < kind.weight <= _MOST_WEIGHT for kind in scenario.mixture),
            f"a weight must be above zero, and {_MOST_WEIGHT:.0f} at most",
        ),
        (
            "mixture",
            bool(scenario.mixture) and bool(scenario.sweep),
            "a mixture and a sweep cannot be told apart; give one of them",
        ),
        (
            "sweep",
            bool(scenario.sweep) and not 2 <= points <= MOST_SETTINGS,
            f"{points} settings; give lists that make 2 to {MOST_SETTINGS}",
        ),
        (
            "sweep",
            points <= MOST_SETTINGS
            and len({setting.label for setting in scenario.settings}) < max(points, 1),
            "two settings are the same; give each once",
        ),
        (
            "sweep",
            load.sessions is not None and points > 1 and load.sessions < points,
            f"{load.sessions} sessions cannot hold {points} settings; raise load.sessions",
        ),
        ("caller.into", not scenario.caller.into, "give one tag at least"),
        *(
            (key, not least <= value <= most, _outside(key, value, least, most))
            for key, (least, most) in _BOUNDS.items()
            if (value := _at(scenario, key)) is not None
        ),
        *(
            (key, (_at(scenario, key) or 0) > _MOST_NS, "is more than a week; give '168h' at most")
            for key in _LENGTHS
        ),
        *(
            (key, len(entries) > _MOST_ENTRIES, f"{len(entries)} entries; {_MOST_ENTRIES} at most")
            for key, entries in _lists(scenario)
        ),
        (
            "chunk_ms",
            not 10 <= chunk <= 1000 or chunk % 10 != 0,
            f"{chunk} ms; give a multiple of 10 from 10 to 1000",
        ),
        *load_rules(load),
        ("caller.answer_timeout", scenario.caller.answer_timeout <= 0, "must be above zero"),
        (
            "caller.greeting",
            scenario.caller.greeting not in {"ignore", "hear"},
            f"{scenario.caller.greeting!r}; valid are: ignore, hear",
        ),
        *(
            (
                f"health.{name}",
                not 0 <= getattr(scenario.health, name) <= 100,
                "give 0 to 100 percent",
            )
            for name in _PERCENTS
        ),
        (
            "gates",
            profile not in scenario.gates and (bool(scenario.gates) or profile != NO_PROFILE),
            f"no gate profile {profile!r}; {nearest(profile, scenario.gates or (NO_PROFILE,))}",
        ),
    ]


def _at(scenario: Scenario, key: str) -> int | None:
    value: Any = scenario
    for step in key.split("."):
        value = getattr(value, step)
    return None if value is None else int(value)


def _outside(key: str, value: int, least: int, most: int) -> str:
    """What is said of a number that is out of its bounds."""
    name = key.rpartition(".")[2]
    return f"{value} {name}; give {least} or more" + (f", {most} at most" if value > most else "")


def _lists(scenario: Scenario) -> list[tuple[str, Any]]:
    """The lists of a scenario whose length nothing else bounds, by their keys."""
    caller = scenario.caller
    named = {"gates": scenario.gates, "slo": scenario.slo}
    return [
        ("mixture", scenario.mixture),
        ("load.stages", scenario.load.stages),
        *((f"caller.{key}", getattr(caller, key)) for key in _CALLER_LISTS),
        *(
            (f"{table}.{key}", found)
            for table, lists in named.items()
            for key, found in lists.items()
        ),
    ]


def _check_session(scenario: Scenario, text: str, name: str) -> None:
    """Every session that the scenario can ask for, and what its script needs of it."""
    _check_keys(scenario.session, text, name)
    for key, values in scenario.sweep.items():
        for value in values:
            _check_keys({key: value}, text, name, table="sweep", key=key)
    for kind in scenario.mixture:
        _check_keys(kind.session, text, name, table="mixture", key="session")
    for key in ("changes", "refused_changes"):
        for change in getattr(scenario.caller, key):
            _check_keys(change, text, name, table="caller", key=key)
    for setting in scenario.settings:
        for kind in scenario.kinds:
            session = session_object({**setting.session, **kind.session})
            _check_detection(kind.script, session, text, name)


def _check_keys(
    asked: dict[str, Any], text: str, name: str, *, table: str = "session", key: str = ""
) -> None:
    """Every key and type of what is asked of a session there."""
    shown = f"{table}.{key}" if key else table
    try:
        lost = unknown_keys(asked)
    except msgspec.ValidationError as error:
        where = _line(text, key, table)
        raise ScenarioError(f"{name}:{where}: {shown}: {str(error).replace('$.', '')}") from None
    if lost:
        first, last = lost[0].partition(".")[0], lost[0].rpartition(".")[2]
        shown = f"{table if first == key else shown}.{lost[0]}"  # a sweep's key is what is asked
        where = _line(text, key or first, table)
        raise ScenarioError(f"{name}:{where}: unknown key {shown!r}; {nearest(last, WORDS)}")


def _check_detection(script: str, session: Session, text: str, name: str) -> None:
    if script not in SCRIPTS:
        return
    audio = session.audio
    listens = audio.input.turn_detection if audio and audio.input else UNSET
    where = _line(text, "turn_detection", "session")
    wants = SCRIPTS[script].detection
    if wants == "vad" and listens is None:
        raise ScenarioError(
            f"{name}:{where}: session.turn_detection: script {script!r} never commits its audio, "
            "so without turn detection nothing would ever be answered; choose another"
        )
    if wants == "manual" and listens is not None:
        raise ScenarioError(
            f"{name}:{where}: session.turn_detection: script {script!r} commits its audio itself, "
            'so the server must not; write turn_detection = "none"'
        )


def override(raw: dict[str, Any], assignment: str) -> None:
    """Apply one `--set key=value` to a document: dotted key, value as TOML (or a bare word)."""
    key, separator, value = assignment.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {assignment!r}: write key=value, as in load.sessions=50")
    try:
        parsed: Any = toml_of(f"value = {value}")["value"]
    except DataError:
        parsed = value.strip()
    place = raw
    *path, last = key.strip().split(".")
    if len(path) > MOST_DEPTH:
        raise UsageError(f"--set {key[:40]}…: a key of more than {MOST_DEPTH} parts")
    for step in path:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {assignment!r}: {step!r} is no table")
    place[last] = parsed

"""A scenario: who says what to whom, how many of them, and what must hold. One TOML file.

Theory of operation
-------------------
The structs below are the file's grammar: msgspec refuses unknown keys and wrong types, the checks
refuse what no run could mean, and every refusal is one line that names the file, the line, the key
and the nearest valid word. Nothing here reads a clock or opens anything: `parse_scenario` takes
the text. What the text says is final; a command-line option is a new text (`override`).
"""

import re
import tomllib
from typing import Any

import msgspec
from msgspec import Struct, field

from bench.errors import GateError, ScenarioError, UsageError
from bench.plan.duration import Duration, Rate
from bench.plan.gates import Gate, check_gates, nearest, parse_gate
from bench.protocol.objects import Session
from bench.voice.scripts import SCRIPTS

NO_PROFILE = "default"
"""The gate profile of a scenario that names none."""


class Caller(Struct, frozen=True, forbid_unknown_fields=True):
    """How the caller behaves.

    include, exclude:  tags of the utterances that may (may not) be said as lines
    gap:               how long the caller thinks between a reply and the next line
    hear:              barge_in: how much of the reply is heard before it is interrupted
    answer_timeout:    how long after the end of speech the caller waits for an answer
    jitter_buffer:     how long the player holds the first chunk back
    flush:             empty the player when the server hears an interruption, as real clients do
    truncate:          and tell the server how much was heard
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ("nonspeech", "interruption")
    gap: Duration = Duration.parse("300ms")
    hear: Duration = Duration.parse("1200ms")
    answer_timeout: Duration = Duration.parse("10s")
    jitter_buffer: Duration = Duration.parse("0ms")
    flush: bool = True
    truncate: bool = False


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """How many callers.

    sessions:  closed load: sessions held; a session that ends is followed by another
    arrivals:  open load: "poisson" or "uniform", with `rate`; `sessions` is then not given
    warmup:    the closed load's sessions start evenly over it, and no turn in it is measured
    duration:  how long turns are started and measured after the warm-up
    drain:     how long a turn under way may take to finish after that
    connects:  handshakes a second and worker at most
    """

    sessions: int | None = None
    arrivals: str | None = None
    rate: Rate | None = None
    warmup: Duration = Duration.parse("5s")
    duration: Duration = Duration.parse("30s")
    drain: Duration = Duration.parse("15s")
    connects: Rate = Rate.parse("50/s")


class Seeds(Struct, frozen=True, forbid_unknown_fields=True):
    """One seed for each random choice: change one and the others stay."""

    arrivals: int = 1
    utterances: int = 2


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """When the generator was the limit: any bound passed for more than `share` percent of time.

    The bounds hold for each second of each worker: for the 99th percentile of its chunks and
    messages, for the worst lateness of its loop, for its use of a core (`cpu`) and for what the
    host took away (`steal`), in percent. `server_lateness` bounds the embedded server's own 99th
    percentile, over the whole run.
    """

    send_lateness: Duration = Duration.parse("20ms")
    client_lag: Duration = Duration.parse("20ms")
    hub_lag: Duration = Duration.parse("20ms")
    cpu: float = 95.0
    steal: float = 25.0
    share: float = 5.0
    sessions: float = 90.0
    server_lateness: Duration = Duration.parse("10ms")


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """How the reference server behaves: `profile` is its TOML file; "" is the one it ships with."""

    profile: str = ""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """One workload. `gates` are named lists (profiles); `session` is sent as session.update."""

    about: str = ""
    script: str = "turn_taking"
    corpus: str = "everyday"
    turns: int = 3
    chunk_ms: int = 100
    gate_profile: str = NO_PROFILE
    session: dict[str, Any] = {}
    caller: Caller = Caller()
    load: Load = field(default_factory=lambda: Load(sessions=1))
    seeds: Seeds = Seeds()
    health: Health = Health()
    gates: dict[str, list[str]] = {}
    reference: Reference = Reference()

    @property
    def stock(self) -> bool:
        """Whether the script is one of ours."""
        return self.script in SCRIPTS


# What people write at the top of [session], and where the API wants it.
SESSION_SHORTHANDS = {
    "turn_detection": ("audio", "input", "turn_detection"),
    "transcription": ("audio", "input", "transcription"),
    "noise_reduction": ("audio", "input", "noise_reduction"),
    "input_format": ("audio", "input", "format"),
    "output_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "tts_model": ("audio", "output", "model"),
}


def session_object(session: dict[str, Any]) -> Session:
    """The typed session of a scenario's `[session]`: shorthands moved to where the API wants them.

    "none" stands for null, which TOML lacks. Raises ValueError (msgspec.ValidationError) where a
    value has the wrong type.
    """
    whole: dict[str, Any] = {}
    for key, value in session.items():
        place = whole
        *path, last = SESSION_SHORTHANDS.get(key, (key,))
        for step in path:
            place = place.setdefault(step, {})
        if isinstance(value, dict) and isinstance(place.get(last), dict):
            place[last] = {**place[last], **value}
        else:
            place[last] = None if value == "none" else value
    return msgspec.convert(whole, Session)


def parse_scenario(text: str, name: str, *, gates: tuple[str, ...] = ()) -> Scenario:
    """The scenario that `text` says, checked. `name` is what errors call it; `gates` are added."""
    return check_scenario(read_document(text, name), text, name, gates=gates)


def read_document(text: str, name: str) -> dict[str, Any]:
    """The TOML tables of `text`. ScenarioError where it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: no TOML: {error}") from None


def check_scenario(
    raw: dict[str, Any], text: str, name: str, *, gates: tuple[str, ...] = ()
) -> Scenario:
    """As `parse_scenario`, for a document already read; `text` is only asked for line numbers."""
    try:
        scenario = msgspec.convert(raw, Scenario, dec_hook=_hook)
    except msgspec.ValidationError as error:
        raise ScenarioError(_refusal(str(error), text, name)) from None
    _check_values(scenario, text, name)
    _check_session(scenario, text, name)
    chosen = (*scenario.gates.get(scenario.gate_profile, ()), *gates)
    every = (*(gate for profile in scenario.gates.values() for gate in profile), *gates)
    yields = yields_of(scenario)
    try:
        parsed = [parse_gate(gate) for gate in every]
        check_gates(parsed, yields=yields, script=scenario.script)
    except GateError as error:
        raise GateError(f"{name}: {error}") from None
    return msgspec.structs.replace(scenario, gates={scenario.gate_profile: list(chosen)})


def yields_of(scenario: Scenario) -> tuple[str, ...]:
    """The needs of metrics that a scenario satisfies; "*": nothing is known of its script."""
    if not scenario.stock:
        return ("*",)
    truncates = ("truncation",) if scenario.caller.truncate else ()
    return (*SCRIPTS[scenario.script].yields, *truncates)


def gates_of(scenario: Scenario) -> list[Gate]:
    """The gates that judge this run."""
    return [parse_gate(gate) for gate in scenario.gates.get(scenario.gate_profile, ())]


def _hook(kind: type, value: object) -> object:
    if kind in {Duration, Rate}:
        return kind.parse(value)
    raise NotImplementedError(kind)


_STRUCTS: dict[str, type[Struct]] = {
    "$": Scenario,
    "$.caller": Caller,
    "$.load": Load,
    "$.seeds": Seeds,
    "$.health": Health,
    "$.reference": Reference,
}


def _refusal(error: str, text: str, name: str) -> str:
    """What msgspec says, turned into a line that names file, line, key and remedy."""
    match = re.fullmatch(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", error, re.DOTALL)
    what, path = (match["what"], match["path"] or "$") if match else (error, "$")
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


def _rules(scenario: Scenario) -> list[tuple[str, bool, str]]:
    """What no run could mean: key, whether it is so, what to do about it."""
    load, script, profile = scenario.load, scenario.script, scenario.gate_profile
    chunk = scenario.chunk_ms
    return [
        (
            "script",
            not scenario.stock and ":" not in script,
            f"no script {script!r}; {nearest(script, SCRIPTS)} (or 'package.module:function')",
        ),
        ("turns", scenario.turns < 1, f"{scenario.turns} turns; give 1 or more"),
        (
            "chunk_ms",
            not 10 <= chunk <= 1000 or chunk % 10 != 0,
            f"{chunk} ms; give a multiple of 10 from 10 to 1000",
        ),
        (
            "load.sessions",
            load.sessions is not None and load.sessions < 1,
            f"{load.sessions} sessions; give 1 or more",
        ),
        ("load.duration", load.duration <= 0, "must be above zero"),
        ("caller.answer_timeout", scenario.caller.answer_timeout <= 0, "must be above zero"),
        *(
            (
                f"health.{name}",
                not 0 <= getattr(scenario.health, name) <= 100,
                "give 0 to 100 percent",
            )
            for name in ("cpu", "steal", "share", "sessions")
        ),
        (
            "load.sessions",
            load.arrivals is None and load.sessions is None,
            "give sessions (closed load), or arrivals and rate (open load)",
        ),
        (
            "load.arrivals",
            load.arrivals not in {None, "poisson", "uniform"},
            f"{load.arrivals!r}; valid are: poisson, uniform",
        ),
        (
            "load.rate",
            load.arrivals is not None and load.rate is None,
            "arrivals need a rate, as in '2/s'",
        ),
        (
            "load.sessions",
            load.arrivals is not None and load.sessions is not None,
            "an open load has arrivals and rate, a closed load has sessions: give one of them",
        ),
        (
            "load.rate",
            load.arrivals is None and load.rate is not None,
            'a rate needs arrivals = "poisson" or "uniform"',
        ),
        (
            "gates",
            profile not in scenario.gates and (bool(scenario.gates) or profile != NO_PROFILE),
            f"no gate profile {profile!r}; {nearest(profile, scenario.gates or (NO_PROFILE,))}",
        ),
    ]


def _check_session(scenario: Scenario, text: str, name: str) -> None:
    if scenario.stock and scenario.session.get("turn_detection") == "none":
        where = _line(text, "turn_detection", "session")
        raise ScenarioError(
            f"{name}:{where}: session.turn_detection: script {scenario.script!r} never commits its "
            "audio, so without turn detection nothing would ever be answered; choose another"
        )
    valid = [
        *SESSION_SHORTHANDS,
        *(entry.encode_name for entry in msgspec.structs.fields(Session)),
    ]
    for key in scenario.session:
        if key not in valid:
            where = _line(text, key, "session")
            raise ScenarioError(
                f"{name}:{where}: unknown key 'session.{key}'; {nearest(key, valid)}"
            )
    try:
        session_object(scenario.session)
    except msgspec.ValidationError as error:
        raise ScenarioError(
            f"{name}:{_line(text, '', 'session')}: session: {str(error).replace('$.', '')}"
        ) from None


def override(raw: dict[str, Any], assignment: str) -> None:
    """Apply one `--set key=value` to a document: dotted key, value as TOML (or a bare word)."""
    key, separator, value = assignment.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {assignment!r}: write key=value, as in load.sessions=50")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    place = raw
    *path, last = key.strip().split(".")
    for step in path:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {assignment!r}: {step!r} is no table")
    place[last] = parsed

"""A scenario: who says what to whom, how many of them, and what must hold. One TOML file.

The structs below are the file's grammar; `bench.plan.scenario_reader` makes them of its text.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from bench.plan.duration import Duration, Rate
from bench.plan.gates import Gate, parse_gate
from bench.plan.random_duration import Drawable
from bench.plan.sweep import Setting, settings
from bench.plan.turn_filter import PHASES, ROLES
from bench.voice.scripts import DISTURBING, SCRIPTS

NO_PROFILE = "default"
"""The gate profile of a scenario that names none."""
LENGTHS = ("warmup", "duration", "cooldown", "drain")
"""Keys of `load` that change how much is known, and not what is measured."""
_UNSAID: dict[str, Any] = {"burstiness": 1.0, "trace": "", "stages": [], "steps": []}
"""Keys of `load` that older runs do not say, and what they stand for there."""
_JUDGES = ("about", "gates", "gate_profile", "health", "limits", "slo")
"""Keys of a scenario that change who judges a run, and not what it measures."""


class Caller(Struct, frozen=True, forbid_unknown_fields=True):
    """How the caller behaves.

    include, exclude:  tags of the utterances that may (may not) be said as lines
    gap:               how long the caller thinks between a reply it has heard and the next line
    think:             the same, drawn for each line, in the place of `gap`
    hear:              how much of the reply is heard before it is interrupted or stopped
    into:              barge_in: tags of what is said into replies, line after line in turn
    tool_time:         how long a tool takes
    marker:            put words into the conversation (an item, fetched at the end, and all that is
                       typed) that no other session says: what leaks is then known by its words
    changes:           reconfigure: what session.update changes, one after the other
    refused_changes:   reconfigure: changes that the server must refuse
    answer_timeout:    how long the caller waits after the last thing that gave it hope: its own
                       last word, a message of the response, the end of what plays
    greeting:          "hear": the agent speaks first; the script begins once that was heard out, or
                       after `answer_timeout` without it. "ignore": the script begins at once
    jitter_buffer:     how long the player holds the first chunk back
    flush:             empty the player when the server hears an interruption, as real clients do
    truncate:          and tell the server how much was heard
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ("nonspeech", "interruption")
    gap: Duration = Duration.parse("300ms")
    think: Drawable | None = None
    hear: Duration = Duration.parse("1200ms")
    into: tuple[str, ...] = ("interruption",)
    tool_time: Duration = Duration.parse("500ms")
    marker: bool = False
    changes: tuple[dict[str, Any], ...] = ()
    refused_changes: tuple[dict[str, Any], ...] = ()
    answer_timeout: Duration = Duration.parse("10s")
    greeting: str = "ignore"
    jitter_buffer: Duration = Duration.parse("0ms")
    flush: bool = True
    truncate: bool = False


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the load: it comes to a level, and keeps it for the rest of its length.

    name:      what gates and figures call it
    sessions:  its level, of a closed load
    rate:      its level, of an open load
    over:      how long the way from the level before takes: nothing is a step or a spike, the whole
               length a ramp
    swing:     how far a sine goes up and down from the level, as a share of it
    period:    of the sine
    """

    length: Duration
    name: str = ""
    sessions: int | None = None
    rate: Rate | None = None
    over: Duration = Duration.parse("0s")
    swing: float = 0.0
    period: Duration = Duration.parse("0s")


def stage_names(own: Iterable[str]) -> list[str]:
    """What stages are called, in order: by their own names, and by their place without one."""
    return [name or f"stage {number}" for number, name in enumerate(own, 1)]


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """How many callers.

    sessions:  closed load: sessions held; a session that ends is followed by another
    arrivals:  open load: "poisson", "uniform" or "gamma", with `rate`; or "trace"; `sessions` is
               then not given
    burstiness: of gamma: 1 is like poisson, less comes in bursts, more is more regular (the shape
               of the gaps)
    trace:     a file of instants, and of lengths if it has them (`bench.runs.trace_file`)
    warmup:    the closed load's sessions start evenly over it, and no turn in it is measured
    duration:  how long turns are started and measured after the warm-up
    cooldown:  how long the load goes on after that, unmeasured
    drain:     how long a turn under way may take to finish after that
    connects:  handshakes a second and worker at most
    stages:    a level that changes; `sessions` (or `rate`) is then its most, `duration` its whole,
               and neither need be given
    """

    sessions: int | None = None
    arrivals: str | None = None
    rate: Rate | None = None
    burstiness: float = 1.0
    trace: str = ""
    warmup: Duration = Duration.parse("5s")
    duration: Duration = Duration.parse("30s")
    cooldown: Duration = Duration.parse("0s")
    drain: Duration = Duration.parse("15s")
    connects: Rate = Rate.parse("50/s")
    stages: tuple[Stage, ...] = ()

    @property
    def stage_names(self) -> list[str]:
        """What its stages are called, in order."""
        return stage_names(stage.name for stage in self.stages)

    @property
    def whole(self) -> int:
        """For how long sessions are started, ns: warm-up, what is measured, and cool-down."""
        return self.warmup + self.duration + self.cooldown


class Seeds(Struct, frozen=True, forbid_unknown_fields=True):
    """One seed for each random choice: change one and the others stay."""

    arrivals: int = 1
    utterances: int = 2
    mixture: int = 3


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """When the generator was the limit: any bound passed for more than `share` percent of time.

    The bounds hold for each second of each worker: for the 99th percentile of its chunks and
    messages, for the worst lateness of its loop, for its use of a core (`cpu`) and for what the
    host took away (`steal`), in percent; for the time in which it could have run and had no core
    (`run_wait`), and for what others took of the cores that it may run on (`neighbours`), in
    percent; for the time in which the CPU quota of its container held it still (`throttled`), in
    percent. Turns that a bad second touches are set aside. `arrival_lateness` is of an open load: a
    session that starts later than that after it was due is late, and `share` percent may be.
    `server_lateness` is how late the embedded server may be at its 99th percentile without a
    remark: that is the server's affair.
    """

    send_lateness: Duration = Duration.parse("20ms")
    arrival_lateness: Duration = Duration.parse("100ms")
    client_lag: Duration = Duration.parse("20ms")
    hub_lag: Duration = Duration.parse("20ms")
    cpu: float = 95.0
    steal: float = 25.0
    run_wait: float = 20.0
    neighbours: float = 60.0
    throttled: float = 5.0
    share: float = 5.0
    sessions: float = 90.0
    server_lateness: Duration = Duration.parse("10ms")


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What the account of the target allows at once; what is not given is the service's default."""

    sessions: int | None = None
    packets_per_second: int | None = None


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """How the reference server behaves: `profile` is its TOML file; "" is the one it ships with."""

    profile: str = ""


class Ingredient(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of conversation in a mixture, and what it needs beside the scenario's session."""

    script: str
    weight: float = 1.0
    session: dict[str, Any] = {}


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """One workload. `gates` are named lists (profiles); `session` is sent as session.update.

    `slo`: for `bench capacity`, the gates of each tier of service that is promised.

    `sweep`: values of keys of `session`; sessions take every combination in turn.
    `mixture`: kinds of conversation instead of the one `script`; each session draws one.
    """

    about: str = ""
    script: str = "turn_taking"
    corpus: str = "everyday"
    turns: int = 3
    chunk_ms: int = 100
    gate_profile: str = NO_PROFILE
    session: dict[str, Any] = {}
    sweep: dict[str, list[Any]] = {}
    mixture: tuple[Ingredient, ...] = ()
    caller: Caller = Caller()
    load: Load = field(default_factory=lambda: Load(sessions=1))
    seeds: Seeds = Seeds()
    health: Health = Health()
    limits: Limits = Limits()
    gates: dict[str, list[str]] = {}
    slo: dict[str, list[str]] = {}
    reference: Reference = Reference()

    @property
    def settings(self) -> list[Setting]:
        """The sessions that are asked for, one at least: every combination of the sweep."""
        return settings(self.session, self.sweep)

    @property
    def scripts(self) -> str:
        """The names of its scripts, for people."""
        return " + ".join(kind.script for kind in self.kinds)

    @property
    def kinds(self) -> tuple[Ingredient, ...]:
        """The kinds of conversation, one at least."""
        return self.mixture or (Ingredient(self.script),)


def workload_of(document: dict[str, Any]) -> dict[str, Any]:
    """A scenario, as tables, without what changes no figure: by this two runs are told apart.

    How long a run is only changes how well its figures are known: it parts no baseline and no line.
    """
    kept = {key: value for key, value in document.items() if key not in _JUDGES}
    if isinstance(caller := kept.get("caller"), dict):  # what is not there older runs do not say
        kept["caller"] = {key: value for key, value in caller.items() if value is not None}
    load = kept.get("load")
    if isinstance(load, dict):
        kept["load"] = {
            key: value
            for key, value in load.items()
            if key not in LENGTHS and not (key in _UNSAID and value == _UNSAID[key])
        }
    return kept


def yields_of(scenario: Scenario) -> tuple[str, ...]:
    """The needs of metrics that a scenario satisfies; "*": nothing is known of its script."""
    found: set[str] = set()
    for kind in scenario.kinds:
        if kind.script not in SCRIPTS:
            return ("*",)
        found |= set(SCRIPTS[kind.script].yields)
    if "interruption" in found:
        into = set(scenario.caller.into)
        found |= {"disturbance"} if into & DISTURBING else set()
        found -= {"interruption", "cut"} if into <= DISTURBING else set()
    found |= {"truncation"} if scenario.caller.truncate else set()
    found |= {"item", "retrieval"} if scenario.caller.marker else set()
    return tuple(sorted(found))


def is_stock(scenario: Scenario) -> bool:
    """Whether all of its scripts are stock ones; of a team's own script nothing is known."""
    return all(kind.script in SCRIPTS for kind in scenario.kinds)


def known_of(scenario: Scenario) -> dict[str, Sequence[str] | range]:
    """What turns of a run of this can have: scripts, settings, phases; of stock scripts more."""
    load = scenario.load
    phases = zip(PHASES, (load.warmup, True, load.drain), strict=True)
    known: dict[str, Sequence[str] | range] = {
        "script": [kind.script for kind in scenario.kinds],
        "setting": [setting.label for setting in scenario.settings],
        "phase": [phase for phase, there in phases if there],
        "stage": load.stage_names,
    }
    if is_stock(scenario):
        most = max(SCRIPTS[kind.script].most(scenario.turns) for kind in scenario.kinds)
        known |= {"turn": range(1, 1 + most), "role": ROLES}
    return known


def gates_of(scenario: Scenario) -> list[Gate]:
    """The gates that judge this run."""
    return [parse_gate(gate) for gate in scenario.gates.get(scenario.gate_profile, ())]

"""A scenario is checked whole before anything starts, and refused in one line that helps."""

import msgspec
import pytest

from bench.errors import GateError, ScenarioError, UsageError
from bench.plan.gates import parse_gate
from bench.plan.scenario import Load, gates_of, override, parse_scenario, session_object

GOOD = """\
about    = "Callers arrive at random."
script   = "turn_taking"
corpus   = "everyday"
turns    = 3
chunk_ms = 100
[session]
turn_detection = { type = "server_vad", silence_duration_ms = 500 }
[load]
sessions = 20
warmup   = "5s"
duration = "30s"
[seeds]
arrivals = 1
[gates]
default = ["p95(first_audio_latency) < 800 ms"]
"""


def read(text, **options):
    return parse_scenario(text, "demo.toml", **options)


def refused(text, kind=ScenarioError):
    with pytest.raises(kind) as refusal:
        read(text)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_good_scenario_is_read_with_its_defaults():
    scenario = read(GOOD)
    assert (scenario.turns, scenario.load.sessions) == (3, 20)
    assert scenario.load.duration == 30 * 10**9
    assert scenario.caller.answer_timeout == 10 * 10**9
    assert scenario.health.send_lateness == 20_000_000
    assert scenario.stock
    assert gates_of(scenario) == [parse_gate("p95(first_audio_latency) < 800 ms")]


def test_gates_of_the_command_line_are_added_to_the_scenarios():
    scenario = read(GOOD, gates=("share(answered) >= 99 %",))
    assert [gate.metric for gate in gates_of(scenario)] == ["first_audio_latency", "answered"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("turns    = 3", "truns    = 3", "demo.toml:4: unknown key 'truns'; did you mean 'turns'?"),
        ("warmup ", "warmpu ", "demo.toml:10: unknown key 'load.warmpu'; did you mean 'warmup'?"),
        ('"30s"', '"30"', "demo.toml:11: load.duration: '30' is no duration"),
        ('"30s"', '"0s"', "demo.toml:11: load.duration: must be above zero"),
        ("sessions = 20", "sessions = 0", "demo.toml:9: load.sessions: 0 sessions; give 1 or more"),
        ("sessions = 20", "sessions = -3", "demo.toml:9: load.sessions: -3 sessions"),
        ("sessions = 20", "", "load.sessions: give sessions (closed load), or arrivals"),
        ("sessions = 20", 'arrivals = "poisson"', "load.rate: arrivals need a rate, as in '2/s'"),
        ("sessions = 20", 'arrivals = "poison"\nrate = "2/s"', "'poison'; valid are: poisson"),
        ("sessions = 20", 'arrivals = "poisson"\nrate = "0/s"', "rate must be above zero"),
        ("sessions = 20", 'sessions = 2\narrivals = "poisson"\nrate = "2/s"', "give one of them"),
        ("sessions = 20", 'sessions = 20\nrate = "2/s"', "a rate needs arrivals"),
        ("turns    = 3", "turns    = 0", "demo.toml:4: turns: 0 turns; give 1 or more"),
        ("chunk_ms = 100", "chunk_ms = 15", "demo.toml:5: chunk_ms: 15 ms; give a multiple of 10"),
        ("chunk_ms = 100", "chunk_ms = 2000", "demo.toml:5: chunk_ms: 2000 ms"),
        ("turn_taking", "turn_takin", "demo.toml:2: script: no script 'turn_takin'; did you mean"),
        ("turn_detection", "turn_detecton", "demo.toml:7: unknown key 'session.turn_detecton'"),
        ("arrivals = 1", 'arrivals = "one"', "demo.toml:13: seeds.arrivals: expected `int`"),
        ("turns    = 3", "turns    = three", "demo.toml: no TOML"),
        ("default =", "ci =", "no gate profile 'default'"),
    ],
)  # fmt: skip
def test_what_no_run_could_mean_is_refused_with_file_line_key_and_remedy(old, new, says):
    assert old in GOOD
    assert says in refused(GOOD.replace(old, new, 1))


def test_a_session_of_the_wrong_type_is_refused():
    text = GOOD.replace("silence_duration_ms = 500", 'silence_duration_ms = "long"')
    assert "silence_duration_ms" in refused(text)


def test_a_gate_that_is_none_is_refused_in_every_profile():
    text = GOOD + 'nightly = ["p95(first_audio_latncy) < 1 s"]\n'
    assert "did you mean 'first_audio_latency'?" in refused(text, GateError)


def test_a_gate_on_what_the_script_cannot_yield_is_refused_before_anything_starts():
    text = GOOD.replace("first_audio_latency", "barge_in_silence")
    assert "script 'turn_taking' has no interruption" in refused(text, GateError)
    read(text.replace("turn_taking", "barge_in"))
    read(text.replace("turn_taking", "mine.scripts:mumble"))


def test_shorthands_of_the_session_go_where_the_api_wants_them():
    session = session_object(
        {"turn_detection": "none", "input_format": {"type": "audio/pcmu"}, "voice": "Ashley",
         "instructions": "Be brief."}
    )  # fmt: skip
    text = msgspec.to_builtins(session)
    assert text["audio"]["input"] == {"turn_detection": None, "format": {"type": "audio/pcmu"}}
    assert text["audio"]["output"] == {"voice": "Ashley"}
    assert text["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("load.sessions=50", 50),
        ("load.duration = 10s", "10s"),
        ('load.duration="10s"', "10s"),
        ("load.fresh.key=[1, 2]", [1, 2]),
    ],
)
def test_an_assignment_changes_one_key_of_the_document(assignment, found):
    raw = {"load": {"sessions": 2}}
    override(raw, assignment)
    place = raw
    for step in assignment.partition("=")[0].strip().split("."):
        place = place[step]
    assert place == found


@pytest.mark.parametrize("assignment", ["load.sessions", "=5", "turns.x=5"])
def test_what_assigns_nothing_is_refused(assignment):
    with pytest.raises(UsageError, match="--set"):
        override({"turns": 3}, assignment)


def test_a_load_is_a_value():
    assert Load(sessions=1) == Load(sessions=1)
    with pytest.raises(AttributeError):
        Load(sessions=1).sessions = 2

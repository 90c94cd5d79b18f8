"""A scenario is checked whole before anything starts, and refused in one line that helps."""

import re

import msgspec
import pytest

from bench.errors import GateError, ScenarioError, UsageError
from bench.plan.gates import parse_gate
from bench.plan.scenario import Load, gates_of, yields_of
from bench.plan.scenario_reader import override, parse_scenario
from bench.plan.session_request import session_object
from bench.plan.sweep import Setting

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
    assert [kind.script for kind in scenario.kinds] == ["turn_taking"]
    assert scenario.settings == [Setting("", scenario.session)]
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
        ("sessions = 20", "", "load.sessions: give sessions or stages"),
        ("sessions = 20", 'arrivals = "poisson"', "load.rate: arrivals need a rate, as in '2/s'"),
        ("sessions = 20", 'arrivals = "poison"\nrate = "2/s"', "'poison'; valid are: poisson"),
        ("sessions = 20", 'arrivals = "poisson"\nrate = "0/s"', "rate must be above zero"),
        ("sessions = 20", 'sessions = 2\narrivals = "poisson"\nrate = "2/s"', "give one of them"),
        ("sessions = 20", 'sessions = 20\nrate = "2/s"', "a rate needs arrivals"),
        ("turns    = 3", "turns    = 0", "demo.toml:4: turns: 0 turns; give 1 or more"),
        ("chunk_ms = 100", "chunk_ms = 15", "demo.toml:5: chunk_ms: 15 ms; give a multiple of 10"),
        ("chunk_ms = 100", "chunk_ms = 2000", "demo.toml:5: chunk_ms: 2000 ms"),
        ("turn_taking", "turn_takin", "demo.toml:2: script: no script 'turn_takin' (or 'package"),
        ("turn_detection", "turn_detecton", "demo.toml:7: unknown key 'session.turn_detecton'"),
        ("[seeds]", '[caller]\ngreeting = "her"\n[seeds]',
         "demo.toml:13: caller.greeting: 'her'; valid are: ignore, hear"),
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


SWEEP = """
[sweep]
turn_detection = [
  { type = "server_vad", silence_duration_ms = 200 },
  { type = "semantic_vad", eagerness = "high" },
]
speed = [1.0, 1.5]
"""


def test_a_sweep_is_every_combination_by_a_name_that_people_say():
    scenario = read(GOOD + SWEEP)
    labels = [setting.label for setting in scenario.settings]
    assert labels == [
        "turn_detection server_vad 200 ms, speed 1.0",
        "turn_detection server_vad 200 ms, speed 1.5",
        "turn_detection semantic_vad high, speed 1.0",
        "turn_detection semantic_vad high, speed 1.5",
    ]
    last = session_object(scenario.settings[-1].session)
    assert last.audio.input.turn_detection.eagerness == "high"
    assert last.audio.output.speed == 1.5


def test_a_sweep_of_one_key_is_named_by_its_values():
    one = GOOD + SWEEP.replace("speed = [1.0, 1.5]", "")
    labels = [setting.label for setting in read(one).settings]
    assert labels == ["server_vad 200 ms", "semantic_vad high"]


MIXTURE = """
[[mixture]]
script = "turn_taking"
weight = 3
[[mixture]]
script = "push_to_talk"
session = { turn_detection = "none" }
"""


def test_a_mixture_satisfies_what_any_of_its_kinds_satisfies():
    scenario = read(GOOD + MIXTURE)
    assert [(kind.script, kind.weight) for kind in scenario.kinds] == [
        ("turn_taking", 3), ("push_to_talk", 1),
    ]  # fmt: skip
    assert yields_of(scenario) == ("clear", "speech")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + MIXTURE + SWEEP, "a mixture and a sweep cannot be told apart"),
        (GOOD + MIXTURE.replace("push_to_talk", "push_to_tok"), "did you mean 'push_to_talk'?"),
        (GOOD + MIXTURE.replace("weight", "wait"), "unknown key 'mixture.wait'; did you mean"),
        (GOOD + MIXTURE.replace("= 3", "= 0"), "a weight must be above zero"),
        (GOOD + MIXTURE.replace('{ turn_detection = "none" }', "{}"), "commits its audio itself"),
        (GOOD + SWEEP.replace("semantic_vad", "semantic_vad").replace("speed", "spede"),
         "unknown key 'sweep.spede'; did you mean 'speed'?"),
        (GOOD + "[sweep]\nspeed = [1.0]\n", "1 settings; give lists that make 2 to 24"),
        (GOOD.replace("= 20", "= 3") + SWEEP, "3 sessions cannot hold 4 settings"),
        (GOOD + '[caller]\nchanges = [{ voyce = "Clive" }]\n', "did you mean 'voice'?"),
        (GOOD + "[caller]\ninto = []\n", "caller.into: give one tag at least"),
        (GOOD.replace("turn_taking", "push_to_talk"), 'write turn_detection = "none"'),
        (GOOD.replace("silence_duration_ms", "silence_duration"),
         "demo.toml:7: unknown key 'session.turn_detection.silence_duration'; did you mean"),
        (GOOD + '[sweep]\nturn_detection = [{ type = "server_vad", silence = 1 }, "none"]\n',
         "unknown key 'sweep.turn_detection.silence'; did you mean 'silence_duration_ms'?"),
        (GOOD + '[sweep]\nturn_detection = [{ type = "server_vad", silence = 1 }, "none"]\n',
         "demo.toml:17: unknown key 'sweep.turn_detection.silence'"),
        (GOOD + "[caller]\nchanges = [{ audio = { input = { gain = 3 } } }]\n",
         "demo.toml:17: unknown key 'caller.changes.audio.input.gain'"),
        (GOOD + '[sweep]\nvoice = ["a", "a"]\n', "two settings are the same"),
    ],
)  # fmt: skip
def test_what_no_mixture_or_sweep_could_mean_is_refused(text, says):
    assert says in refused(text)


def test_what_is_said_into_replies_decides_what_can_be_gated():
    text = GOOD.replace("turn_taking", "barge_in")
    assert yields_of(read(text)) == ("cut", "interruption", "speech")
    both = text + '[caller]\ninto = ["interruption", "backchannel"]\ntruncate = true\n'
    assert yields_of(read(both)) == (
        "cut",
        "disturbance",
        "interruption",
        "speech",
        "truncation",
    )
    only = text + '[caller]\ninto = ["nonspeech"]\nmarker = true\n'
    assert yields_of(read(only)) == ("disturbance", "item", "retrieval", "speech")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("turns = 10001", "turns"),
        ("turns = -9223372036854775808", "turns"),
        ("[load]\nsessions = 1000000000000", "load.sessions"),
        ("[load]\nsessions = 1\nduration = '169h'", "load.duration"),
        (f"[load]\nsessions = 1\nwarmup = '{'9' * 400}s'", "load.warmup"),
        ("[load]\nsessions = 1\n[caller]\ngap = '99999h'", "caller.gap"),
        ("[load]\narrivals = 'poisson'\nrate = '100001/s'", "load.rate"),
        ("[load]\narrivals = 'poisson'\nrate = '0.0000001/h'", "load.rate"),
        ("[load]\narrivals = 'poisson'\nrate = '9/s'\nduration = '100h'", "load.rate"),
        ("[seeds]\narrivals = -1", "seeds.arrivals"),
        ("[seeds]\nmixture = 4294967296", "seeds.mixture"),
        ("[health]\ncpu = nan", "health.cpu"),
        ("[[mixture]]\nscript = 'tour'\nweight = 1e300", "mixture"),
        ("[gates]\nci = [" + "'count(errors) <= 0'," * 1001 + "]", "gates.ci"),
        ("[sweep]\n" + "".join(f"k{n} = {[*range(10)]}\n" for n in range(30)), "sweep"),
    ],
)
def test_every_number_and_list_has_bounds(text, key):
    with pytest.raises(ScenarioError, match=re.escape(key)) as refused:
        parse_scenario(text, "mine.toml")
    assert len(str(refused.value)) < 500

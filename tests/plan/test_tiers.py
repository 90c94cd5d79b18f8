"""Tiers of service, as the command line and a scenario say them."""

import pytest

from bench.errors import GateError, UsageError
from bench.plan.tiers import read_tiers

FAST = "p95(first_audio_latency) < 700 ms"
GOOD = "share(good_turns) >= 99 %"


def test_slo_is_the_tier_without_a_name():
    (tier,) = read_tiers([FAST, GOOD], [], {}, "x.toml")
    assert (tier.name, [gate.text for gate in tier.gates]) == ("slo", [FAST, GOOD])


def test_tiers_have_names_and_commas_part_their_gates():
    inside = 'p95(first_audio_latency{turn>1, script="a"}) < 1 s'
    tiers = read_tiers([FAST], [f"gold={FAST}, {GOOD}", f"plain={inside}"], {}, "x.toml")
    assert {tier.name: [gate.text for gate in tier.gates] for tier in tiers} == {
        "slo": [FAST], "gold": [FAST, GOOD], "plain": [inside],
    }  # fmt: skip


def test_the_scenario_is_asked_where_the_command_line_says_none():
    assert [one.name for one in read_tiers([], [], {"a": [FAST], "b": [GOOD]}, "x")] == ["a", "b"]
    assert [one.name for one in read_tiers([GOOD], [], {"a": [FAST]}, "x")] == ["slo"]


@pytest.mark.parametrize(
    ("slo", "named", "table", "said"),
    [
        ([], [], {}, "x.toml: no objective: give --slo"),
        ([], ["gold"], {}, "--tier 'gold': write NAME="),
        ([], ["go ld=" + FAST], {}, "write NAME="),
        ([], ["gold=" + FAST, "gold=" + GOOD], {}, "tier 'gold' is named twice"),
        ([], ["slo=" + FAST], {"a": []}, ""),
        ([], [], {"a": []}, "tier 'a' has no gate"),
        (["p95(first_audio_latency) <= baseline"], [], {}, "has no baseline"),
        (["soft " + FAST], [], {}, "a soft gate decides nothing"),
    ],
)
def test_what_cannot_be_promised_is_refused_in_a_line(slo, named, table, said):
    if not said:
        assert read_tiers(slo, named, table, "x.toml")
        return
    with pytest.raises(UsageError, match=said.replace("(", r"\(")) as caught:
        read_tiers(slo, named, table, "x.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("p95(first_audio_latency) < -5 ms", "no load can meet it"),
        ("p95(first_audio_latency) < 0 ms", "no load can meet it"),
        ("p95(underrun_time) <= -1 ms", "no load can meet it"),
        ("p95(first_audio_latency) > 300 ms", "lower is better, and more load cannot break it"),
        ("share(answered) <= 99 %", "higher is better, and more load cannot break it"),
        ("share(answered) >= 0 %", "every load meets it"),
        ("share(answered) > 100 %", "no load can meet it"),
        ("share(talked_over) <= 100 %", "every load meets it"),
        ("p50(text_rate) >= 0 /s", "every load meets it"),
        ("count(turns) > 0", "more load has more turns"),
        ("rate(sessions) >= 2 /s", "more load has more sessions"),
        ("count(errors) >= 0", "lower is better, and more load cannot break it"),
    ],
)
def test_a_gate_that_the_load_does_not_decide_is_no_objective(gate, why):
    with pytest.raises(UsageError) as caught:
        read_tiers([FAST, gate], [], {}, "x.toml")
    text = str(caught.value)
    assert text.startswith(f"gate {gate!r}: ")
    assert f"{why}, so it is no objective; give a limit that more load breaks" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "gate",
    [
        "count(errors) == 0", "count(failed_turns) <= 0", "share(missed) <= 0 %",
        "share(talked_over) < 100 %", "share(answered) > 0 %", "p50(latency_drift) < 0 ms",
        "p50(text_rate) > 5 /s", "share(spurious) <= 120 %", "share(word_error_rate) < 120 %",
    ],
)  # fmt: skip
def test_a_gate_that_more_load_can_break_is_an_objective(gate):
    assert read_tiers([gate], [], {}, "x.toml")[0].gates[0].text == gate


def test_a_gate_that_is_none_is_refused_as_everywhere():
    with pytest.raises(GateError, match="no metric"):
        read_tiers(["p95(first_audio) < 1 s"], [], {}, "x.toml")

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


def test_a_gate_that_is_none_is_refused_as_everywhere():
    with pytest.raises(GateError, match="no metric"):
        read_tiers(["p95(first_audio) < 1 s"], [], {}, "x.toml")

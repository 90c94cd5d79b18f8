"""Interim looks: the same judgement in the middle as at the end, and no ending by chance."""

import json

import pytest

from bench.plan.gates import parse_gate
from bench.runs.log import Log
from bench.verdict.early_stop import RULE, Checkpoint, EarlyStop, may_end, take_checkpoint
from bench.verdict.gate_result import rule_gate
from bench.verdict.verdict import weigh_run
from tests.analysis.story import ORIGIN_NS, Answer, analysed, conversation, steady, write_run
from tests.verdict.watched import ended

S = 1_000_000_000
GATE = "p50(first_audio_latency) < 800 ms"
MET = "p50(first_audio_latency) < 900 ms"  # a story of `conversation` has 850
SLOW = Answer(create=900)


def row(value, low=None, high=None, n=100):
    return {"value": value, "low": low, "high": high, "n": n}


def ruling(text, found, **others):
    gate = parse_gate(text)
    rows = {(gate.metric, gate.statistic): found}
    rows |= {(gate.metric, name): other for name, other in others.items()}
    return rule_gate(gate, rows, {}, "")


FAILS = ruling(GATE, row(900, 850, 950))
OPEN = ruling(GATE, row(790, 700, 950))
PASSES = ruling(GATE, row(700, 650, 750))


def taken(*looks, start_ns=0):
    """What comes of (from second, ruling, …) looks of ten seconds each, up to the one that ends."""
    watch = EarlyStop(start_ns)
    for number, (second, *rulings) in enumerate(looks):
        ending = watch.take(
            Checkpoint(second * S, (second + 10) * S, (second + 12) * S, tuple(rulings))
        )
        if ending is not None:
            return number, ending
    return None


def test_two_windows_must_fail_one_after_the_other():
    assert taken((5, FAILS)) is None
    assert taken((5, FAILS), (8, FAILS), (11, FAILS), (14, FAILS)) is None
    number, ending = taken((5, FAILS), (8, FAILS), (11, FAILS), (14, FAILS), (15, FAILS))
    assert number == 4
    assert (ending["rule"], ending["gate"], ending["looks"]) == (RULE, GATE, 5)
    assert ending["windows"][0] == [5 * S, 15 * S]
    assert ending["text"] == (
        "p50(first_audio_latency) is 900 ms [850, 950], 100 ms over the limit of 800 ms, of turns "
        "begun from 15 s to 25 s of the run, as in all 5 checkpoints since 5 s"
    )


@pytest.mark.parametrize("between", [OPEN, PASSES])
def test_a_look_that_does_not_fail_begins_it_anew(between):
    assert taken((5, FAILS), (10, between), (15, FAILS), (20, FAILS)) is None
    assert taken((5, FAILS), (10, between), (15, FAILS), (25, FAILS))[0] == 3


def test_each_gate_is_told_apart():
    other = ruling("p90(first_audio_latency) < 800 ms", row(900, 850, 950))
    assert taken((5, FAILS, PASSES), (15, PASSES, other), (25, FAILS)) is None
    assert taken((5, FAILS, other), (15, PASSES, other))[1]["gate"] == other.gate


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("count(errors) == 0", row(2)),
        ("count(failed_turns) <= 1", row(2)),
        ("max(first_audio_latency) < 3 s", row(3100)),
        ("min(first_audio_latency) > 100 ms", row(30)),
    ],
)
def test_what_nothing_can_mend_ends_it_at_once(text, found):
    number, ending = taken((5, ruling(text, found)), start_ns=2 * S)
    assert number == 0
    assert ending["text"].endswith(", 15 s into the run; nothing can mend that")


def test_a_gate_that_no_look_had_samples_enough_for_is_known():
    tail = "p99(first_audio_latency) < 1 s"
    few, more = (ruling(tail, row(900, 800, 1100, n=n), min=row(500, n=n)) for n in (40, 90))
    watch = EarlyStop(0)
    for second, rulings in ((5, (few, PASSES)), (15, (more, PASSES)), (25, (few, PASSES))):
        watch.take(Checkpoint(second * S, (second + 10) * S, (second + 12) * S, rulings))
    assert watch.blind() == {tail: [90, 299]}
    enough = ruling(tail, row(900, 800, 950, n=300))
    watch.take(Checkpoint(35 * S, 45 * S, 47 * S, (enough,)))
    assert watch.blind() == {}


def test_what_is_no_turns_is_told_as_of_all_that_was_measured():
    gate = ruling("p50(session_ready_time) < 100 ms", row(900, 850, 950))
    _, ending = taken((5, gate), (15, gate))
    assert ending["text"].endswith(
        "of all measured up to 27 s of the run, as in all 2 checkpoints since 5 s"
    )


def test_a_count_that_has_not_come_yet_is_no_failure():
    assert taken((5, ruling("count(errors) == 3", row(2)))) is None
    assert taken((5, ruling("count(errors) == 3", row(4))))[0] == 0


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (GATE, True),
        (f"soft {GATE}", False),
        ("p50(first_audio_latency{turn>1}) < 800 ms", True),
        ("p50(first_audio_latency{phase=warmup}) < 800 ms", False),
        ("p50(first_audio_latency{phase=hold}) < 800 ms", True),
        ("share(answered) >= 99 %", True),
        ("rate(turns) >= 2 /s", False),
        ("count(turns) >= 100", False),
        ("count(errors) == 0", True),
        ("count(errors) >= 1", False),
        ("count(unseen_messages) == 0", False),
        ("count(unhonoured) == 0", False),
        ("max(first_audio_latency) < 3 s", True),
        ("max(first_audio_latency) > 3 s", False),
        ("min(first_audio_latency) < 1 s", False),
    ],
)
def test_which_gates_can_end_a_run(text, may):
    assert may_end(parse_gate(text)) is may


# ── a look ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def scratch(tmp_path):
    place = tmp_path / "scratch"
    place.mkdir()
    yield place
    assert not list(place.iterdir())


def under_way(folder, *stories, gates, cut=0):
    """A run that goes on: logs of what its workers wrote, the last `cut` bytes not there yet."""
    plan = {"measured_to_ns": ORIGIN_NS + 60 * S}
    write_run(folder, *stories, gates=gates, drained=[], rows_written={}, plan=plan)
    for name in ("events.parquet", "health.parquet"):
        (folder / name).unlink()
    (folder / "logs").mkdir()
    log = Log(folder / "logs" / "worker-0.log")
    for story in stories:
        for one in sorted(story.rows, key=lambda row: row.at_ns):
            log.append(one)
    for second in steady(1, 60, 1):
        log.health(second)
    log.close()
    if cut:
        path = folder / "logs" / "worker-0.log"
        path.write_bytes(path.read_bytes()[:-cut])
    return folder


def test_a_look_at_everything_judges_as_the_end_does(tmp_path, scratch):
    gates = (MET, GATE, "share(answered) >= 90 %", "count(errors) == 0")
    stories = [conversation(number, 3, opens=1000 + 40 * number) for number in range(6)]
    folder = under_way(tmp_path / "going", *stories, gates=gates)
    before = sorted(path.name for path in folder.rglob("*"))
    look = take_checkpoint(folder, 60 * S, ORIGIN_NS + 60 * S, scratch)
    plan = {"measured_to_ns": ORIGIN_NS + 60 * S}
    analysed(tmp_path / "ended", *stories, gates=gates, seconds=60, plan=plan)
    at_end = weigh_run(tmp_path / "ended", [parse_gate(text) for text in gates], None)["gates"]
    assert [one._asdict() for one in look.results] == at_end
    assert {one["verdict"] for one in at_end} == {"pass", "fail", "inconclusive"}
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_look_sees_the_turns_of_its_window_and_counts_from_the_beginning(tmp_path, scratch):
    fine = [conversation(number, 2, opens=1000) for number in range(6)]
    slow = [conversation(10 + number, 2, SLOW, opens=21_000) for number in range(6)]
    most = "max(first_audio_latency) < 900 ms"
    folder = under_way(tmp_path / "going", *fine, *slow, gates=(MET, most))
    looks = [take_checkpoint(folder, 15 * S, ORIGIN_NS + end * S, scratch) for end in (15, 35, 55)]
    assert [look.results[0].verdict for look in looks] == ["pass", "fail", "inconclusive"]
    assert looks[2].results[0].reason.endswith("has no data")
    # At second 15 nobody can know; from 35 on it has been seen, whenever the window is.
    assert [look.results[1].verdict for look in looks] == ["pass", "fail", "fail"]


def test_before_there_is_a_whole_window_only_what_is_final_is_judged(tmp_path, scratch):
    stories = [conversation(number, 2, SLOW, opens=1000) for number in range(6)]
    most = "max(first_audio_latency) < 900 ms"
    folder = under_way(tmp_path / "going", *stories, gates=(MET, most))
    look = take_checkpoint(folder, 15 * S, ORIGIN_NS + 14 * S, scratch)
    assert [(one.gate, one.verdict) for one in look.results] == [(most, "fail")]


def test_the_window_ends_where_the_oldest_turn_under_way_began(tmp_path, scratch):
    """So that no turn is missing from it because it is slow; and a torn log is no error."""
    stories = [conversation(number, 3, opens=1000) for number in range(3)]
    whole = take_checkpoint(
        under_way(tmp_path / "whole", *stories, gates=(MET,)), 5 * S, ORIGIN_NS + 20 * S, scratch
    )
    assert whole.to_ns == ORIGIN_NS + 20 * S
    last = max(row.at_ns for row in stories[2].rows if row.type == "bench.say")
    # The third session's last turn has begun, and what came of it is not written yet.
    stories[2].rows = [row for row in stories[2].rows if row.at_ns <= last + S // 100]
    torn = under_way(tmp_path / "torn", *stories, gates=(MET,), cut=3)
    going = take_checkpoint(torn, 5 * S, ORIGIN_NS + 20 * S, scratch)
    assert last - S < going.to_ns < last + S
    assert going.from_ns == going.to_ns - 5 * S
    assert 0 < going.results[0].n < 9


def test_good_turns_mean_in_a_look_what_they_mean_at_the_end(tmp_path, scratch):
    most = "p90(first_audio_latency) < 800 ms"
    gates = ("share(good_turns) >= 90 %", f"soft {most}", most, GATE)
    stories = [conversation(number, 3) for number in range(6)]
    folder = under_way(tmp_path / "going", *stories, gates=gates)
    look = take_checkpoint(folder, 60 * S, ORIGIN_NS + 60 * S, scratch)
    assert [(one.gate, one.value) for one in look.results] == [
        (gates[0], 0.0), (most, 850.0), (GATE, 850.0)
    ]  # fmt: skip


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


def test_a_gate_that_the_run_was_ended_for_has_failed_whatever_all_of_it_says(tmp_path):
    failed = ruling(MET, row(950, 920, 980))
    _, ending = taken((5, failed), (15, failed))
    stories = [conversation(number, 4) for number in range(6)]
    folder = tmp_path / "ended"
    analysed(folder, *stories, gates=(MET,), ended_by=ending)
    gates = [parse_gate(MET), parse_gate("p50(first_audio_latency) < 880 ms")]
    verdict = weigh_run(folder, gates, None)
    assert verdict["verdict"] == "fail"
    assert verdict["reasons"] == [f"{ending['text']}; the run was ended for it"]
    assert verdict["remarks"] == [f"the run ended early: {ending['text']}"]
    first, second = verdict["gates"]
    assert (first["verdict"], first["value"] < 900, second["verdict"]) == ("fail", True, "pass")
    run = json.loads((folder / "run.json").read_text())
    del run["ended_by"]
    (folder / "run.json").write_text(json.dumps(run))
    assert weigh_run(folder, gates, None)["verdict"] == "pass"


def test_a_target_at_its_limit_is_hardly_ever_ended_and_one_beyond_it_soon():
    assert len(ended(20, "p50")) <= 1
    slow = ended(20, "p50", times=1.2)
    assert len(slow) == 20
    assert max(slow) <= 120  # two windows, and twice that at worst

"""Who says what is a function of seeds, slot and lap, whatever else is running."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec import UNSET

from bench.corpus.decode import utterance
from bench.load.session_plan import SessionPlanner
from bench.runs.job import make_job
from bench.runs.target import read_target
from bench.voice.audio import PCM16_24K

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said():
    job = job_of("demo")
    callers = [entry for entry in job.corpus.entries if "reply" not in entry.tags]
    return {entry.id: utterance(job.corpus, entry, PCM16_24K) for entry in callers}


def job_of(name, *assignments, target="reference"):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        path = Path("scenarios") / f"{name}.toml"
        return make_job(path, read_target(target, None), assignments=assignments)


def plans(job, said, slots, laps=1):
    planner = SessionPlanner(job, said, "run-1")
    return [
        planner.plan(slot * 10 + lap, slot, lap) for slot in range(slots) for lap in range(laps)
    ]


def ids(plan):
    return [line.id for line in plan.part.lines]


def test_a_role_depends_on_its_slot_and_lap_and_on_the_seed_of_its_choice(said):
    job = job_of("demo")
    assert [ids(plan) for plan in plans(job, said, 5)] == [
        ids(plan) for plan in plans(job, said, 5)
    ]
    other = job_of("demo", "seeds.utterances=9")
    assert [ids(plan) for plan in plans(job, said, 5)] != [
        ids(plan) for plan in plans(other, said, 5)
    ]


def test_settings_of_a_sweep_take_turns_over_slots_and_over_laps(said):
    found = plans(job_of("hesitation"), said, 21, laps=7)
    labels = Counter(plan.setting.label for plan in found)
    assert len(labels) == 7
    assert set(labels.values()) == {21}
    by_slot = [plan.setting.label for plan in found[:7]]  # the laps of one slot
    assert len(set(by_slot)) == 7


def test_a_mixture_is_drawn_by_weight_and_from_a_stream_of_its_own(said):
    job = job_of("mixed")
    kinds = Counter(plan.kind.script for plan in plans(job, said, 400))
    assert set(kinds) == {kind.script for kind in job.scenario.mixture}
    assert 150 < kinds["turn_taking"] < 250  # 5 of 10
    other = job_of("mixed", "seeds.mixture=9")
    assert [ids(plan) for plan in plans(other, said, 9)] == [
        ids(plan) for plan in plans(job, said, 9)
    ]
    assert [r.kind.script for r in plans(other, said, 40)] != [
        r.kind.script for r in plans(job, said, 40)
    ]


def test_what_is_said_into_replies_takes_its_tags_in_turn(said):
    [plan] = plans(job_of("barge_in", "turns=4"), said, 1)
    tags = [words.tags for words in plan.part.interruptions]
    wanted = ["interruption", "nonspeech", "interruption", "backchannel"]
    assert [want in found for want, found in zip(wanted, tags, strict=True)] == [True] * 4
    assert plan.turns == 6


def test_a_marker_is_said_by_one_session_of_one_run(said):
    job = job_of("text_chat")
    markers = [plan.marker for plan in plans(job, said, 50)]
    assert len(set(markers)) == 50
    assert all(markers)
    assert SessionPlanner(job, said, "run-2").plan(0, 0, 0).marker != markers[0]
    assert not plans(job_of("demo"), said, 1)[0].marker


def test_a_model_that_is_swept_goes_where_the_service_wants_it(said):
    sweep = 'sweep.model=["gpt-realtime", "gpt-realtime-mini"]'
    job = job_of("demo", sweep, target="openai")
    models = [(plan.model, plan.asked.model) for plan in plans(job, said, 4)]
    assert models == [("gpt-realtime", UNSET), ("gpt-realtime-mini", UNSET)] * 2
    inworld = [plan.asked.model for plan in plans(job_of("demo", sweep), said, 2)]
    assert inworld == ["gpt-realtime", "gpt-realtime-mini"]


def test_openai_is_asked_to_transcribe_and_for_nothing_that_it_refuses(said):
    asked = plans(job_of("reconfigure", target="openai"), said, 1)[0]
    heard = asked.asked.audio.input.transcription
    assert heard == {"model": "gpt-4o-mini-transcribe"}
    assert all(change.model is UNSET for change in asked.part.changes)
    assert len(asked.part.changes) == 6  # without the one of the model
    tour = plans(job_of("tour", target="openai"), said, 1)[0].asked
    assert tour.provider_data is UNSET
    assert tour.type == "realtime"
    mine = job_of("demo", "session.transcription='none'", target="openai")
    assert plans(mine, said, 1)[0].asked.audio.input.transcription is None

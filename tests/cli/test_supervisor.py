"""What `bench run` writes down of a run that did not go as planned."""

from types import SimpleNamespace

import pytest

from bench.cli.supervisor import note_process_faults, note_short
from bench.runs.folder import RunFolder, fault, provenance
from bench.voice.audio import NS_PER_S

S = NS_PER_S


@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.parametrize("joined", [{"0": 0, "1": 1}, {"0": 1, "1": 0}], ids=["in order", "not"])
def test_a_lost_worker_is_named_by_its_process_whatever_place_locust_gave_it(
    tmp_path, killed, joined
):
    """`joined`: the process of each worker, in the order in which they came to Locust's master."""
    folder = RunFolder.create(tmp_path / "run")
    drained = [int(worker) for worker, process in joined.items() if process != killed]
    plan = {"start_ns": 1}
    folder.write({**provenance("x"), "processes": joined, "drained": drained, "plan": plan})
    crew = SimpleNamespace(last_words=lambda: "", master_lost=lambda: "")
    note_process_faults(crew, folder, {killed: -9, 1 - killed: 0}, late=False, died=False)
    texts = [fault["text"] for fault in folder.read()["faults"]]
    assert texts == [f"worker process {killed} was lost in mid-run (signal SIGKILL)"]


def test_a_lost_master_is_named_and_its_workers_are_not_blamed(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write({**provenance("x"), "processes": {"0": 0}, "plan": {"start_ns": 1}})
    crew = SimpleNamespace(last_words=lambda: "", master_lost=lambda: "SIGKILL")
    note_process_faults(crew, folder, {0: 1}, late=False, died=False)
    assert [fault["text"] for fault in folder.read()["faults"]] == [
        "Locust's master process was lost (signal SIGKILL), and its workers with it"
    ]


@pytest.fixture
def ended(tmp_path):
    """The faults of a run of 30 s that ended after so many measured seconds."""

    def after(seconds, **facts):
        folder = RunFolder.create(tmp_path / "run")
        plan = {"measured_from_ns": 5 * S, "measured_to_ns": round((5 + seconds) * S)}
        folder.write({**provenance("x"), "plan": plan, **facts})
        note_short(folder, 30 * S)
        return [one["text"] for one in folder.read()["faults"]]

    return after


def test_a_run_that_measured_less_than_was_planned_is_void_and_says_how_much(ended):
    (text,) = ended(10)
    assert text.startswith("measured 10.0 s of 30 s planned, and neither Ctrl-C nor a limit")


def test_a_run_that_was_stopped_in_its_warm_up_measured_nothing(ended):
    assert ended(-3)[0].startswith("measured 0.0 s of 30 s")


@pytest.mark.parametrize(
    ("seconds", "facts"),
    [
        (30, {}),
        (29.6, {}),
        (10, {"interrupted": True}),
        (10, {"ended_by": {"rule": "abort_on_fail"}}),
    ],
)
def test_a_run_that_is_whole_or_knows_why_it_is_not_is_left_alone(ended, seconds, facts):
    assert ended(seconds, **facts) == []


def test_what_is_void_already_is_told_once(ended):
    known = fault("worker", "worker process 0 was lost", "")
    assert ended(10, faults=[known]) == ["worker process 0 was lost"]

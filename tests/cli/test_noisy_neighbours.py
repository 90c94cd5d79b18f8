"""Processes that took a core are seen by name, ours are not, second by second."""

import pytest

from bench.cli import noisy_neighbours
from bench.cli.noisy_neighbours import NoisyNeighbours, _Seen

S = 1_000_000_000


@pytest.fixture
def machine(monkeypatch):
    """A machine of which every look is told: processes by number, and the clock."""
    state = {"now": 0, "processes": {}}
    monkeypatch.setattr(noisy_neighbours, "monotonic_ns", lambda: state["now"])
    monkeypatch.setattr(noisy_neighbours, "_processes", lambda: dict(state["processes"]))
    monkeypatch.setattr(noisy_neighbours.os, "getpid", lambda: 10)
    monkeypatch.setattr(noisy_neighbours.os, "sysconf", lambda _: 100)

    def second(**processes):
        state["now"] += S
        state["processes"] = {
            number: _Seen(name, parent, ticks, core)
            for name, (number, parent, ticks, core) in processes.items()
        }

    return second


def test_a_process_that_takes_a_core_is_seen_for_as_long_as_it_does(machine):
    machine(hog=(7, 1, 0, 1))
    watch = NoisyNeighbours([])
    for ticks in (93, 180, 182):
        machine(hog=(7, 1, ticks, 1))
        watch.look()
    told = watch.entries()
    assert [one["share"] for one in told] == [0.93, 0.87]
    assert told[0] == {"name": "hog", "number": 7, "core": 1, "share": 0.93, "from_ns": S,
                       "to_ns": 2 * S}  # fmt: skip


def test_our_own_processes_and_their_children_are_no_neighbours(machine):
    machine(us=(10, 1, 0, 0), worker=(20, 10, 0, 1), child=(30, 20, 0, 1), server=(40, 1, 0, 0))
    watch = NoisyNeighbours([40])
    machine(us=(10, 1, 90, 0), worker=(20, 10, 90, 1), child=(30, 20, 90, 1), server=(40, 1, 90, 0))
    watch.look()
    assert watch.entries() == []


def test_a_number_that_another_process_has_taken_over_counts_anew(machine):
    machine(old=(7, 1, 5000, 1))
    watch = NoisyNeighbours([])
    machine(new=(7, 1, 5090, 1))
    watch.look()
    assert watch.entries() == []


def test_it_looks_once_a_second_however_often_it_is_asked(machine, monkeypatch):
    machine(hog=(7, 1, 0, 1))
    watch = NoisyNeighbours([])
    looked = []
    monkeypatch.setattr(noisy_neighbours, "_processes", lambda: looked.append(1) or {})
    for _ in range(5):
        watch.look()
    assert looked == []


def test_the_processes_of_this_machine_can_be_read():
    found = noisy_neighbours._processes()
    assert found[1].name
    assert all(process.ticks >= 0 for process in found.values())

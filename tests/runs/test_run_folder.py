"""A run folder on a disk that is full: run.json says what happened there all the same."""

import errno

import pytest

from bench.runs import folder as module
from bench.runs.folder import RunFolder, provenance


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A run folder, and a list: the disk takes nothing until that much room was given back."""
    place = RunFolder.create(tmp_path / "run")
    place.write(provenance("x"))
    kept = place.logs / ".reserve"
    replace = module.replace_file

    def replace_file(path, text):
        if kept.exists() or len(text) > module._ROOM:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        replace(path, text)

    monkeypatch.setattr(module, "replace_file", replace_file)
    return place


def test_what_happened_is_written_on_a_full_disk(full):
    assert (full.logs / ".reserve").stat().st_size == module._ROOM
    full.update(faults=[{"rule": "disk", "text": "no room", "remedy": "make some"}])
    assert full.read()["faults"][0]["rule"] == "disk"
    assert not (full.logs / ".reserve").exists()


def test_what_is_still_too_much_is_the_systems_own_error(full):
    with pytest.raises(OSError, match="No space left"):
        full.update(faults=[{"rule": "disk", "text": "x" * module._ROOM, "remedy": ""}])


def test_a_disk_too_small_to_keep_room_on_is_no_hindrance(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", none)
    assert RunFolder.create(tmp_path / "run").logs.is_dir()

"""Folders on disks that are full or read-only: small file systems of this test's own."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.live.process import start, until

pytestmark = pytest.mark.live


@contextmanager
def mounted(place, *options):
    """A file system at a folder; skips where this process may mount none."""
    place.mkdir()
    done = subprocess.run(["mount", *options, place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.slow
def test_a_run_whose_disk_is_full_ends_at_once_in_one_line_and_exit_3(bench, scenario, tmp_path):
    """Guards the end of a run whose disk is full, on a file system of 64 KiB."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        folder, began = disk / "run", time.monotonic()
        code, out, err = bench("run", scenario(duration="90s"), "--out", folder)
        assert (code, out) == (3, ""), err
        assert time.monotonic() - began < 60
        (line,) = [line for line in err.splitlines() if line.startswith("bench:")]
        assert line.startswith(f"bench: {folder}: cannot be used any more (")
        assert "No space left on device" in line


@pytest.fixture(scope="module")
def killed(corpus, tmp_path_factory):
    """A run that was killed: its logs are there, and nothing is sealed."""
    from tests.small import write_scenario

    place = tmp_path_factory.mktemp("killed")
    path, folder = write_scenario(place / "small.toml", corpus, duration="60s"), place / "run"
    process = start("run", path, "--out", folder)
    log = folder / "logs" / "worker-0.log"
    until(lambda: log.exists() and log.stat().st_size > 3_000)
    process.kill()
    process.communicate()
    return folder


def test_a_read_only_folder_is_sealed_reported_and_judged_as_any_other(bench, killed, tmp_path):
    kept, open_ = tmp_path / "kept", tmp_path / "open"
    shutil.copytree(killed, kept)
    shutil.copytree(killed, open_)
    code, there, _ = bench("report", open_, "--json")
    with mounted(tmp_path / "shown", "--bind", kept) as folder:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "x").touch()
        told, out, err = bench("report", folder, "--json")
        assert "is read-only; the result is printed and not kept" in err
        told_of, expected = json.loads(out), json.loads(there)
        assert told == code == 3
        assert told_of.pop("folder") == str(folder)
        del expected["folder"]
        assert told_of == expected
        assert sorted(kept.iterdir()) == sorted(kept / path.name for path in killed.iterdir())
    shutil.rmtree(kept)
    shutil.copytree(open_, kept)
    with mounted(tmp_path / "again", "--bind", kept) as folder:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        told, out, _ = bench("judge", folder, "--gate", "count(turns) > 1000", "--json")
        assert told == 3
        assert json.loads(out)["gates"][-1]["gate"] == "count(turns) > 1000"
    assert (kept / "verdict.json").read_bytes() == (open_ / "verdict.json").read_bytes()


@pytest.mark.slow
def test_a_disk_that_is_full_while_the_run_is_sealed_is_exit_3(bench, killed, tmp_path):
    """Guards the seal on a disk that is full, on a file system of 1 MiB."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        folder = disk / "run"
        shutil.copytree(killed, folder)
        for left in (60_000, 0):  # for some of the tables, for none
            (disk / "filler").unlink(missing_ok=True)
            room = shutil.disk_usage(disk).free
            (disk / "filler").write_bytes(b"x" * (room - left))
            code, out, err = bench("report", folder)
            assert (code, out) == (3, "")
            (line,) = err.splitlines()
            assert "No space left on device" in line

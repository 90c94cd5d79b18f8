"""What is built of this project: a wheel that runs in an empty folder, and a source archive."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.live.process import ROOT, settings

pytestmark = pytest.mark.live

MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(the wheel, the source archive)"""
    place = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", place], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,), (archive,) = place.glob("*.whl"), place.glob("*.tar.gz")
    return wheel, archive


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """A folder in which nothing but the wheel is unpacked."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(built[0], place, "zip")
    return place


def alone(*arguments, **options):
    """`bench …` under way, from the wheel and from nothing else."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def files(*patterns):
    found = (path for pattern in patterns for path in ROOT.glob(pattern))
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_scenarios_and_speech_are_in_the_wheel_once_and_in_the_archive(built):
    wheel, archive = built
    shelf = files("scenarios/**/*.toml", "audio_corpus/everyday/*")
    assert len(shelf) > 100
    names = ZipFile(wheel).namelist()
    assert {name for name in names if name.endswith((".flac", "manifest.toml"))} == {
        f"bench/{name}" for name in shelf if name.endswith((".flac", "manifest.toml"))
    }
    assert {f"bench/{name}" for name in shelf} <= set(names)
    assert files("bench/**/*.*") <= set(names)
    assert {Path(name).parts[0] for name in names} == {
        "bench", f"{wheel.name.rsplit('-', 3)[0]}.dist-info",
    }  # fmt: skip
    assert max(path.stat().st_size for path in built) < MOST_BYTES
    with tarfile.open(archive) as packed:
        kept = {name.partition("/")[2] for name in packed.getnames()}
    assert shelf | files("bench/**/*.*") | {"pyproject.toml", "README.md", "LICENSE"} <= kept


@pytest.mark.slow
def test_a_scenario_runs_by_its_name_in_an_empty_folder_whoever_reads_of_it(unpacked, tmp_path):
    """Guards `bench run demo` from a wheel, in an empty folder, into a pipe that is closed."""
    here = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(unpacked)}}
    out, err = alone("list", "scenarios", **here).communicate(timeout=60)
    places = [Path(line.split("\t")[3]) for line in out.splitlines()[1:]]
    assert places, err
    assert all(place.is_relative_to(unpacked) for place in places)
    asked = (
        "--gates",
        "smoke",
        "--sessions",
        "2",
        "--duration",
        "6s",
        *settings(**{"load.warmup": "'0s'"}),
    )
    with alone("run", "demo", *asked, **here) as process:
        assert process.stdout.readline().startswith("demo against reference")
        process.stdout.close()  # as `head -1` does
        err = process.stderr.read()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    (folder,) = (tmp_path / "reports").iterdir()
    assert (folder / "report.html").exists()
    process = alone("check", "capacity", **here)  # whose server has a profile of its own
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert {path.name for path in tmp_path.iterdir()} == {"reports"}

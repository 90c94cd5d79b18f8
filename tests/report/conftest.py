"""Run folders that the tests of the report share: each is made and read once."""

import pytest

from bench.report.page import render
from bench.report.run_data import read_run
from tests.report.synthetic import make_run


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {
        "whole": make_run(root / "whole"),
        "quiet": make_run(root / "quiet", interruptions=False, verdict="pass"),
        "invalid": make_run(root / "invalid", verdict="invalid"),
        "bare": make_run(root / "bare", health=False, events=False),
        "rich": make_run(root / "rich", rich=True),
        "written": make_run(root / "written", written=True, interruptions=False, verdict="pass"),
        "empty": make_run(
            root / "empty", sessions=0, health=False, events=False, verdict="inconclusive"
        ),
    }


@pytest.fixture(scope="session")
def runs(folders):
    return {name: read_run(folder) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def pages(runs):
    return {name: render(run) for name, run in runs.items()}

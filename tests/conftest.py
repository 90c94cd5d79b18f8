"""What every test may ask for, and in which process a test runs when there are several.

`make test` runs the suite in as many processes as there are cores. Tests marked `live` (sockets,
processes, signals) all go to one of them and run there one after another: two loads at once would
measure each other. Everything else runs beside them in any order.
"""

import sys
from functools import partial
from pathlib import Path

import pytest

from bench.cli import main
from tests.small import write_corpus, write_scenario
from tests.virtual_run import virtual_time

ROOT = Path(__file__).parents[1]
FOREIGN = (
    "INWORLD_RUNTIME_BASE64_CREDENTIAL", "OPENAI_API_KEY",
    "GITHUB_SHA", "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME",
)  # fmt: skip
"""Variables of whoever runs the tests that a verb would read."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "live" in item.keywords:
            item.add_marker(pytest.mark.xdist_group("live"))


@pytest.fixture
def bench(monkeypatch, capsys):
    """Run `bench …` in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    for variable in FOREIGN:
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err, err
        return left.value.code, out, err

    return run


@pytest.fixture
def virtual():
    """Runs against the embedded server are played in virtual time."""
    with virtual_time():
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A corpus of short steady voices (`tests.small`)."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "steady")


@pytest.fixture
def scenario(tmp_path, corpus):
    """Write a scenario that is over soon (`tests.small`)."""
    return partial(write_scenario, tmp_path / "small.toml", corpus)

"""One good run of two workers, for all tests that only read one."""

from typing import NamedTuple

import pytest

from bench.pytest_plugin import Bench, RunResult
from bench.runs.folder import RunFolder
from tests.small import write_scenario


@pytest.fixture(autouse=True)
def stamped(stamping, request):
    """Every test here has the kernel's stamps, and no page that it does not ask for."""
    request.getfixturevalue("pageless")
    return stamping


class GoodRun(NamedTuple):
    """A run that passed. Its folder is not to be changed: copy it."""

    folder: RunFolder
    result: RunResult


@pytest.fixture(scope="session")
def good_run(corpus, tmp_path_factory):
    """Two workers for five seconds, looked at as it went on (`--abort-on-fail`).

    Started by the pytest plugin, as a team would in tests of its own.
    """
    place = tmp_path_factory.mktemp("good")
    path = write_scenario(
        place / "small.toml", corpus, sessions=6, duration="5s",
        gates=["p50(first_audio_latency) < 10 s", "share(answered) > 40 %"],
    )  # fmt: skip
    result = Bench(place).run(path, workers=2, abort_on_fail=True, max_minutes=5)
    assert result.verdict == "pass", result.reasons
    return GoodRun(RunFolder.open(result.folder), result)

"""What every test may ask for, and in which process a test runs when there are several.

`make test` runs the suite in several processes (pytest-xdist). All files with tests marked `live`
(sockets, processes, signals) go to two of them and run there one after another: to one those whose
figures are looked at, for two such loads at once would measure each other; to the other those of
which is asked what happened, and not when. Every other file is played by whoever is free, whole, so
that what its tests share is made once; the longest first.
"""

import gc
import os
import sys
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import settings

from bench.cli import main
from bench.cli.console import out, talk
from bench.load.kernel_stamps import Stamping
from tests import examples
from tests.small import write_corpus, write_scenario
from tests.virtual_run import virtual_time

ROOT = Path(__file__).parents[1]
# One profile for all property tests: no bound on time, which a busy machine breaks, and the same
# examples every time.
settings.register_profile(
    "bench", deadline=None, derandomize=True, max_examples=examples.count(examples.USUAL)
)
settings.load_profile("bench")

FOREIGN = (
    "INWORLD_RUNTIME_BASE64_CREDENTIAL", "OPENAI_API_KEY",
    "GITHUB_SHA", "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME",
)  # fmt: skip
"""Variables of whoever runs the tests that a verb would read."""


FIRST = ("virtual", "browser", "report")
"""Folders whose files take longest: begun right after the live ones, not waited for at the end."""


TOGETHER = "tests/report/"
"""A folder whose files share runs and pages that take long to make: one process plays all."""


UNTIMED = (
    "test_echoes", "test_faults", "test_full_disk", "test_probe", "test_proxies",
    "test_reference_", "test_signals",
)  # fmt: skip
"""How files of live tests begin that ask what happens and look at no figure: of questions to a
server, and of runs that somebody ends."""


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: [
            is_live(item.path) and not item.path.name.startswith(UNTIMED),
            is_live(item.path),
            *(name in item.path.parts for name in FIRST),
        ],
        reverse=True,
    )


def pytest_runtest_setup(item):
    if "PYTEST_XDIST_WORKER" in os.environ and not is_live(item.path):
        give_way()


@cache
def give_way():
    """Let the process of the live tests go first: it comes here only once those are done."""
    os.nice(19)


def pytest_collection_finish():
    # What is imported by now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@cache
def is_live(path):
    """Whether a file has tests that must not run beside each other."""
    return "pytest.mark.live" in path.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    # `--dist loadgroup` would do, but xdist 3.8 does not see its groups under pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling

    class FileByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            if file.startswith(TOGETHER):
                return TOGETHER
            if not is_live(config.rootpath / file):
                return file
            return "untimed" if Path(file).name.startswith(UNTIMED) else "timed"

    config.option.loadscopereorder = False  # the order is that of the collection
    return FileByFile(config, log)


@pytest.fixture
def bench(monkeypatch, capsys):
    """Run `bench …` in this process; returns (exit code, stdout, stderr).

    `env` is added to our environment for the rest of the test, `cwd` is where it runs.
    """
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    for console in (out, talk):  # made with the width that xdist gives to its workers
        monkeypatch.setattr(console, "_width", None)
    for variable in FOREIGN:
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments, env=None, cwd=None):
        for variable, value in (env or {}).items():
            monkeypatch.setenv(variable, value)
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said, err = capsys.readouterr()
        assert "Traceback" not in err, err
        return left.value.code, said, err

    return run


@pytest.fixture
def virtual(request):
    """Runs against the embedded server are played in virtual time.

    Their pages, which take longer than all else, are drawn where a test asks for `pages`, too.
    """
    request.getfixturevalue("pageless")
    with virtual_time():
        yield


@pytest.fixture
def pageless(request, monkeypatch):
    """No run of this process has a page, unless the test asks for `pages`."""
    if "pages" not in request.fixturenames:
        monkeypatch.setattr("bench.report.page.write_report", lambda *_: None)


@pytest.fixture
def pages():
    """Pages of runs are wanted."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A corpus of short steady voices (`tests.small`)."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "steady")


@pytest.fixture
def scenario(tmp_path, corpus):
    """Write a scenario that is over soon (`tests.small`)."""
    return partial(write_scenario, tmp_path / "small.toml", corpus)


@pytest.fixture(scope="session")
def stamping():
    """The kernel stamps what arrives at this process, as in a worker."""
    stamps = Stamping()
    yield
    stamps.close()

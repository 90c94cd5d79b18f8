"""Load tests beside a team's other tests: a fixture, a marker and an assertion for pytest.

::

    import pytest
    from bench.pytest_plugin import assert_gate

    @pytest.mark.bench
    def test_callers_are_answered_in_time(bench):
        run = bench.run("scenarios/demo.toml", target="inworld", sessions=5, yes=True)
        assert_gate(run, "p95(first_audio_latency) < 800 ms")
        assert_gate(run, "share(answered) >= 99 %")

`@pytest.mark.bench` is for tests that make load: they are deselected unless `--bench` is given, so
that nobody's unit tests call a paid service by accident, and a job that asks for nothing else and
forgets the option ends with pytest's exit code 5 and not in green. `bench.run(scenario, **options)`
is `bench run` in a process of its own, its options as keywords (`gate=[...]`, `set={"turns": 2}`,
`max_minutes=10`). Run folders lie under pytest's tmp_path, or under `--bench-out DIR` to be kept.
`bench.open(folder)` takes a run that is there already.

`assert_gate` raises AssertionError with the ruling's reason where the gate fails, and where it is
inconclusive too: no data never passes. On an invalid run it raises `UnfitRunError`: the generator
was the limit, the figures say nothing, and running again is safe.

This module is imported wherever pytest starts in an environment that has the bench, so it imports
nothing but pytest before it is used.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.errors import BenchError, UsageError
from bench.own_module import own_module

PROGRAM = tuple(own_module("bench"))


class UnfitRunError(BenchError):
    """A run that says nothing about its target. The text says why; it is safe to run again."""

    exit_code = 3


class RunResult(NamedTuple):
    """A run that has ended. `document` is its verdict.json, as `bench judge --json` prints it."""

    folder: Path
    document: dict[str, Any]

    @property
    def verdict(self) -> str:
        """pass, fail, inconclusive or invalid."""
        return str(self.document["verdict"])

    @property
    def reasons(self) -> list[str]:
        return [str(reason) for reason in self.document["reasons"]]


class Bench:
    """The fixture: runs scenarios and opens run folders."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def run(self, scenario: str | Path, **options: object) -> RunResult:
        """Run a scenario to its verdict, whatever that is.

        UsageError with the bench's own line where the request was wrong; UnfitRunError where it
        ended without a verdict: target out of reach, interrupted.
        """
        folder = self._next()
        done = subprocess.run(  # noqa: S603 - this program, asked by a test of its owner
            [*PROGRAM, *arguments(scenario, folder, options)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode in {0, 1, 3, 4} and (folder / "verdict.json").exists():
            return self.open(folder)
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        if done.returncode == UsageError.exit_code:
            raise UsageError(said)
        raise UnfitRunError(f"{said} (exit code {done.returncode}); safe to run again")

    def open(self, folder: str | Path) -> RunResult:
        """The run in `folder`, judged already. RunFolderError where there is none."""
        from bench.runs.json_file import read_verdict  # noqa: PLC0415 - see above

        return RunResult(Path(folder), read_verdict(Path(folder) / "verdict.json"))

    def _next(self) -> Path:
        """A folder that is not there yet."""
        number = 1
        while (folder := self._place / f"run-{number}").exists():
            number += 1
        return folder


def arguments(scenario: str | Path, folder: Path, options: Mapping[str, object]) -> list[str]:
    """The arguments of `bench run`: a keyword is the option of its name.

    True is a flag, False and None are not there, a list is an option several times, a mapping (as
    for `set`) that with key=value.
    """
    words = ["run"]
    for name, value in options.items():
        option = f"--{name.strip('_').replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False and value is not None:
            words += [f"{option}={word}" for word in _words(value)]
    return [*words, f"--out={folder}", "--", str(scenario)]


def _words(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield f"{key}={str(one).lower() if isinstance(one, bool) else one}"
    elif isinstance(value, list | tuple):
        yield from map(str, value)
    else:
        yield str(value)


def assert_gate(run: RunResult, gate: str, baseline: str | Path | None = None) -> None:
    """Raise AssertionError unless `gate` passes on `run`; the run folder is left as it is.

    UnfitRunError where the run is invalid, GateError where the gate is none.
    """
    __tracebackhide__ = True
    from bench.plan.gates import parse_gate  # noqa: PLC0415
    from bench.verdict.verdict import weigh_run  # noqa: PLC0415 - pandas is slow to import

    found = weigh_run(run.folder, [parse_gate(gate)], None if baseline is None else Path(baseline))
    if found["verdict"] == "invalid":
        raise UnfitRunError(
            f"the runner was unfit, it is safe to run again: {'; '.join(found['reasons'])} "
            f"({run.folder})"
        )
    (ruling,) = found["gates"]
    if ruling["verdict"] != "pass":
        raise AssertionError(f"{ruling['verdict']}: {ruling['reason']} ({run.folder})")


# ── pytest's own ─────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bench` and `--bench-out`."""
    group = parser.getgroup("bench", "load tests of realtime voice APIs")
    group.addoption("--bench", action="store_true", help="Run the tests that are marked bench.")
    group.addoption("--bench-out", metavar="DIR", help="Keep the run folders of tests here.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "bench: makes load; deselected unless --bench is given")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave load tests out unless they were asked for."""
    if config.getoption("--bench"):
        return
    left_out = [item for item in items if item.get_closest_marker("bench") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Bench:
    """Runs scenarios: `bench.run("scenarios/demo.toml", sessions=5)`."""
    kept = request.config.getoption("--bench-out")
    if kept is None:
        return Bench(Path(request.getfixturevalue("tmp_path")))
    return Bench(Path(kept) / re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name).strip("-."))

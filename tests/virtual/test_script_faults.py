"""A team's own script that is at fault ends the run at once: exit 2, and what there was is kept."""

from textwrap import dedent

import pandas as pd
import pytest

from bench.runs.folder import SCRIPT, RunFolder

pytestmark = pytest.mark.usefixtures("virtual")

SCRIPTS = {
    "third_turn": (
        """
        def once(part):
            for turn, line in enumerate(part.lines):
                yield Say(line)
                yield HearOut()
                if turn == 2: raise ValueError("not that")
        """,
        7, "raised ValueError: not that",
    ),
    "third_session": (
        """
        begun = []
        def once(part):
            begun.append(1)
            yield Say(part.lines[0])
            yield HearOut()
            if len(begun) > 6: yield "hello"
        """,
        8, "yielded 'hello', which is no direction",
    ),
    "no_generator": (
        """
        def once(part):
            pass
        """,
        3, "is no generator: it returned NoneType",
    ),
    "for_ever": (
        """
        def once(part):
            while True:
                yield Pause(0)
        """,
        5, "goes on for ever",
    ),
}  # fmt: skip
HEAD = "from bench.voice.scripts import HearOut, Pause, Say\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_at_fault_ends_the_run_at_once(name, bench, scenario, tmp_path, monkeypatch):
    body, line, what = SCRIPTS[name]
    module = f"{name}_of_script_faults"
    (tmp_path / f"{module}.py").write_text(HEAD + dedent(body))
    monkeypatch.syspath_prepend(str(tmp_path))
    path = scenario(script=f"{module}:once", sessions=3, turns=3, duration="60s")
    code, out, err = bench("run", path, "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    told = f"script '{module}:once' ({tmp_path / module}.py, line {line}): {what}"
    assert told in err
    assert sum(line.startswith("bench: ") for line in err.splitlines()) == 1
    folder = RunFolder(tmp_path / "run")
    run = folder.read()
    assert [one["rule"] for one in run["faults"]] == [SCRIPT]
    assert run["plan"]["end_ns"] < 30e9
    events = pd.read_parquet(folder.events)
    assert len(events) == run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    ends = events[events.type == "bench.end"]
    assert ends.detail.str.contains('"outcome":"crashed"').sum() == 1  # and no session after it
    code, out, _ = bench("report", folder.path)
    assert code == 3
    assert what in " ".join(out.split())

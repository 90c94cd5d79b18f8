from dataclasses import replace

import pytest

from bench.report.scripts_panel import MIXTURE
from tests.report.riches import SCRIPTS


def test_each_script_has_turns_answers_and_its_wait(runs):
    run = runs["rich"]
    panel = MIXTURE(run)
    (table,) = panel.tables
    assert [row[0] for row in table.rows] == list(SCRIPTS)
    for row in table.rows:
        where = f"script={row[0]}"
        assert row[1] == str(run.statistics("answered", where)["share"].n)
        assert row[3] == "first audio"
        half = run.statistics("first_audio_latency", where)["p50"]
        assert row[4][0] == f"{half.value:,.0f}\u202fms".replace(",", "\u202f")


def test_the_sentence_names_the_mixture_the_quickest_and_the_slowest(runs):
    answer = MIXTURE(runs["rich"]).answer
    assert answer.startswith("3 kinds share the ")
    assert "Quickest to answer is " in answer
    assert "slowest " in answer
    assert answer.endswith("that they differ is not shown.")


def test_a_script_in_writing_is_timed_by_its_first_text(runs):
    run = runs["rich"]
    rows = [
        row | {"metric": "first_text_latency"}
        if (row["metric"], row["filter"]) == ("first_audio_latency", "script=tool_call")
        else row
        for row in run.summary["rows"]
        if (row["metric"], row["filter"]) != ("first_text_latency", "script=tool_call")
    ]
    (table,) = MIXTURE(replace(run, summary=run.summary | {"rows": rows})).tables
    assert [row[3] for row in table.rows] == ["first audio", "first text", "first audio"]


@pytest.mark.parametrize("scripts", [[], ["turn_taking"], None])
def test_without_a_mixture_there_is_no_panel(runs, scripts):
    run = runs["rich"]
    assert MIXTURE(replace(run, summary=run.summary | {"scripts": scripts})) is None

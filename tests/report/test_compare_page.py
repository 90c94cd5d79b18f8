"""The page of a comparison: one offline file, the verdict first, its questions in order."""

import json
import re

import numpy as np
import pytest

from bench.compare.sides import Side, compare
from bench.errors import UsageError
from bench.report.compare_page import carried, render, shifted, write_page
from bench.report.panels import Panel, Table
from bench.report.text import NOTHING, chance_of, detectable_of
from tests.compare.chance import World, side
from tests.report.test_page import HOSTILE, Elements, text_of

SMALL = World(sessions=30, turns=6)


def found_of(runs=3, **changes):
    rng = np.random.default_rng(6)
    a = side(rng, runs, "new", world=SMALL, **changes)
    return compare(a, side(rng, runs, "old", world=SMALL), resamples=100)


@pytest.fixture(scope="module")
def slower():
    return found_of(slower={"generation": 1.6})


@pytest.fixture(scope="module")
def page(slower):
    return render(slower)


def test_the_verdict_stands_first_then_the_rows_then_the_figures(page):
    places = [page.index(part) for part in ('class="verdict"', 'id="rows"', 'class="figure"')]
    assert places == sorted(places)
    assert '<p class="verdict">regressed</p>' in page


def test_a_panel_has_its_tables_before_its_notes(slower, monkeypatch):
    panel = Panel("carried", "Which?", "So.", [], [Table("of it", ("a",), [["1"]])], ["a note"])
    monkeypatch.setattr("bench.report.compare_page.carried", lambda _found: panel)
    body = text_of(render(slower)).partition('id="carried"')[2]
    assert 0 < body.index("of it") < body.index("a note")


def test_every_figures_title_is_a_question_and_its_answer_is_in_numbers(page):
    body = text_of(page)
    panels = re.findall(r'class="panel">\s*<h2>(.*?)</h2>\s*<p class="answer">(.*?)</p>', body)
    assert [question for question, _ in panels] == [
        "At which waits does it show?",
        "How are the waits spread?",
        "Which stage carries the change?",
    ]
    assert all(re.search(r"\d", answer) for _, answer in panels)
    assert "generation +" in panels[2][1]


def test_nothing_on_the_page_is_loaded_from_elsewhere_and_it_is_small(page):
    for tag, attributes in Elements(page).tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img"}
        assert "src" not in attributes
    assert "default-src 'none'" in page
    assert "width=device-width" in page
    assert len(page) < 10_000_000


def test_every_figure_is_json_that_can_be_read(page):
    figures = [doc for text in Elements(page).json if "data" in (doc := json.loads(text))]
    assert len(figures) == 3
    assert all(figure["data"] for figure in figures)


def test_the_band_goes_round_every_decile(slower):
    (_, figure), = shifted(slower).figures  # fmt: skip
    band, line = figure.data
    assert len(line.x) == 9
    assert len(band.x) == 18
    assert all(low <= y for low, y in zip(reversed(band.y[9:]), line.y, strict=True))


def test_where_no_voice_was_heard_no_stage_is_asked_for(slower):
    assert carried(slower | {"attribution": []}) is None
    assert shifted(slower | {"shift": None}) is None
    assert 'id="carried"' not in render(slower | {"attribution": [], "shift": None})


def test_a_quantile_beyond_every_wait_is_not_called_no_data_and_the_answers_say_who_waited():
    found = found_of(5, answered=0.85)
    row = next(
        row for row in found["rows"] if row["statistic"] == "p95" and row["family"] == "wait"
    )
    assert (row["a"], row["verdict"]) == (None, "regressed")
    assert row["reason"] == "not reached in any run of A and in every run of B: too many timed out"
    assert any(f"regressed: {row['reason']}" in reason for reason in found["reasons"])
    body = text_of(render(found))
    assert "p95 ∞ against" in body
    assert row["reason"] in body
    assert "no data" not in body
    shares = re.search(
        r"([\d.]+) % of the baseline.*? and ([\d.]+) % of the candidate.*? never answered", body
    )
    assert float(shares[1]) == pytest.approx(1, abs=1)
    assert float(shares[2]) == pytest.approx(15, abs=3)
    assert "at the 80 % quickest. Beyond that turns timed out" in body


def test_a_row_says_why_it_is_open_and_what_changed_stands_first_among_the_others(slower):
    found = slower | {"rows": [row | ({} if row["family"] else {"reason": "not all runs have it"})
                               for row in slower["rows"]]}  # fmt: skip
    page = render(found)
    others = page[page.index('id="others"') :]
    assert "not all runs have it" in others
    verdicts = re.findall(r"<td[^>]*>\s*(regressed|improved|unchanged|inconclusive)", others)
    changed = [word in {"regressed", "improved"} for word in verdicts]
    assert any(changed)
    assert changed == sorted(changed, reverse=True)
    assert re.search(rf"Of {len(verdicts)} figures that decide nothing: .*\d+ regressed", others)


def test_how_the_reference_server_behaved_is_on_the_page(slower):
    sides = slower["sides"] | {"a": slower["sides"]["a"] | {"profile": "slower.toml"}}
    body = text_of(render(slower | {"sides": sides}))
    assert "reference (slower.toml), 3 runs" in body
    assert "reference, 3 runs" in body


def test_no_stage_has_minus_nothing_of_the_whole(slower):
    assert "-0 %" not in render(slower)


def test_that_runs_are_unseen_is_on_the_page():
    assert "One run a side" in text_of(render(found_of(1)))


def test_names_of_runs_and_targets_are_inert():
    rng = np.random.default_rng(7)
    a, b = side(rng, 2, HOSTILE, world=SMALL), side(rng, 2, world=SMALL)
    facts = a.runs[0].facts | {"target": HOSTILE, "scenario": HOSTILE}
    runs = tuple(run._replace(facts=facts, name=HOSTILE) for run in a.runs)
    page = render(compare(Side(HOSTILE, runs), b, resamples=100, allow=True))
    elements = Elements(page)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    executable = [1 for tag, a in elements.tags
                  if tag == "script" and a.get("type") != "application/json"]  # fmt: skip
    assert len(executable) == 2


def test_the_same_comparison_makes_the_same_page(slower, page):
    assert render(json.loads(json.dumps(slower))) == page


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(slower, tmp_path):
    assert write_page(slower, tmp_path).name == "comparison.html"
    (tmp_path / "comparison.html.part").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(slower, tmp_path)


def test_where_nothing_could_be_called_neither_p_nor_a_smallest_change_is_told():
    row = {
        "verdict": "inconclusive", "reason": "10 samples are too few", "p_holm": 1.0,
        "smallest_detectable": 12.0, "ratio": 1.1, "b": 500.0, "unit": "ms",
    }  # fmt: skip
    assert (chance_of(row), detectable_of(row)) == (NOTHING, NOTHING)
    told = row | {"reason": ""}
    assert (chance_of(told), detectable_of(told)) == ("1", "2.4 %")

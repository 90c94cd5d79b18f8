import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from bench.errors import RunFolderError
from bench.report.page import render, write_report
from bench.report.run_data import read_run

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"


class Elements(HTMLParser):
    """What a browser would make of the page: elements, attributes and the JSON of the figures."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.json: list[str] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.inside = tag == "script" and attributes.get("type") == "application/json"
        if self.inside:
            self.json.append("")

    def handle_endtag(self, _tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.json[-1] += data


def text_of(page: str) -> str:
    """The page without its scripts and styles."""
    return re.sub(r"(?s)<(script|style).*?</\1>", "", page)


def test_the_report_is_one_file_under_10_mb(folders):
    path = write_report(folders["whole"])
    assert path == folders["whole"] / "report.html"
    assert path.stat().st_size < 10_000_000
    assert not (folders["whole"] / "report.html.part").exists()


def test_nothing_on_the_page_is_loaded_from_elsewhere(pages):
    elements = Elements(pages["rich"])
    for tag, attributes in elements.tags:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert name not in attributes, tag
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert (attributes.get("href") or "#").startswith("#")
    styles = re.findall(r"(?s)<style>(.*?)</style>", pages["whole"])
    assert styles
    assert not re.search(r"url\(|@import", "".join(styles))


def test_the_pages_own_policy_forbids_outside_loads(pages):
    policies = [
        attributes["content"]
        for tag, attributes in Elements(pages["whole"]).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (policy,) = policies
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_the_plotting_script_is_inside_once(pages):
    assert pages["whole"].count("* plotly.js v") == 1


def test_every_figure_is_json_that_can_be_read(pages):
    documents = [json.loads(text) for text in Elements(pages["whole"]).json]
    figures = [document for document in documents if "data" in document]
    assert len(figures) >= 15
    assert all(figure["data"] for figure in figures)


def test_verdict_and_numbers_come_before_gates_and_figures(pages):
    page = pages["whole"]
    places = [page.index(part) for part in ('class="verdict"', 'id="numbers"', 'id="gates"')]
    assert places == sorted(places)
    assert places[-1] < page.index('class="figure"')


def test_questions_stand_in_their_order(pages):
    found = re.findall(r'<section id="([\w-]+)" class="panel">', pages["whole"])
    assert found == [
        "latency", "stages", "over-time", "by-turn", "hearing", "fluency", "barge-in", "outcomes",
        "slowest", "generator",
    ]  # fmt: skip


def test_what_decides_stands_first_and_the_wire_late(pages):
    found = re.findall(r'<section id="([\w-]+)" class="panel">', pages["rich"])
    assert found == [
        "settings", "scripts", "latency", "stages", "over-time", "by-turn", "hearing", "words",
        "fluency", "barge-in", "cancels", "tools", "protocol", "messages", "gauges", "outcomes",
        "slowest", "slow-turns", "generator",
    ]  # fmt: skip
    assert re.findall(r'<li><a href="#([\w-]+)" ', pages["rich"]) == found


def test_every_link_leads_somewhere(pages):
    tags = Elements(pages["rich"]).tags
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {attributes["href"][1:] for tag, attributes in tags if tag == "a"}
    assert links <= ids


def test_without_scripts_the_page_says_what_is_missing(pages):
    assert "<noscript>" in pages["whole"]
    assert "The figures need JavaScript" in text_of(pages["whole"])


@pytest.fixture
def hostile(folders, tmp_path):
    folder = shutil.copytree(folders["rich"], tmp_path / "hostile")
    turns = pd.read_parquet(folder / "turns.parquet")
    for column in ("text", "utterance", "transcript", "reply", "reason", "interrupted_while"):
        turns[column] = HOSTILE
    turns.to_parquet(folder / "turns.parquet")
    sessions = pd.read_parquet(folder / "sessions.parquet")
    sessions["reason"], sessions["outcome"] = HOSTILE, "closed"
    sessions.to_parquet(folder / "sessions.parquet")
    events = pd.read_parquet(folder / "events.parquet")
    for column in ("event_id", "detail"):
        events[column] = HOSTILE
    events["type"] = events["type"].astype(object)
    events.loc[events.index[::7], "type"] = "response." + HOSTILE
    events.to_parquet(folder / "events.parquet")
    document = json.loads((folder / "run.json").read_text())
    document["scenario"].update(name=HOSTILE, text=HOSTILE)
    document["scenario"]["effective"]["about"] = HOSTILE
    document["target"]["name"] = HOSTILE
    (folder / "run.json").write_text(json.dumps(document))
    verdict = json.loads((folder / "verdict.json").read_text())
    verdict["reasons"] = [HOSTILE, HOSTILE]
    verdict["gates"][0].update(gate=HOSTILE, reason=HOSTILE)
    (folder / "verdict.json").write_text(json.dumps(verdict))
    summary = poisoned(json.loads((folder / "summary.json").read_text()))
    (folder / "summary.json").write_text(json.dumps(summary))
    probe = json.loads((folder / "probe.json").read_text())
    probe["messages"] = dict.fromkeys(probe["messages"], f"refused ({HOSTILE})")
    (folder / "probe.json").write_text(json.dumps(probe))
    return folder


def poisoned(summary):
    """The summary with hostile text wherever a target's or a user's words may stand."""
    for violation in summary["violations"]:
        violation |= {"rule": HOSTILE, "about": HOSTILE}
        for example in violation["examples"]:
            example["text"] = HOSTILE
            for event in example["events"]:
                event |= {"type": HOSTILE, "ids": HOSTILE, "note": HOSTILE}
    summary["leaks"] = [leak | {"what": HOSTILE, "words": HOSTILE} for leak in summary["leaks"]]
    summary["errors_by_code"] = {HOSTILE: 3}
    summary["unhonoured"] = [
        entry | {"path": HOSTILE, "asked": HOSTILE, "got": {"type": HOSTILE}}
        for entry in summary["unhonoured"]
    ]
    quirk = {"quirk": HOSTILE, "about": HOSTILE, "count": 1, "example": HOSTILE}
    summary["quirks"] = [quirk]
    summary["messages"][-1]["type"] = HOSTILE
    summary["words"]["worst"] = [
        turn | {"said": HOSTILE, "heard": HOSTILE} for turn in summary["words"]["worst"]
    ]
    for key, column in (("settings", "setting"), ("scripts", "script")):
        first = summary[key][0]
        summary[key][0] = HOSTILE
        for row in summary["rows"]:
            if row["filter"] == f"{column}={first}":
                row["filter"] = f"{column}={HOSTILE}"
    return summary


def test_text_from_the_run_is_inert_wherever_it_stands(hostile, pages):
    page = render(read_run(hostile))
    before, after = Elements(pages["rich"]), Elements(page)
    for elements in (before, after):
        assert not [tag for tag, _ in elements.tags if tag == "img"]
        assert not [a for _, a in elements.tags if any(name.startswith("on") for name in a)]
    executable = [
        sum(tag == "script" and a.get("type") != "application/json" for tag, a in it.tags)
        for it in (before, after)
    ]
    assert executable[0] == executable[1] == 2
    for text in after.json:
        json.loads(text)


def test_labels_of_figures_are_escaped_for_plotly_too(hostile):
    for text in Elements(render(read_run(hostile))).json:
        assert "<img" not in str(json.loads(text))


def test_an_invalid_run_has_a_banner_and_grey_figures(pages):
    page = text_of(pages["invalid"])
    assert '<body class="invalid">' in page
    assert "This run proves nothing" in page
    assert "Use fewer sessions a worker" in page
    assert "This run proves nothing" not in text_of(pages["whole"])


def test_an_interrupted_run_says_so(runs):
    run = runs["whole"]
    page = render(replace(run, about=run.about | {"interrupted": True}))
    assert "This run was interrupted" in page


@pytest.mark.parametrize(
    ("name", "number"), [("empty", 9), ("bare", 10), ("quiet", 9), ("invalid", 10), ("written", 5)]
)
def test_a_poorer_run_still_makes_a_page_with_the_questions_it_asked(pages, name, number):
    assert pages[name].count('class="panel"') == number


def test_a_run_without_turns_has_words_and_no_figures(pages):
    assert 'class="figure"' not in pages["empty"]
    assert "No turn began in the measured phase" in pages["empty"]


def test_no_path_of_the_machine_is_on_the_page(folders, pages):
    body = text_of(pages["whole"]) + "".join(Elements(pages["whole"]).json)
    assert str(folders["whole"]) not in body
    assert str(folders["whole"].parent) not in body
    assert "/opt/py" not in body


def test_the_same_folder_makes_the_same_page(folders, pages):
    assert render(read_run(folders["whole"])) == pages["whole"]


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(folders, tmp_path):
    folder = shutil.copytree(folders["empty"], tmp_path / "run")
    (folder / "report.html.part").mkdir()
    with pytest.raises(RunFolderError, match=r"run/report\.html: cannot be written"):
        write_report(folder)


def test_numbers_on_the_page_are_those_of_the_summary(runs, pages):
    row = runs["whole"].statistics("voice_to_voice_latency")["p95"]
    assert f"{row.value:,.0f}".replace(",", "\u202f") + "\u202fms" in text_of(pages["whole"])


def test_what_the_figures_are_worth_stands_above_them(runs):
    known = {"held": 9, "sessions": 20, "metrics": {"first_audio_latency": {
        "n": 60, "bias_ms": 0.01, "p99_abs_ms": 0.2}}}  # fmt: skip
    run = runs["whole"]
    run = replace(
        run,
        about=run.about | {"calibration": known},
        verdict=run.verdict | {"remarks": ["2 turns are set aside: <why>"]},
    )
    text = render(run)
    assert "± 0.20 (harness bias +0.01)" in text
    assert "Calibrated with 20 sessions a worker, this run held 9" in text
    assert "2 turns are set aside: &lt;why&gt;" in text
    assert "iming error not measured yet" in render(runs["whole"])

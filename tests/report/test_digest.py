"""The digest: the verdict first and in words, no markup by accident, and short enough."""

import re
from dataclasses import replace

import numpy as np

from bench.report.digest import LIMIT, digest, write_digest
from bench.report.run_data import read_run
from tests.report.rendering import cells, rendered
from tests.report.synthetic import make_run

MIB = 1 << 20


def test_the_verdict_comes_first_and_in_a_word(runs):
    for name, word in (("whole", "FAIL"), ("quiet", "PASS"), ("invalid", "INVALID")):
        first = digest(runs[name]).splitlines()[0]
        assert re.fullmatch(rf"## \S+ {word}: synthetic against reference", first)


def test_the_reason_follows_and_what_to_do_about_it(runs):
    text = digest(runs["whole"])
    assert "**p95(voice_to_voice_latency) is over the limit of 1 000 ms; and 2 more" in text
    assert "running it again will not mend it" in text
    assert "It is safe to run this again" in digest(runs["invalid"])


def test_every_gate_is_a_row_with_its_figures(runs):
    run = runs["whole"]
    head, first, *_ = cells(rendered(digest(run)))
    assert head == ["verdict", "gate", "value", "95 % interval", "n", "why"]
    gate = run.verdict["gates"][0]
    assert first[:2] == ["pass", "p95(first_audio_latency) < 1200 ms"]
    assert first[2] == f"{gate['value']:,.0f} ms".replace(",", " ")
    assert first[3].startswith("[")
    assert first[4:] == [str(gate["n"]), "Within it"]


def test_the_headline_figures_are_the_pages(runs):
    rows = cells(rendered(digest(runs["whole"])))
    figures = {row[0]: row[1] for row in rows if len(row) == 3}
    p50 = runs["whole"].statistics("first_audio_latency")["p50"].value
    assert figures["First audio, p50"] == f"{p50:.0f} ms"
    assert {"Turns answered", "Good turns"} <= set(figures)


def test_broken_rules_have_their_time_and_their_remedy(runs):
    text = digest(runs["invalid"])
    assert "Validity: 1 of 2 rules kept." in text
    (line,) = [line for line in text.splitlines() if line.startswith("- ")]
    assert line == (
        "- **send lateness** (11 s … 15 s): Seconds in which chunks were sent over 20 ms late. "
        "Remedy: Use fewer sessions a worker, or more workers."
    )
    assert "rules kept." in digest(runs["quiet"])


def test_the_sparkline_is_the_median_wait_of_each_slice(runs):
    run = runs["whole"]
    turns = run.counted.copy()
    begin, end = run.plan["measured_from_ns"], run.plan["measured_to_ns"]
    late = turns["said_ns"].astype(float) > (begin + end) / 2
    turns["first_audio_latency"] = np.where(late, 900.0, 300.0)
    text = digest(replace(run, turns=turns))
    (line,) = re.findall(r"^`([▁-█·]+)`$", text, re.MULTILINE)
    assert len(line) == 30
    assert set(line[:15]) <= {"▁", "·"}
    assert set(line[15:]) <= {"█", "·"}
    assert "the median of each 1 s, from 300 ms (lowest) to 900 ms (highest)" in text


def test_a_run_without_turns_or_gates_is_told_all_the_same(runs):
    text = digest(runs["empty"])
    assert "INCONCLUSIVE" in text
    assert "▁" not in text
    bare = digest(replace(runs["whole"], verdict={"verdict": "pass", "reasons": ["none"]}))
    assert "No gates were asked for." in bare
    written = digest(runs["written"])
    assert "First text latency over the measured phase" in written


def test_five_thousand_gates_fit_those_that_failed_are_there_and_the_rest_is_counted(runs):
    run = runs["whole"]
    gate = {"verdict": "pass", "value": 1.0, "low": None, "high": None, "n": 9, "reason": "x" * 300}
    gates = [gate | {"gate": f"max(delta_gap) < {n} ms"} for n in range(5000)]
    gates[4321] |= {"verdict": "fail"}
    text = digest(replace(run, verdict={"verdict": "fail", "reasons": ["r"], "gates": gates}))
    assert len(text.encode()) <= LIMIT < MIB
    assert len(text.encode()) > 0.9 * LIMIT
    rows = [line for line in text.splitlines() if "max(delta" in line]
    assert rows[0].startswith("| **fail** | max(delta_gap) &lt; 4321 ms |")
    (rest,) = [line for line in text.splitlines() if "cut for length" in line]
    missing = int(re.sub(r"\D", "", rest.split(" more gate")[0]))
    assert len(rows) + missing == 5000
    assert "In the run folder" in text.splitlines()[-1]


def test_gates_that_all_fit_keep_their_order(runs):
    run = runs["whole"]
    rows = cells(rendered(digest(run)))
    assert [row[1] for row in rows[1:5]] == [gate["gate"] for gate in run.verdict["gates"]]


def test_a_run_that_ended_early_says_by_what(runs):
    about = runs["whole"].about | {"ended_by": {"rule": "max_minutes", "text": "the cap | was met"}}
    assert "The run ended early: the cap \\| was met." in digest(
        replace(runs["whole"], about=about)
    )


def test_it_is_written_beside_the_page(tmp_path):
    folder = make_run(tmp_path / "run")
    path = write_digest(folder)
    assert path == folder / "summary.md"
    assert path.read_text("utf-8") == digest(read_run(folder))
    assert not list(folder.glob("*.part"))

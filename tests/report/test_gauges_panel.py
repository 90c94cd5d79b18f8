"""What the server said of itself, on the page, in the digest and in the terminal."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bench.cli.run_result import print_result, settle
from bench.report.digest import digest
from bench.report.gauges_panel import SERVER_GAUGES, gauge_lines, idle_hardware
from bench.report.run_data import read_run
from bench.runs.gauges import Gauges, Readings, Series, write_gauges
from bench.verdict.verdict import EXIT_CODES
from tests.virtual_run import virtual_run

S = 1_000_000_000


def titles(figure):
    return [note.text for note in figure.layout.annotations]


def test_every_gauge_is_a_line_over_the_runs_time_with_the_sessions_held_below(runs):
    run = runs["rich"]
    ((_, figure),) = SERVER_GAUGES(run).figures
    assert titles(figure) == [
        "DCGM_FI_DEV_GPU_UTIL, % (2 series)", "process_cpu_seconds_total, cores",
        "bench_responses_waiting", "process_resident_memory_bytes, MB", "sessions held",
    ]  # fmt: skip
    first = figure.data[0]
    (series, *_) = run.gauges.series
    gaps = np.isnan(first.y)
    assert list(first.y[~gaps]) == pytest.approx(list(run.gauges.series[series].levels))
    assert list(first.x[gaps]) == [22]  # the line breaks where two scrapes were lost
    assert (first.x[0], first.x[-1]) == (0, 41)
    cpu = figure.data[2]
    assert list(cpu.y) == pytest.approx([0.25] * len(cpu.y))
    assert max(figure.data[4].y) == pytest.approx(516)
    assert figure.data[0].line.dash != figure.data[1].line.dash


def test_the_sentence_says_mean_and_max_and_the_table_has_them(runs):
    panel = SERVER_GAUGES(runs["rich"])
    assert "process_cpu_seconds_total mean 0.25\u202fcores, max 0.25\u202fcores" in panel.answer
    assert 'DCGM_FI_DEV_GPU_UTIL{gpu="0"} mean 34.1\u202f%, max 38\u202f%' in panel.answer
    (table,) = panel.tables
    assert [row[0] for row in table.rows][-1] == "process_resident_memory_bytes"
    assert list(panel.notes) == [
        "http://127.0.0.1:9400/metrics answered 40 of 42 scrapes in the whole run."
    ]


def test_a_target_that_fails_while_its_hardware_has_time_is_said_to(runs):
    run = runs["rich"]
    said = idle_hardware(run.summary, run.verdict)
    assert said.startswith("Saturated with idle hardware: ")
    assert "of turns failed and p95(voice_to_voice_latency) < 1 s failed, at " in said
    assert said.endswith("process_cpu_seconds_total 25\u202f% of a core on average.")
    assert SERVER_GAUGES(run).answer.startswith(said)
    assert said in gauge_lines(run.summary, run.verdict)


def told(**changes):
    """Summary and verdict of a run whose GPU is at a fifth while one turn in ten fails."""
    row = {"gauge": "DCGM_FI_DEV_GPU_UTIL", "name": "DCGM_FI_DEV_GPU_UTIL", "labels": "",
           "unit": "%", "mean": 20.0, "max": 95.0, "n": 30} | changes  # fmt: skip
    return {"gauges": [row], "outcomes": {"ok": 90, "timeout": 10, "cut": 5}}


FAIL = {"verdict": "fail", "gates": []}


def test_turns_that_fail_are_enough():
    said = idle_hardware(told(), FAIL)
    assert said == (
        "Saturated with idle hardware: 10\u202f% of turns failed, at DCGM_FI_DEV_GPU_UTIL "
        "20\u202f% on average."
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"mean": 60.0}, FAIL),  # busy
        ({"name": "queue"}, FAIL),  # no hardware
        ({"name": "process_cpu_seconds_total", "unit": "cores", "mean": 3.0}, FAIL),
        ({}, {"verdict": "invalid", "gates": []}),  # its figures say nothing
    ],
)
def test_busy_hardware_unknown_hardware_and_a_void_run_are_no_such_thing(changes, verdict):
    assert idle_hardware(told(**changes), verdict) == ""


def test_one_busy_gpu_among_idle_ones_is_busy():
    summary = told()
    summary["gauges"].append(summary["gauges"][0] | {"gauge": "x", "mean": 90.0})
    assert idle_hardware(summary, FAIL) == ""


@pytest.mark.parametrize("gate", ["p95(update_ack) < 1 s", "p95(voice_to_voice_latency) < 9 s"])
def test_a_turn_in_a_thousand_or_a_gate_on_something_else_is_no_failing_server(gate):
    verdict = "pass" if "voice" in gate else "fail"
    summary = told() | {"outcomes": {"ok": 999, "timeout": 1}}
    gates = [{"gate": gate, "verdict": verdict, "soft": False}]
    assert idle_hardware(summary, {"verdict": verdict, "gates": gates}) == ""


def test_of_many_gauges_the_sentence_says_eight_and_how_many_more(runs):
    run = runs["rich"]
    rows = [told(gauge=f"g{n}", name=f"g{n}")["gauges"][0] for n in range(11)]
    run = replace(run, summary=run.summary | {"gauges": rows})
    panel = SERVER_GAUGES(run)
    assert "; 3 more." in panel.answer
    assert "g8" not in panel.answer
    assert len(panel.tables[0].rows) == 11
    assert gauge_lines(run.summary, run.verdict)[-1] == "and 3 more, in summary.json"


def test_a_run_that_asked_nobody_has_no_panel_and_no_line(runs):
    run = runs["whole"]
    assert SERVER_GAUGES(run) is None
    assert gauge_lines(run.summary, run.verdict) == []
    assert "Gauge" not in digest(run)


def test_a_server_that_never_answered_has_a_panel_that_says_so(runs):
    run = runs["whole"]
    scraped = {"url": "http://x/metrics", "asked": ["a"], "scrapes": 30, "lost": 30, "why": "w"}
    for gauges in (
        None,
        Gauges({}, frozenset()),
        Gauges({Series("a"): Readings([1], [1.0])}, set()),
    ):
        panel = SERVER_GAUGES(replace(run, about=run.about | {"gauges": scraped}, gauges=gauges))
        assert panel.answer == "No gauge has a sample in the measured phase."
        assert list(panel.notes) == ["http://x/metrics answered 0 of 30 scrapes in the whole run."]
        assert not panel.figures


def test_labels_are_inert_wherever_they_are_shown(runs):
    run = runs["rich"]
    evil = Series("a", 'x="<b>|`\\u001b[31m`"')
    gauges = Gauges({evil: Readings([run.origin_ns + S], [1.0])}, frozenset())
    ((_, figure),) = SERVER_GAUGES(replace(run, gauges=gauges)).figures
    assert all("<b>" not in (trace.name or "") for trace in figure.data)


@pytest.fixture(scope="module")
def sealed(corpus, tmp_path_factory):
    """A whole run in virtual time, beside which a server was watched: folder and verdict."""
    from tests.small import write_scenario

    place = tmp_path_factory.mktemp("gauges")
    path = write_scenario(
        place / "small.toml", corpus, gates=["p50(first_audio_latency) < 1 ms"], duration="6s"
    )
    folder = virtual_run(path, place / "run", drawn=False).folder
    at = [beat * S for beat in range(8)]
    write_gauges(
        folder,
        Gauges(
            {
                Series("process_cpu_seconds_total"): Readings(
                    at, [0.2 * beat for beat in range(8)]
                ),
                Series("bench_sessions_open"): Readings(at, [4.0] * 8),
            },
            frozenset({"process_cpu_seconds_total"}),
        ),
    )
    scraped = {"url": "http://127.0.0.1:1/metrics", "asked": ["process_cpu_seconds_total"],
               "scrapes": 30, "lost": 12, "why": "did not answer within 2 s",
               "missing": {"bench_sessions_open": 3}}  # fmt: skip
    folder.update(gauges=scraped)
    return folder, settle(folder)


def test_a_sealed_run_has_its_gauges_in_the_summary(sealed):
    folder, _ = sealed
    rows = {row["gauge"]: row for row in read_run(folder.path).summary["gauges"]}
    assert rows["process_cpu_seconds_total"]["mean"] == pytest.approx(0.2)
    assert rows["process_cpu_seconds_total"]["unit"] == "cores"
    assert rows["bench_sessions_open"]["max"] == 4
    assert rows["bench_sessions_open"]["n"] == 6


def test_lost_scrapes_are_remarks_and_never_a_void(sealed):
    _, verdict = sealed
    assert verdict["verdict"] == "fail"
    assert all(check["ok"] for check in verdict["validity"])
    said = [one for one in verdict["remarks"] if "metrics URL" in one]
    lost, missing = said
    assert lost == (
        "the metrics URL did not answer in 12 of 30 scrapes (most often: it did not answer within "
        "2 s): the server's gauges are not known then"
    )
    assert (
        missing == "gauge bench_sessions_open was not there in 3 of 18 answers of the metrics URL"
    )


def test_page_digest_and_terminal_show_them(sealed):
    folder, verdict = sealed
    page = (folder.path / "report.html").read_text()
    assert "What did the server say of itself?" in page
    assert "answered 18 of 30 scrapes" in page
    text = (folder.path / "summary.md").read_text()
    assert (
        "- Gauge: Saturated with idle hardware: p50(first_audio_latency) &lt; 1 ms failed" in text
    )
    assert re.search(r"- Gauge: process_cpu_seconds_total mean 0\.20.cores, max 0\.20.cores", text)
    out = io.StringIO()
    print_result(folder, verdict, Console(file=out, width=200))
    assert re.search(r"gauge     bench_sessions_open mean 4, max 4\n", out.getvalue())
    assert EXIT_CODES[verdict["verdict"]] == 1

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from bench.plan.stages import STAGES
from bench.protocol.error_codes import PROVOKED
from bench.report.charts import curve, marks
from bench.report.generator_panel import GENERATOR
from bench.report.hearing_panels import VAD
from bench.report.interruption_panels import BARGE_IN
from bench.report.latency_panels import FLUENCY, LATENCY, STAGES_OF_WAIT, WRITING
from bench.report.marks import MOST_POINTS, thin
from bench.report.outcome_panel import OUTCOMES
from bench.report.page import QUESTIONS, panels
from bench.report.run_data import Statistic
from bench.report.time_panels import OVER_TIME, sessions_open
from bench.report.timeline import SLOWEST

# Words that need no figure to be believed.
WORDS_ALONE = {"protocol"}


def plots(panel):
    return [plot for _, plot in panel.figures] + [c.figure for c in panel.closeups if c.figure]


def traces(plot, name):
    return [trace for trace in plot.data if (trace.name or "").startswith(name)]


def asked(runs, question):
    """The panel of the synthetic run that asks this question."""
    return question(runs["written" if question is WRITING else "rich"])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_a_panel_asks_a_question_and_answers_in_numbers(runs, question):
    panel = asked(runs, question)
    assert panel.question.endswith("?")
    assert panel.answer.endswith(".")
    assert re.search(r"\d", panel.answer)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_every_figure_has_marks(runs, question):
    panel = asked(runs, question)
    assert plots(panel) or panel.key in WORDS_ALONE
    for plot in plots(panel):
        assert plot.data
        for trace in plot.data:
            assert len(trace.x)
            assert pd.notna(pd.Series(trace.y)).any()


def test_a_question_that_the_run_never_asked_has_no_panel(runs):
    rich = {
        "settings", "scripts", "words", "cancels", "tools", "protocol", "messages", "gauges",
        "slow-turns",
    }  # fmt: skip
    plain = {panel.key for panel in panels(runs["whole"])}
    assert not plain & rich
    assert {panel.key for panel in panels(runs["rich"])} == plain | rich | {"by-turn"}
    written = {panel.key for panel in panels(runs["written"])}
    assert written == {"writing", "over-time", "outcomes", "slowest", "generator"}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_without_data_there_is_no_figure_but_a_sentence_that_says_why(runs, question):
    panel = question(runs["empty"])
    if panel is None:
        assert question not in {
            LATENCY, STAGES_OF_WAIT, OVER_TIME, VAD, FLUENCY, OUTCOMES, SLOWEST,
        }  # fmt: skip
        return
    assert not plots(panel)
    assert panel.answer.endswith(".")
    assert re.search(r"\b(no|No|nothing|neither|Not)\b", panel.answer)


def test_questions_have_names_of_their_own(runs):
    keys = [panel.key for panel in panels(runs["rich"])]
    assert len(set(keys)) == len(keys) == len(QUESTIONS) - 1  # nothing is written there


@pytest.mark.parametrize("question", [LATENCY, STAGES_OF_WAIT, OVER_TIME, VAD, FLUENCY, BARGE_IN])
def test_hovering_a_turn_tells_its_session_and_turn(runs, question):
    run = runs["whole"]
    known = {(row.session, row.turn) for row in run.turns.itertuples()}
    seen = [
        trace
        for plot in plots(question(run))
        for trace in plot.data
        if "session %{customdata[0]} · turn %{customdata[1]}" in (trace.hovertemplate or "")
    ]
    assert seen
    for trace in seen:
        assert {(row[0], row[1]) for row in trace.customdata} <= known


def test_the_curve_stays_below_100_percent_by_those_who_waited_in_vain(runs):
    run = runs["whole"]
    trace, _ = curve(run.counted, "voice_to_voice_latency", "voice")
    answered = run.counted["voice_to_voice_latency"].notna().mean()
    assert trace.y[-1] == pytest.approx(100 * answered)
    assert trace.y[-1] < 100
    assert "their callers never got one" in LATENCY(run).answer


def test_the_marked_quantiles_lie_on_the_curve(runs):
    run = runs["whole"]
    trace, _ = curve(run.counted, "first_audio_latency", "audio")
    for row in run.statistics("first_audio_latency").values():
        if row.statistic in {"p50", "p90"}:
            at = np.interp(row.value, trace.x, trace.y)
            assert at == pytest.approx(float(row.statistic[1:]), abs=2.5)


@pytest.mark.parametrize(
    ("p95", "high", "p99", "labels"),
    [
        (1000.0, 1050.0, 1200.0, ["p50 500", "p95 1\u202f000", "p99 1\u202f200"]),
        (1000.0, 1050.0, 1090.0, ["p50 500", "p95 1\u202f000", ""]),
        (1000.0, 1300.0, 1200.0, ["p50 500", "p95 1\u202f000", ""]),
    ],
)
def test_p99_has_a_label_only_where_that_of_p95_leaves_room(p95, high, p99, labels):
    rows = {
        word: Statistic("m", "", word, value, value, high if word == "p95" else None, 9, "ms")
        for word, value in (("p50", 500.0), ("p95", p95), ("p99", p99))
    }
    trace = marks(rows, "first_audio_latency", position="bottom right")
    assert list(trace.text) == labels
    assert len(trace.x) == 3


def test_a_fixed_limit_is_a_line_and_a_baseline_is_none(runs):
    (_, plot), *_ = LATENCY(runs["whole"]).figures
    lines = sorted(shape.x0 for shape in plot.layout.shapes)
    assert lines == [1000.0, 1200.0]
    assert plot.layout.xaxis.range[1] > 1200.0
    assert any("p95 first audio &lt; " in note.text for note in plot.layout.annotations)


def test_the_stages_of_a_turn_add_up_to_its_voice_to_voice(runs):
    (_, plot), *_ = STAGES_OF_WAIT(runs["whole"]).figures
    stacks = np.sum([bar.y for bar in plot.data], axis=0)
    totals = [row[3] for row in plot.data[0].customdata]
    assert stacks == pytest.approx(totals, abs=0.01)
    assert all(one <= other for one, other in pairwise(totals))


def test_stages_are_summed_as_means_and_never_as_percentiles(runs):
    panel = STAGES_OF_WAIT(runs["whole"])
    assert "means add up, percentiles do not" in panel.answer
    assert {row[0] for row in panel.tables[0].rows} <= {stage.name for stage in STAGES}


def test_what_is_not_measured_is_shaded(runs):
    (_, plot), *_ = OVER_TIME(runs["whole"]).figures
    assert {note.text for note in plot.layout.annotations} >= {"warm-up"}
    assert traces(plot, "no answer")
    assert traces(plot, "open")
    assert traces(plot, "intended")


def test_sessions_open_are_counted_from_sessions_where_there_is_no_health(runs):
    held = sessions_open(runs["bare"])
    assert held["open"].max() == 20
    assert held["intended"].isna().all()


def test_the_ear_is_measured_against_truth_and_configured_silence(runs):
    panel = VAD(runs["whole"])
    start, end = plots(panel)
    assert {shape.x0 for shape in start.layout.shapes} == {0}
    assert {shape.x0 for shape in end.layout.shapes} == {0, 500.0}
    assert panel.tables[0].rows[0][0] == "pause"


def test_starvation_is_told_and_speech_pace_is_a_line(runs):
    panel = FLUENCY(runs["whole"])
    assert "starved" in panel.answer
    assert [shape.x0 for shape in plots(panel)[1].layout.shapes] == [1.0]


def test_barge_in_shows_the_player_with_and_without_flush(runs):
    (plot,) = plots(BARGE_IN(runs["whole"]))
    assert len(traces(plot, "the agent is silent")) == 2


def test_without_interruptions_there_is_a_panel_only_where_the_script_was_to_interrupt(runs):
    run = runs["quiet"]
    assert BARGE_IN(run) is None
    scenario = run.about["scenario"] | {"effective": {"script": "barge_in"}}
    panel = BARGE_IN(replace(run, about=run.about | {"scenario": scenario}))
    assert not panel.figures
    assert panel.answer.startswith("No interruption began")


def test_every_outcome_is_counted_and_failures_are_named(runs):
    run = runs["whole"]
    panel = OUTCOMES(run)
    (plot,) = plots(panel)
    assert sum(plot.data[0].x) == len(run.turns)
    by_caption = {table.caption: table for table in panel.tables}
    failed = by_caption["Turns that failed"]
    assert len(failed.rows) == (~run.turns["outcome"].isin(["ok", "cut"])).sum()
    assert ["rate_limit_exceeded", "1", "11", "Too many packets."] in [
        list(row) for row in by_caption["Error messages from the server"].rows
    ]
    assert by_caption["Sessions that did not end in order"].rows[0][2] == "closed"


def told(run, folder, events):
    """The same run whose log has only these rows: (type, direction, detail)."""
    rows = [(4, kind, way, json.dumps(detail)) for kind, way, detail in events]
    table = pd.DataFrame(rows, columns=["session", "type", "direction", "detail"])
    table.to_parquet(folder / "events.parquet")
    return replace(run, events_file=folder / "events.parquet")


def test_an_error_that_was_provoked_is_called_the_right_answer(runs, tmp_path):
    errors = [
        {"code": "unknown_item", "message": "none", "event_id": f"event_3{PROVOKED}"},
        {"code": "unknown_item", "message": "none", "event_id": "event_4"},
        {"code": "response_cancel_not_active", "message": "over", "event_id": None},
    ]
    run = told(runs["whole"], tmp_path, [("error", "in", error) for error in errors])
    (table,) = [t for t in OUTCOMES(run).tables if t.caption == "Error messages from the server"]
    assert sorted(row[0] for row in table.rows) == [
        "response_cancel_not_active (a race, no failure)",
        "unknown_item",
        "unknown_item (provoked): the right answer",
    ]


def test_a_message_of_no_known_type_has_its_reason_where_the_log_has_one(runs, tmp_path):
    notes = [{"type": "response.odd", "reason": "no such type"}, {"type": "response.old"}]
    run = told(runs["whole"], tmp_path, [("bench.unknown", "note", note) for note in notes])
    (table,) = [t for t in OUTCOMES(run).tables if t.caption == "Messages of no known type"]
    assert [(row[0], row[3]) for row in table.rows] == [
        ("response.odd", "no such type"),
        ("response.old", "not recorded"),
    ]


def test_the_slowest_turns_lead_to_their_events(runs):
    run = runs["whole"]
    panel = SLOWEST(run)
    waits = run.counted["voice_to_voice_latency"].nlargest(5)
    assert len(panel.closeups) == 5
    slow = run.counted.loc[waits.index[0]]
    assert panel.closeups[0].anchor == f"turn-{slow['session']}-{slow['turn']}"
    events = [row[2] for row in panel.closeups[0].events.rows]
    assert "input_audio_buffer.speech_stopped" in events
    assert any(event.startswith("response.output_audio.delta \u00d7 ") for event in events)


def test_without_events_the_slowest_turns_are_still_named(runs):
    panel = SLOWEST(runs["bare"])
    assert "no events" in panel.answer
    assert panel.closeups[0].title.endswith(" above its median")
    assert not plots(panel)


def test_the_generator_is_shown_against_its_bounds(runs):
    panel = GENERATOR(runs["whole"])
    tail, seconds = plots(panel)
    assert [shape.x0 for shape in tail.layout.shapes] == [20.0]
    assert [shape.y0 for shape in seconds.layout.shapes] == [20.0]
    assert {trace.name for trace in seconds.data} >= {
        "p99 of send lateness",
        "p99 of client lag",
        "worst hub lag",
    }
    assert "0.90" in panel.notes[0]
    assert "not the bottleneck" in panel.notes[0]


def test_a_generator_that_broke_a_bound_is_not_called_honest(runs):
    assert "No: 1 rule of validity broken" in GENERATOR(runs["invalid"]).answer


def test_a_large_table_is_thinned_and_says_so():
    table = pd.DataFrame({"value": range(50_000)})
    kept, note = thin(table)
    assert len(kept) <= MOST_POINTS
    assert kept["value"].iloc[[0, -1]].tolist() == [0, 49_999]
    assert "of 50\u202f000 are drawn" in note


def test_a_small_table_is_drawn_whole_and_nothing_is_said():
    table = pd.DataFrame({"value": range(10)})
    kept, note = thin(table)
    assert len(kept) == 10
    assert note == ""


@pytest.mark.parametrize("question", [LATENCY, STAGES_OF_WAIT, OVER_TIME, VAD, FLUENCY])
def test_a_figure_that_leaves_points_out_says_so(runs, question):
    run = runs["quiet"]
    many = pd.concat([run.turns] * 40, ignore_index=True)
    panel = question(replace(run, turns=many))
    assert any("are drawn, evenly spaced" in note for note in panel.notes)
    assert not any("are drawn" in note for note in question(run).notes)


def test_gates_on_its_metrics_give_a_section_its_state_but_not_in_a_void_run(runs):
    assert LATENCY(runs["whole"]).state == "limit"
    assert LATENCY(runs["invalid"]).state == ""
    passing = runs["whole"].verdict | {"gates": runs["whole"].verdict["gates"][:1]}
    assert LATENCY(replace(runs["whole"], verdict=passing)).state == "good"
    assert FLUENCY(runs["whole"]).state == ""
    in_order = runs["written"].sessions.assign(outcome="finished")
    assert OUTCOMES(runs["written"]).state == "limit"
    assert OUTCOMES(replace(runs["written"], sessions=in_order)).state == "good"


def test_where_nothing_broke_there_is_no_bar_and_no_row_of_zeros(runs):
    panel = OUTCOMES(runs["written"])
    assert not panel.figures
    assert [row[0] for row in panel.tables[0].rows] == ["ok"]


def test_only_the_slowest_turn_is_unfolded_and_all_have_one_scale(runs):
    closeups = SLOWEST(runs["whole"]).closeups
    assert [closeup.opened for closeup in closeups] == [True, False, False, False, False]
    assert len({closeup.figure.layout.xaxis.range for closeup in closeups}) == 1


def test_speech_that_is_cut_off_says_so_and_marks_are_named(runs):
    run = runs["whole"]
    long = run.turns.assign(speech_onset_ns=run.turns["speech_onset_ns"] - 60_000_000_000)
    figure = SLOWEST(replace(run, turns=long)).closeups[0].figure
    assert any("more" in note.text for note in figure.layout.annotations)
    named = {trace.name for trace in figure.data if trace.showlegend}
    assert {"VAD, commit", "created", "done", "delta"} <= named

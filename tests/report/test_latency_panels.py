"""Panels on tools, writing and what is no answer."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from bench.report.hearing_panels import VAD
from bench.report.latency_panels import LATENCY, STAGES_OF_WAIT, TOOLS, WRITING
from bench.report.timeline import SLOWEST


def test_tool_calls_are_points_at_their_waits(runs):
    run = runs["rich"]
    panel = TOOLS(run)
    ((_, figure),) = panel.figures
    drawn = {trace.name: trace for trace in figure.data if trace.name}
    assert len(drawn) == 2
    for metric, trace in zip(
        ("tool_call_latency", "tool_answer_latency"), drawn.values(), strict=True
    ):
        assert sorted(trace.x) == pytest.approx(sorted(run.counted[metric].dropna()))
    called = run.counted["tool_call_latency"].notna().sum()
    assert panel.answer.startswith(f"In {called} turns the agent called a tool. Half of the calls")


def test_outputs_that_nobody_spoke_about_are_counted(runs):
    run = runs["rich"]
    sent = run.counted.index[run.counted["tool_answer_latency"].notna()]
    turns = run.turns.copy()
    turns.loc[sent[:2], "tool_answer_latency"] = float("nan")
    assert "After the outputs of 2 turns no audio came." in TOOLS(replace(run, turns=turns)).answer


def test_outputs_answered_in_writing_owe_no_audio(runs):
    run = runs["rich"]
    sent = run.counted.index[run.counted["tool_answer_latency"].notna()]
    turns = run.turns.assign(textual=run.turns.index.isin(sent[:2]))
    turns.loc[sent[:3], "tool_answer_latency"] = float("nan")
    assert "After the outputs of 1 turn no audio came." in TOOLS(replace(run, turns=turns)).answer


def test_a_chat_in_writing_is_timed_by_its_first_text_and_its_pace(runs):
    run = runs["written"]
    panel = WRITING(run)
    curve, rate = (figure for _, figure in panel.figures)
    assert sorted(set(curve.data[0].x)) == pytest.approx(
        sorted(set(run.counted["first_text_latency"]))
    )
    assert sorted(rate.data[0].x) == pytest.approx(sorted(run.counted["text_rate"]))
    assert "Half of the answers in writing had begun within" in panel.answer
    assert "43.5 [43, 44] text deltas a second" in panel.answer


def test_a_chat_in_which_nobody_got_an_answer_says_so(runs):
    run = runs["written"]
    silent = run.turns.assign(first_text_latency=float("nan"), text_rate=float("nan"))
    panel = WRITING(replace(run, turns=silent))
    number = len(run.counted)
    assert panel.answer.startswith(
        f"Nobody got an answer in writing: {number} measured turns asked for one."
    )
    assert not panel.figures
    assert WRITING(replace(run, turns=silent.assign(textual=False))) is None


def test_the_slowest_answer_in_writing_is_told_from_when_it_was_asked_for(runs):
    panel = SLOWEST(runs["written"])
    assert re.search(r"turn \d: first text \d+", panel.closeups[0].title)
    figure = panel.closeups[0].figure
    assert figure.layout.xaxis.title.text == "ms after the answer was asked for"
    names = [trace.customdata[0][0] for trace in figure.data]
    assert names == ["response.created", "response.output_text.delta", "response.done"]


def test_fillers_and_interjections_are_told_apart_and_are_on_no_curve(runs):
    run = runs["rich"]
    panel = LATENCY(run)
    filled = run.counted["filler_latency"].notna().sum()
    filler, backchannel = panel.notes[-2:]
    assert filler.startswith(f"{filled} of {len(run.counted)} turns had a filler before the answer")
    assert filler.endswith("A filler is no answer and on no curve.")
    assert backchannel.startswith("The agent interjected 9 times")
    ((_, figure),) = panel.figures
    waits = set(run.counted["voice_to_voice_latency"]) | set(run.counted["first_audio_latency"])
    assert {x for trace in figure.data[:2] for x in trace.x} <= waits
    assert not any("filler" in note for note in LATENCY(runs["whole"]).notes)


def by_caller(run):
    """The same run with the microphone committed by the caller, who asks 40 ms later."""
    turns = run.turns.copy()
    turns["commit_sent_ns"] = turns["speech_offset_ns"] + 20_000_000
    turns["create_sent_ns"] = turns["answer_asked_ns"] = turns["commit_sent_ns"] + 40_000_000
    turns["response_start_delay"] = (turns["response_created_ns"] - turns["create_sent_ns"]).astype(
        float
    ) / 1e6
    for instant in ("speech_started_ns", "speech_stopped_ns"):
        turns[instant] = pd.NA
    turns["endpointing_delay"] = float("nan")
    turns["manual"] = True
    return replace(run, turns=turns)


def test_where_the_caller_asks_its_asking_is_a_stage_and_no_stage_counts_twice(runs):
    ((_, figure),) = STAGES_OF_WAIT(by_caller(runs["quiet"])).figures
    stacks = {bar.name: bar for bar in figure.data}
    assert set(stacks["asking"].y) == {60.0}
    assert not {"endpointing", "commit"} & set(stacks)
    totals = [row[3] for row in figure.data[0].customdata]
    assert sum(bar.y for bar in figure.data) == pytest.approx(totals, abs=0.01)


def test_tools_before_the_answer_are_a_stage_of_their_own(runs):
    run = runs["quiet"]
    turns = run.turns.copy()
    turns["output_sent_ns"] = turns["answer_asked_ns"] + 300_000_000
    for instant in ("response_created_ns", "first_audio_ns", "heard_ns"):
        turns[instant] += 300_000_000
    for metric in ("response_start_delay", "voice_to_voice_latency"):
        turns[metric] += 300.0
    panel = STAGES_OF_WAIT(replace(run, turns=turns))
    ((_, figure),) = panel.figures
    stacks = {bar.name: bar for bar in figure.data}
    assert set(stacks["tools"].y) == {300.0}
    assert max(stacks["response start"].y) < 100.0
    rows = {row[0]: row[3:] for row in panel.tables[0].rows}
    assert rows["response start"] == ["–", "–"]
    assert rows["generation"][0].endswith("ms")
    totals = [row[3] for row in figure.data[0].customdata]
    assert sum(bar.y for bar in figure.data) == pytest.approx(totals, abs=0.01)


def test_a_turn_is_slow_against_the_median_of_its_stage(runs):
    run = by_caller(runs["quiet"])
    turns = run.turns.copy()
    first = turns.index[
        turns["voice_to_voice_latency"] == run.counted["voice_to_voice_latency"].max()
    ][0]
    for instant in ("create_sent_ns", "answer_asked_ns"):
        turns.loc[first, instant] += 5_000_000_000
    answer = SLOWEST(replace(run, turns=turns)).answer
    assert "asking 5\u202f000\u202fms above its median" in answer


def test_without_a_vad_there_is_no_question_of_its_hearing(runs):
    assert VAD(by_caller(runs["quiet"])) is None

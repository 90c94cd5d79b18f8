from dataclasses import replace

import pytest

from bench.protocol.codec import message_table
from bench.report.charts import Range, ranges
from bench.report.message_panel import MESSAGES
from bench.report.run_data import Statistic


def tables(panel):
    return {table.caption: table for table in panel.tables}


def counts(table):
    return {
        row[1] if isinstance(row[1], str) else row[1][0]: (row[0], row[1]) for row in table.rows
    }


def test_all_39_messages_of_the_seed_are_listed_by_direction_with_their_counts(runs):
    run = runs["rich"]
    found = tables(MESSAGES(run))
    sent, received = found["Sent by the client"], found["Sent by the server"]
    assert (len(sent.rows), len(received.rows)) == (10, 29)
    seed = {entry.type for entry in message_table() if entry.in_seed}
    assert set(counts(sent)) | set(counts(received)) == seed
    number = next(m["count"] for m in run.summary["messages"] if m["type"] == "session.created")
    assert counts(received)["session.created"][0] == str(number)


def test_zero_is_told_from_what_the_probe_was_refused(runs):
    received = counts(tables(MESSAGES(runs["rich"]))["Sent by the server"])
    assert received["rate_limits.updated"] == ("0", "rate_limits.updated")
    sent = counts(tables(MESSAGES(runs["rich"]))["Sent by the client"])
    assert sent["conversation.item.retrieve"][1] == (
        "conversation.item.retrieve",
        "unsupported (probe: refused unknown_event)",
    )
    assert "unsupported (probe: not seen)" in received["conversation.item.retrieved"][1]


def test_without_a_probe_zero_is_zero_and_a_note_says_what_it_means(runs):
    panel = MESSAGES(replace(runs["rich"], probe=None))
    sent = counts(tables(panel)["Sent by the client"])
    assert sent["conversation.item.retrieve"] == ("0", "conversation.item.retrieve")
    assert "not that the target lacks it" in panel.notes[0]
    assert "Unsupported" not in panel.answer


def test_a_message_that_crossed_is_never_unsupported_whatever_the_probe_says(runs):
    run = runs["rich"]
    panel = MESSAGES(replace(run, probe={"messages": {"session.update": "refused (x)"}}))
    assert counts(tables(panel)["Sent by the client"])["session.update"][0] == "7"


def test_other_and_unknown_messages_stand_apart(runs):
    found = tables(MESSAGES(runs["rich"]))
    assert [row[1] for row in found["Other known messages"].rows] == ["ping"]
    assert "Unknown messages" not in found  # they are named in the sentence, and among what broke


def test_the_sentence_counts_both_directions_and_names_what_lacks(runs):
    answer = MESSAGES(runs["rich"]).answer
    assert answer.startswith(
        "36 of the 39 messages of the API crossed the wire: 9 of 10 sent, 27 of 29 received."
    )
    assert "conversation.item.retrieve and conversation.item.retrieved" in answer
    assert "rate_limits.updated" in answer
    assert "1 type that nobody knows: response.surprise." in answer


def test_round_trips_have_p50_p95_and_n(runs):
    ((_, figure),) = MESSAGES(runs["rich"]).figures
    said = dict(note.text.split("<br>") for note in figure.layout.annotations)
    assert said["<b>session.update</b>"] == (
        "p50 3.10\u202fms · p95 9.30\u202fms · n\u00a0=\u00a040"
    )
    assert "<b>conversation.item.retrieve</b>" not in said
    assert {"<b>response.cancel</b>", "<b>conversation.item.truncate</b>"} <= set(said)


@pytest.mark.parametrize("messages", [None, []])
def test_a_folder_that_counted_no_messages_has_no_panel(runs, messages):
    run = runs["rich"]
    summary = {key: value for key, value in run.summary.items() if key != "messages"}
    if messages is not None:
        summary["messages"] = messages
    assert MESSAGES(replace(run, summary=summary)) is None


def line(value, most, n=40):
    return Range(
        "x", "arrival",
        {"p50": Statistic("m", "", "p50", value, 90.0, 130.0, n, "ms"),
         "p95": Statistic("m", "", "p95", most, 200.0, None, n, "ms")},
    )  # fmt: skip


def test_a_range_runs_from_p50_to_p95_with_the_interval_of_p50():
    figure = ranges([line(100.0, 250.0)], "ms")
    span, dot = figure.data
    assert list(span.x) == [100.0, 250.0]
    assert list(dot.x) == [100.0]
    assert (dot.error_x.array[0], dot.error_x.arrayminus[0]) == (30.0, 10.0)
    assert "p50 100\u202fms · p95 250\u202fms" in figure.layout.annotations[0].text


def test_a_p95_that_was_not_reached_is_said_and_not_drawn():
    figure = ranges([line(100.0, None)], "ms")
    assert len(figure.data) == 1
    assert "p95 not reached" in figure.layout.annotations[0].text


def test_a_p50_that_was_not_reached_has_words_and_no_dot():
    beyond = line(None, None)._replace(name="slow")
    figure = ranges([beyond, line(100.0, 250.0)], "ms")
    slow, quick = figure.layout.annotations
    assert slow.text.startswith("<b>slow</b><br>p50 not reached · p95 not reached")
    assert {y for trace in figure.data for y in trace.y} == {-0.1}
    assert quick.y < slow.y
    assert ranges([beyond], "ms") is None


def test_without_a_sample_there_is_no_figure():
    assert ranges([line(None, None, 0)], "ms") is None

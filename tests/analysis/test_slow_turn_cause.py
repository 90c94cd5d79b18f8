"""A slow turn is the generator's, the network's or the server's, by what was seen in its time."""

import pandas as pd

from tests.analysis.story import MS, analysed, conversation

FREE = {"effective": {"health": {"share": 100.0, "send_lateness": 20 * MS}}}


def lines(story, *looks):
    """Looks at the connection: (at, segments sent again, segments out of order)."""
    for at, again, disorder in looks:
        story.note(at, "line", detail={
            "rtt_us": 20, "retransmits": again, "disorder": disorder, "unread": 0, "unsent": 0,
        })  # fmt: skip
    story.rows.sort(key=lambda row: row.at_ns)
    return story


def test_segments_lost_in_its_time_make_a_turn_the_networks(tmp_path):
    looks = [(1000 * n, 0 if n < 6 else 3, 0 if n < 10 else 1) for n in range(17)]
    turns, *_ = analysed(tmp_path, lines(conversation(0, 4), *looks))
    assert turns["segments_lost"].tolist() == [0, 3, 1, 0]
    assert turns["slowed_by"].tolist() == ["server", "network", "network", "server"]


def test_what_another_session_lost_is_its_own(tmp_path):
    looks = [(500 * n, n, 0) for n in range(40)]
    turns, *_ = analysed(tmp_path, conversation(0, 4), lines(conversation(1, 4), *looks))
    assert set(turns.loc[turns["session"] == 0, "slowed_by"]) == {"server"}
    assert set(turns.loc[turns["session"] == 1, "slowed_by"]) == {"network"}


def test_a_program_that_sent_or_read_late_is_blamed_before_the_network(tmp_path):
    story = lines(conversation(0, 4), *[(1000 * n, n, 0) for n in range(17)])
    story.rows = [
        row._replace(at_ns=row.at_ns + 30 * MS)
        if row.type.endswith("append") and 4500 <= (row.at_ns - story.zero) / MS < 5000
        else row._replace(read_ns=row.at_ns + 25 * MS)
        if row.type == "response.done" and (row.at_ns - story.zero) / MS > 12_000
        else row
        for row in story.rows
    ]
    turns, *_ = analysed(tmp_path, story, scenario=FREE, seconds=40)
    assert turns["slowed_by"].tolist() == ["network", "generator", "network", "generator"]
    assert turns["send_lateness"].round(1).tolist() == [0.5, 30.5, 0.5, 0.5]
    assert turns["client_lag"].round(2).tolist() == [0.05, 0.05, 0.05, 25]


def test_a_turn_that_nobody_came_to_is_in_the_table_too(tmp_path):
    story = conversation(0, 1)
    story.rows = [
        row._replace(detail=row.detail.replace('"turns": 1', '"turns": 2'))
        if row.type == "bench.start"
        else row._replace(detail='{"outcome": "broken", "reason": "", "close_code": null}')
        if row.type == "bench.end"
        else row
        for row in story.rows
    ]
    turns, *_ = analysed(tmp_path, story)
    assert turns["outcome"].tolist() == ["ok", "dropped"]
    assert turns["slowed_by"].tolist() == ["server", "server"]
    assert not pd.isna(turns["segments_lost"]).any()

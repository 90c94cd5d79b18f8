from dataclasses import replace

import pytest

from bench.report.charts import overlap
from bench.report.run_data import Statistic
from bench.report.sweep_panel import SWEEP, Choice, advice, front, names, trade_off
from tests.report.riches import SETTINGS


def statistic(value, low, high, word="p50", unit="ms"):
    return Statistic("m", "", word, value, low, high, 50, unit)


def choice(number, cut, delay, *, around=1.0, p95=None):
    return Choice(
        number, f"s{number}", f"turn_detection s{number}",
        statistic(cut, cut - around, cut + around, "share", "%"),
        statistic(delay, delay - 5, delay + 5),
        statistic(p95 or 2 * delay, delay, None, "p95"),
    )  # fmt: skip


QUICK, MIDDLE, PATIENT, WORSE = (
    choice(1, 30.0, 250), choice(2, 12.0, 500), choice(3, 2.0, 900), choice(4, 20.0, 950),
)  # fmt: skip


def with_rows(run, rows, labels):
    table = [
        {"metric": metric, "filter": f"setting={label}", "statistic": word, "value": value,
         "low": value - 1, "high": value + 1, "n": 40, "unit": unit}
        for label, metric, word, value, unit in rows
    ]  # fmt: skip
    rest = [row for row in run.summary["rows"] if not row["filter"]]
    return replace(run, summary=run.summary | {"settings": labels, "rows": rest + table})


def test_the_front_is_what_no_other_beats_in_both_from_quick_to_patient():
    assert front([PATIENT, WORSE, MIDDLE, QUICK]) == [QUICK, MIDDLE, PATIENT]


def test_equal_settings_are_both_on_the_front():
    twin = QUICK._replace(number=9)
    assert front([QUICK, twin]) == [QUICK, twin]


def test_each_point_stands_at_its_cut_offs_and_its_median_delay_with_its_intervals():
    figure = trade_off([QUICK, MIDDLE, PATIENT, WORSE])
    assert [point.x[0] for point in figure.data] == [30.0, 12.0, 2.0, 20.0]
    assert [point.y[0] for point in figure.data] == [250, 500, 900, 950]
    for point in figure.data:
        assert (point.error_x.array[0], point.error_x.arrayminus[0]) == (1.0, 1.0)
        assert point.y[0] + point.error_y.array[0] == 2 * point.y[0]  # its p95
    assert figure.layout.xaxis.range[1] > 31
    assert figure.layout.yaxis.range[1] > 1900


def test_every_point_has_its_number_its_name_is_in_the_legend_and_the_front_is_filled():
    figure = trade_off([QUICK, MIDDLE, PATIENT, WORSE])
    assert [point.text[0] for point in figure.data] == [f"<b>{n}</b>" for n in (1, 2, 3, 4)]
    assert [point.name for point in figure.data] == ["1 s1", "2 s2", "3 s3", "4 s4"]
    assert all(point.showlegend for point in figure.data)
    fills = [point.marker.color for point in figure.data]
    assert fills[0] == fills[1] == fills[2] != fills[3]
    assert "better" in figure.layout.annotations[0].text


def test_delays_far_apart_stand_on_a_logarithmic_axis():
    slow = choice(5, 1.0, 1800, p95=4000)
    assert trade_off([QUICK, slow]).layout.yaxis.type == "log"
    assert trade_off([QUICK, MIDDLE]).layout.yaxis.type != "log"


def test_the_sentence_names_the_front_and_those_that_are_beaten():
    text = advice([QUICK, MIDDLE, PATIENT, WORSE])
    assert text.startswith("3 of 4 settings are worth choosing between: s1 is quickest")
    assert (
        "s3 cuts fewest (900\u202fms at p50, 2\u202f% [1, 3] of turns cut), and s2 between" in text
    )
    assert "s4 is no better in either" in text
    assert "overlap" not in text


def test_one_setting_ahead_in_both_is_named_alone():
    best = choice(5, 1.0, 100)
    assert advice([best, WORSE]).startswith(
        "s5 is ahead in both: 100\u202fms at p50, 1\u202f% [0, 2]"
    )


@pytest.mark.parametrize(
    ("around", "said"),
    [
        (4.0, ""),
        (6.0, "between s2 and s3: which of the two cuts fewer is not shown"),
        (12.0, "Neighbours overlap in their intervals"),
        (20.0, "waiting longer cuts fewer turns is not shown"),
    ],
)
def test_overlapping_intervals_are_told_honestly(around, said):
    text = advice(
        [choice(number, *at, around=around) for number, at in
         enumerate([(30.0, 250), (12.0, 500), (2.0, 900)], 1)]
    )  # fmt: skip
    assert said in text
    assert bool(said) == ("not shown" in text)


def test_a_setting_that_is_beaten_within_the_intervals_only_is_told():
    near = choice(7, 2.4, 903)
    assert "s7 is beaten within the intervals only" in advice([QUICK, PATIENT, near])
    assert "s4 is beaten" not in advice([QUICK, PATIENT, WORSE])


def test_intervals_without_an_end_are_taken_to_overlap():
    assert overlap(statistic(1, 0, 2), statistic(3, 2, 4))
    assert not overlap(statistic(1, 0, 2), statistic(5, 3, None)._replace(high=6))
    assert overlap(statistic(1, 0, 2), statistic(5, 3, None))
    assert overlap(Statistic("m", "", "p50"), statistic(5, 3, 6))


@pytest.mark.parametrize(
    ("labels", "short"),
    [
        (["server_vad 1", "server_vad 2"], ["server_vad 1", "server_vad 2"]),
        (["voice a, speed 1", "voice a, speed 2"], ["a, 1", "a, 2"]),
        (["voice 1, speed 2", "speed 1, voice 2"], ["voice 1, speed 2", "speed 1, voice 2"]),
    ],
)
def test_names_leave_out_keys_where_they_can_still_be_told_apart(labels, short):
    assert names(labels, ["voice", "speed"]) == short


def test_settings_stand_in_the_order_of_their_numbers(runs):
    labels = ["server_vad 1200 ms", "server_vad 200 ms", "semantic_vad low"]
    panel = SWEEP(with_rows(runs["rich"], [], labels))
    assert [row[1] for row in panel.tables[0].rows] == [
        "semantic_vad low", "server_vad 200 ms", "server_vad 1200 ms",
    ]  # fmt: skip


def test_the_table_has_each_setting_with_the_rows_of_its_filter(runs):
    run = runs["rich"]
    panel = SWEEP(run)
    table = panel.tables[0]
    assert [row[1] for row in table.rows] == sorted(SETTINGS)
    assert [row[0] for row in table.rows] == ["1", "2", "3", "4", "5", "6"]
    for head, metric, word in (
        ("endpointing p50", "endpointing_delay", "p50"),
        ("first audio p95", "first_audio_latency", "p95"),
        ("cut into several", "split_turn", "share"),
    ):
        column = list(table.columns).index(head)
        for row in table.rows:
            assert row[column] == run.statistic(metric, word, f"setting={row[1]}").cell
    assert "first text p50" not in table.columns
    assert "Swept: turn_detection." in table.note


@pytest.mark.parametrize("labels", [None, [], ["server_vad 500 ms"]])
def test_without_a_sweep_there_is_nothing_to_choose(runs, labels):
    run = runs["rich"]
    summary = {key: value for key, value in run.summary.items() if key != "settings"}
    if labels is not None:
        summary["settings"] = labels
    assert SWEEP(replace(run, summary=summary)) is None


def test_a_sweep_of_what_is_no_vad_compares_the_waits(runs):
    run = with_rows(
        runs["rich"],
        [
            ("a", "voice_to_voice_latency", "p50", 700.0, "ms"),
            ("a", "endpointing_delay", "p50", 500.0, "ms"),
            ("b", "voice_to_voice_latency", "p50", 702.0, "ms"),
            ("b", "endpointing_delay", "p50", 500.0, "ms"),
            ("c", "voice_to_voice_latency", "p50", 900.0, "ms"),
        ],
        ["a", "b", "c"],
    )
    panel = SWEEP(run)
    assert panel.answer == (
        "a is quickest: voice to voice latency 700\u202fms [699, 701] at p50. The intervals of b "
        "overlap with it: nothing has been shown to differ there."
    )
    ((_, figure),) = panel.figures
    assert [trace.x[0] for trace in figure.data] == [700.0, 702.0, 900.0]


def test_settings_without_a_figure_in_common_are_said_to_have_none(runs):
    run = with_rows(runs["rich"], [], ["a", "b"])
    panel = SWEEP(run)
    assert not panel.figures
    assert "nothing to choose" in panel.answer

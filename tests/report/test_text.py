import math

import pytest

from bench.report.text import (
    LONGEST,
    NO_DATA,
    NOTHING,
    THIN,
    calibrated_at,
    capital,
    clip,
    count,
    inert,
    interval,
    listing,
    measured,
    moment,
    plain,
    quantity,
    seconds,
    share,
    trust_lines,
    with_interval,
)
from tests.report.rendering import cells, rendered


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1013.4, "ms", f"1{THIN}013{THIN}ms"),
        (74.25, "ms", f"74.2{THIN}ms"),
        (0.456, "ms", f"0.46{THIN}ms"),
        (20.0, "ms", f"20{THIN}ms"),
        (0.0, "ms", f"0{THIN}ms"),
        (-3.21, "ms", f"\u22123.21{THIN}ms"),
        (92.43, "%", f"92.4{THIN}%"),
        (99.96, "%", f"99.96{THIN}%"),
        (100.0, "%", f"100{THIN}%"),
        (0.25, "ratio", "0.25"),
        (1234, "1", f"1{THIN}234"),
        (1.6, "/s", f"1.60{THIN}per s"),
    ],
)
def test_a_number_has_its_unit_and_about_three_digits(value, unit, text):
    assert quantity(value, unit) == text


def test_a_number_that_rounds_to_nothing_has_no_minus():
    assert plain(-0.001, "ms") == "0.00"


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_no_data_is_said_and_never_zero(nothing):
    assert quantity(nothing, "ms") == NO_DATA
    assert plain(nothing, "ms") == NOTHING


def test_a_value_that_was_not_reached_is_not_called_no_data():
    assert measured(None, 79, "ms") == "not reached"
    assert measured(None, 79, "ms", 10_000) == ">\u00a010\u202f000\u202fms"
    assert measured(812, 79, "ms", None) == "812\u202fms"
    assert measured(None, 0, "ms") == NO_DATA


def test_an_interval_that_has_no_end_says_so():
    assert interval(829.0, None, "ms") == "[829, ∞]"
    assert interval(None, None, "ms") == ""
    assert with_interval(12.5, 11.0, 14.0, "ms") == f"12.5{THIN}ms [11, 14]"


def test_counts_and_shares_read_as_words():
    assert [count(n, "turn") for n in (0, 1, 1200)] == ["no turns", "1 turn", f"1{THIN}200 turns"]
    assert count(2, "reply", "replies") == "2 replies"
    assert share(1, 3) == f"33.3{THIN}%"
    assert share(0, 0) == NO_DATA
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing([]) == ""


def test_a_sentence_gets_a_capital_and_a_name_does_not():
    assert capital("chunks were late") == "Chunks were late"
    assert capital("p95(first_audio_latency) is 12 ms") == "p95(first_audio_latency) is 12 ms"


def test_durations_are_in_the_unit_that_suits_them():
    lengths = (250_000_000, 30_000_000_000, 720_000_000_000, 11_100_000_000_000)
    assert [seconds(length) for length in lengths] == [
        f"250{THIN}ms",
        f"30{THIN}s",
        f"12{THIN}min",
        f"3{THIN}h 05{THIN}min",
    ]


def test_an_instant_is_told_in_utc_and_what_is_none_as_it_stands():
    assert moment("2026-03-02T15:05:11+01:00") == "2 March 2026, 14:05:11 UTC"
    assert moment("yesterday") == "yesterday"


def test_long_text_is_one_clipped_line():
    assert clip("a\nb") == "a b"
    assert len(clip("x" * 500, 40)) == 40


NASTY = [
    "a | b", "<img src=x onerror=1>", "[x](https://evil.example)", "![x](y)", "**b** _i_ ~~s~~",
    "`code` \\| $x$", "# head", "a &lt; b", "line\nbreak | x", "_a_ snake_case_name _",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_a_run_is_markup(text):
    shown = " ".join(text.split())
    document = f"| head |\n| --- |\n| {inert(text)} |\n\nX {inert(text)}\n"
    tokens = rendered(document)
    assert cells(tokens) == [["head"], [shown]]
    paragraph = tokens[-2].children
    assert "".join(child.content for child in paragraph) == f"X {shown}"
    assert {child.type for child in paragraph} <= {"text", "text_special"}


def test_escape_sequences_and_other_directions_of_text_are_left_out():
    assert inert("a\x1b[2J\u202eb") == "a\\[2Jb"


def test_no_address_becomes_a_link():
    assert inert("https://evil.example") == r"https\://evil.example"
    assert inert("www.evil.example") == r"www\.evil.example"


def test_a_long_text_is_cut_and_says_so():
    assert len(inert("x" * 5000)) == LONGEST
    assert inert("x" * 5000).endswith("…")


ROWS = {
    ("first_audio_latency", "p95"): {"value": 812.4},
    ("endpointing_delay", "p95"): {"value": 60.04},
    ("voice_to_voice_latency", "p95"): {"value": None},
}
KNOWN = {
    "held": 18, "sessions": 20, "stamp_ms": 1.0,
    "metrics": {
        "first_audio_latency": {"n": 60, "bias_ms": 2.04, "p99_abs_ms": 6.2},
        "voice_to_voice_latency": {"n": 60, "bias_ms": 2.0, "p99_abs_ms": 6.0},
        "endpointing_delay": {"n": 60, "bias_ms": -0.013, "p99_abs_ms": 12.7},
    },
}  # fmt: skip


def test_a_calibrated_figure_has_its_error_and_the_bias_in_it():
    assert list(trust_lines({"calibration": KNOWN}, ROWS)) == [
        "first audio p95 812 ms ± 6.2 (harness bias +2.0)",
        "endpointing p95 60.0 ms ± 13 (harness bias -0.01)",
    ]
    assert calibrated_at({"calibration": KNOWN}) == (
        "calibrated with 20 sessions a worker, this run held 18"
    )


def test_what_is_not_calibrated_says_why():
    why = {"held": 9, "why": "9 sessions a worker are beyond what was calibrated (5): …"}
    assert list(trust_lines({"calibration": why}, ROWS)) == [why["why"]]
    assert list(trust_lines({}, ROWS)) == ["timing error not measured yet: run `bench calibrate`"]
    assert calibrated_at({"calibration": why}) == ""

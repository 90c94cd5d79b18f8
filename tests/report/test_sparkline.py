"""Figures as blocks: a line of them, and columns."""

import pytest

from bench.report.sparkline import columns, sparkline


@pytest.mark.parametrize(
    ("values", "least_span", "line"),
    [
        ([100, "·", 200, 150], 0, "▁·█▅"),  # a mark stands as it is
        ([5, 5, 5], 0, "▅▅▅"),
        (["·", "×"], 0, "·×"),
        ([100, 101], 100, "▄▅"),  # closer than anybody could tell
        ([], 0, ""),
    ],
)
def test_a_block_a_value_from_the_lowest_to_the_highest(values, least_span, line):
    assert sparkline(values, least_span) == line


def test_columns_begin_at_zero_and_the_highest_fills_all_lines():
    assert columns([4, 2, 0, 1, 0.25], 2) == ["█    ", "██ ▄▁"]
    assert columns([0, 0], 1) == ["  "]

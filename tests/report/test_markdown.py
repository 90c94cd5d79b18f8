"""No text of a run is markup."""

import pytest

from bench.report.text import LONGEST, inert
from tests.report.rendering import cells, rendered

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

"""Text of anybody does nothing to a terminal."""

import io

import pytest
from rich.table import Table

from bench.cli.console import InertConsole, print_table, say
from bench.inert_text import MOST_LINE, inert_text

HOSTILE = (
    "\x1b[2J", "\x9b2J", "\x07", "\x08", "\r", "\x7f", "\u202e", "\u2066", "\u200f",
    "\ud800", "\ue000", "\U000e0041", "\u2028", "\ufeff",
)  # fmt: skip


@pytest.mark.parametrize("letters", HOSTILE)
def test_what_acts_on_a_terminal_is_written_out_and_can_be_printed(letters):
    shown = inert_text(f"a{letters}b")
    assert letters not in shown
    assert shown.startswith("a\\")
    shown.encode("utf-8")


def test_words_of_any_language_and_blanks_of_any_width_stay():
    for text in (
        "naïve 1\u202f234",
        "日本語",
        "क\u094d\u200dष",
        "א\u05d1",
        "👩\u200d🚀",
        "a\nb",
        "[red]x[/]",
    ):
        assert inert_text(text) == text


def test_a_line_is_bounded_and_others_stay_whole():
    assert [len(line) for line in inert_text(f"{'x' * 9_999}\nshort").split("\n")] == [MOST_LINE, 5]


def printed(show):
    file = io.StringIO()
    show(InertConsole(file=file, width=200, force_terminal=True, color_system=None))
    return file.getvalue()


@pytest.mark.parametrize("letters", HOSTILE)
def test_every_way_to_print_is_inert_and_knows_no_markup(letters):
    text = f"[red]{letters}[/] :smile: [/nothing]"
    raw = Table()
    raw.add_row(text)
    for show in (
        lambda console: say(console, text),
        lambda console: console.print(text),
        lambda console: console.print(raw),
        lambda console: print_table(console, (text,), [(text,)], title=text, caption=text),
    ):
        shown = printed(show)
        assert letters not in shown.replace("\r\n", "\n")
        assert "[red]" in shown
        assert ":smile:" in shown

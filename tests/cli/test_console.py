"""Tables, lines and documents of the command line."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.console import inert, print_json, print_table, say
from bench.cli.streams import Stream

COLUMNS = ("metric", ">p50", ">error", "~why")
ROWS = [("voice_to_voice_latency", "720 ms", "± 0.04", "it was [red]slow[/red] and slow again")]


@pytest.fixture
def printed():
    def show(width, **options):
        text = io.StringIO()
        print_table(Console(file=text, width=width), COLUMNS, ROWS, **options)
        return text.getvalue()

    return show


def test_what_is_dispensable_goes_first_where_the_terminal_is_narrow(printed):
    assert "± 0.04" in printed(90, dispensable=(">error",))
    narrow = printed(60, dispensable=(">error",))
    assert "± 0.04" not in narrow
    assert "voice_to_voice_latency" in narrow
    assert max(map(len, narrow.splitlines())) <= 60


def test_only_a_column_that_may_be_folded_is_broken_and_a_cut_is_marked(printed):
    assert "voice_to_voice_latency  720 ms  ± 0.04" in printed(60)
    assert "…" in printed(30)


def test_nothing_that_is_printed_is_markup(printed):
    assert "[red]slow[/red]" in printed(120)
    text = io.StringIO()
    say(Console(file=text, width=20), "a [bold]line[/bold] that is longer than the terminal is")
    assert text.getvalue() == "a [bold]line[/bold] that is longer than the terminal is\n"


def test_what_a_server_said_does_nothing_to_a_terminal():
    assert inert("\x1b[2J a\n\u202eb") == r"\x1b[2J a \u202eb"
    assert len(inert(500 * "x")) == 200


def test_a_number_that_json_has_not_is_never_printed():
    with pytest.raises(ValueError, match="JSON compliant"):
        print_json({"value": float("nan")})


def test_a_terminal_breaks_lines_between_words_and_never_a_path():
    text = io.StringIO()
    path = "/a/path/that/is/longer/than/the/terminal"
    say(Console(file=text, width=20, force_terminal=True), f"report  a line of words at {path} now")
    assert text.getvalue().splitlines() == ["report  a line of", "words at", path, "now"]


def test_what_is_said_after_the_reader_has_left_goes_nowhere():
    reads, writes = os.pipe()
    lost = []
    with os.fdopen(writes, "w") as stream:
        leaving = Stream(stream, lost.append)
        os.close(reads)
        for _ in range(3):
            leaving.write("x" * 100_000)
            leaving.flush()
        assert os.fstat(writes).st_rdev == Path(os.devnull).stat().st_rdev
    assert [type(one) for one in lost] == [BrokenPipeError]

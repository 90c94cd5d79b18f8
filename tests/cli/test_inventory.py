"""What the list verbs print: for eyes, for grep and for scripts."""

import io
import json

from rich.console import Console

from bench.cli.inventory import print_metrics
from bench.plan.metrics import METRICS


def told(capsys, *, terminal, as_json=False):
    screen = io.StringIO()
    print_metrics(
        Console(file=screen, width=80, force_terminal=terminal, color_system=None), as_json=as_json
    )
    return screen.getvalue() + capsys.readouterr().out


def test_in_a_pipe_every_metric_is_one_line_under_a_head(capsys):
    head, *lines = told(capsys, terminal=False).splitlines()
    assert head.split("\t")[0] == "name"
    assert [line.split("\t")[0] for line in lines] == list(METRICS)
    assert all(line.count("\t") == 8 for line in [head, *lines])


def test_no_name_is_broken_in_eighty_columns(capsys):
    text = told(capsys, terminal=True)
    assert all(f" {name} " in text for name in METRICS)
    assert max(map(len, text.splitlines())) <= 80


def test_json_has_every_column(capsys):
    rows = json.loads(told(capsys, terminal=True, as_json=True))
    assert [row["name"] for row in rows] == list(METRICS)
    assert rows[0].keys() >= {"name", "kind", "of", "unit", "better", "from", "to", "needs"}

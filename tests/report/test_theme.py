import re

import pytest

from bench.plan.metrics import METRICS
from bench.plan.stages import STAGES
from bench.report.page import figure_json, panels
from bench.report.theme import (
    COLOURS,
    OUTCOME_COLOURS,
    VERDICT_COLOURS,
    colour,
    dark_of_light,
    metric_colour,
    stylesheet_colours,
)
from tests.browser.looking import contrast


def test_every_light_colour_is_distinct_so_that_the_swap_to_dark_is_sure():
    assert len(dark_of_light()) == len(COLOURS)
    assert not set(dark_of_light()) & set(dark_of_light().values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "role", ["ink", "muted", "heard", "arrival", "thinking", "limit", "good", "doubt", "caller"]
)
def test_text_can_be_read_on_paper(role, scheme):
    paper = getattr(COLOURS["paper"], scheme)
    assert contrast(getattr(COLOURS[role], scheme), paper) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("role", ["vad", "player", "commit"])
def test_marks_can_be_told_from_paper(role, scheme):
    assert contrast(getattr(COLOURS[role], scheme), getattr(COLOURS["paper"], scheme)) >= 2.3


def test_every_colour_of_a_figure_has_a_dark_partner(runs):
    for panel in [*panels(runs["rich"]), *panels(runs["written"])]:
        plots = [plot for _, plot in panel.figures] + [c.figure for c in panel.closeups if c.figure]
        for plot in plots:
            used = set(re.findall(r"#[0-9a-fA-F]{6}", figure_json(plot)))
            assert used <= set(dark_of_light()), panel.key


def test_roles_named_by_metrics_outcomes_and_verdicts_exist():
    roles = {metric.colour for metric in METRICS.values()}
    assert roles | set(OUTCOME_COLOURS.values()) | set(VERDICT_COLOURS.values()) <= set(COLOURS)
    for stage in STAGES:
        assert metric_colour(stage.column) != colour("ink"), stage


def test_both_sets_of_css_variables_name_the_same_roles():
    names = [re.findall(r"--(\w+):", stylesheet_colours(dark=dark)) for dark in (False, True)]
    assert names[0] == names[1] == list(COLOURS)

"""Options that take a number: what none is, is refused in a line that says how one is written."""

from typing import get_args, get_type_hints

import pytest

from bench.cli import VERBS, options

ARGUMENTS = {
    "run": ["scenarios/demo.toml"],
    "ab": ["scenarios/demo.toml"],
    "capacity": ["scenarios/capacity.toml"],
    "compare": ["reports/none", "--against", "reports/none"],
    "plan-capacity": ["--calls-per-hour", "100"],
}


def numbers():
    """(verb, option) of every option that takes a number."""
    for verb in VERBS:
        for field, hint in get_type_hints(verb.options, include_extras=True).items():
            about = get_args(hint)[-1]
            if about.parser in {options._positive, options._margin}:
                said = about.default  # where typer keeps the name that an option is given
                yield verb.words, said if isinstance(said, str) else f"--{field.replace('_', '-')}"


NUMBERS = list(numbers())
AT_ZERO = {"--margin", "--points"}


@pytest.fixture
def refusal(bench):
    def told(verb, option, value):
        code, out, err = bench(verb, *ARGUMENTS[verb], option, value)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"bench: Invalid value for '{option}': {value!r}")
        return err

    return told


def test_there_are_such_options():
    assert len(NUMBERS) > 12
    assert {"--price-per-minute", "--price-per-node-hour", "--start"} <= {
        name for _, name in NUMBERS
    }


@pytest.mark.parametrize(("verb", "option"), NUMBERS)
def test_a_number_with_a_currency_or_a_unit_is_refused_with_the_form(refusal, verb, option):
    err = refusal(verb, option, "0.05USD")
    assert "give it alone, as in 0.05, without a unit or a currency" in err


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize(("verb", "option"), NUMBERS)
def test_what_is_no_amount_is_refused(refusal, verb, option, value):
    if option not in AT_ZERO:
        assert "give a number above 0" in refusal(verb, option, value)
    elif value != "0":
        assert "give a number, 0 or more" in refusal(verb, option, value)


@pytest.mark.parametrize(
    ("verb", "option", "value", "words"),
    [
        ("capacity", "--session-length", "40", "is no duration; write it with its unit"),
        ("capacity", "--session-length", "0s", "give more than 0s, and 24h at most"),
        ("plan-capacity", "--session-length", "9999h", "give more than 0s, and 24h at most"),
        ("run", "--abort-window", "5", "is no duration"),
        ("plan-capacity", "--wait", "soon", "is no duration"),
    ],
)
def test_a_length_of_time_has_its_unit(refusal, verb, option, value, words):
    assert words in refusal(verb, option, value)

"""The columns of a turns table as plain arrays, whatever pandas keeps them as."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.turn_columns import TurnColumns
from bench.tracker.event import NEVER

TABLE = pd.DataFrame(
    {
        "session": [3, 3, 5],
        "role": pd.array(["turn", "interruption", "turn"], "str"),
        "wait": [1.5, np.nan, 2.5],
        "heard_ns": pd.array([2**60 + 1, None, 7], "Int64"),
        "yielded": pd.array([True, None, False], "boolean"),
        "manual": [True, False, False],
    }
)


@pytest.mark.parametrize("table", [TABLE, TABLE.convert_dtypes(dtype_backend="numpy_nullable")])
def test_columns_are_the_same_of_a_table_in_memory_and_of_one_that_was_read(table):
    turns = TurnColumns(table)
    assert len(turns) == 3
    assert turns.sessions().tolist() == [3, 3, 5]
    np.testing.assert_array_equal(turns.figures("wait"), [1.5, np.nan, 2.5])
    assert turns.instants("heard_ns").tolist() == [2**60 + 1, NEVER, 7]
    assert turns.has("yielded").tolist() == [True, False, True]
    assert turns.flags("yielded").tolist() == [True, False, False]
    assert turns.flags("manual").tolist() == [True, False, False]
    assert turns.among("role", "interruption", "silence").tolist() == [False, True, False]
    assert turns.flags("textual").tolist() == [False, False, False]
    assert "textual" not in turns
    with pytest.raises(KeyError):
        turns.has("textual")

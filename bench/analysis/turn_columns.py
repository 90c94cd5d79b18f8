"""The columns of a turns table as plain arrays, each taken out of it once.

A summary asks the same dozen columns for every metric. Of a run of few turns nearly all the time
would go into pandas' way of handing a column out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.tables import Flags, Floats, Ints, integers
from bench.tracker.event import NEVER


class TurnColumns:
    """What a turns table says, by turn. Arrays are shared: whoever changes one copies it first.

    KeyError for a column that the table does not have, where nothing else is said.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self._taken: dict[tuple[Any, ...], NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, name: str) -> bool:
        return name in self.table

    def has(self, name: str) -> Flags:
        """Which turns have something there."""
        return self._once(lambda: self.table[name].notna().to_numpy(bool), "has", name)

    def figures(self, name: str) -> Floats:
        """Numbers, NaN where a turn has none."""
        return self._once(lambda: _floats(self.table[name]), "figures", name)

    def instants(self, name: str) -> Ints:
        """Instants in ns, `NEVER` where a turn has none."""
        return self._once(lambda: integers(self.table[name], NEVER), "instants", name)

    def sessions(self) -> Ints:
        """The number of the session of each."""
        return self._once(self.table["session"].to_numpy, "sessions")

    def flags(self, name: str) -> Flags:
        """Which turns say yes; of a table that does not have the column, none."""
        return self._once(lambda: self._flags(name), "flags", name)

    def among(self, name: str, *words: str) -> Flags:
        """Which turns have one of `words` there."""
        return self._once(lambda: self.table[name].isin(words).to_numpy(bool), "in", name, *words)

    def _flags(self, name: str) -> Flags:
        if name not in self.table:
            return np.zeros(len(self.table), bool)
        column = self.table[name]
        if isinstance(column.dtype, np.dtype):
            return column.to_numpy(bool)
        return column.to_numpy(bool, na_value=False)

    def _once(self, take: Callable[[], NDArray[Any]], *key: str) -> NDArray[Any]:
        found = self._taken.get(key)
        if found is None:
            found = self._taken[key] = take()
        return found


def _floats(column: pd.Series) -> Floats:
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy(np.float64)
    return column.to_numpy(np.float64, na_value=np.nan)

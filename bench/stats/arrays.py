"""The arrays that estimators are told and answer with."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Draws = NDArray[np.int32]
"""How often each session (column) was drawn in each resample (row)."""

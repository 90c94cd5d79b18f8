"""Two sides of runs, compared: what changed, by how much, and how surely.

::

    side        a run's samples by turn and session
    fitting     whether runs may be compared at all
    rows        a row for every figure
    verdicts    improved, unchanged, regressed, inconclusive
    parts       the stage that carries a change, and the waits at which it shows
    compare     all of it as one document, comparison.json
"""

from bench.analysis.comparing.compare import Side, compare, write_comparison
from bench.analysis.comparing.side import RunSample, read_sample
from bench.analysis.comparing.verdicts import EXIT_CODES, Margin

__all__ = [
    "EXIT_CODES",
    "Margin",
    "RunSample",
    "Side",
    "compare",
    "read_sample",
    "write_comparison",
]

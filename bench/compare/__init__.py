"""Runs beside runs: two sides compared, an accepted baseline, the trend of a history.

::

    comparability   whether runs may be compared at all
    run_sample      a run's samples by turn and session
    differences     a row for every figure that two sides have
    conclusion      improved, unchanged, regressed, inconclusive
    attribution     the stage that carries a change, and the waits at which it shows
    sides           all of it as one document, comparison.json
    baseline        runs that were accepted, as one file
    trend           lines of runs over time
    change_points   where a line leaves its level
    trend_export    lines in the formats of other trackers
"""

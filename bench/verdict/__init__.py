"""From the figures of a run to its verdict: pass, fail, inconclusive or invalid.

::

    filtered_figures  figures of some turns only, for gates with a filter
    gate_result       one gate against one statistic
    sample_size       whether there are samples enough to decide, and which run would have them
    verdict           gates, validity and why turns failed ▶ verdict.json, exit code
    junit             the same for CI servers, junit.xml
    explanation       why a gate came out so, and what would change it
    early_stop        checkpoints of a run that still goes on, and when they end it
"""

"""From events to a verdict: attribution, playout, intervals, statistics, validity, gates.

The log states facts; which fact belongs to which turn is inference and lives here, so it can be
improved without running again. The way of the data, one module a step::

    tables      events.parquet, health.parquet ▶ tables with exact integers
    sessions    notes ▶ one row per session
    speech      utterances, and which of them are turns
    ear         which speech_started, stopped, committed, transcription belongs to which turn
    replies     responses and their deltas: which answer belongs to which turn
    playout     when each delta is played, for every session at once
    bargein     interruptions: when the agent fell silent
    outcomes    what became of every attempt: exclusive, exhaustive
    turns       all of it as one row per attempted turn, a column per instant
    measure     instants ▶ intervals in ms, shares
    quantile    the estimator, its intervals
    summary     summary.json
    validity    was the generator honest (evidence: what rules see; pace: rules on time)
    ruling      one gate against one statistic
    judge       gates and summary ▶ verdict.json, junit.xml, exit code

Laws: nothing is clamped, rounded or dropped; every attempt has one outcome and failures stay in the
denominators; all arithmetic on instants is in integer nanoseconds and becomes ms once, at the end.
"""

"""From events to a verdict: trackers, intervals, statistics, validity, gates.

The log states facts; which fact belongs to which turn is inference and lives here, so it can be
improved without running again. The way of the data, one module a step::

    tables      events.parquet, health.parquet ▶ tables with exact integers
    sessions    notes ▶ one row per session
    errors      error messages, and which of them are anybody's fault
    envelopes   audible windows of audio deltas
    trackers    events told to one `bench.tracker` a session: turns, responses, requests
    peers       turns that nobody came to, told by those that were lived
    stages      what the wait is made of, one after the other
    turns       what trackers found: one row per attempted turn, a column per instant
    acks        waits for acknowledgements
    readiness   waits of those who were not let in, and how many were on their way
    evidence    a run as rules see it
    pace        rules on time: what every worker did in every second
    trouble     turns that a bad second touched, set aside
    slowness    who made a turn slow: generator, network or server
    bars        the error bar of every latency, from its own two stamps
    turn_columns   the columns of a turns table as plain arrays
    measure     instants ▶ intervals in ms, shares (drift: over a session)
    rule_violations  the rules of the protocol that were broken, shown with what was around them
    words, leaks, settings_mismatch, messages, quirks, greetings   was all of it right
    assumptions what was assumed, repaired or missing
    summary     summary.json (counts: what is counted and not timed)
    validity    was the generator honest: all rules, and remarks
    ruling      one gate against one statistic
    enough      whether there are samples enough to rule, and which run would have them
    interim     a look at the last seconds of a run that still goes on, and when it ends it
    explaining  why a ruling came out so, and what would change it
    filtered    figures of some turns only, for gates with a filter
    cause       the commonest reason why sessions and turns failed
    judge       gates and summary ▶ verdict.json, junit.xml (junit), exit code
    history     runs over time: lines that may be joined, and where one changes its level
    calibration the program's own error, against a server whose truth is known
    comparing   two sides of runs: what changed, by how much, how surely
    baseline    runs that were accepted, as one file
    pipeline    from the run folder through all of these to its tables and summary

Laws: nothing is clamped, rounded or dropped; every attempt has one outcome and failures stay in the
denominators; all arithmetic on instants is in integer nanoseconds and becomes ms once, at the end.
"""

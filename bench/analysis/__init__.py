"""From the events of a run to its tables and figures: trackers, intervals, statistics, validity.

The log states facts; which fact belongs to which turn is inference and lives here, so it can be
improved without running again. The way of the data, one module a step::

    tables            events.parquet, health.parquet ▶ tables with exact integers
    sessions          notes ▶ one row per session
    envelopes         audible windows of audio deltas
    trackers          events told to one `bench.tracker` a session: turns, responses, requests
    stamps            what stays of every row: whose it is, when, how late
    told              a few sessions at a time: what trackers found, and what stays of the events
    unreached_turns   how turns would have been that a failed session never reached
    turns             what trackers found: one row per attempted turn, a column per instant
    turn_columns      the columns of a turns table as plain arrays
    measure           instants ▶ intervals in ms, shares, stages
    load_stages       in which stage of the load a turn began
    evidence          a run as rules of validity see it
    generator_timing  rules on time: what every worker did in every second
    excluded_turns    turns that a bad second of the generator touched
    slow_turn_cause   who made a turn slow: generator, network or server
    word_errors       the words of transcriptions against those that were said
    samples           the samples of every metric, failed waits censored
    timestamp_error   the error bar of every latency, from its own two stamps
    counts            what is counted and not timed
    rule_violations   rules of the protocol that were broken, shown with what was around them
    leaks, settings_mismatch, server_quirks, greetings   was all of it right
    summary           summary.json
    validity          was the generator fit: the rules of an invalid run
    remarks           what was assumed, repaired, missing or odd
    pipeline          from the run folder through all of these to its tables and summary
    true_stamps       the same run by the stamps of a server whose truth is known
    calibration       the program's own error against that truth; calibration.json

`bench.verdict` judges the figures, `bench.compare` holds runs against each other.

Laws: nothing is clamped, rounded or dropped; every attempt has one outcome and failures stay in the
denominators; all arithmetic on instants is in integer nanoseconds and becomes ms once, at the end.
"""

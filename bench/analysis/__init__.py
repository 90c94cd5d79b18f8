"""From events to a verdict: attribution, playout, intervals, statistics, validity, gates.

The log states facts; which fact belongs to which turn is inference and lives here, so it can be
improved without running again. The way of the data, one module a step::

    tables      events.parquet, health.parquet ▶ tables with exact integers
    sessions    notes ▶ one row per session
    errors      error messages, and which of them are anybody's fault
    acks        requests of the caller, each with its acknowledgement
    effective   what the server said each session is, and when
    clock       positions in the audio sent to the server ▶ the microphone's timeline
    speech      what was said or written, and which of it are turns
    ear         which speech_started, stopped, committed, transcription belongs to which turn
    asks        commits and response.create: who asked for an answer, which turn a response answers
    responses   which response a message belongs to
    deltas      audio of the agent; fillers, padding and interjections, which are no answer
    playout     when each delta is played, for every session at once
    replies     what each response consists of: which answer belongs to which turn
    tools       calls, their outputs, and the reply to those
    stops       replies that the caller stopped
    playing     which reply is in the player at an instant
    bargein     interruptions: when the agent fell silent
    disturb     backchannels and sounds, which must not silence it
    outcomes    what became of every attempt: exclusive, exhaustive
    peers       turns that nobody came to, told by those that were lived
    stages      what the wait is made of, one after the other
    turns       all of it as one row per attempted turn, a column per instant
    readiness   waits of those who were not let in, and how many were on their way
    evidence    a run as rules see it
    pace        rules on time: what every worker did in every second
    trouble     turns that a bad second touched, set aside
    slowness    who made a turn slow: generator, network or server
    bars        the error bar of every latency, from its own two stamps
    turn_columns   the columns of a turns table as plain arrays
    measure     instants ▶ intervals in ms, shares (drift: over a session)
    message_facts   the events of a run that rules look at
    words, grammar, leaks, honoured, messages, quirks, greetings   was all of it right
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

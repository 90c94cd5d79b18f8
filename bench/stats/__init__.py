"""Models and estimators on arrays: numpy and scipy, no pandas; arrays in, intervals out.

::

    quantile        quantiles, mean, least and most of samples that come in sessions
    survival        of waits some of which had no end: the product of Kaplan and Meier
    bootstrap       the same of sessions that were drawn again
    proportion      shares and rates of events, with their exact intervals
    run_statistics  figures of runs, and what sessions add to their error
    effect          how far two sides of runs are apart: Student's t, Holm, what can be detected
    crossing        up to which load an objective holds
    scalability     the universal scalability law
    erlang          calls that a number of slots takes
    distribution    quantiles and tails of the distributions that intervals are made of
    interval        a figure with its interval, and how sure that is
    arrays          the types of arrays that all take
"""

"""What this harness's figures are worth: a run against a server whose truth is known, judged.

The reference server writes down when it sent each event, on the same monotonic clock. Here that
truth is laid beside what the harness recorded of the same run::

    truth       the truth log joined to the events: errors of stamps, lost and extra events
    figures     the headline metrics twice, from the harness's stamps and from the truth's
    pace        the generator's own part: audio clock, lateness of sends, CPU
    trust       all of it as one result, whether that is fit, and up to where; calibration.json
"""

from bench.analysis.calibration.trust import (
    BEYOND,
    HarnessError,
    MetricError,
    calibrate_run,
    fingerprint,
    harness_error,
    in_words,
    read_calibration,
    take_up,
    trusted,
    write_calibration,
)

__all__ = [
    "BEYOND",
    "HarnessError",
    "MetricError",
    "calibrate_run",
    "fingerprint",
    "harness_error",
    "in_words",
    "read_calibration",
    "take_up",
    "trusted",
    "write_calibration",
]

"""A figure is printed with the harness's own error, or with why that is not known."""

from bench.report.text import calibrated_at, trust_lines

ROWS = {
    ("first_audio_latency", "p95"): {"value": 812.4},
    ("endpointing_delay", "p95"): {"value": 60.04},
    ("voice_to_voice_latency", "p95"): {"value": None},
}
KNOWN = {
    "held": 18, "sessions": 20, "stamp_ms": 1.0,
    "metrics": {
        "first_audio_latency": {"n": 60, "bias_ms": 2.04, "p99_abs_ms": 6.2},
        "voice_to_voice_latency": {"n": 60, "bias_ms": 2.0, "p99_abs_ms": 6.0},
        "endpointing_delay": {"n": 60, "bias_ms": -0.013, "p99_abs_ms": 12.7},
    },
}  # fmt: skip


def test_a_calibrated_figure_has_its_error_and_the_bias_in_it():
    assert list(trust_lines({"calibration": KNOWN}, ROWS)) == [
        "first audio p95 812 ms ± 6.2 (harness bias +2.0)",
        "endpointing p95 60.0 ms ± 13 (harness bias -0.01)",
    ]
    assert calibrated_at({"calibration": KNOWN}) == (
        "calibrated with 20 sessions a worker, this run held 18"
    )


def test_what_is_not_calibrated_says_why():
    why = {"held": 9, "why": "9 sessions a worker are beyond what was calibrated (5): …"}
    assert list(trust_lines({"calibration": why}, ROWS)) == [why["why"]]
    assert list(trust_lines({}, ROWS)) == ["timing error not measured yet: run `bench calibrate`"]
    assert calibrated_at({"calibration": why}) == ""

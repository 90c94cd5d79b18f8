"""What a run's own figures are worth: the error of the harness beside them, in words.

The figures come from `run.json` (`calibration`: what `bench calibrate` once measured at this load,
see `bench.analysis.calibration`) and from the rows of the summary (`error_p99`: the bars of the
run's own stamps). Nothing is computed here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_SAID: Final = {
    "first_audio_latency": "first audio",
    "voice_to_voice_latency": "voice to voice",
    "speech_start_delay": "speech start",
    "endpointing_delay": "endpointing",
    "barge_in_silence": "barge-in silence",
}


def trust_lines(run: Mapping[str, Any], rows: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    """`first audio p95 812 ms ± 6 (harness bias +2)`, a line a calibrated metric; or why not.

    `rows` are the summary's by (metric, statistic).
    """
    known = run.get("calibration") or {}
    metrics = known.get("metrics")
    if not metrics:
        yield known.get("why") or "nobody has calibrated this machine: `bench calibrate`"
        return
    for name, words in _SAID.items():
        row, error = rows.get((name, "p95")), metrics.get(name)
        if error is None or row is None or row["value"] is None:
            continue
        value = f"{row['value']:.0f} ms" if abs(row["value"]) >= 100 else f"{row['value']:.1f} ms"
        yield (
            f"{words} p95 {value} ± {fine(error['p99_abs_ms'])} "
            f"(harness bias {fine(error['bias_ms'], sign='+')})"
        )


def calibrated_at(run: Mapping[str, Any]) -> str:
    """At which load the errors were measured, where they were."""
    known = run.get("calibration") or {}
    if not known.get("metrics"):
        return ""
    return f"calibrated with {known['sessions']} sessions a worker, this run held {known['held']}"


def fine(value: float | None, sign: str = "") -> str:
    """A small number of ms: two digits that mean something, and no more."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    return f"{value:{sign}.{digits}f}"

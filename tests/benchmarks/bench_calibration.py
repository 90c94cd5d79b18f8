"""The harness against the truth: `bench calibrate`, generator and server on cores of their own."""

import json
import subprocess
import sys
import tempfile

SESSIONS = (1, 20, 100, 200)
BIAS_MS, OFF_MS, COVERED, CLOCK_MS = 0.3, 2.0, 99.0, 1.0


def benchmark(sessions=SESSIONS, seconds=20):
    """Rows of the worst of all concurrencies, first of each figure's own."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable, "-m", "bench", "calibrate", "--json", "--pin",
            "--sessions", ",".join(map(str, sessions)), "--duration", f"{seconds}s",
            "--out", f"{scratch}/calibration.json",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    audio = [one["metrics"]["first_audio_latency"] for one in told]
    clock = [abs(one["audio_clock_drift_ms"]) for one in told]
    at = "/".join(map(str, sessions))

    def row(what, values, bound, *, most=True):
        worst = max(values) if most else min(values)
        shown = ", ".join(f"{value:.3g}" for value in values)
        return (f"{what} at {at} sessions ({shown})", worst, bound,
                worst <= bound if most else worst >= bound)  # fmt: skip

    return [
        row("bias of first audio against the truth, ms", [abs(a["bias_ms"]) for a in audio],
            BIAS_MS),
        row("p99 of its absolute error, ms", [a["p99_abs_ms"] for a in audio], OFF_MS),
        row("events whose own error bar covers the truth, %",
            [one["events"]["covered"] for one in told], COVERED, most=False),
        row("p99 of the error of every stamp, ms", [one["events"]["p99_abs_ms"] for one in told],
            OFF_MS),
        row("drift of the audio clock in ms over 60 s", clock, CLOCK_MS),
        row("events lost or never sent",
            [one["events"]["lost"] + one["events"]["extra"] for one in told], 0),
    ]  # fmt: skip

"""Ten comparisons of the reference server with itself, for real: is there ever an alarm?

Each is a `bench ab` of two pairs, so forty runs in all, a quarter of an hour. What changes that are
there come to is in `tests/virtual/test_decisions.py`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

COMPARISONS, PAIRS = 10, 2
RUN = ("--sessions", "40", "--duration", "10s", "--set", "load.warmup='2s'")


def benchmark(comparisons=COMPARISONS):
    """Rows: how many comparisons came to a change, and how small a one they could have seen."""
    found = [_compared() for _ in range(comparisons)]
    alarms = [name for one in found for name in _alarms(one)]
    sees = sorted(
        100 * row["smallest_detectable"] / row["b"]
        for one in found
        for row in one["rows"]
        if (row["family"], row["statistic"]) == ("wait", "p50")
    )
    shown = f" ({', '.join(alarms)})" if alarms else ""
    return [
        (f"{comparisons} comparisons of a real server with itself: alarms{shown}", len(alarms), 0,
         not alarms),
        ("smallest change of its p50 wait that most of them could see, %", sees[len(sees) // 2],
         10.0, sees[len(sees) // 2] <= 10),
    ]  # fmt: skip


def _compared():
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable, "-m", "bench", "ab", "scenarios/demo.toml", "--pairs", str(PAIRS),
            "--json", "--out", f"{scratch}/ab", *RUN,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 3:
            raise RuntimeError(f"the machine is too busy to compare anything: {done.stderr[-400:]}")
        return json.loads(Path(scratch, "ab", "comparison.json").read_text())


def _alarms(found):
    return [
        f"{row['statistic']} of {row['metric']} {row['verdict']}"
        for row in found["rows"]
        if row["family"] and row["verdict"] in {"regressed", "improved"}
    ]

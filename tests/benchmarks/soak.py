"""`make soak`: a long run, and whether the worker's memory stays flat in it.

Bounded in time and sessions, against the embedded server on loopback. Every few seconds the
worker's resident memory is read; the median of the last quarter of the run may be no more than
`GROWTH` above that of the second (the first is the warm-up of everything). Ends with exit code 1
where it grew, or where the run itself was void or lost something.

    python -m tests.benchmarks.soak [--minutes 10] [--sessions 50]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

GROWTH = 1.02
MOST_MINUTES, MOST_SESSIONS = 60, 500
EVERY_S = 5


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def memory(run):
    """MiB of the one worker of a running `bench run`; None where there is none (any more)."""
    try:
        for child in psutil.Process(run.pid).children():
            if "--worker" in child.cmdline():
                return child.memory_info().rss / 2**20
    except psutil.Error:
        pass
    return None


def soak(minutes, sessions, place):
    """[(seconds, MiB)] of the worker, and the run's exit code."""
    command = [
        sys.executable, "-m", "bench", "run", "scenarios/demo.toml", "--gates", "smoke",
        "--sessions", str(sessions), "--duration", f"{round(minutes * 60)}s", "--out", str(place),
    ]  # fmt: skip
    began, seen = time.monotonic(), []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes) as run:
        while run.poll() is None:
            if (used := memory(run)) is not None:
                seen.append((time.monotonic() - began, used))
                say(f"{seen[-1][0]:6.0f} s  worker {used:.1f} MiB")
            time.sleep(EVERY_S)
        say(run.stdout.read())
    return seen, run.returncode


def grown(minutes, sessions):
    """(growth of the worker's memory, the run's exit code, a sentence) of a load held so long."""
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as scratch:
        place = Path(scratch) / "run"
        seen, code = soak(minutes, sessions, place)
        measured = json.loads((place / "run.json").read_text())
        rows = sum(measured["rows_written"].values())
    quarter = len(seen) // 4
    if not quarter:
        sys.exit("the run was too short to tell: give more --minutes")
    early = median(used for _, used in seen[quarter : 2 * quarter])
    late = median(used for _, used in seen[-quarter:])
    growth = late / early
    verdict = "flat" if growth <= GROWTH else "GREW"
    sentence = (
        f"memory of the worker {verdict}: {early:.1f} MiB in the second quarter, {late:.1f} in "
        f"the last ({growth:.3f} times, {GROWTH} may be), over {rows} rows in {minutes:g} min"
    )
    return growth, code, sentence


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--sessions", type=int, default=50)
    said = asked.parse_args()
    if not 0 < said.minutes <= MOST_MINUTES or not 0 < said.sessions <= MOST_SESSIONS:
        asked.error(f"at most {MOST_MINUTES} minutes and {MOST_SESSIONS} sessions, and some")
    growth, code, sentence = grown(said.minutes, said.sessions)
    say(sentence)
    sys.exit(code or int(growth > GROWTH))


if __name__ == "__main__":
    main()

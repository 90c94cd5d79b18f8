"""`--abort-on-fail`: look at a run while it goes on, and end it where a gate has failed.

Theory of operation
-------------------
The looks (`bench.verdict.early_stop`) are made by a process of its own, at the lowest priority and,
with `--pin`, off the workers' cores: a line with an instant goes in, a line with the rulings comes
out. `bench run` asks for the next one when it is due: a quarter of a window after the last, but
never so soon that looking would take more than a fifth of one core. Each reads all that was written
so far, so looks get rarer as a run gets longer. What the workers have not written yet is left to
the next look, which is as of `_UNWRITTEN_NS` ago.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.errors import BenchError, UsageError
from bench.own_module import own_module
from bench.plan.scenario import gates_of
from bench.runs.folder import RunFolder
from bench.runs.job import Job
from bench.verdict.early_stop import Checkpoint, EarlyStop, may_end, take_checkpoint
from bench.verdict.gate_result import GateResult
from bench.voice.audio import NS_PER_S

_UNWRITTEN_NS: Final = 2 * NS_PER_S
_USUAL_NS: Final = 30 * NS_PER_S
_SHARE: Final = 0.2
"""Of a core, that looking may take."""


def window_of(job: Job, window_s: float | None) -> int:
    """The window of a look in ns. UsageError where no look could end the run."""
    duration = job.scenario.load.duration
    if not any(may_end(gate) for gate in gates_of(job.scenario)):
        raise UsageError(
            "--abort-on-fail: none of the run's gates can fail before its end; give a --gate that "
            "is not soft, as in 'p95(first_audio_latency) < 800 ms'"
        )
    if window_s is None:
        return min(_USUAL_NS, duration // 4)
    if not 1 <= window_s <= duration / NS_PER_S / 2:
        raise UsageError(
            f"--abort-window {window_s:g}s: give 1 s or more, and at most half of the measured "
            f"{duration / NS_PER_S:g} s: two windows must fail one after the other"
        )
    return round(window_s * NS_PER_S)


class AbortOnFail:
    """The looks at the run in `folder`, from its first measured window on."""

    def __init__(self, folder: RunFolder, window_ns: int) -> None:
        self._folder = folder
        self._window_ns = window_ns
        self._looks: EarlyStop | None = None
        self._due_ns = 0
        self._asked = False
        self._told = b""
        self._broken = ""
        self._scratch = folder.logs / "interim"
        self._scratch.mkdir()
        command = [*own_module("bench.cli.abort_on_fail"), str(folder.path)]
        command += [str(self._scratch), str(window_ns)]
        with (folder.logs / "interim.txt").open("wb") as talk:
            self._process = subprocess.Popen(  # noqa: S603 - this module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        os.set_blocking(self._process.stdout.fileno(), False)

    def read(self, progress: dict[str, Any]) -> dict[str, Any] | None:
        """Take in a progress line of the master; returns `ended_by` where the run is to end."""
        now_ns = progress["now_ns"]
        if self._looks is None:
            self._looks = EarlyStop(progress["start_ns"])
            self._due_ns = progress["measured_ns"] + self._window_ns // 4
        if self._broken:
            return None
        ending = self._answer(self._looks, now_ns) if self._asked else None
        to_ns = now_ns - _UNWRITTEN_NS
        if not self._asked and not self._broken and self._due_ns <= to_ns < progress["end_ns"]:
            self._ask(to_ns)
        return ending

    def close(self) -> None:
        """No more looks; run.json says how many there were."""
        self._process.kill()  # it may be in the middle of a look
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        told: dict[str, Any] = {
            "window_s": self._window_ns / NS_PER_S,
            "looks": self._looks.count if self._looks else 0,
            "blind": self._looks.blind() if self._looks else {},
        }
        self._folder.update(interim=told | ({"broken": self._broken} if self._broken else {}))

    def _ask(self, to_ns: int) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(b"%d\n" % to_ns)
            self._process.stdin.flush()
            self._asked = True
        except OSError:
            self._broken = f"it has ended; see {self._folder.logs.name}/interim.txt"

    def _answer(self, looks: EarlyStop, now_ns: int) -> dict[str, Any] | None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._process.stdout.fileno(), 1 << 16):
                self._told += data
            self._broken = f"it has ended; see {self._folder.logs.name}/interim.txt"
        if not self._told.endswith(b"\n"):
            return None
        told = msgspec.json.decode(self._told)
        self._told, self._asked, self._broken = b"", False, told["broken"]
        pause_ns = max(self._window_ns / 4, told["spent_s"] / _SHARE * NS_PER_S)
        self._due_ns = now_ns - _UNWRITTEN_NS + round(pause_ns)
        if self._broken:
            return None
        results = tuple(GateResult(**one) for one in told["results"])
        return looks.take(Checkpoint(told["from_ns"], told["to_ns"], told["at_ns"], results))


def main() -> None:
    """The process that looks: an instant a line in, the rulings a line out."""
    os.nice(19)
    folder, scratch, window_ns = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for line in sys.stdin.buffer:
        began = time.process_time()
        told: dict[str, Any] = {"broken": ""}
        try:
            told |= take_checkpoint(folder, window_ns, int(line), scratch)._asdict()
            told["results"] = [one._asdict() for one in told["results"]]
        except (BenchError, OSError, ValueError) as error:
            told["broken"] = str(error)
        told["spent_s"] = time.process_time() - began
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""The live view of a run: what moves on a terminal, or a line every five seconds in a log.

On a terminal there are the figures, and below them, as high and wide as it is, the median wait for
the first audio, a column a second. Nothing of it is cut at 80 columns, nor at 24 lines.
"""

import time
from collections import deque
from collections.abc import Iterator
from itertools import accumulate, islice
from statistics import median, quantiles
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bench.cli.console import say
from bench.report.sparkline import columns
from bench.runs.failure import session_cause
from bench.runs.job import Job
from bench.voice.audio import NS_PER_S

LOG_EVERY_S = 5.0
_LABEL = 10
"""Columns beside the chart."""
_MOST_MEDIANS = 1000
"""Seconds that medians are kept for: more columns than a terminal has."""
_HIGHEST = 12
"""Lines of the chart at most; it takes a third of the terminal."""


class LiveView:
    """Shows progress on a terminal; prints a line now and then where there is none.

    Its latencies are of the last turns only and for the eye only: no reported figure comes from
    here.
    """

    def __init__(self, job: Job, console: Console) -> None:
        self.drained = False
        self._console = console
        self._title = f"{job.name} against {job.target.name}"
        self._load = job.scenario.load
        self._phase, self._said = "starting", False
        self._progress: dict[str, Any] | None = None
        self._last_log = 0.0
        self._medians: deque[float] = deque(maxlen=_MOST_MEDIANS)
        self._second = -1
        self._live = (
            Live(self._view(), console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def begun(self) -> bool:
        """Whether the run has begun: the master has said something."""
        return self._progress is not None

    def say(self, note: str) -> None:
        """One sentence, now; it stands in the place of the phase from then on."""
        self._phase, self._said = note, True
        if self._live is None:
            say(self._console, note)
        else:
            self._live.update(self._view())

    def show(self, progress: dict[str, Any]) -> None:
        """The newest progress of the master."""
        self._progress = progress
        self.drained = progress["now_ns"] >= progress["end_ns"]
        if not self._said:
            self._phase = self._phase_at(progress)
        second = (progress["now_ns"] - progress["start_ns"]) // NS_PER_S
        if second > self._second and (recent := self._recent()):
            self._second = second
            self._medians.append(median(recent))
        if self._live is not None:
            self._live.update(self._view())
        elif time.monotonic() - self._last_log >= LOG_EVERY_S:
            self._last_log = time.monotonic()
            say(self._console, f"phase {self._phase}  {'  '.join(self._figures())}")
            if cause := self._cause():
                say(self._console, f"failing   {cause}")

    def _phase_at(self, progress: dict[str, Any]) -> str:
        """What the load does at that instant, by its plan."""
        load, at = self._load, progress["now_ns"] - progress["measured_ns"]
        if self.drained or at < 0:
            return "draining" if self.drained else "warm-up"
        if at >= load.duration:
            return "cooling down"
        ends = accumulate(stage.length for stage in load.stages)
        within = (name for name, end in zip(load.stage_names, ends, strict=True) if at < end)
        return " ".join(["measuring", *islice(within, 1)])

    def _workers(self) -> list[dict[str, Any]]:
        return self._progress["workers"] if self._progress is not None else []

    def _recent(self) -> list[float]:
        """First audio of the last turns, ms."""
        return [value for worker in self._workers() for value in worker["recent"]]

    def _figures(self) -> list[str]:
        """Figures with their names; the time that is left comes first."""
        if (progress := self._progress) is None:
            return []
        workers, recent = self._workers(), self._recent()
        waiting = sum(worker["waiting"] for worker in workers)
        figures = [
            f"left {max(0, progress['end_ns'] - progress['now_ns']) / NS_PER_S:.0f} s",
            f"sessions {sum(worker['open'] for worker in workers)}"
            + (f" ({waiting} waiting)" if waiting else ""),
            f"turns {sum(worker['turns'] for worker in workers)}",
            f"failed {sum(worker['failed'] for worker in workers)}",
        ]
        if len(recent) > 1:
            figures.append(f"first audio p50 {median(recent):.0f} ms")
            figures.append(f"p95 {quantiles(recent, n=20)[-1]:.0f} ms")
        if workers:
            figures.append(f"loop lag {max(worker['hub_lag_ms'] for worker in workers):.1f} ms")
        return figures

    def _cause(self) -> str:
        """The commonest reason of sessions that failed so far; "" where none did."""
        told: dict[tuple[str, str], int] = {}
        for worker in self._workers():
            for outcome, reason, met in worker["failures"]:
                told[outcome, reason] = told.get((outcome, reason), 0) + met
        cause = session_cause(told, sum(worker["started"] for worker in self._workers()))
        return "" if cause is None else " ".join(cause.text.split())

    def _view(self) -> Group:
        """Title and phase, figures in rows that no terminal of 80 columns cuts, cause, chart."""
        figures = self._figures()
        lines = [
            Text(f"{self._title}: {self._phase}", "bold"),
            *(Text("   ".join(row)) for row in (figures[:4], figures[4:]) if row),
        ]
        if cause := self._cause():
            lines.append(Text(cause, "yellow"))
        if len(self._medians) > 1:
            lines += [Text(""), *map(Text, self._chart())]
        return Group(*lines)

    def _chart(self) -> Iterator[str]:
        """The median wait for the first audio, from zero; the latest that there is room for."""
        height = max(1, min(_HIGHEST, self._console.height // 3))
        shown = list(self._medians)[_LABEL - self._console.width :]
        top, bottom = f"{max(shown):.0f} ms", "0"
        for number, row in enumerate(columns(shown, height), 1):
            label = top if number == 1 else bottom if number == height else ""
            yield f"{label:>{_LABEL - 1}} {row}"
        yield f"{'':{_LABEL}}first audio p50, the last {len(shown)} s"

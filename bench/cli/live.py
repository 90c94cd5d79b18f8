"""The live view of a run: a line of figures that moves, or a line every five seconds in a log."""

import time
from statistics import median, quantiles
from typing import Any, Self

from rich.console import Console
from rich.live import Live as RichLive
from rich.markup import escape
from rich.table import Table

from bench.runs.failure import session_cause
from bench.runs.job import Job
from bench.voice.audio import NS_PER_S

LOG_EVERY_S = 5.0


class Live:
    """Shows progress on a terminal; prints a line now and then where there is none.

    Its latencies are of the last turns only and for the eye only: no reported figure comes from
    here.
    """

    def __init__(self, job: Job, talk: Console) -> None:
        self.drained = False
        self._talk = talk
        self._job = job
        self._note = "starting"
        self._word: dict[str, Any] | None = None
        self._last_log = 0.0
        self._live = (
            RichLive(self._table(), console=talk, refresh_per_second=4, transient=True)
            if talk.is_terminal
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
        return self._word is not None

    def say(self, note: str) -> None:
        """One sentence, now."""
        self._note = note
        if self._live is None:
            self._talk.print(note, highlight=False)
        self._refresh()

    def show(self, word: dict[str, Any]) -> None:
        """The newest word from the master."""
        self._word = word
        self.drained = word["now_ns"] >= word["end_ns"]
        if self._note == "starting" or self._note in _PHASES:
            self._note = _phase(word)
        if self._live is None and time.monotonic() - self._last_log >= LOG_EVERY_S:
            self._last_log = time.monotonic()
            self._talk.print(self._line(), highlight=False, soft_wrap=True)
            if cause := self._cause():
                self._talk.print(
                    f"failing   {cause}", highlight=False, markup=False, soft_wrap=True
                )
        self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._table())

    def _line(self) -> str:
        cells = dict(self._cells())
        return "  ".join(f"{name} {value}" for name, value in cells.items())

    def _cells(self) -> list[tuple[str, str]]:
        word = self._word
        if word is None:
            return [("phase", self._note)]
        workers = word["workers"]
        recent = sorted(value for worker in workers for value in worker["recent"])
        cells = [
            ("phase", self._note),
            ("left", f"{max(0, word['end_ns'] - word['now_ns']) / NS_PER_S:.0f} s"),
            ("sessions", _sessions(workers)),
            ("turns", str(sum(worker["turns"] for worker in workers))),
            ("failed", str(sum(worker["failed"] for worker in workers))),
        ]
        if len(recent) > 1:
            cells.append(("first audio p50", f"{median(recent):.0f} ms"))
            cells.append(("p95", f"{quantiles(recent, n=20)[-1]:.0f} ms"))
        if workers:
            cells.append(("loop lag", f"{max(w['hub_lag_ms'] for w in workers):.1f} ms"))
        return cells

    def _cause(self) -> str:
        """The commonest reason of sessions that failed so far; "" where none did."""
        told: dict[tuple[str, str], int] = {}
        workers = self._word["workers"] if self._word else []
        for worker in workers:
            for outcome, reason, met in worker["failures"]:
                told[outcome, reason] = told.get((outcome, reason), 0) + met
        cause = session_cause(told, sum(worker["started"] for worker in workers))
        return "" if cause is None else " ".join(cause.text.split())

    def _table(self) -> Table:
        title = f"{self._job.name} against {self._job.target.name}"
        table = Table(title=title, expand=False, caption=escape(self._cause()) or None)
        cells = self._cells()
        for name, _ in cells:
            table.add_column(name, justify="right" if name != "phase" else "left", no_wrap=True)
        table.add_row(*(value for _, value in cells))
        return table


def _sessions(workers: list[dict[str, Any]]) -> str:
    """Sessions that are ready; those that wait to be let in beside them."""
    waiting = sum(worker["waiting"] for worker in workers)
    held = str(sum(worker["open"] for worker in workers))
    return held + (f" ({waiting} waiting)" if waiting else "")


_PHASES = ("warm-up", "measuring", "draining")


def _phase(word: dict[str, Any]) -> str:
    if word["now_ns"] < word["measured_ns"]:
        return "warm-up"
    return "measuring" if word["now_ns"] < word["end_ns"] else "draining"

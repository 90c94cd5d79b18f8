"""Judging a run that still goes on: looks at its last seconds, and when they are enough to end it.

Theory of operation
-------------------
A *look* takes what the workers have written so far through the same analysis as the end of the run
does, with a window for its measured phase. So a gate means the same in the middle as at the end:
the same samples, intervals and effective numbers; turns that a bad second of the generator touched
are set aside; a wait that its caller gave up is censored. A turn under way is no sample yet.

*Ending on a look* is a decision made again and again, and whoever looks often enough at a target
that just meets its gate will see it fail once. A gate ends the run where it fails in every look for
so long that the first and the last of them share no turn: two windows, one after the other. At the
limit a single look fails one time in forty. Simulated, of 1 000 runs of ten minutes at their limit,
each looked at 76 times, none is ended; of those 20 % beyond it all are, after two windows
(`tests/benchmarks/bench_statistics.py`).

What nothing later can mend ends the run at once: a count of what must not happen, and an extreme,
that are past their limits. Not judged before the end are soft gates, rates, counts that must reach
a number, extremes that may still come, gates on another phase, and what is only missing so far
(`unseen_messages`, `unhonoured`).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.analysis.enough import upper
from bench.analysis.judge import weigh_run
from bench.analysis.pipeline import analyse
from bench.analysis.ruling import Ruling
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import METRICS
from bench.runs.folder import RunFolder
from bench.runs.seal import seal
from bench.voice.audio import NS_PER_S

RULE: Final = "abort_on_fail"
_ONLY_GROW: Final = {"failed_turns", "errors", "unknown_messages", "violations", "leaks"}
"""Counts that a longer run never makes smaller."""


class Look(NamedTuple):
    """What a window [from_ns, to_ns) of the monotonic clock was judged to be."""

    from_ns: int
    to_ns: int
    rulings: tuple[Ruling, ...]


def may_end(gate: Gate) -> bool:
    """Whether a run can be ended by this gate."""
    if gate.soft or any(one.key == "phase" for one in gate.where):
        return False
    if METRICS[gate.metric].kind == "count" or gate.statistic in {"min", "max"}:
        return _is_final(gate)
    return True


def _is_final(gate: Gate) -> bool:
    """Whether a failure of this gate cannot be mended by anything that comes later."""
    if METRICS[gate.metric].kind == "count":
        growing = gate.statistic == "count" and gate.metric in _ONLY_GROW
        return growing and gate.operator in {"<", "<=", "=="}
    return gate.statistic == ("max" if upper(gate) else "min")


def look_at(folder: Path, from_ns: int, to_ns: int, scratch: Path) -> Look:
    """Judge the turns of the run in `folder` that began within the window.

    Reads its run.json and its workers' logs as far as they are written. Tables are made in a folder
    of `scratch`, which is gone in the end. RunFolderError where a file is unreadable.
    """
    place = RunFolder.open(folder)
    run = place.read()
    gates = [gate for text in run["gates"] if may_end(gate := parse_gate(text))]
    plan = {**run["plan"], "measured_from_ns": from_ns, "measured_to_ns": to_ns}
    with tempfile.TemporaryDirectory(dir=scratch) as made:
        window = RunFolder.create(Path(made) / place.path.name)
        window.write({**run, "plan": plan})
        for log in place.logs.glob("worker-*.log"):
            (window.logs / log.name).symlink_to(log.resolve())
        seal(window)
        analyse(window.path)
        found = weigh_run(window.path, gates, None)["gates"]
    return Look(from_ns, to_ns, tuple(Ruling(**entry) for entry in found))


class Looks:
    """Look after look at a run that started at `start_ns`; says which of them ends it."""

    def __init__(self, start_ns: int) -> None:
        self.count = 0
        self._start_ns = start_ns
        self._failing: dict[str, list[Look]] = {}

    def take(self, look: Look) -> dict[str, Any] | None:
        """The next look, later than the others; returns `ended_by` where it is enough."""
        self.count += 1
        for ruling in look.rulings:
            if ruling.verdict != "fail":
                self._failing.pop(ruling.gate, None)
                continue
            since = self._failing.setdefault(ruling.gate, [])
            since.append(look)
            if _is_final(gate := parse_gate(ruling.gate)):
                if gate.operator != "==" or (ruling.value or 0) > (gate.limit or 0):
                    return self._ending(ruling, since, "and nothing later can mend that")
            elif since[0].to_ns <= look.from_ns:
                after = f"as in all {len(since)} looks since {self._second(since[0].from_ns)}"
                return self._ending(ruling, since, after)
        return None

    def _ending(self, ruling: Ruling, since: Sequence[Look], words: str) -> dict[str, Any]:
        last = since[-1]
        when = f"from {self._second(last.from_ns)} to {self._second(last.to_ns)} of the run"
        return {
            "rule": RULE,
            "text": f"{ruling.reason}, {when}, {words}",
            "gate": ruling.gate,
            "looks": self.count,
            "windows": [[look.from_ns, look.to_ns] for look in since],
        }

    def _second(self, at_ns: int) -> str:
        return f"{(at_ns - self._start_ns) / NS_PER_S:.0f} s"

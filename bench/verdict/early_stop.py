"""Judging a run that still goes on: checkpoints of its last seconds, and when they end it.

Theory of operation
-------------------
A *checkpoint* takes what the workers have written so far through the same analysis as the end of
the run does. So a gate means the same in the middle as at the end: the same samples, intervals and
effective numbers; turns that a bad second of the generator touched are excluded; a wait that its
caller gave up is censored. Figures of turns are judged over a window; all else, which cannot be cut
into windows or only ever grows, over all that was measured so far.

A turn under way is no sample yet, and one that has waited long already is a slow one. So a window
ends where the oldest turn under way began: of the turns in it none is missing, be it for its
slowness, and a server that answers nobody is seen when the callers give up.

*Ending on a checkpoint* is a decision made again and again, and whoever looks often enough at a
target that just meets its gate will see it fail once. A gate ends the run where it fails in every
checkpoint for so long that the first and the last of them share no turn: two windows, one after the
other. At the limit a single checkpoint fails one time in forty. Simulated (`tests.verdict.watched`:
20 callers, a turn in six seconds each, ten minutes, a checkpoint in 7.5 s), of 1 000 runs whose p50
or p90 is at its limit none is ended, and of those 20 % beyond it all are, most after two windows.
Checkpoints that are rarer end fewer. A window with too few samples to fail ends nothing: a p99 of a
hundred turns never does.

What nothing later can mend ends the run at once: a count of what must not happen, and an extreme,
that are past their limits. Not judged before the end are soft gates, rates, counts that must reach
a number, extremes that may still come, gates on another phase, and what is only missing so far
(`unseen_messages`, `unhonoured`).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.analysis.measure import turn_spans
from bench.analysis.pipeline import analyse
from bench.analysis.tables import plain_strings, read_table
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import METRICS
from bench.runs.folder import RunFolder
from bench.runs.seal import seal
from bench.tracker.event import NEVER
from bench.verdict.filtered_figures import of_turns
from bench.verdict.gate_result import GateResult
from bench.verdict.sample_size import effective, wanted
from bench.verdict.verdict import weigh_run
from bench.voice.audio import NS_PER_S

RULE: Final = "abort_on_fail"


class Checkpoint(NamedTuple):
    """How a run was judged at an instant: by its turns that began in [from_ns, to_ns).

    Instants are of the monotonic clock. Results of gates that are final are by all up to `at_ns`.
    """

    from_ns: int
    to_ns: int
    at_ns: int
    results: tuple[GateResult, ...]


def may_end(gate: Gate) -> bool:
    """Whether a run can be ended by this gate."""
    if gate.soft or any(one.key == "phase" and one.value != "hold" for one in gate.where):
        return False
    if METRICS[gate.metric].kind == "count" or gate.statistic in {"min", "max"}:
        return is_final(gate)
    return True


def is_final(gate: Gate) -> bool:
    """Whether a failure of this gate cannot be mended by anything that comes later."""
    if METRICS[gate.metric].kind == "count":
        growing = gate.statistic == "count" and METRICS[gate.metric].only_grows
        return growing and gate.operator in {"<", "<=", "=="}
    return gate.statistic == ("max" if gate.upper else "min")


@plain_strings
def take_checkpoint(folder: Path, window_ns: int, now_ns: int, scratch: Path) -> Checkpoint:
    """Judge the run in `folder` as it is known at `now_ns`.

    Reads its run.json and its workers' logs as far as they are written. Tables are made in a folder
    of `scratch`, which is gone in the end. RunFolderError where a file is unreadable.
    """
    place = RunFolder.open(folder)
    run = place.read()
    gates = [parse_gate(text) for text in run["gates"]]
    begin_ns = int(run["plan"]["measured_from_ns"])
    with tempfile.TemporaryDirectory(dir=scratch) as made:
        partly = RunFolder.create(Path(made) / place.path.name)
        until = min(now_ns, run["plan"].get("measured_to_ns") or now_ns)
        partly.write({**run, "plan": {**run["plan"], "measured_to_ns": until}})
        for log in place.logs.glob("worker-*.log"):
            (partly.logs / log.name).symlink_to(log.resolve())
        seal(partly)
        analyse(partly.path)
        to_ns = min(now_ns, _oldest_under_way(partly))
        within = (to_ns - window_ns, to_ns)
        windowed = {gate: within for gate in gates if not is_final(gate)}
        found = weigh_run(partly.path, gates, None, within=windowed)["gates"]
    results = [
        GateResult(**entry)
        for gate, entry in zip(gates, found, strict=True)
        if may_end(gate) and (is_final(gate) or within[0] >= begin_ns)
    ]
    return Checkpoint(*within, now_ns, tuple(results))


def _oldest_under_way(place: RunFolder) -> int:
    """When the first of the turns began that nobody knows the end of yet; far off without any.

    A session that has not ended yet has no end in its log, like one whose worker was lost.
    """
    sessions = read_table(place.sessions, ["session", "outcome"])
    turns = read_table(place.turns, None)
    going = sessions.loc[sessions["outcome"] == "lost", "session"]
    under_way = (turns["outcome"] == "cut") & turns["session"].isin(going)
    begin, _ = turn_spans(turns)
    return int(begin[under_way.to_numpy(bool)].min(initial=NEVER))


class EarlyStop:
    """The checkpoints of a run that started at `start_ns`; says which of them ends it."""

    def __init__(self, start_ns: int) -> None:
        self.count = 0
        self._start_ns = start_ns
        self._failing: dict[str, list[Checkpoint]] = {}
        self._fullest: dict[str, tuple[float, int]] = {}

    def take(self, checkpoint: Checkpoint) -> dict[str, Any] | None:
        """The next one, later than the others; returns `ended_by` where it is enough."""
        self.count += 1
        for result in checkpoint.results:
            gate = parse_gate(result.gate)
            had = (effective(result._asdict()), wanted(gate))
            self._fullest[gate.text] = max(had, self._fullest.get(gate.text, had))
            if result.verdict != "fail":
                self._failing.pop(result.gate, None)
                continue
            since = self._failing.setdefault(result.gate, [])
            since.append(checkpoint)
            if words := self._enough(gate, result, since):
                return {
                    "rule": RULE,
                    "text": f"{result.reason}, {words}",
                    "gate": result.gate,
                    "looks": self.count,
                    "windows": [[one.from_ns, one.to_ns] for one in since],
                }
        return None

    def blind(self) -> dict[str, list[float]]:
        """The gates that no checkpoint had samples enough for: [how many at most, how many needed].

        One that ended the run is among them where every sample was beyond its limit.
        """
        return {
            text: [round(had, 1), needs]
            for text, (had, needs) in self._fullest.items()
            if had < needs
        }

    def _enough(self, gate: Gate, result: GateResult, since: Sequence[Checkpoint]) -> str:
        """When the gate failed, where that ends the run; else ""."""
        last = since[-1]
        if is_final(gate):
            if gate.operator == "==" and (result.value or 0) <= (gate.limit or 0):
                return ""
            return f"{self._second(last.at_ns)} into the run; nothing can mend that"
        if since[0].to_ns > last.from_ns:
            return ""
        span = f"{self._second(last.from_ns)} to {self._second(last.to_ns)} of the run"
        so_far = f"of all measured up to {self._second(last.at_ns)} of the run"
        when = f"of turns begun from {span}" if of_turns(gate) else so_far
        return f"{when}, as in all {len(since)} checkpoints since {self._second(since[0].from_ns)}"

    def _second(self, at_ns: int) -> str:
        return f"{(at_ns - self._start_ns) / NS_PER_S:.0f} s"

"""The verdict of a run: its gates (`gate_result`), its validity, and whether it measured anything.

It is the worst of: invalid (a validity rule is broken: its figures never gate), fail,
inconclusive, pass. A run that measured no turn passes nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pandas as pd

from bench.analysis.evidence import Check, Evidence
from bench.analysis.measure import attempts, good_turns, turn_spans
from bench.analysis.pipeline import write_json
from bench.analysis.sessions import IN_ORDER
from bench.analysis.stamps import read_stamps
from bench.analysis.tables import (
    plain_strings,
    read_health,
    read_table,
    texts,
)
from bench.analysis.validity import check_run, shortfall
from bench.compare.baseline import mismatch_error, mismatches, other_lengths, read_baseline_figures
from bench.compare.comparability import asked_of_turns, facts_of, measured_alike
from bench.errors import RunFolderError, UsageError
from bench.plan.gates import Gate
from bench.plan.metrics import VERSION
from bench.runs.failure import Cause, session_cause, turn_cause
from bench.runs.folder import RunFolder
from bench.runs.json_file import FORMAT, read_summary
from bench.stats.proportion import proportion
from bench.tracker.outcomes import FAILED
from bench.verdict.filtered_figures import filtered_rows, of_turns
from bench.verdict.gate_result import GateResult, Row, Rows, rule_gate
from bench.verdict.junit import write_junit
from bench.verdict.sample_size import Ran
from bench.voice.audio import NS_PER_S
from bench.voice.scripts import SCRIPTS

EXIT_CODES: Final = {"pass": 0, "fail": 1, "invalid": 3, "inconclusive": 4}
"""What a verdict means for a process: design.md, section 4."""
SESSION_COLUMNS: Final = (
    "session", "worker", "slot", "outcome", "reason", "awaited", "in_vain", "scheduled_ns",
    "started_ns", "opened_ns", "ended_ns",
)  # fmt: skip
"""Of the sessions table, what rules and causes look at."""
"""Of the events, what rules look at."""
_MOST: Final = 0.5
"""A cause that so large a share met explains the run: it is told before any gate."""
_WITH_THEIR_SESSION: Final = ("rejected", "dropped")
_OTHER_LENGTH: Final[Row] = {
    "value": None,
    "missing": "its run was not as long, and counts more or less by that alone; gate the rate",
}


@plain_strings
def judge_run(
    folder: Path, gates: Sequence[Gate], baseline: Path | None, *, allow: bool = False
) -> dict[str, Any]:
    """Judge the analysed run in `folder`; writes verdict.json and junit.xml, returns the verdict.

    `baseline` is a run folder, a summary.json or an accepted baseline; None: the one that the run
    was made with, if any. UsageError where the run is unlike it, unless that is allowed, and of
    what cannot be read. A run's own baseline that will not do any more leaves its gates open: a
    run can be judged years later. RunFolderError where the run's own figures are unreadable, or of
    another version of the metric definitions.
    """
    verdict, place = weigh_run(folder, gates, baseline, allow=allow), RunFolder.open(folder)
    write_json(verdict, place.verdict)
    write_junit(verdict, place.path.name, place.path / "junit.xml")
    return verdict


def weigh_run(
    folder: Path,
    gates: Sequence[Gate],
    baseline: Path | None,
    *,
    allow: bool = False,
    within: Mapping[Gate, tuple[int, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The verdict that `judge_run` would write; the folder is left as it is.

    `within`: by gate [from_ns, to_ns): where it is about figures of turns, only those that began
    then count. What the whole run was ended for fails no gate then.
    """
    place = RunFolder.open(folder)
    run, summary = place.read(), _summary(place)
    accepted = _accepted(baseline, run, summary, gates, allow=allow)
    remarks = [*accepted.remarks, *(summary.get("remarks") or ())]
    rows = by_statistic(summary)
    if any(gate.metric == "good_turns" for gate in gates):
        rows["good_turns", "share"] = _good(read_table(place.turns, None), gates)
    if row := rows.get(("remarks", "count")):
        rows["remarks", "count"] = {**row, "value": len(remarks)}

    few = [bool(gate.where) or (gate in within and of_turns(gate)) for gate in gates]
    narrow = _narrow(place, summary, within) if any(few) else lambda _: rows
    ran, ended_by = _ran(run, summary), (run.get("ended_by") or {}) if not within else {}
    results = [
        _as_ended(
            rule_gate(gate, narrow(gate) if some else rows, accepted.rows, accepted.missing, ran),
            ended_by,
        )
        for gate, some in zip(gates, few, strict=True)
    ]

    sessions = read_table(place.sessions, list(SESSION_COLUMNS))
    evidence = Evidence(
        run, read_stamps(place.events), read_health(place.health), sessions, summary
    )
    turns = read_table(place.turns, ["outcome", "reason", "measured"])
    why = failure_causes(sessions, turns[turns["measured"].astype(bool)])
    return conclude(
        results, check_run(evidence), _unmeasured(summary), remarks,
        causes=why, short=shortfall(evidence),
    )  # fmt: skip


def conclude(
    results: Sequence[GateResult],
    checks: Sequence[Check],
    nothing: str,
    said: Sequence[str],
    *,
    causes: Sequence[Cause] = (),
    short: str = "",
) -> dict[str, Any]:
    """The verdict document: the worst of validity, gates and having measured anything.

    `nothing` says why no turn was measured, where none was; `short` why the target did not hold the
    load, which is a failure whatever the gates say. `said` are remarks: what must be known and
    decides nothing. So do soft gates. A cause that most sessions or turns met is the first reason,
    another the last; of a run that passes it is a remark.
    """
    broken = [check.text for check in checks if not check.ok]
    hard = [one for one in results if not one.soft]
    failed = [short] * bool(short) + [one.reason for one in hard if one.verdict == "fail"]
    unsure = [nothing] * bool(nothing)
    unsure += [one.reason for one in hard if one.verdict == "inconclusive"]
    passed = [f"all {len(hard)} gates hold" if hard else "no gates were asked for"]
    if missed := sum(one.verdict != "pass" for one in results if one.soft):
        passed.append(f"{missed} soft ones do not, and decide nothing")
    found = {"invalid": broken, "fail": failed, "inconclusive": unsure, "pass": passed}
    verdict, why = next((word, reasons) for word, reasons in found.items() if reasons)
    remarks = list(said)
    if verdict == "pass":
        remarks += [one.text for one in causes]
    else:
        most = [one.text for one in causes if one.share >= _MOST][:1]
        why = [*most, *why, *(one.text for one in causes if one.text not in most)]
    return {
        "format": FORMAT,
        "verdict": verdict,
        "reasons": why,
        "causes": [one._asdict() for one in causes],
        "remarks": remarks,
        "gates": [one._asdict() for one in results],
        "validity": [check._asdict() for check in checks],
    }


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


def _summary(place: RunFolder) -> dict[str, Any]:
    """The summary of an analysed run. RunFolderError where it is none of this version."""
    found = read_summary(place.summary)
    if found.get("metric_version") != VERSION:
        raise RunFolderError(
            f"{place.path.name}: its figures are of metric definitions "
            f"{found.get('metric_version')}, this program judges by {VERSION}; run "
            f"'bench report {place.path}' on it first"
        )
    return found


def by_statistic(summary: dict[str, Any]) -> Rows:
    """The unfiltered rows of a summary by (metric, statistic)."""
    return {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}


def _ran(run: dict[str, Any], summary: dict[str, Any]) -> Ran | None:
    """The run, as far as advice is reckoned from it; None where it does not say how long it was."""
    effective, plan = (run.get("scenario") or {}).get("effective") or {}, run["plan"]
    begin, end = plan.get("measured_from_ns"), plan.get("measured_to_ns")
    if begin is None or end is None or end <= begin:
        return None
    load = effective.get("load") or {}
    kinds = effective.get("mixture") or [{"script": effective.get("script")}]
    stock = all(kind["script"] in SCRIPTS for kind in kinds)
    lines = int(effective.get("turns") or 0)
    return Ran(
        measured_s=(end - begin) / NS_PER_S,
        warmup_s=int(load.get("warmup") or 0) / NS_PER_S,
        held=load.get("sessions"),
        started=int(summary["sessions"]["started"]),
        attempted=_attempted(summary),
        turns=max(SCRIPTS[kind["script"]].most(lines) for kind in kinds) if stock else 0,
    )


def _attempted(summary: dict[str, Any]) -> int:
    """Turns that were measured; those that the run cut are none."""
    return sum(n for outcome, n in summary["outcomes"].items() if outcome != "cut")


def _unmeasured(summary: dict[str, Any]) -> str:
    """Why there is no turn to judge by; empty where there is."""
    if _attempted(summary):
        return ""
    aside = (summary.get("set_aside") or {}).get("turns")
    spoilt = f"; {aside} were excluded, for the generator was late" if aside else ""
    return f"no turn was measured{spoilt}"


def _as_ended(result: GateResult, ended_by: dict[str, Any]) -> GateResult:
    """A gate that a run was ended for (`early_stop`) has failed, whatever came before."""
    if result.gate != ended_by.get("gate"):
        return result
    text = str(ended_by["text"])
    return result._replace(verdict="fail", reason=f"{text}; the run was ended for it", ended=text)


def _narrow(
    place: RunFolder, summary: dict[str, Any], within: Mapping[Gate, tuple[int, int]]
) -> Callable[[Gate], Rows]:
    """The rows of a gate that is about some turns only."""
    plan, turns = place.read()["plan"], read_table(place.turns, None)
    sessions = read_table(place.sessions, None)
    begin, _ = turn_spans(turns)

    def rows(gate: Gate) -> Rows:
        window = within.get(gate)
        mine = turns if window is None else turns[(begin >= window[0]) & (begin < window[1])]
        return filtered_rows(gate, summary, plan, mine, sessions)

    return rows


def _good(turns: pd.DataFrame, gates: Sequence[Gate]) -> Row:
    """good_turns anew: what is good depends on the gates."""
    counted = attempts(turns)
    good = good_turns(counted, gates).to_numpy(bool)
    found = proportion(good, counted["session"].to_numpy())
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n,
            "effective": found.effective}  # fmt: skip


# ── why it failed ────────────────────────────────────────────────────────────────────────────────


def failure_causes(sessions: pd.DataFrame, turns: pd.DataFrame) -> list[Cause]:
    """The commonest cause of failed sessions, and of failed turns whose session lived on.

    `sessions` needs outcome, reason, awaited, in_vain, started_ns, ended_ns; `turns` are those
    that count, with outcome and reason.
    """
    failed = turns[turns["outcome"].isin(FAILED) & ~turns["outcome"].isin(_WITH_THEIR_SESSION)]
    told = Counter(zip(failed["outcome"], texts(failed["reason"]), strict=True))
    attempted = int((turns["outcome"] != "cut").sum())
    found = session_cause(_failed_sessions(sessions), len(sessions)), turn_cause(told, attempted)
    return [cause for cause in found if cause is not None]


def _failed_sessions(sessions: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Sessions that failed, counted by outcome and reason; of waits in vain the longest is told."""
    failed = sessions[~sessions["outcome"].isin(IN_ORDER) & ~sessions["in_vain"]]
    told = Counter(zip(failed["outcome"], texts(failed["reason"]), strict=True))
    for awaited, mine in sessions[sessions["in_vain"]].groupby("awaited"):
        longest = float((mine["ended_ns"] - mine["started_ns"]).max()) / 1e9
        told["waiting", f"for {awaited}, {longest:.1f} s at the longest"] = len(mine)
    return dict(told)


# ── the baseline ─────────────────────────────────────────────────────────────────────────────────


class _Accepted(NamedTuple):
    """The figures of a baseline, why there are none, and what must be known of it."""

    rows: Rows
    missing: str = ""
    remarks: Sequence[str] = ()


def _accepted(
    given: Path | None,
    run: dict[str, Any],
    summary: dict[str, Any],
    gates: Sequence[Gate],
    *,
    allow: bool,
) -> _Accepted:
    path = given
    if given is None and run.get("baseline"):
        path, allow = Path(run["baseline"]), bool(run.get("baseline_allowed"))
    if path is None:
        return _Accepted({}, "none was given")
    try:
        found = read_baseline_figures(path)
        ours = facts_of(run, summary, {})
        against = mismatches(found, ours)
        if against and not allow:
            raise mismatch_error(path, against)
    except UsageError as error:
        if given is not None:
            raise
        return _Accepted({}, str(error))
    said = [f"the baseline does not match this run, as was allowed: {line}" for line in against]
    rows: Rows = {(row["metric"], row["statistic"]): row for row in found.rows}
    if not all(measured_alike(facts, ours) for facts in found.facts):
        rows |= {key: _OTHER_LENGTH for key in rows if key[1] == "count"}
    asked = asked_of_turns(gates)
    if any(facts.get("objectives") != asked for facts in found.facts or [{}]):
        rows.pop(("good_turns", "share"), None)  # other gates: another figure of the same name
    return _Accepted(rows, "", [*said, *other_lengths(found, ours)])

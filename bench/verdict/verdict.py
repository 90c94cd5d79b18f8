"""The verdict of a run: its gates (`ruling`), its validity, and whether it measured anything.

It is the worst of: invalid (a validity rule is broken: its figures never gate), fail,
inconclusive, pass. A run that measured no turn passes nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from bench.analysis.evidence import Check, Evidence
from bench.analysis.measure import attempts, good_turns, turn_spans
from bench.analysis.pipeline import write_json
from bench.analysis.summary import FORMAT
from bench.analysis.tables import plain_strings, read_events, read_health, read_table
from bench.analysis.validity import check_run, shortfall
from bench.compare.baseline import other_lengths, read_yardstick, refusal, unlike
from bench.compare.comparability import asked_of_turns, facts_of, measured_alike
from bench.errors import RunFolderError, UsageError
from bench.plan.gates import Gate
from bench.plan.metrics import VERSION
from bench.runs.failure import Cause
from bench.runs.folder import RunFolder
from bench.stats.proportion import proportion
from bench.verdict.failure_cause import MOST, causes
from bench.verdict.filtered_figures import filtered_rows, of_turns
from bench.verdict.gate_result import Row, Rows, Ruling, rule_gate
from bench.verdict.junit import write_junit
from bench.verdict.sample_size import Ran
from bench.voice.audio import NS_PER_S
from bench.voice.scripts import SCRIPTS

EXIT_CODES: Final = {"pass": 0, "fail": 1, "invalid": 3, "inconclusive": 4}
"""What a verdict means for a process: design.md, section 4."""
SESSION_COLUMNS: Final = (
    "session", "worker", "slot", "outcome", "reason", "awaited", "in_vain", "started_ns",
    "opened_ns", "ended_ns",
)  # fmt: skip
"""Of the sessions table, what rules and causes look at."""
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
    verdict = weigh_run(folder, gates, baseline, allow=allow)
    _write(verdict, RunFolder.open(folder))
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
    then count.
    """
    place = RunFolder.open(folder)
    summary = _summary(place.summary)
    if summary.get("metric_version") != VERSION:
        raise RunFolderError(
            f"{place.path.name}: its figures are of metric definitions "
            f"{summary.get('metric_version')}, this program judges by {VERSION}; run "
            f"'bench report {place.path}' on it first"
        )
    rows = by_statistic(summary)
    if any(gate.metric == "good_turns" for gate in gates):
        rows["good_turns", "share"] = _good(read_table(place.turns, None), gates)
    accepted, missing, said = _baseline(baseline, place.read(), summary, gates, allow=allow)
    known = [*said, *(summary.get("remarks") or ())]
    if row := rows.get(("remarks", "count")):
        rows["remarks", "count"] = {**row, "value": len(known)}
    few = [bool(gate.where) or (gate in within and of_turns(gate)) for gate in gates]
    narrow = _narrow(place, summary, within) if any(few) else lambda _: rows
    ran = _ran(place.read(), summary)
    rulings = [
        rule_gate(gate, narrow(gate) if some else rows, accepted, missing, ran)
        for gate, some in zip(gates, few, strict=True)
    ]
    evidence = Evidence(
        place.read(),
        read_events(place.events, ["session", "at_ns", "read_ns", "direction", "type", "due_ns"]),
        read_health(place.health),
        read_table(place.sessions, list(SESSION_COLUMNS)),
        summary,
    )
    rulings = [_as_ended(ruling, evidence.run.get("ended_by") or {}) for ruling in rulings]
    checks = check_run(evidence)
    return conclude(
        rulings, checks, _unmeasured(summary), known, causes=_causes(evidence, place),
        short=shortfall(evidence),
    )  # fmt: skip


def _causes(evidence: Evidence, place: RunFolder) -> list[Cause]:
    turns = read_table(place.turns, ["outcome", "reason", "measured"])
    return causes(evidence.sessions, turns[turns["measured"].astype(bool)])


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
        attempted=sum(n for outcome, n in summary["outcomes"].items() if outcome != "cut"),
        turns=max(SCRIPTS[kind["script"]].most(lines) for kind in kinds) if stock else 0,
    )


def _as_ended(ruling: Ruling, ended_by: dict[str, Any]) -> Ruling:
    """A gate that a run was ended for (`interim`) has failed, whatever its better minutes were."""
    if ruling.gate != ended_by.get("gate"):
        return ruling
    text = str(ended_by["text"])
    return ruling._replace(verdict="fail", reason=f"{text}; the run was ended for it", ended=text)


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


def _unmeasured(summary: dict[str, Any]) -> str:
    """Why there is no turn to judge by (those that the run cut are none); empty where there is."""
    if sum(n for outcome, n in summary["outcomes"].items() if outcome != "cut"):
        return ""
    aside = (summary.get("set_aside") or {}).get("turns")
    spoilt = f"; set aside, for the generator was not fit: {aside}" if aside else ""
    return f"no turn was measured{spoilt}"


def conclude(
    rulings: Sequence[Ruling],
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
    hard = [ruling for ruling in rulings if not ruling.soft]
    reasons = {
        word: [ruling.reason for ruling in hard if ruling.verdict == word]
        for word in ("fail", "inconclusive")
    }
    if nothing:
        reasons["inconclusive"].insert(0, nothing)
    if short:
        reasons["fail"].insert(0, short)
    if broken:
        verdict, why = "invalid", broken
    elif reasons["fail"]:
        verdict, why = "fail", reasons["fail"]
    elif reasons["inconclusive"]:
        verdict, why = "inconclusive", reasons["inconclusive"]
    else:
        verdict = "pass"
        why = [f"all {len(hard)} gates hold" if hard else "no gates were asked for"]
        missed = sum(ruling.verdict != "pass" for ruling in rulings if ruling.soft)
        why += [f"{missed} soft ones do not, and decide nothing"] if missed else []
    remarks = list(said)
    if verdict == "pass":
        remarks += [one.text for one in causes]
    else:
        most = [one.text for one in causes if one.share >= MOST]
        why = [*most[:1], *why, *(one.text for one in causes if one.text not in most[:1])]
    return {
        "format": FORMAT,
        "verdict": verdict,
        "reasons": why,
        "causes": [one._asdict() for one in causes],
        "remarks": remarks,
        "gates": [ruling._asdict() for ruling in rulings],
        "validity": [check._asdict() for check in checks],
    }


def by_statistic(summary: dict[str, Any]) -> Rows:
    """The unfiltered rows of a summary by (metric, statistic)."""
    return _by_statistic([row for row in summary["rows"] if not row["filter"]])


def _by_statistic(rows: Sequence[Row]) -> Rows:
    return {(row["metric"], row["statistic"]): row for row in rows}


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def _summary(path: Path) -> dict[str, Any]:
    shown = f"{path.parent.name}/{path.name}"
    try:
        document = json.loads(path.read_text("utf-8"))
        found = document["format"]
        by_statistic(document)
    except FileNotFoundError:
        raise RunFolderError(
            f"{shown}: no such file; analyse the run with 'bench report'"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise RunFolderError(
            f"{shown}: is no summary; analyse the run again with 'bench report'"
        ) from None
    if found != FORMAT:
        raise RunFolderError(f"{shown}: format {found!r}, this version reads {FORMAT}")
    return dict(document)


def _baseline(
    given: Path | None,
    run: dict[str, Any],
    summary: dict[str, Any],
    gates: Sequence[Gate],
    *,
    allow: bool,
) -> tuple[Rows, str, list[str]]:
    """(the rows of the baseline, why there are none, what must be known of it)."""
    path = given
    if given is None and run.get("baseline"):
        path, allow = Path(run["baseline"]), bool(run.get("baseline_allowed"))
    if path is None:
        return {}, "none was given", []
    try:
        found = read_yardstick(path)
        ours = facts_of(run, summary, {})
        against = unlike(found, ours)
        if against and not allow:
            raise refusal(path, against)
    except UsageError as error:
        if given is not None:
            raise
        return {}, str(error), []
    said = [f"judged by a baseline that is unlike, as was allowed: {line}" for line in against]
    said += other_lengths(found, ours)
    rows = _by_statistic(found.rows)
    if not all(measured_alike(facts, ours) for facts in found.facts):
        rows |= {key: _OTHER_LENGTH for key in rows if key[1] == "count"}
    asked = asked_of_turns(gates)
    if any(facts.get("objectives") != asked for facts in found.facts or [{}]):
        rows.pop(("good_turns", "share"), None)  # other gates: another figure of the same name
    return rows, "", said


def _good(turns: pd.DataFrame, gates: Sequence[Gate]) -> Row:
    """good_turns anew: what is good depends on the gates."""
    counted = attempts(turns)
    good = good_turns(counted, gates).to_numpy(bool)
    found = proportion(good, counted["session"].to_numpy())
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n,
            "effective": found.effective}  # fmt: skip


def _write(verdict: dict[str, Any], place: RunFolder) -> None:
    write_json(verdict, place.verdict)
    write_junit(verdict, place.path.name, place.path / "junit.xml")

"""From a run that has ended to its verdict: seal, analyse, judge, report. Works from the folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import RunFolderError, ScriptError, UsageError
from bench.plan.gates import Gate, check_filters, check_gates, parse_gate
from bench.plan.reading import check_scenario
from bench.plan.scenario import known_of, yields_of
from bench.runs.folder import SCRIPT, RunFolder
from bench.runs.seal import seal

CALIBRATION = "calibration.json"


def settle(folder: RunFolder) -> dict[str, Any]:
    """Do all of it; returns the verdict. Logs are removed once they are sealed and in order."""
    from bench.analysis.pipeline import analyse  # noqa: PLC0415 - pandas is slow to import

    seal_logs(folder)
    _take_up_calibration(folder)
    analyse(folder.path)
    return judge(folder, ())


def refuse_script(folder: RunFolder) -> None:
    """Seal a run that its own script has ended, and say why: ScriptError. Any other is left."""
    told = [one["text"] for one in folder.read()["faults"] if one["rule"] == SCRIPT]
    if told:
        seal_logs(folder)
        raise ScriptError(f"{told[0]}; the run was ended, its folder is {folder.path}")


def judge(
    folder: RunFolder,
    more: Sequence[str],
    baseline: Path | None = None,
    *,
    allow: bool = False,
) -> dict[str, Any]:
    """Judge by the run's own gates and some more, and draw the report and its digest again."""
    from bench.report.digest import write_digest  # noqa: PLC0415
    from bench.report.page import write_report  # noqa: PLC0415
    from bench.verdict.verdict import judge_run  # noqa: PLC0415

    run = folder.read()
    if not folder.summary.exists():
        raise RunFolderError(f"{folder.path}: not analysed yet; run `bench report` on it first")
    asked = [parse_gate(text) for text in more]
    gates = [*map(parse_gate, run["gates"]), *asked]
    needing = [gate.text for gate in asked if gate.against_baseline]
    if needing and baseline is None and not run.get("baseline"):
        raise UsageError(f"gate {needing[0]!r} needs a baseline: give --baseline RUN")
    said = run["scenario"]
    scenario = check_scenario(said["document"], said["text"], said["name"])
    check_gates(gates, yields=yields_of(scenario), script=scenario.scripts)
    check_filters(asked, {**known_of(scenario), "worker": range(run["workers"])})
    verdict = judge_run(folder.path, _distinct(gates), baseline, allow=allow)
    write_report(folder.path)
    write_digest(folder.path)
    return verdict


def seal_logs(folder: RunFolder) -> None:
    """Seal what logs there are; they go once the seal holds every row that was acknowledged."""
    logs = sorted(folder.logs.glob("worker-*.log"))
    if not logs and folder.events.exists():
        return
    run = seal(folder)
    if set(run["drained"]) == set(range(run["workers"])) and not run["faults"]:
        for log in logs:
            log.unlink()


def _take_up_calibration(folder: RunFolder) -> None:
    """Write down, once, what is known of this harness's own error at the load of this run.

    The calibration is the one beside the run, else that of `reports/`.
    """
    from bench.analysis.calibration import error_of_run, read_calibration  # noqa: PLC0415
    from bench.analysis.tables import read_health  # noqa: PLC0415

    run = folder.read()
    if "metrics" in (run.get("calibration") or {}):
        return
    places = (folder.path.parent / CALIBRATION, Path("reports") / CALIBRATION)
    path = next((place for place in places if place.exists()), places[0])
    health = read_health(folder.health)
    held = int(health["sessions_open"].max()) if len(health) else 0
    try:
        told = error_of_run(run, held, read_calibration(path))
    except RunFolderError as broken:  # no reason to lose a run
        told = {"held": held, "why": str(broken)}
    folder.update(calibration=told)


def _distinct(gates: list[Gate]) -> list[Gate]:
    return list({gate.text: gate for gate in gates}.values())

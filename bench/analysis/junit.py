"""junit.xml: the verdict in the form that every CI server reads.

Two suites: gates and validity. A failed gate is a failure; an inconclusive one and a broken
validity rule are errors, so that neither is ever shown green. Gates of an invalid run are skipped:
its figures never gate.
"""

from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite


def write_junit(verdict: dict[str, Any], name: str, path: Path) -> None:
    """Write the document; `name` is what the run is called."""
    gates, validity = TestSuite(f"{name}: gates"), TestSuite(f"{name}: validity")
    for ruling in verdict["gates"]:
        gates.add_testcase(_gate(ruling, invalid=verdict["verdict"] == "invalid"))
    for check in verdict["validity"]:
        validity.add_testcase(_check(check))
    if verdict["verdict"] != "pass" and not (gates.failures + gates.errors + validity.errors):
        case = TestCase("the run measured something", "bench.gates")
        case.result = [Error("; ".join(verdict["reasons"]), verdict["verdict"])]
        gates.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(gates)
    document.add_testsuite(validity)
    draft = path.with_suffix(".part")
    document.write(str(draft), pretty=True)
    draft.replace(path)


def _gate(ruling: dict[str, Any], *, invalid: bool) -> TestCase:
    case = TestCase(ruling["gate"], "bench.gates")
    if invalid:
        case.result = [Skipped(f"the run is invalid; {ruling['reason']}")]
    elif ruling["verdict"] == "fail":
        case.result = [Failure(ruling["reason"], "fail")]
    elif ruling["verdict"] == "inconclusive":
        case.result = [Error(ruling["reason"], "inconclusive")]
    return case


def _check(check: dict[str, Any]) -> TestCase:
    case = TestCase(check["rule"], "bench.validity")
    if not check["ok"]:
        case.result = [Error(f"{check['text']}; {check['remedy']}", "invalid")]
    return case

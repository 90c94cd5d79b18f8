"""junit.xml: the verdict in the form that every CI server reads.

Two suites: gates and validity. A failed gate is a failure; an inconclusive one and a broken
validity rule are errors, so that neither is ever shown green. Gates of an invalid run are skipped:
its figures never gate. Every case carries its figures twice: as properties for programs, and in
system-out for people, because some servers show the one and some the other.
"""

from pathlib import Path
from typing import Any, Final

from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

_FIGURES: Final = ("verdict", "value", "low", "high", "limit", "n")
_MEASURES: Final = ("ok", "value", "bound", "unit", "from_s", "to_s")


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
    return _with(case, ruling, _FIGURES, ruling["reason"])


def _check(check: dict[str, Any]) -> TestCase:
    case = TestCase(check["rule"], "bench.validity")
    if not check["ok"]:
        case.result = [Error(f"{check['text']}; {check['remedy']}", "invalid")]
    return _with(case, check, _MEASURES, check["text"])


def _with(case: TestCase, found: dict[str, Any], names: tuple[str, ...], said: str) -> TestCase:
    """The case with its figures; what is not known is left out."""
    figures = Properties()  # type: ignore[no-untyped-call]  # junitparser annotates in part
    for name in names:
        if found.get(name) is not None:
            figures.add_property(Property(name, str(found[name])))
    case.append(figures)  # type: ignore[no-untyped-call]
    shown = ", ".join(f"{one.name} {one.value}" for one in figures)
    case.system_out = f"{said}\n{shown}"
    return case

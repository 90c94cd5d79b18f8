"""junit.xml: the verdict in the form that every CI server reads.

Two suites: gates and validity. A failed gate is a failure; an inconclusive one and a broken
validity rule are errors, so that neither is ever shown green. Gates of an invalid run are skipped:
its figures never gate. So is a soft gate that does not hold. Every case carries its figures twice:
as properties for programs, and in system-out for people, because some servers show the one and some
the other. A control character, as a program's name or a server's words may hold, is no XML at all:
it is written as a replacement character.
"""

import re
from pathlib import Path
from typing import Any, Final

from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

_FIGURES: Final = ("verdict", "value", "low", "high", "limit", "n", "effective")
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets)."""
_MEASURES: Final = ("ok", "value", "bound", "unit", "from_s", "to_s")


def write_junit(verdict: dict[str, Any], name: str, path: Path) -> None:
    """Write the document; `name` is what the run is called."""
    called = _writable(name)
    gates, validity = TestSuite(f"{called}: gates"), TestSuite(f"{called}: validity")
    cause = next((one["text"] for one in verdict.get("causes") or ()), "")
    for ruling in verdict["gates"]:
        gates.add_testcase(_gate(ruling, cause, invalid=verdict["verdict"] == "invalid"))
    for check in verdict["validity"]:
        validity.add_testcase(_check(check))
    if verdict["verdict"] != "pass" and not (gates.failures + gates.errors + validity.errors):
        case = TestCase("the run measured something", "bench.gates")
        case.result = [Error(_writable("; ".join(verdict["reasons"])), verdict["verdict"])]
        gates.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(gates)
    document.add_testsuite(validity)
    draft = path.with_suffix(".part")
    document.write(str(draft), pretty=True)
    draft.replace(path)


def _gate(ruling: dict[str, Any], cause: str, *, invalid: bool) -> TestCase:
    reason = _writable(ruling["reason"])
    if cause and ruling["verdict"] != "pass":
        reason += f"; commonest failure: {_writable(cause)}"
    result: list[Any] = []
    if invalid:
        result = [Skipped(f"the run is invalid; {reason}")]
    elif ruling.get("soft") and ruling["verdict"] != "pass":
        result = [Skipped(f"soft, it decides nothing: {ruling['verdict']}; {reason}")]
    elif ruling["verdict"] == "fail":
        result = [Failure(reason, "fail")]
    elif ruling["verdict"] == "inconclusive":
        result = [Error(reason, "inconclusive")]
    figures = {name: ruling.get(name) for name in _FIGURES}
    return _case(ruling["gate"], "bench.gates", figures, result, reason)


def _check(check: dict[str, Any]) -> TestCase:
    text, remedy = _writable(check["text"]), _writable(check["remedy"])
    result = [] if check["ok"] else [Error(f"{text}; {remedy}", "invalid")]
    figures = {name: check.get(name) for name in _MEASURES}
    return _case(check["rule"], "bench.validity", figures, result, text)


def _writable(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _case(name: str, room: str, figures: dict[str, Any], result: list[Any], said: str) -> TestCase:
    """A case in the order of elements that schemas of JUnit ask for; unknown figures left out."""
    case, properties = TestCase(_writable(name), room), Properties()  # type: ignore[no-untyped-call]
    known = {key: str(value) for key, value in figures.items() if value is not None}
    for key, value in known.items():
        properties.add_property(Property(key, value))
    case.append(properties)  # type: ignore[no-untyped-call]
    case.result = result
    case.system_out = f"{said}\n{', '.join(f'{key} {value}' for key, value in known.items())}"
    return case

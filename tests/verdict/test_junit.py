"""junit.xml, read back by the library that CI tools read it with."""

import pytest
from junitparser import JUnitXml, Properties

from bench.verdict.junit import write_junit

GATES = [
    {"gate": "p95(first_audio_latency) < 800 ms", "verdict": "fail", "value": 912.5, "low": 901.0,
     "high": None, "n": 400, "reason": "112 ms over <the> limit & more", "limit": 800.0},
    {"gate": "count(errors) <= 0", "verdict": "pass", "value": 0, "low": None, "high": None,
     "n": 400, "reason": "equal to the limit of 0", "limit": 0.0},
]  # fmt: skip
CHECKS = [
    {"rule": "send_lateness", "ok": False, "value": 12.5, "bound": 5.0, "unit": "%",
     "text": "chunks were late", "remedy": "use fewer sessions", "from_s": 3.0, "to_s": 4.5},
    {"rule": "rows", "ok": True, "value": 9, "bound": 9, "unit": "rows", "text": "all there",
     "remedy": "", "from_s": None, "to_s": None},
]  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def write(verdict, checks=CHECKS[1:]):
        path = tmp_path / "junit.xml"
        document = {"verdict": verdict, "reasons": [], "gates": GATES, "validity": checks}
        write_junit(document, "a run", path)
        return [list(suite) for suite in JUnitXml.fromfile(str(path))]

    return write


def figures(case):
    return {one.name: one.value for one in case.child(Properties)}


def test_every_gate_is_a_case_with_its_figures_and_its_reason(read):
    (failed, passed), _ = read("fail")
    assert (failed.name, failed.classname) == (GATES[0]["gate"], "bench.gates")
    assert figures(failed) == {
        "verdict": "fail", "value": "912.5", "low": "901.0", "limit": "800.0", "n": "400",
    }  # fmt: skip
    assert failed.result[0].message == GATES[0]["reason"]
    assert failed.system_out.splitlines() == [
        "112 ms over <the> limit & more",
        "verdict fail, value 912.5, low 901.0, limit 800.0, n 400",
    ]
    assert [child.tag for child in failed._elem] == ["properties", "failure", "system-out"]
    assert passed.is_passed
    assert figures(passed)["value"] == "0"


def test_every_rule_of_validity_is_a_case_and_a_broken_one_has_its_remedy_and_its_time(read):
    gates, (late, rows) = read("invalid", CHECKS)
    assert all(case.is_skipped for case in gates)
    assert (late.name, late.classname, late.is_error) == ("send_lateness", "bench.validity", True)
    assert late.result[0].message == "chunks were late; use fewer sessions"
    assert figures(late) == {
        "ok": "False", "value": "12.5", "bound": "5.0", "unit": "%", "from_s": "3.0", "to_s": "4.5",
    }  # fmt: skip
    assert rows.is_passed
    assert rows.system_out.startswith("all there\n")


def test_what_is_no_xml_is_replaced_and_the_rest_is_read_back(tmp_path):
    evil = "hog\x1b[31m \x00 \ufffe & <b>"
    gate = GATES[0] | {"reason": evil, "gate": GATES[0]["gate"] + "\x1b"}
    check = CHECKS[0] | {"text": evil, "remedy": evil}
    path = tmp_path / "junit.xml"
    for verdict, gates in (("fail", [gate]), ("inconclusive", [])):
        document = {"verdict": verdict, "reasons": [evil], "gates": gates,
                    "validity": [check] if gates else []}  # fmt: skip
        write_junit(document, "a\x1brun", path)
        told = [case.result[0].message for suite in JUnitXml.fromfile(str(path)) for case in suite]
        assert told
        assert all("hog\ufffd[31m \ufffd \ufffd & <b>" in text for text in told)

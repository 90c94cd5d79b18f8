import json
import math
from pathlib import Path

import msgspec
import pytest

from bench.capacity.document import (
    FORMAT,
    Bounds,
    CapacityResult,
    read_capacity,
    scalability_facts,
    write_capacity,
)
from bench.errors import UsageError
from bench.stats.scalability import fit_scalability
from tests.capacity.found import capacity_result, plain, probe, tier


@pytest.fixture
def file(tmp_path):
    return tmp_path / "capacity.json"


def written(file, document):
    file.write_text(json.dumps(document), "utf-8")
    return file


def refusal(file):
    with pytest.raises(UsageError) as caught:
        read_capacity(file)
    text = str(caught.value)
    assert text.startswith(str(file))
    assert "\n" not in text
    return text.removeprefix(f"{file}: ")


def test_what_is_written_is_what_is_read(file):
    result = capacity_result()
    write_capacity(file, result)
    assert read_capacity(file) == result
    assert read_capacity(file.parent) == result


def test_a_search_that_knows_nothing_yet_is_written_and_read(file):
    unknown = tier(capacity=None, low=None, high=None, confirmed=False, cost=None, said=[])
    result = capacity_result(
        unknown, complete=False, probes=[], beyond=None, recovery=None, scalability=None,
        price_per_minute=None,
    )  # fmt: skip
    write_capacity(file, result)
    assert read_capacity(file) == result


def test_every_key_stands_in_the_file_also_where_nothing_is_known(file):
    write_capacity(file, capacity_result(beyond=None, recovery=None, scalability=None))
    document = json.loads(file.read_text())
    assert set(document) == {field.encode_name for field in msgspec.structs.fields(CapacityResult)}
    assert document["beyond"] is None
    assert document["format"] == FORMAT


def test_keys_of_a_later_version_are_ignored(file):
    document = plain(capacity_result())
    document["weather"] = "fine"
    document["tiers"][0]["colour"] = "gold"
    assert read_capacity(written(file, document)) == capacity_result()


def test_a_reader_sees_the_old_document_or_the_new(file, monkeypatch):
    write_capacity(file, capacity_result())
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_capacity(file, capacity_result(complete=False))
    assert read_capacity(file).complete


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_not_is_never_written(file, broken):
    with pytest.raises(ValueError, match=r"tiers\[0\]\.high: -?(nan|inf)"):
        write_capacity(file, capacity_result(tier(high=broken)))
    assert not file.exists()


def test_a_result_that_could_not_be_read_is_never_written(file):
    with pytest.raises(ValueError, match=r"tiers\[0\]\.low: expected `float` >= 0"):
        write_capacity(file, capacity_result(tier(low=-1.0)))
    assert not file.exists()


def test_no_file_a_folder_without_one_and_no_json_are_named(file):
    assert "no such file; give the capacity.json" in refusal(file)
    with pytest.raises(UsageError, match=r"capacity\.json: no such file"):
        read_capacity(file.parent)
    file.write_text("{", "utf-8")
    assert "cannot be read (no JSON: " in refusal(file)
    file.write_bytes(b'{"format": "\xff"}')
    assert "cannot be read (no UTF-8 text: " in refusal(file)


@pytest.mark.parametrize("document", [[], 3, {}, {"format": "1"}, {"format": True}])
def test_json_that_is_no_such_document_is_named(file, document):
    assert "is no document of this program (its key 'format' is no number)" in refusal(
        written(file, document)
    )


def test_another_format_is_refused_with_both_named(file):
    document = {**plain(capacity_result()), "format": 2}
    assert refusal(written(file, document)) == (
        "format 2, this version reads 1; use the bench version that made it"
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda d: d.pop("workload"), "object missing required field `workload`"),
        (lambda d: d["tiers"][0].pop("low"), "tiers[0]: object missing required field `low`"),
        (lambda d: d["tiers"][0].update(capacity="24"), "tiers[0].capacity: expected `float"),
        (lambda d: d["tiers"][0].update(capacity=-3), "tiers[0].capacity: expected `float` >= 0"),
        (lambda d: d.update(load="calls"), "load: invalid enum value 'calls'"),
        (lambda d: d["probes"][1].update(purpose="fun"), "probes[1].purpose: invalid enum"),
        (lambda d: d["workload"].update(session_s=190), "workload.session_s: expected `object`"),
    ],
)
def test_what_is_wrong_in_it_is_named_with_its_key(file, change, key):
    document = plain(capacity_result())
    change(document)
    told = refusal(written(file, document))
    assert told.startswith(key)
    assert told.endswith("restore the file, or search again with `bench capacity`")


def test_a_tier_or_a_probe_that_stands_there_twice_is_refused(file):
    document = plain(capacity_result(tier(), tier()))
    assert refusal(written(file, document)).startswith("tiers: gold stands there twice")
    document = plain(capacity_result(probes=[probe(3), probe(3)]))
    assert refusal(written(file, document)).startswith("probes: 3 stands there twice")


def test_a_unit_that_does_not_go_with_the_load_is_refused(file):
    document = {**plain(capacity_result()), "unit": "/s"}
    assert refusal(written(file, document)).startswith("unit: '/s' with load 'sessions'")


def test_a_bound_without_end_is_null(file):
    result = capacity_result(tier(high=None, at_least=True, limit="generator"))
    write_capacity(file, result)
    assert json.loads(file.read_text())["tiers"][0]["high"] is None
    assert read_capacity(file).tiers[0].at_least


def test_bounds_hold_whole_numbers_and_fractions(file):
    document = plain(capacity_result())
    document["workload"]["session_s"] = {"value": 190, "low": 180, "high": 200.5}
    found = read_capacity(written(file, document)).workload.session_s
    assert found == Bounds(value=190.0, low=180.0, high=200.5)


def test_a_fitted_law_is_kept_with_its_peak_or_with_why_there_is_none(file):
    loads = [1.0, 4, 8, 16, 24, 32, 48, 64]
    for last, seen in ((8, True), (5, False)):
        rates = [0.1 * n / (1 + 0.01 * (n - 1) + 0.0008 * n * (n - 1)) for n in loads[:last]]
        fitted = fit_scalability(loads[:last], rates)
        write_capacity(file, capacity_result(scalability=scalability_facts(fitted)))
        kept = read_capacity(file).scalability
        assert (kept.peak is not None) == seen
        assert (kept.refusal == "") == seen
        assert kept.contention.value == pytest.approx(0.01)
        assert kept.loads == last


def test_an_end_without_a_number_is_null(file):
    fitted = fit_scalability([1.0, 2, 3, 4], [0.1, 0.14, 0.31, 0.2])
    assert fitted.contention.high == math.inf
    write_capacity(file, capacity_result(scalability=scalability_facts(fitted)))
    assert read_capacity(file).scalability.contention.high is None

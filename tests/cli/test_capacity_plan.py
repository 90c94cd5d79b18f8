"""`bench plan-capacity`: its table, its sentence, its JSON, and what it refuses."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from bench.capacity.document import write_capacity
from bench.cli import app
from tests.capacity.found import capacity_result, tier

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "capacity.json"
    write_capacity(path, capacity_result())
    return path


def ask(bench, *words):
    code, out, err = bench("plan-capacity", "--calls-per-hour", 3000, *words)
    assert code == 0, err
    return out


def refusal(bench, *words):
    code, out, err = bench("plan-capacity", *words)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert err.count("\n") == 1, err
    return err.removeprefix("bench: ").strip()


def test_the_answer_is_a_table_and_a_sentence(bench, file):
    out = ask(bench, "--from", file, "--blocking", "1%", "--headroom", "n+1",
              "--price-per-node-hour", 2.5)  # fmt: skip
    found = re.finditer(r"^ ?(.{22})  +(\S.*)$", out, re.MULTILINE)
    rows = {match[1].strip(): match[2] for match in found}
    assert "[21, 26]" in rows["sessions a node"]
    assert "[7, 9]" in rows["nodes"]
    assert re.search(r"9 +\[8, 10\] +10", rows["nodes with n+1"])
    assert re.search(r"22\.50 +\[20\.00, 25\.00\] +25\.00", rows["cost an hour"])
    assert re.search(r"16,425 +\[14,600, 18,250\] +18,250", rows["cost a month (730 h)"])
    assert out.strip().splitlines()[-1] == (
        "3,000 calls an hour of 3.2 min need 180 slots [173, 187] at 1 % blocking: 8 nodes [7, 9] "
        "of 24 sessions; 10 with n+1 at the upper end, where at most 0.016 % of the calls are "
        "turned away, and at most 0.73 % with one node lost."
    )
    assert max(len(line.rstrip()) for line in out.splitlines()[:16]) <= 80


def test_a_folder_will_do_for_its_file(bench, file):
    assert ask(bench, "--from", file.parent, "--blocking", "1 %") == ask(
        bench, "--from", file, "--blocking", "1%"
    )


def test_the_same_as_json(bench, file):
    plan = json.loads(ask(bench, "--from", file, "--blocking", "1%", "--json"))
    assert plan["nodes"] == {"value": 8, "low": 7, "high": 9}
    assert plan["planned"]["nodes"]["value"] == 9
    assert plan["planned"]["cost_per_hour"] is None
    assert plan["sentence"].startswith("3,000 calls an hour")


def test_waits_in_place_of_blocking(bench, file):
    out = ask(bench, "--from", file, "--wait", "2s", "--share", "5%")
    assert "Erlang C" in out
    assert "waiting over 2 s, %" in out
    assert "mean wait, s" in out


def test_the_length_and_the_node_can_be_given(bench, file):
    plain = ("--blocking", "1%", "--json")
    given = json.loads(ask(bench, "--session-length", "3m", "--sessions-per-node", 24, *plain))
    assert given["erlangs"] == {"value": 150, "low": 150, "high": 150}
    assert given["sessions_per_node"]["high"] == 24
    shorter = json.loads(ask(bench, "--from", file, "--session-length", "3m", *plain))
    assert shorter["erlangs"]["high"] == 150
    assert shorter["sessions_per_node"] == {"value": 24, "low": 21, "high": 26}
    assert not any("was measured with sessions" in remark for remark in shorter["remarks"])
    longer = json.loads(ask(bench, "--from", file, "--session-length", "8m", *plain))
    assert any("sessions of 3.2 min, not of 8 min" in remark for remark in longer["remarks"])
    larger = json.loads(ask(bench, "--from", file, "--sessions-per-node", 48, *plain))
    assert larger["nodes"]["value"] == 4
    assert larger["session_s"]["high"] == 200


def test_a_tier_is_chosen_by_name(bench, tmp_path):
    path = tmp_path / "tiers.json"
    silver = tier("silver", capacity=40.0, low=36.0, high=44.0)
    write_capacity(path, capacity_result(tier(), silver))
    out = ask(bench, "--from", path, "--blocking", "1%", "--tier", "silver")
    assert "tier silver" in out
    assert "5 nodes [4, 6] of 40 sessions" in out


BLOCKING = ("--blocking", "1%")


def test_calls_must_be_said(bench, file):
    assert "Missing option '--calls-per-hour'" in refusal(bench, "--from", file, *BLOCKING)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--blocking: give --blocking 1%, or both --wait 2s and --share 5%"),
        (("--wait", "2s"), "--share: give --blocking 1%"),
        (("--share", "5%"), "--wait: give --blocking 1%"),
        ((*BLOCKING, "--wait", "2s"), "--blocking: turned-away calls do not wait"),
        (
            ("--blocking", "1"),
            "'1' is no percentage; write it with its sign, as in 1%",
        ),
        (("--blocking", "0%"), "'--blocking': '0%': give more than 0 % and less than 100 %"),
        (("--blocking", "101%"), "'--blocking': '101%': give more than 0 % and less than 100 %"),
        (("--wait", "2", "--share", "5%"), "'--wait': '2' is no duration; write it with its unit"),
        (("--wait", "2s", "--share", "100%"), "'--share': '100%': give more than 0 %"),
        ((*BLOCKING, "--session-length", "3"), "'--session-length': '3' is no duration"),
        ((*BLOCKING, "--session-length", "0s"), "'--session-length': '0s': give more than 0s"),
        (
            (*BLOCKING, "--headroom", "2"),
            "'2': give spare nodes, as in n+1, or a share",
        ),
        ((*BLOCKING, "--headroom", "120%"), "'--headroom': '120%': give more than 0 %"),
        ((*BLOCKING, "--sessions-per-node", 0), "'--sessions-per-node': '0': give a whole number"),
        (
            (*BLOCKING, "--sessions-per-node", 2.5),
            "'2.5': give a whole number",
        ),
        ((*BLOCKING, "--sessions-per-node", 8, "--tier", "gold"), "--tier: is not read with"),
        (
            (*BLOCKING, "--sessions-per-node", 8, "--session-length", "3m"),
            "--from: nothing of it is used with both",
        ),
        ((*BLOCKING, "--tier", "bronze"), "no tier 'bronze'"),
    ],
)
def test_options_without_meaning_are_refused_in_one_line(bench, file, words, told):
    assert told in refusal(bench, "--calls-per-hour", 3000, "--from", file, *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--from: give the capacity.json"),
        (("--sessions-per-node", 8), "--from: give the capacity.json"),
        (("--tier", "gold"), "--tier: is that of a capacity.json; give it with --from"),
        (("--from", "nowhere.json"), "nowhere.json: no such file"),
    ],
)
def test_nothing_to_plan_with_is_refused_in_one_line(bench, words, told):
    assert told in refusal(bench, "--calls-per-hour", 3000, *BLOCKING, *words)


def test_the_page_shows_what_the_verb_prints(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_capacity(tmp_path / "capacity.json", capacity_result())
    starts = tier(capacity=0.125, low=0.11, high=0.135)
    write_capacity(tmp_path / "arrivals.json", capacity_result(starts, load="arrivals", unit="/s"))
    page = (ROOT / "docs" / "capacity-planning.md").read_text("utf-8")
    shown = re.findall(r"```console\n\$ bench (plan-capacity .+)\n((?:.*\n)+?)```", page)
    assert len(shown) == 2
    for command, output in shown:
        code, out, _ = bench(*command.split())
        assert code == 0
        assert [line.rstrip() for line in out.splitlines()] == output.splitlines()


def test_the_page_explains_every_option():
    page = (ROOT / "docs" / "capacity-planning.md").read_text("utf-8")
    command = get_command(app).commands["plan-capacity"]
    for parameter in command.params:
        assert any(f"{name}" in page or name == "--help" for name in parameter.opts), parameter

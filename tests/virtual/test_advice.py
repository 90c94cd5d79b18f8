"""What is advised of an open gate is done, and decides it. And another length parts no baseline."""

import json
import re

import pytest

from tests.virtual_run import virtual_run

pytestmark = pytest.mark.usefixtures("virtual")

OPEN_LOAD = 'arrivals = "poisson"\nrate = "2/s"'


def followed(advice):
    """The options that a sentence gives, as those of `virtual_run`."""
    given = dict(re.findall(r"--(duration|sessions) (\w+)", advice))
    if "sessions" in given:
        given["sessions"] = int(given["sessions"])
    return given


@pytest.mark.parametrize(
    ("load", "gate", "option", "seed"),
    [
        ({"sessions": 4, "duration": "3s"}, "p95(first_audio_latency) < 3 s", "duration", 3),
        ({"sessions": 1, "duration": "3s"}, "p50(first_audio_latency) < 3 s", "duration", 2),
        ({"load": OPEN_LOAD, "duration": "5s"}, "p95(first_audio_latency) < 3 s", "duration", 3),
        ({"sessions": 4, "duration": "4s"}, "share(answered) >= 95 %", "duration", 2),
        ({"sessions": 4, "duration": "5s", "turns": 50}, "p90(voice_to_voice_latency) < 3 s",
         "duration", 3),
        ({"sessions": 4, "duration": "4s"}, "p90(session_ready_time) < 3 s", "duration", 2),
        ({"sessions": 4, "duration": "4s", "turns": 50}, "p90(session_ready_time) < 3 s",
         "sessions", 3),
        ({"sessions": 3, "duration": "4s"}, "p95(update_ack) < 3 s", "duration", 2),
        ({"sessions": 6, "duration": "8s"}, "p50(first_audio_latency) < 780 ms", "duration", 3),
    ],
)  # fmt: skip
def test_the_run_that_is_advised_decides(scenario, tmp_path, load, gate, option, seed):
    """A whole session of fifty turns takes longer than any of these runs."""
    words = {"seeds.utterances": seed, "seeds.arrivals": seed}
    path = scenario(gates=[gate], **load)
    first = virtual_run(path, tmp_path / "first", drawn=False, assignments=words)
    (found,) = first.verdict["gates"]
    assert found["verdict"] == "inconclusive"
    assert found["advice"] in found["reason"]
    given = followed(found["advice"])
    assert list(given) == [option], found["advice"]
    again = virtual_run(path, tmp_path / "again", drawn=False, assignments=words, **given)
    (found,) = again.verdict["gates"]
    assert found["verdict"] == "pass", found["reason"]


def test_no_run_is_advised_where_none_decides(scenario, tmp_path):
    """However many turns a session has, they are of one caller."""
    gate = "share(answered{session=0}) >= 80 %"
    path = scenario(gates=[gate], duration="400s", sessions=1, turns=150)
    (found,) = virtual_run(path, tmp_path / "run", drawn=False).verdict["gates"]
    assert (found["verdict"], found["n"] > 100) == ("inconclusive", True)
    assert followed(found["advice"]) == {}
    assert "a gate on more than one session" in found["reason"]


def test_a_baseline_of_another_length_is_a_yardstick_and_the_longer_run_decides(
    bench, scenario, tmp_path
):
    """The advice of a gate that asks for a baseline is followed with the same baseline."""
    gate, counts = "p50(first_audio_latency) <= baseline + 10 %", "count(turns) >= baseline - 90 %"
    path = scenario(sessions=6, duration="6s", gates=["share(answered) > 50 %"])
    code, out, _ = bench("run", path, "--out", tmp_path / "usual")
    assert code == 0, out
    code, _, err = bench(
        "baseline", "accept", tmp_path / "usual", "--name", "usual", "--out", tmp_path / "b.json"
    )
    assert code == 0, err
    options = ("--baseline", tmp_path / "b.json", "--gate", gate, "--gate", counts)
    code, out, _ = bench("run", path, "--out", tmp_path / "short", *options)
    open_, _ = json.loads((tmp_path / "short" / "verdict.json").read_text())["gates"][1:]
    assert open_["verdict"] == "inconclusive", out
    length = followed(open_["advice"])["duration"]
    code, out, err = bench("run", path, "--out", tmp_path / "long", *options, "--duration", length)
    verdict = json.loads((tmp_path / "long" / "verdict.json").read_text())
    decided, counted = verdict["gates"][1:]
    assert decided["verdict"] == "pass", out + err
    # A longer run has more turns, which says nothing of the target.
    assert counted["verdict"] == "inconclusive"
    assert "its run was not as long" in counted["reason"]
    (remark,) = [one for one in verdict["remarks"] if "differ in length" in one]
    assert "load.duration 6 s and" in remark
    code, _, err = bench(
        "run", path, "--out", tmp_path / "more", *options, "--duration", length, "--sessions", "7"
    )
    assert (code, "concurrency: 7 sessions and 6 sessions" in err) == (2, True)

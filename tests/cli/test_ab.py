"""`bench ab`: the order of its runs, what it refuses before the first, and which it makes again."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.ab import interleave, order
from bench.cli.verbs import AbOptions
from bench.errors import UsageError

DEMO = "scenarios/demo.toml"


def test_of_every_pair_the_other_side_goes_first():
    assert "".join(order(5)) == "abbaabbaab"
    places = {name: [at for at, side in enumerate(order(4)) if side == name] for name in "ab"}
    assert sum(places["a"]) == sum(places["b"])  # an even drift cancels


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--b", "nowhere"), ["--target 'nowhere'"]),
        (("--set-b", "turnz=3"), ["unknown key 'turnz'"]),
        (("--pairs", "0"), ["--pairs"]),
        (("--b", "inworld"), ["INWORLD_RUNTIME_BASE64_CREDENTIAL"]),
        (("--set-b", "reference.profile=nope.toml"), ["nope.toml"]),
        (
            (
                "--set",
                'gates={ci=["mean(first_audio_latency) <= baseline + 5 %"]}',
                "--set",
                "gate_profile=ci",
            ),
            ["needs a baseline", "--set 'gates={}'"],
        ),
    ],
)
def test_what_one_side_lacks_is_said_before_the_first_run(bench, tmp_path, arguments, words):
    code, _, err = bench("ab", DEMO, *arguments, "--out", tmp_path / "ab")
    assert code == 2
    assert all(word in err for word in words), err
    assert not (tmp_path / "ab").exists()


def test_unlike_sides_are_refused_before_the_first_run(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.cli.ab.run", None)  # nothing may start
    words = ("ab", DEMO, "--out", tmp_path / "ab", "--yes", "--b", "ws://127.0.0.1:9/v1/realtime")
    code, _, err = bench(*words)
    assert (code, (tmp_path / "ab").exists()) == (3, False)
    assert "127.0.0.1:9: Connection refused" in err
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    words = ("ab", DEMO, "--out", tmp_path / "ab", "--b", "openai")
    code, _, err = bench(*words)
    assert code == 2
    assert "openai is no loopback target: add --yes" in err
    code, _, err = bench(*words, "--yes")
    assert code == 2
    assert "side A and side B differ in the target's dialect: inworld and openai" in err
    assert "--allow" in err


def test_a_folder_that_holds_something_is_not_written_into(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.cli.ab._run", None)  # nothing may start
    (tmp_path / "old").touch()
    plan = AbOptions(Path(DEMO), pairs=1, out=tmp_path)
    with pytest.raises(UsageError, match="is not empty"):
        interleave(plan, Console(file=io.StringIO()))


def test_an_invalid_run_is_made_again_and_not_for_ever(tmp_path, monkeypatch):
    asked, void = [], {"02-b", "02-b-again-1"}

    def run(_plan, _side, path, _talk):
        asked.append(path.name)
        return "hub lag" if path.name in void else None

    monkeypatch.setattr("bench.cli.ab._run", run)
    plan = AbOptions(Path(DEMO), pairs=1, out=tmp_path / "ab")
    _, folders = interleave(plan, Console(file=io.StringIO()))
    assert asked == ["01-a", "02-b", "02-b-again-1", "02-b-again-2"]
    assert [path.name for path in folders["b"]] == ["02-b-again-2"]
    void.add("02-b-again-2")
    said = io.StringIO()
    with pytest.raises(BaseException) as left:  # noqa: PT011 - typer.Exit, whatever it derives from
        interleave(plan._replace(out=tmp_path / "more"), Console(file=said))
    assert left.value.exit_code == 3
    assert "too many runs are invalid" in said.getvalue()


@pytest.mark.parametrize(
    "option", [{"max_minutes": 4.9}, {"max_cost": 0.4, "price_per_minute": 0.1}]
)
def test_all_runs_of_both_sides_are_within_one_cap(tmp_path, monkeypatch, option):
    monkeypatch.setattr("bench.cli.ab._run", None)  # nothing may start
    words = {"duration": "10s", "sessions": 4}
    plan = AbOptions(Path(DEMO), pairs=5, out=tmp_path / "ab", **words)
    with pytest.raises(UsageError, match=r"^--max-\w+ .*these 10 runs may take .* fewer --pairs"):
        interleave(plan._replace(**option), Console(file=io.StringIO()))
    assert not (tmp_path / "ab").exists()


def test_an_invalid_run_is_made_again_only_while_the_cap_holds(tmp_path, monkeypatch):
    asked = []

    def run(_plan, _side, path, _talk):
        asked.append(path.name)
        return "hub lag" if path.name.startswith("02-b") else None

    monkeypatch.setattr("bench.cli.ab._run", run)
    warmup = ("load.warmup='5s'",)
    words = {"duration": "55s", "sessions": 2, "assignments": warmup, "out": tmp_path / "ab"}
    plan = AbOptions(Path(DEMO), pairs=1, **words)
    said = io.StringIO()
    with pytest.raises(BaseException) as left:  # noqa: PT011 - typer.Exit, whatever it derives from
        interleave(plan._replace(max_minutes=6.5), Console(file=said))
    assert left.value.exit_code == 3
    assert asked == ["01-a", "02-b", "02-b-again-1"]
    assert "another run would pass --max-minutes 6.5" in said.getvalue()


def test_a_folder_that_cannot_be_made_is_one_line(bench, monkeypatch):
    monkeypatch.setattr("bench.cli.ab._run", None)  # nothing may start
    code, _, err = bench("ab", DEMO, "--out", "/proc/none/ab")
    assert (code, err.count("\n")) == (2, 1)
    assert "--out /proc/none/ab: cannot be written" in err

"""What cannot be done is refused in one line: the file, the key, the remedy; exit 2."""

import json
import resource
import shutil
from pathlib import Path

import msgspec
import pytest

from bench.cli.run_job import job_of
from bench.cli.verbs import RunOptions
from bench.corpus.manifest import load_corpus, manifest_text
from bench.plan.metrics import VERSION
from bench.protocol.upgrade import MOST_HOPS, Offer
from bench.runs.folder import RunFolder
from bench.runs.job import describe, make_job, recall
from bench.runs.target import read_target

ROOT = Path(__file__).parents[2]


@pytest.fixture
def refused(bench, tmp_path):
    """Run `bench run` and expect a refusal of one line with those words, and nothing started."""

    def run(scenario, *arguments, words=(), code=2):
        folder = tmp_path / "run"
        told, _, err = bench("run", scenario, "--out", folder, *arguments)
        assert told == code, err
        *talk, last = err.strip().splitlines()
        assert last.startswith("bench: "), err
        assert not [line for line in talk if line.startswith("bench: ")], err
        assert "Traceback" not in err
        for word in words:
            assert word in err, err
        assert not folder.exists()
        return err

    return run


@pytest.fixture
def turned_away(bench, tmp_path):
    """Run `bench run` against a target that takes nobody: no load, and the cause in every place."""

    def run(scenario, *arguments, words):
        folder = tmp_path / f"turned-away-{len(list(tmp_path.iterdir()))}"
        code, out, err = bench("run", scenario, "--out", folder, *arguments)
        assert code == 3, err
        assert "Traceback" not in err
        verdict = json.loads((folder / "verdict.json").read_text())
        assert verdict["verdict"] == "invalid"
        places = (
            " ".join(out.split()), err, verdict["reasons"][0],
            (folder / "summary.md").read_text(), (folder / "junit.xml").read_text(),
        )  # fmt: skip
        for word in words:
            assert all(word in place for place in places), (word, places)

    return run


@pytest.fixture
def scenario(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


DEMO = "scenarios/demo.toml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("turnz = 3", ["mine.toml:1", "unknown key 'turnz'", "did you mean 'turns'"]),
        ("[load]\nsesions = 3", ["mine.toml:2", "load.sesions", "did you mean 'sessions'"]),
        ("[load]\nsessions = 0", ["mine.toml:2", "load.sessions", "1 or more"]),
        ("[load]\nsessions = -4", ["mine.toml:2", "load.sessions"]),
        ("[load]\nsessions = 1\nduration = '0s'", ["mine.toml:3", "load.duration", "above zero"]),
        ("[load]\nsessions = 1\nduration = '-3s'", ["mine.toml:3", "load.duration", "'30s'"]),
        ("[load]\nsessions = 1\nduration = 30", ["mine.toml:3", "load.duration", "unit"]),
        ("[load]\narrivals = 'poisson'\nrate = '0/s'", ["mine.toml:3", "load.rate", "above zero"]),
        ("[load]\narrivals = 'poisson'\nrate = '-2/s'", ["mine.toml:3", "load.rate"]),
        ("[load]\narrivals = 'poison'\nrate = '2/s'", ["load.arrivals", "poisson"]),
        ("[load]\nrate = '2/s'\nsessions = 2", ["load.rate", "arrivals"]),
        ("script = 'turn_takin'", ["mine.toml:1", "did you mean 'turn_taking'"]),
        ("corpus = 'everyda'", ["'everyda'", "'everyday'"]),
        ("turns = 0", ["mine.toml:1", "turns"]),
        ("turns = 'three'", ["mine.toml:1", "turns", "expected"]),
        ("chunk_ms = 15", ["mine.toml:1", "chunk_ms", "multiple of 10"]),
        ("[session]\nvoicee = 'x'", ["mine.toml:2", "session.voicee", "did you mean 'voice'"]),
        ("[session]\nturn_detection = 3", ["mine.toml", "turn_detection"]),
        ("[caller]\ninclude = ['shrt']", ["'shrt'", "did you mean 'short'"]),
        (
            "[gates]\nci = ['p95(first_audio_latenci) < 1 s']",
            ["did you mean 'first_audio_latency'"],
        ),
        ("[caller]\nanswer_timeout = '0ms'", ["caller.answer_timeout", "above zero"]),
        ("[health]\nshare = -5", ["mine.toml:2", "health.share", "0 to 100"]),
        ("[session]\nturn_detection = 'none'", ["mine.toml:2", "turn_detection", "never commits"]),
        ("not toml at all", ["mine.toml", "no TOML", "line 1"]),
        ("[reference]\nprofil = 'x'", ["reference.profil", "did you mean 'profile'"]),
        ("gates = 5", ["mine.toml:1", "gates"]),
    ],
)
def test_a_scenario_that_is_wrong_names_line_key_and_nearest_word(text, words, refused, scenario):
    refused(scenario(text), words=words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *(
            (("--sessions", value), [f"demo.toml with load.sessions={value}: load.", "1 or more"])
            for value in ("0", "-1")
        ),
        *(
            (("--target", f"ws://127.0.0.1:{port}/x"), [f"port {port}", "1 to 65535"])
            for port in ("0", "99999", "80a")
        ),
        *((("--duration", value), ["load.duration"]) for value in ("0s", "-5s", "soon", "30")),
        (("--workers", "0"), ["--workers", "'0': give 1 to 256, or auto"]),
        (("--gates", "cii"), ["'cii'", "did you mean 'ci'"]),
        (("--set", "load.sessions"), ["--set", "key=value"]),
        (("--set", "reference.profile=nope.toml"), ["nope.toml"]),
        (("--subprotocol", "real time"), ["--subprotocol", "real time"]),
        (("--baseline", "nowhere/run"), ["nowhere/run"]),
        (("--target", "ws://127.0.0.1:1/", "--dialect", "openia"), ["did you mean 'openai'"]),
        *(
            (("--target", target), ["--target"])
            for target in (
                "inwrold", "http://127.0.0.1:1", "ws://", "ws://host:99999/",
                "ws://u:p@127.0.0.1/", "ws://[::1", "ws://127.0.0.1:1/?token=secret",
            )
        ),
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_names_the_remedy(options, words, refused):
    refused(DEMO, *options, words=words)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("p95(first_audio_latenci) < 1 s", ["did you mean 'first_audio_latency'"]),
        ("p95(first_audio_latency) =< 1 s", ["no operator '=<'", "did you mean '<'"]),
        ("p96(first_audio_latency) < 1 s", ["no statistic 'p96'"]),
        ("p95(first_audio_latency) < 1 parsec", ["1 parsec", "ms or s"]),
        ("p95(answered) > 1 %", ["answered is of the kind share"]),
        ("the p95 is fine", ["statistic(metric) operator limit"]),
        ("p95(barge_in_silence) < 1 s", ["'turn_taking' has no interruption"]),
        ("p95(truncate_ack) < 1 s", ["'turn_taking' has no truncation"]),
        ("p95(first_audio_latency{script=tour}) < 1 s", ['script="tour"', "turn_taking"]),
        ("p95(first_audio_latency{turn>3}) < 1 s", ["turn>3", "here turn is 1 to 3"]),
        ("p95(first_audio_latency{turn>1, turn<1}) < 1 s", ["turn>1 and turn<1"]),
        ("p95(first_audio_latency{worker=1}) < 1 s", ["worker=1", "here worker is 0"]),
        ("p95(send_lateness{worker=1}) < 1 s", ["worker=1", "here worker is 0"]),
        ("share(answered{utterance=digit}) > 1 %", ['utterance="digit"', "did you mean"]),
        ("share(answered{role=caller}) > 1 %", ["here role is one of interruption, line, sound"]),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused_before_anything_starts(gate, words, refused):
    refused(DEMO, "--gate", gate, words=[*words, gate])


def test_a_file_or_a_profile_that_is_not_there_is_named_with_the_nearest(refused, scenario):
    refused("scenarios/demoo.toml", words=["scenarios/demoo.toml", "did you mean 'demo'"])
    # Even where a scenario has no gates.
    refused(scenario("turns = 1"), "--gates", "nightly", words=["no gate profile 'nightly'"])


def test_a_missing_credential_names_its_variable(refused):
    refused(DEMO, "--target", "inworld", "--yes", words=["INWORLD_RUNTIME_BASE64_CREDENTIAL"])
    refused(DEMO, "--target", "openai", "--yes", words=["OPENAI_API_KEY"])


def test_a_credential_with_blanks_is_refused_and_not_shown(refused, monkeypatch):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "se cret")
    err = refused(DEMO, "--target", "inworld", "--yes", words=["INWORLD_RUNTIME_BASE64_CREDENTIAL"])
    assert "se cret" not in err


def test_a_run_off_loopback_needs_a_yes_and_says_what_it_would_take(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "a2V5OnNlY3JldA==")
    code, _, err = bench("run", DEMO, "--target", "inworld", "--out", tmp_path / "run")
    assert code == 2
    assert "--yes" in err
    assert "sessions  20" in err
    assert "200 a second" in err
    assert "a2V5" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("inworld", ("--sessions", "20"), ""),
        ("inworld", ("--sessions", "21"), "21 sessions at once, and the account allows 20: ask"),
        ("inworld-eu", ("--sessions", "21"), "21 sessions at once, and the account allows 20"),
        ("inworld", ("--sessions", "101", "--account-sessions", "200"),
         "101 sessions × 10 chunks a second of 100 ms are 1010 packets a second, and the"),
        ("inworld",
         ("--sessions", "101", "--account-sessions", "200", "--account-packets", "5000"), ""),
        ("inworld", ("--sessions", "101", "--set", "limits.sessions=200", "--set",
                     "limits.packets_per_second=1010"), ""),
        ("inworld", ("--sessions", "9", "--account-packets", "8"), "no chunk is long enough"),
        ("openai", ("--sessions", "500"), ""),
        ("openai", ("--sessions", "500", "--account-sessions", "100"), "allows 100"),
        ("reference", ("--sessions", "30", "--set", "limits.sessions=29"), "allows 29"),
    ],
)  # fmt: skip
def test_a_plan_that_would_break_an_account_is_refused_with_the_arithmetic(
    bench, monkeypatch, tmp_path, target, options, says
):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "a2V5")
    monkeypatch.setenv("OPENAI_API_KEY", "a2V5")
    asked = ("run", DEMO, "--target", target, *options, "--out", tmp_path / "run")
    code, _, err = bench(*asked)
    assert code == 2
    if not says:  # and then somebody must say yes
        assert "add --yes to start" in err
        return
    assert says in err
    assert "--account-" in err
    assert "--exceed-limits" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    if target != "reference":
        _, _, err = bench(*asked, "--exceed-limits")
        (note,) = [line for line in err.splitlines() if line.startswith("note ")]
        assert "expect refusals and slowness" in note


def test_a_name_that_cannot_be_resolved_exits_3(turned_away, monkeypatch):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "a2V5")
    url = "wss://no-such-host.invalid/v1/realtime"
    turned_away(DEMO, "--target", url, "--yes", words=["no-such-host.invalid", "resolved"])


def test_an_output_folder_that_cannot_be_written(bench, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, err = bench("run", DEMO, "--out", tmp_path / "file" / "run")
    assert code == 2
    assert "cannot be written" in err
    assert len(err.strip().splitlines()) == 1


def test_an_output_folder_that_holds_a_run_keeps_it(bench, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    code, _, err = bench("run", DEMO, "--out", tmp_path)
    assert (code, "holds a run already" in err) == (2, True)
    assert (tmp_path / "run.json").read_text() == "{}"


def test_too_few_file_descriptors_are_noticed_before_the_start(refused, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    refused(DEMO, words=["20 sessions", "open files", "ulimit"])


def test_a_gate_on_a_baseline_needs_one_that_can_be_read(refused, tmp_path):
    gate = "p50(first_audio_latency) <= baseline + 10 %"
    refused(DEMO, "--gate", gate, words=["needs a baseline", "--baseline"])
    (tmp_path / "summary.json").write_text("{}")
    refused(DEMO, "--gate", gate, "--baseline", tmp_path, words=["is no summary", "give a run"])
    (tmp_path / "summary.json").write_text('{"metric_version": 0, "rows": []}')
    refused(DEMO, "--gate", gate, "--baseline", tmp_path, words=["version 0"])


def test_a_script_that_cannot_be_imported_is_refused(refused, scenario, tmp_path, monkeypatch):
    (tmp_path / "broken_script.py").write_text("def play(part:\n")
    monkeypatch.syspath_prepend(tmp_path)
    refused(scenario("script = 'broken_script:play'"), words=["broken_script:play", "SyntaxError"])


def test_what_the_upgrades_offer_is_read_back_by_the_workers(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    job = job_of(RunOptions(ROOT / DEMO, subprotocol="realtime", follow_redirects=True))
    folder = RunFolder.create(tmp_path / "run")
    folder.write(describe(job, 1))
    assert recall(folder).target.offer == job.target.offer == Offer("realtime", MOST_HOPS)
    run = folder.read()
    for name in Offer._fields:
        del run["target"][name]  # as older runs are
    folder.write(run)
    assert recall(folder).target.offer == Offer()


def test_a_baseline_of_another_kind_of_run_is_refused_before_anything_starts(
    refused, turned_away, tmp_path
):
    old = tmp_path / "old"
    old.mkdir()
    job = make_job(ROOT / DEMO, read_target("reference", None), assignments=("load.sessions=3",))
    (old / "run.json").write_bytes(msgspec.json.encode(describe(job, 1)))
    (old / "summary.json").write_text(json.dumps({"metric_version": VERSION, "rows": []}))
    words = ["--baseline", "concurrency: 20 sessions and 3 sessions", "--allow"]
    refused(DEMO, "--baseline", old, words=words)
    refused(DEMO, "--baseline", old, "--sessions", 4, words=["4 sessions and 3 sessions"])
    refused(DEMO, "--baseline", old, "--sessions", 3, "--set", "chunk_ms=20", words=["chunk size"])
    # What is next is refused for another reason: as to the baseline all is well.
    free = ("--target", "ws://127.0.0.1:9/", "--dialect", "inworld")
    for fits in (("--sessions", 3), ("--allow",)):
        turned_away(
            DEMO, "--baseline", old, *fits, *free, words=["127.0.0.1:9: Connection refused"]
        )


@pytest.fixture
def corpus(tmp_path):
    """A few recordings of the shipped corpus, so that a whole check is quick."""
    whole = load_corpus(ROOT / "audio_corpus" / "everyday")
    kept = [entry for entry in whole.entries if {"plain", "long"} & set(entry.tags)][::5]
    kept += [entry for entry in whole.entries if {"interruption", "reply"} & set(entry.tags)][::7]
    folder = tmp_path / "broken"
    folder.mkdir()
    for entry in kept:
        shutil.copy(whole.folder / entry.file, folder / entry.file)
    text = manifest_text(name="broken", licence="CC0-1.0", about="few", entries=kept)
    (folder / "manifest.toml").write_text(text)
    return folder


def first(folder, tag="plain"):
    return min(folder.glob(f"{tag}-*.flac"))


def rename(path):
    path.rename(path.with_name("renamed.flac"))


DAMAGE = {
    "missing": (Path.unlink, "no such file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "cut short"),
    "renamed": (rename, "no such file"),
    "no audio": (lambda path: path.write_text("hello"), "is not audio"),
    "another recording": (lambda path: shutil.copy(first(path.parent, "long"), path), "sha256"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_corpus_is_refused_before_the_run_and_by_its_check(
    damage, corpus, bench, refused, scenario
):
    harm, words = DAMAGE[damage]
    path = first(corpus)
    harm(path)
    refused(scenario(f"corpus = '{corpus}'"), words=[path.name, words])
    code, out, _ = bench("corpus", "check", corpus)
    assert code == 2
    assert path.name in out


def test_reports_and_judgements_of_no_run_are_refused(bench, tmp_path):
    for verb in ("report", "judge"):
        code, _, err = bench(verb, tmp_path)
        assert (code, "no run here" in err) == (2, True)


def test_an_unknown_option_and_an_unknown_verb_are_one_line(bench):
    for arguments in (("run", DEMO, "--sesions", "3"), ("rnu",), ("run",)):
        code, _, err = bench(*arguments)
        assert code == 2
        assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nonsense",), 2, "give reference, inworld, inworld-eu, inworld-in, openai, or a URL"),
        (("inworld",), 2, "INWORLD_RUNTIME_BASE64_CREDENTIAL"),
        (("ws://127.0.0.1:9/v1", "--profile", "x.toml"), 2, "--profile is for the reference"),
        (("reference", "--profile", "nowhere.toml"), 2, "nowhere.toml: no such file; give"),
        (("reference", "--corpus", "nowhere"), 2, "nowhere"),
        (("ws://127.0.0.1:9/v1/realtime", "--dialect", "openai"), 3, "127.0.0.1"),
        (("reference", "--dialect", "french"), 2, "valid are: inworld, openai"),
    ],
)
def test_what_cannot_be_probed_is_refused_in_one_line(bench, arguments, code, words):
    told, out, err = bench("probe", *arguments)
    assert told == code, err
    assert not out
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("bench: ")
    assert words in last


def test_a_target_off_loopback_is_not_probed_without_yes(bench, monkeypatch):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "YWJj")
    code, out, err = bench("probe", "inworld")
    assert code == 2
    assert not out
    assert "7 sessions" in err  # the cost is stated first
    assert "--yes" in err


def test_a_watch_that_could_never_end_the_run_is_refused(refused):
    refused(DEMO, "--abort-window", "5s", words=["--abort-window 5s", "needs --abort-on-fail"])
    watched = (DEMO, "--abort-on-fail", "--duration", "60s")
    refused(*watched, "--abort-window", "31s", words=["--abort-window 31s", "at most half", "60 s"])
    refused(*watched, "--abort-window", "10ms", words=["--abort-window 0.01s", "1 s or more"])
    refused(*watched, "--abort-window", "5", words=["--abort-window", "'5' is no duration"])
    soft = ("--set", "gates={ci=['soft max(first_audio_latency) < 1 s']}", "--gates", "ci")
    refused(*watched, *soft, words=["--abort-on-fail", "none of the run's gates", "--gate"])


@pytest.mark.parametrize("target", ["reference", "ws://example.org/v1/realtime"])
def test_a_run_that_may_cost_more_than_it_may_is_refused_before_anything_starts(
    refused, target, monkeypatch
):
    monkeypatch.setenv("INWORLD_RUNTIME_BASE64_CREDENTIAL", "x")
    asked = ("--target", target, "--sessions", "20", "--duration", "60s", "--yes")
    refused(DEMO, *asked, "--max-minutes", "5", words=["--max-minutes 5", "session-minutes"])
    refused(DEMO, *asked, "--max-cost", "1", words=["--max-cost 1", "--price-per-minute"])
    paid = ("--max-cost", "1", "--price-per-minute", "0.25")
    refused(DEMO, *asked, *paid, words=["--max-cost 1 (4.0 session-minutes)"])

"""The file of findings: its shape, what reads it back, and what it costs to make one."""

import json
from pathlib import Path

import pytest

from bench.corpus.manifest import Corpus, Entry
from bench.errors import CorpusError, RunFolderError, UsageError
from bench.probe.findings import Finding
from bench.probe.probe_cost import Cost, Spent, estimate, probe_sentence
from bench.probe.probe_report import Probe, keep
from bench.probe.probe_scripts import PROBE_SCRIPTS, scripts_for
from bench.probe.prober import run_probe
from bench.protocol.dialects import DIALECTS
from bench.runs.target import read_target

COST = Cost(sessions=5, audio_s=25.0, messages=300, responses=9, limit_s=55.0)
SPENT = Spent(sessions=5, audio_s=15.0, messages=200, responses=6, received=250, reply_s=9.0)
FOUND = Probe(
    target="inworld",
    dialect="inworld",
    when="2026-11-24T12:00:00Z",
    seconds=11.2,
    cost=COST,
    spent=SPENT,
    rows=(
        Finding("quirks", "ping", "not seen"),
        Finding(
            group="errors", name="commit_empty", state="seen", value="empty", detail="No audio."
        ),
    ),
    messages={"session.update": "seen", "response.cancel": "refused (no)"},
    troubles=("tools: HTTP 429",),
)


def test_the_json_has_the_documented_shape():
    told = json.loads(FOUND.to_json())
    assert list(told) == ["format", "target", "dialect", "when", "seconds", "cost", "spent",
                          "rows", "messages", "troubles"]  # fmt: skip
    assert told["format"] == 1
    assert list(told["rows"][0]) == ["group", "name", "state", "value", "detail"]
    assert set(told["cost"]) == {"sessions", "audio_s", "messages", "responses", "limit_s"}


def test_what_is_kept_is_that_json(tmp_path):
    keep(FOUND, tmp_path / "probe.json")
    assert json.loads((tmp_path / "probe.json").read_text("utf-8")) == json.loads(FOUND.to_json())


def test_findings_that_cannot_be_written_say_so(tmp_path):
    with pytest.raises(RunFolderError, match="cannot be written"):
        keep(FOUND, tmp_path / "no" / "probe.json")


def test_lines_stand_in_columns_under_their_group():
    lines = list(FOUND.lines())
    assert lines[0].startswith("inworld (inworld), 2026-11-24T12:00:00Z, 11.2 s: 5 sessions")
    assert lines[1] == "trouble  tools: HTTP 429"
    assert lines[3:] == [
        "quirks",
        "  ping          not seen",
        "",
        "errors",
        "  commit_empty  seen      empty; No audio.",
    ]


def test_the_cost_is_known_before_anything_is_opened():
    cost = estimate()
    assert cost.sessions == len(PROBE_SCRIPTS) == 7
    assert cost.limit_s < 60
    assert 10 * cost.audio_s <= cost.messages < 750
    assert str(cost).startswith("7 sessions, 61 s of audio sent, about ")


def test_what_is_inworlds_own_is_not_asked_of_others():
    everything, fewer = (scripts_for(DIALECTS[name]) for name in ("inworld", "openai"))
    assert everything == tuple(PROBE_SCRIPTS)
    assert set(everything) - set(fewer) == {"interjections"}
    assert estimate(only=fewer).sessions == 6


def test_a_corpus_that_is_not_there_is_named():
    with pytest.raises(CorpusError, match="no-such-corpus"):
        estimate("no-such-corpus")


def test_a_target_without_a_url_is_refused_with_the_remedy():
    with pytest.raises(UsageError, match="start the reference server"):
        run_probe(read_target("reference", None))


def corpus(*texts):
    entries = tuple(
        Entry(
            id=text, file="x", text=text, voice="", rate=24_000, duration_ms=1000 + n, onset_ms=0,
            offset_ms=900, loudness=-20, tags=("plain",), licence="", sha256="",
        )
        for n, text in enumerate(texts)
    )  # fmt: skip
    return Corpus(name="x", folder=Path("x"), licence="", about="", entries=entries, sha256="")


@pytest.mark.parametrize(
    "texts",
    [
        ("Thank you.", "Where is the nearest station?", "What time does the last train leave?"),
        ("谢谢你", "我想订一张去北京的票", "明天早上八点的火车还有票吗"),
    ],
)
def test_the_shortest_sentence_is_said_and_no_mere_phrase(texts):
    assert probe_sentence(corpus(*texts)).text == texts[1]

"""What is fuzzed: for each place where data comes in, how an input is made and who reads it.

A reader may raise what it documents and nothing else. Readers of files get them in a scratch
folder; a run folder is a golden run, analysed and judged once, of which one file is bad.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from bench.analysis.calibration import error_of_run, read_calibration
from bench.analysis.pipeline import analyse
from bench.capacity.document import is_capacity, read_capacity
from bench.compare.baseline import accept, read_baseline_figures, write_baseline
from bench.compare.baseline import read_baseline as read_accepted
from bench.compare.run_sample import read_sample
from bench.corpus.manifest import load_corpus
from bench.errors import BenchError
from bench.plan.gates import parse_gate
from bench.plan.scenario_reader import parse_scenario
from bench.protocol.codec import decode_client, decode_server
from bench.reference.profile import load_profile
from bench.report.page import write_report
from bench.runs.folder import RunFolder, still_there
from bench.runs.gauges import read_gauges
from bench.runs.history import Wanted, add, read
from bench.runs.history_record import record
from bench.runs.json_file import read_summary, read_verdict
from bench.runs.log import read_log
from bench.runs.seal import seal
from bench.verdict.verdict import judge_run
from tests.fuzz.mutation import bytes_of, document_of, table_of

ROOT = Path(__file__).parents[2]
SEEDS = Path(__file__).parent / "seeds"
TABLES = ("events", "health", "gauges", "turns", "sessions")


class Target(NamedTuple):
    """One place where data comes in.

    make:   (generator) → an input        read:  input → whatever; BenchError is a good answer
    share:  of a million inputs           seeds: those of the shelf, for the first turns of each run
    """

    name: str
    make: Callable[[Random], bytes]
    read: Callable[[bytes], Any]
    share: int
    seeds: tuple[bytes, ...]


def kept(name: str) -> tuple[bytes, ...]:
    """Inputs that once failed, or are worth trying first: files of seeds/NAME/."""
    return tuple(path.read_bytes() for path in sorted((SEEDS / name).glob("*")))


def targets(place: Path) -> list[Target]:
    """All of them; `place` is an empty folder to work in."""
    return [*_texts(place), *_run_folders(place)]


def _texts(place: Path) -> list[Target]:
    """Readers of one text, or of one small file."""
    corpus, profile, store = (place / name for name in ("corpus", "slow.toml", "history.sqlite"))
    log = place / "worker-0.log"
    corpus.mkdir()
    scenarios = [path.read_bytes() for path in sorted((ROOT / "scenarios").glob("*.toml"))]
    manifest = (ROOT / "audio_corpus/everyday/manifest.toml").read_bytes()
    heads = [b"[[utterance]]".join(manifest.split(b"[[utterance]]")[:3])]

    def read_file(path: Path, use: Callable[[Path], Any]) -> Callable[[bytes], Any]:
        def work(data: bytes) -> None:
            path.write_bytes(data)
            use(path)

        return work

    return [
        _target("decode", kept("decode"), lambda data: (_refused(decode_server, data),
                                                        _refused(decode_client, data)), 600_000),
        _target("scenario", tuple(scenarios), lambda data: parse_scenario(_text(data), "fuzz.toml"),
                40_000),
        _target("gate", kept("gate"), lambda data: parse_gate(_text(data)), 250_000),
        _target("manifest", tuple(heads), read_file(corpus / "manifest.toml",
                lambda path: load_corpus(path.parent)), 40_000),
        _target("profile", ((ROOT / "bench/reference/default.toml").read_bytes(),),
                read_file(profile, load_profile), 10_000),
        _target("log", kept("log"), read_file(log, lambda path: list(read_log(path))), 50_000),
        _target("history", (_history(store),), read_file(store, lambda path: read(path, Wanted())),
                10_000),
    ]  # fmt: skip


def _target(
    name: str, good: tuple[bytes, ...], read_it: Callable[[bytes], Any], share: int
) -> Target:
    every = tuple(dict.fromkeys((*good, *kept(name))))
    return Target(
        name, lambda random: bytes_of(random.choice(every), random), read_it, share, every
    )


def _refused(decode: Callable[[bytes], Any], data: bytes) -> None:
    with suppress(BenchError):
        decode(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _history(path: Path) -> bytes:
    """A history of one run."""
    run = _run(path.parent / "run-for-history")
    add(path, [record(run, "abc", "main")])
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


# ── run folders ──────────────────────────────────────────────────────────────────────────────────


def _run(folder: Path) -> Path:
    """A golden run, analysed and judged; whole, as `bench run` would have left it."""
    from tests.golden.store import GOLDEN, analysed

    analysed(GOLDEN / "demo", folder)
    whole = RunFolder(folder)
    document = (ROOT / "scenarios/demo.toml").read_text("utf-8")
    told = whole.read()
    said = {
        "name": "demo",
        "text": document,
        "sha256": "0" * 64,
        "document": {"load": {"sessions": 1}},
    }
    whole.update(
        host={"system": "x", "cores": 2, "python": "3"},
        scenario={**said, **told["scenario"]},
        corpus={"name": "everyday", "sha256": "0" * 64, "folder": "audio_corpus/everyday"},
        target={"name": "reference", "url": "ws://127.0.0.1:1/", "dialect": "inworld"},
    )  # fmt: skip
    judge_run(folder, [parse_gate(text) for text in whole.read()["gates"]], None)
    return folder


def _run_folders(place: Path) -> list[Target]:  # noqa: C901 - a table of targets
    """Every file of a run folder, and the documents that are made of runs."""
    good, work = _run(place / "good"), place / "work"
    shutil.copytree(good, work)
    folder, run = RunFolder(work), RunFolder(good).read()
    baseline = place / "baseline.json"
    write_baseline(accept([_fit(read_sample(good))], "demo"), baseline)
    calibration, capacity = place / "calibration.json", place / "capacity.json"

    def document(path: Path, text: bytes, *uses: Callable[[], Any]) -> Callable[[bytes], Any]:
        def work_on(data: bytes) -> None:
            path.write_bytes(data)
            for use in uses:
                try:
                    use()
                except BenchError:
                    pass
                finally:
                    path.write_bytes(data)
            path.write_bytes(text)

        return work_on

    def of(name: str, path: Path, share: int, *uses: Callable[[], Any]) -> Target:
        text = path.read_bytes()
        plain = msgspec.json.decode(text) if path.suffix == ".json" else None

        def make(random: Random) -> bytes:
            if path.suffix == ".parquet" and random.randrange(4):
                return table_of(text, random)
            if plain is None or random.randrange(8) == 0:
                return bytes_of(text, random)
            return msgspec.json.encode(document_of(plain, random))

        return Target(name, make, document(path, text, *uses), share, kept(name))

    calibration.write_bytes((SEEDS / "calibration" / "good.json").read_bytes())
    capacity.write_bytes((SEEDS / "capacity" / "good.json").read_bytes())

    def judge_it() -> None:
        told = folder.read_whole()
        with still_there(work):
            judge_by(told)

    def analyse_it() -> None:
        with still_there(work):
            analyse(work)

    def judge_by(told: dict[str, Any]) -> None:
        judge_run(work, [parse_gate(text) for text in told["gates"]], None)
        write_report(work)

    return [
        of("run.json", folder.run_json, 4_000, folder.read, folder.read_whole,
           lambda: record(work, "", ""), lambda: read_sample(work)),
        of("summary.json", folder.summary, 1_000, lambda: read_summary(folder.summary),
           lambda: record(work, "", ""), lambda: read_baseline_figures(work)),
        of("verdict.json", folder.verdict, 4_000, lambda: read_verdict(folder.verdict),
           lambda: record(work, "", "")),
        of("baseline.json", baseline, 4_000, lambda: read_accepted(baseline),
           lambda: read_baseline_figures(baseline)),
        of("calibration.json", calibration, 4_000,
           lambda: error_of_run(run, 1, read_calibration(calibration))),
        of("capacity.json", capacity, 4_000, lambda: is_capacity(capacity),
           lambda: read_capacity(capacity)),
        of("run folder", folder.run_json, 40, judge_it),
        *(of(f"{name}.parquet", work / f"{name}.parquet", 200, lambda: read_sample(work))
          for name in ("turns", "sessions")),
        *(of(f"{name} in a report", work / f"{name}.parquet", 30, judge_it)
          for name in ("turns", "sessions")),
        *(of(f"{name} analysed", work / f"{name}.parquet", 30, analyse_it)
          for name in ("events", "health")),
        of("gauges.parquet", _gauges(folder), 500, lambda: read_gauges(folder)),
        Target("seal", _target("log", kept("log"), len, 1).make, _sealed(place), 500, kept("log")),
    ]  # fmt: skip


def _fit(sample: Any) -> Any:
    facts = {**sample.facts, "verdict": "pass", "interrupted": False}
    return sample._replace(facts=facts)


def _gauges(folder: RunFolder) -> Path:
    from bench.runs.gauges import Gauges, Readings, Series, write_gauges

    readings = Readings([1, 2, 3], [1.0, 2.0, 3.0])
    write_gauges(folder, Gauges({Series("cpu", 'a="b"'): readings}, frozenset({"cpu"})))
    return folder.gauges


def _sealed(place: Path) -> Callable[[bytes], Any]:
    """Seal a run whose one worker left this log."""
    folder = RunFolder(place / "sealed")
    folder.logs.mkdir(parents=True)
    base = {"format": 1, "faults": [], "rows_written": {}, "digests": {}}

    def work(data: bytes) -> None:
        folder.write(base)
        (folder.logs / "worker-0.log").write_bytes(data)
        seal(folder)

    return work

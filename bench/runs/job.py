"""A job: everything that is decided before a run starts, and nothing that happens in it.

A job is made from a scenario file, a target and options, checked whole, and written into
`run.json`; workers read it back from there, so that what is judged years later is what was run.
"""

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.corpus.decode import verified
from bench.corpus.manifest import Corpus, find_corpus, load_corpus
from bench.data_file import MOST_TOML, read_bytes, reading, text_of
from bench.errors import (
    CorpusError,
    GateError,
    RunFolderError,
    ScenarioError,
    UsageError,
    nearest,
)
from bench.plan.arrivals import Slot, schedule
from bench.plan.gates import check_filters
from bench.plan.scenario import Scenario, gates_of, is_stock, known_of
from bench.plan.scenario_reader import check_scenario, override, read_document
from bench.plan.session_request import session_object
from bench.protocol.dialects import DIALECTS
from bench.protocol.upgrade import Offer
from bench.runs.folder import RunFolder, provenance
from bench.runs.target import Header, Target
from bench.shelves import find_scenario
from bench.voice.audio import PCM16_24K, AudioFormat
from bench.voice.directions import Part, Script
from bench.voice.effective import format_of
from bench.voice.guarded_script import RAISED, last_line, raised_in
from bench.voice.scripts import SCRIPTS


class Job(NamedTuple):
    """What will be run. `document` is the scenario as TOML tables, options applied.

    slots: when sessions start and leave, by start: see `bench.plan.arrivals`
    """

    name: str
    text: str
    document: dict[str, Any]
    scenario: Scenario
    corpus: Corpus
    target: Target
    slots: tuple[Slot, ...]


def make_job(
    path: Path,
    target: Target,
    *,
    gates: tuple[str, ...] = (),
    profile: str | None = None,
    assignments: tuple[str, ...] = (),
    workers: int | None = None,
) -> Job:
    """The job of a scenario with the options of a command line applied; checked whole.

    `path` is its file, or its name (`bench.shelves`). `workers` is how many there will be, where
    that is known.
    """
    path = find_scenario(path)
    text = read_scenario(path)
    name = str(path)
    document = read_document(text, name)
    for assignment in assignments:
        override(document, assignment)
    if profile is not None:
        document["gate_profile"] = profile
    elif "gate_profile" not in document:
        profiles = document.get("gates")
        if isinstance(profiles, dict) and len(profiles) == 1:
            document["gate_profile"] = next(iter(profiles))
    try:
        scenario = check_scenario(document, text, name, gates=gates)
    except ScenarioError as error:
        raise ScenarioError(_of_assignment(str(error), name, assignments)) from None
    for kind in scenario.kinds:
        find_script(kind.script)
    corpus = load_corpus(find_corpus(scenario.corpus))
    _check_lines(scenario, corpus, name)
    _check_filters(scenario, corpus, name, workers)
    for entry in corpus.entries:
        verified(corpus, entry)
    return Job(path.stem, text, document, scenario, corpus, target, slots_of(scenario))


def _of_assignment(error: str, name: str, assignments: Sequence[str]) -> str:
    """What is wrong with a key that was set on the command line is not said of the file's line."""
    found = re.match(rf"{re.escape(name)}:\d+: (?:unknown key ')?([\w.]+)", error)
    for text in reversed(assignments):
        key = text.partition("=")[0].strip()
        if found and (found[1] == key or found[1].startswith(f"{key}.")):
            what = error.removeprefix(f"{name}:").partition(": ")[2]
            return f"{name} with {text.strip()[:60]}: {what}"
    return error


def slots_of(scenario: Scenario) -> tuple[Slot, ...]:
    """The schedule of a scenario, its trace read. ScenarioError where that is none."""
    trace: Sequence[Slot] = ()
    if scenario.load.trace:
        from bench.runs.trace_file import read_trace  # noqa: PLC0415 - pyarrow is slow to import

        trace = read_trace(Path(scenario.load.trace))
    return tuple(schedule(scenario.load, scenario.seeds.arrivals, trace))


def _check_filters(scenario: Scenario, corpus: Corpus, name: str, workers: int | None) -> None:
    """GateError for a gate whose filter nothing in the run can meet."""
    known = known_of(scenario)
    if workers is not None:
        known["worker"] = range(workers)
    if is_stock(scenario):
        known["utterance"] = ["", *(entry.id for entry in corpus.entries)]  # "": what is typed
    try:
        check_filters(gates_of(scenario), known)
    except GateError as error:
        raise GateError(f"{name}: {error}") from None


def read_scenario(path: Path) -> str:
    """The text of a scenario file. ScenarioError names it."""
    with reading(path, ScenarioError, "give a scenario file (TOML)"):
        return text_of(read_bytes(path, MOST_TOML))


def find_script(name: str) -> Callable[[Part], Script]:
    """A stock script, or the one at "package.module:function", seen from the current directory.

    UsageError where there is none.
    """
    if name in SCRIPTS:
        return SCRIPTS[name].play
    module, _, function = name.partition(":")
    try:
        with _seen_from_here():
            play: Callable[[Part], Script] = getattr(importlib.import_module(module), function)
    except RAISED as error:
        why = last_line(error)
        raise UsageError(f"script {name!r}{raised_in(error)}: cannot be imported: {why}") from None
    if not callable(play):
        raise UsageError(f"script {name!r}: is no function but {type(play).__name__}")
    return play


@contextmanager
def _seen_from_here() -> Iterator[None]:
    """Import what the current directory has, before all else; from then on, after all else.

    What a script imports as it plays is found there, too, and no module of this program or of
    its libraries ever is.
    """
    here = str(Path.cwd())
    known = here in sys.path
    if not known:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if not known:
            sys.path.remove(here)
            sys.path.append(here)


def line_ids(scenario: Scenario, corpus: Corpus) -> list[str]:
    """Ids of the utterances that callers may say as lines, in the manifest's order."""
    include, exclude = set(scenario.caller.include), {*scenario.caller.exclude, "reply"}
    return [
        entry.id
        for entry in corpus.entries
        if not exclude & set(entry.tags) and (not include or include & set(entry.tags))
    ]


def tagged_ids(corpus: Corpus, tag: str) -> list[str]:
    """Ids of the utterances with a tag, in the manifest's order."""
    return [entry.id for entry in corpus.entries if tag in entry.tags]


def _check_lines(scenario: Scenario, corpus: Corpus, name: str) -> None:
    caller = scenario.caller
    tags = {tag for entry in corpus.entries for tag in entry.tags}
    for tag in caller.include:  # to exclude what is not there excludes nothing
        if tag not in tags:
            raise ScenarioError(
                f"{name}: caller: no utterance of {corpus.name!r} has the tag {tag!r}; "
                f"{nearest(tag, tags)}"
            )
    if not line_ids(scenario, corpus):
        raise CorpusError(
            f"{corpus.folder}: no utterance may be said as a line (include {list(caller.include)}, "
            f"exclude {list(caller.exclude)}); widen caller.include in {name}"
        )
    if any(kind.script == "barge_in" for kind in scenario.kinds):
        for tag in caller.into:
            if not tagged_ids(corpus, tag):
                raise CorpusError(
                    f"{corpus.folder}: script 'barge_in' needs utterances tagged {tag!r} "
                    f"(caller.into in {name}); tag some in manifest.toml"
                )


def input_formats(scenario: Scenario) -> set[AudioFormat]:
    """The formats in which callers will be asked to speak, if the target takes what it is asked."""
    return _formats(scenario, "input")


def reply_formats(scenario: Scenario) -> set[AudioFormat]:
    """The formats in which the target is asked to speak."""
    return _formats(scenario, "output")


def _formats(scenario: Scenario, side: str) -> set[AudioFormat]:
    asked = set()
    for setting in scenario.settings:
        for kind in scenario.kinds:
            audio = session_object({**setting.session, **kind.session}).audio
            wire = getattr(getattr(audio, side, None), "format", None)
            asked.add(format_of(wire, PCM16_24K))
    return asked


def describe(job: Job, workers: int) -> dict[str, Any]:
    """`run.json` of a job that has not begun."""
    scenario, target = job.scenario, job.target
    return {
        **provenance(job.name),
        "scenario": {
            "name": job.name,
            "text": job.text,
            "sha256": hashlib.sha256(job.text.encode()).hexdigest(),
            "document": job.document,
            "effective": msgspec.to_builtins(scenario, enc_hook=_plain),
        },
        "corpus": {
            "name": job.corpus.name,
            "sha256": job.corpus.sha256,
            "folder": os.path.relpath(job.corpus.folder),
        },
        "target": {
            "name": target.name,
            "url": target.url,
            "dialect": target.dialect.name,
            **target.offer._asdict(),
            "headers": [header.text for header in target.headers],
            "ca": target.ca,
            "loopback": target.loopback,
        },
        "workers": workers,
        "plan": {
            "sessions": None if scenario.load.stages else scenario.load.sessions,
            "scheduled": scheduled_of(job),
            "start_ns": None,
            "measured_from_ns": None,
            "measured_to_ns": None,
            "end_ns": None,
        },
        "gates": scenario.gates.get(scenario.gate_profile, []),
        "baseline": None,
        **({"trace_sha256": _digest(job.slots)} if scenario.load.trace else {}),
    }


def _digest(slots: Sequence[Slot]) -> str:
    """By which two traces are told apart, wherever their files lie."""
    return hashlib.sha256(repr([tuple(slot) for slot in slots]).encode()).hexdigest()


def scheduled_of(job: Job) -> int | None:
    """How many sessions an open load starts; None of a closed one."""
    return None if job.scenario.load.arrivals is None else len(job.slots)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, float) else int(value)


def recall(folder: RunFolder) -> Job:
    """The job that `run.json` describes. RunFolderError where it is not whole."""
    run = folder.read()
    try:
        said, target = run["scenario"], run["target"]
        name = said["name"]
        scenario = check_scenario(said["document"], said["text"], name, gates=())
        scenario = msgspec.structs.replace(scenario, gates={scenario.gate_profile: run["gates"]})
        corpus = load_corpus(find_corpus(run["corpus"]["folder"]))
        offer = Offer(target.get("subprotocol", ""), target.get("hops", 0))
        where = Target(
            target["name"], target["url"], DIALECTS[target["dialect"]], offer,
            tuple(Header(*text.partition("=")[::2]) for text in target.get("headers", ())),
            target.get("ca", ""), target.get("loopback"),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise RunFolderError(f"{folder.run_json}: does not describe a job: {error!r}") from None
    return Job(
        name, said["text"], said["document"], scenario, corpus, where, _planned(folder, scenario)
    )


def _planned(folder: RunFolder, scenario: Scenario) -> tuple[Slot, ...]:
    """The schedule of a run: its trace is in its plan, and may be nowhere else any more."""
    if not scenario.load.trace or not folder.plan.exists():
        return slots_of(scenario)
    from bench.runs.plan_table import read_slots  # noqa: PLC0415 - pyarrow is slow to import

    return read_slots(folder)

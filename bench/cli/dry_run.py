"""`bench check`: a scenario read as a run reads it, and a session of each kind played dry.

What a session comes to is told in a line. What would spoil a run is a *problem* of the scenario or
of its script; what is only worth knowing is a note. Where the profile of the embedded server has
failures of its own, what went wrong may be its doing, and is noted.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from bench.cli.console import out, print_json, say
from bench.cli.run_job import job_of
from bench.cli.verbs import CheckOptions, RunOptions
from bench.corpus.decode import load_utterances
from bench.load.session_plan import SessionPlan, SessionPlanner
from bench.protocol import server
from bench.protocol.error_codes import BENIGN, PROVOKED
from bench.reference.admission import Admitted
from bench.reference.profile import Failures, Profile, load_profile
from bench.reference.rehearsal import Happened, Rehearsal
from bench.reference.schedule import Close, Raw
from bench.reference.served_session import ServedSession
from bench.reference.voices import Voices
from bench.runs.job import Job, line_ids
from bench.voice.audio import NS_PER_MS, NS_PER_S, PCM16_24K, AudioFormat
from bench.voice.conversation import Conversation
from bench.voice.microphone import Recording, record
from bench.voice.outbox import Note
from bench.voice.utterance import Utterance

MOST_NS: Final = 600 * NS_PER_S
"""A session that has not ended by then goes on for ever, as far as anybody can tell."""


class DrySession(NamedTuple):
    """What one session came to. `answered` are turns after which a response began."""

    script: str
    setting: str
    turns: int
    answered: int
    interruptions: int
    tool_calls: int
    seconds: float
    errors: int
    problems: list[str]
    notes: list[str]


def check(job: Job, profile: Path | None) -> list[DrySession]:
    """Play a session of each kind and setting of the job; `profile` in place of its own."""
    scenario, corpus = job.scenario, job.corpus
    asked = profile or scenario.reference.profile
    behaves = load_profile(Path(asked) if asked else None)

    @cache
    def voices(fmt: AudioFormat) -> dict[str, Utterance]:
        return {one.id: one for one in load_utterances(corpus, corpus.entries, fmt)}

    @cache
    def recorded(said: Utterance, fmt: AudioFormat) -> Recording:
        return record(voices(fmt).get(said.id, said), scenario.chunk_ms * NS_PER_MS)

    server_voices = Voices(lambda fmt: tuple(voices(fmt).values()))
    planner = SessionPlanner(job, voices(PCM16_24K), "check")
    played = []
    for number, plan in enumerate(planner.every()):
        caller = plan.conversation(number, scenario, recorded)
        admitted = Admitted(number, job.target.dialect.name, "", plan.model)
        replies = ServedSession(behaves, server_voices, admitted)
        session = Rehearsal(caller, replies)
        session.play(MOST_NS)
        played.append(_outcome(plan, caller, session, behaves))
    return played


def check_verb(options: CheckOptions) -> int:
    """Check and say what was found, a line for each session; 2 where something is amiss."""
    job = job_of(
        RunOptions(
            options.scenario, options.target, options.dialect, gates=options.gates,
            profile=options.profile, assignments=options.assignments,
        )
    )  # fmt: skip
    with redirect_stdout(sys.stderr):  # what a script prints is no part of the answer
        played = check(job, options.server_profile)
    notes, amiss = run_notes(job, played), sum(len(one.problems) for one in played)
    if options.as_json:
        sessions = [one._asdict() for one in played]
        print_json({"ok": not amiss, "sessions": sessions, "notes": notes})
        return 2 if amiss else 0
    for one in played:
        of = f" ({one.setting})" if one.setting else ""
        say(
            out,
            f"{one.script}{of}: {one.turns} turns, {one.answered} answered, {one.interruptions} "
            f"interruptions, {one.tool_calls} tool calls, {one.seconds:.1f} s, {one.errors} errors",
        )
        for problem in one.problems:
            say(out, f"  problem  {problem}")
        for note in one.notes:
            say(out, f"  note     {note}")
    for note in notes:
        say(out, f"note     {note}")
    say(out, f"{job.name}: {f'{amiss} problems' if amiss else 'in order'}, played and not run")
    return 2 if amiss else 0


def run_notes(job: Job, played: Sequence[DrySession]) -> list[str]:
    """What the scenario file says that a run of it will show."""
    found = []
    lines, turns = len(line_ids(job.scenario, job.corpus)), job.scenario.turns
    if lines < turns:
        found.append(
            f"a session has {turns} turns and corpus {job.corpus.name!r} has {lines} lines: some "
            "are said again; add recordings with `bench corpus add`, or widen caller.include"
        )
    load = job.scenario.load
    run_s = load.whole / NS_PER_S
    longest = max(played, key=lambda one: one.seconds)
    if longest.seconds > run_s:
        found.append(
            f"a session of {longest.script} lasts {longest.seconds:.0f} s and a run {run_s:g} s: "
            "none comes to its last turns; raise load.duration"
        )
    return found


def _outcome(
    plan: SessionPlan, caller: Conversation, session: Rehearsal, behaves: Profile
) -> DrySession:
    happened = session.happened
    errors = [
        one for one in happened if isinstance(one, server.ErrorMessage) and not _provoked(one)
    ]
    turns, answered = _answers(happened)
    races = [_in_words(one) for one in errors if one.code in BENIGN]
    wrong = [_in_words(one) for one in errors if one.code not in BENIGN]
    problems, notes = [*_counted(wrong), *_problems(caller, session)], _counted(races)
    if caller.fault is None and behaves.failures != Failures():
        notes += [f"{one} (the profile has failures of its own)" for one in problems]
        problems = []
    if caller.outcome is None and session.ends_ns > MOST_NS - NS_PER_S:
        direction, since_ns = caller.doing
        if since_ns < MOST_NS // 2:
            problems.append(f"a direction never ends: {direction!r:.200}")
        notes.append(
            f"after {MOST_NS // NS_PER_S} s of talk the script goes on; a run would end it"
        )
    if not turns:
        notes.append("no turn is begun: a run would have no figure of turns")
    return DrySession(
        plan.kind.script,
        plan.setting.label,
        turns,
        answered,
        sum(isinstance(one, Note) and one.type == "bench.flush" for one in happened),
        sum(isinstance(one, server.ResponseFunctionCallArgumentsDone) for one in happened),
        session.ends_ns / NS_PER_S,
        len(errors),
        problems,
        notes,
    )


def _problems(caller: Conversation, session: Rehearsal) -> Iterator[str]:
    """Whatever a run would show that nobody wants, errors of the server apart."""
    if caller.fault is not None:
        yield str(caller.fault)
    for one in session.happened:
        if isinstance(one, Note) and one.type == "bench.gave_up":
            turn, at_s = (one.detail or {}).get("turn"), one.at_ns / NS_PER_S
            yield f"turn {turn} was not answered: the caller gave up after {at_s:.1f} s of talk"
        elif isinstance(one, Close):
            yield f"the server closed the session: {one.reason or one.code}"
        elif isinstance(one, Raw):
            yield "the server sent what is no message"
    if caller.fault is None and caller.outcome not in {None, "finished"}:
        yield f"the session ended as {caller.outcome}: {caller.reason}"


def _in_words(error: server.ErrorMessage) -> str:
    return f"the server says {error.code or 'error'}: {error.text}"


def _counted(said: Sequence[str]) -> list[str]:
    """Each once, with how often it was said."""
    return [f"{one} ({n} times)" if n > 1 else one for one, n in Counter(said).items()]


def _answers(happened: Sequence[Happened]) -> tuple[int, int]:
    """How many turns were begun, and after how many of them a response began."""
    turns = answered = 0
    waiting = False
    for one in happened:
        if isinstance(one, Note) and _begins_turn(one):
            turns, waiting = turns + 1, True
        elif isinstance(one, server.ResponseCreated) and waiting:
            answered, waiting = answered + 1, False
    return turns, answered


def _begins_turn(note: Note) -> bool:
    said = note.detail or {}
    spoken = note.type == "bench.say" and said["role"] in {"line", "interruption"}
    return spoken or note.type == "bench.write"


def _provoked(error: server.ErrorMessage) -> bool:
    return error.about.endswith(PROVOKED)

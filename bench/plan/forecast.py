"""What a run will come to, as far as that is known before it starts: its turns and sessions.

Theory of operation
-------------------
A session of a stock script takes about as long every time: what it says has a known length, the
caller's own pauses are in the scenario, and the agent's answer and reply are supposed (`ANSWER_NS`,
`Speech.reply_ns`): the reference server's, and a usual service's. So the turns of each slot can be
counted that begin in the measured phase. Of a script of somebody's own nothing is known.

It is an estimate for people ("about 75 turns"), within 20 % against the reference server, and
judges nothing but whether the gates ask for more turns than there will be (`lacking`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from bench.plan.arrivals import Slot
from bench.plan.gates import CONFIDENCE, FEW_SESSIONS, Gate, needed
from bench.plan.metrics import METRICS
from bench.plan.scenario import Ingredient, Scenario
from bench.plan.session_request import session_object
from bench.plan.sweep import Setting
from bench.protocol.objects import Session
from bench.voice.audio import NS_PER_MS, NS_PER_S, ms
from bench.voice.scripts import DISTURBING, SCRIPTS

ANSWER_NS: Final = ms(420)
"""From the end of a turn, as the server sees it, to the first of the answer."""
WRITTEN_NS: Final = ms(550)
"""How long an answer in text takes to come."""
SILENCE_MS: Final = 500
"""Of a server's turn detection, where the scenario does not say."""
_UNSURE: Final = 1.25
"""Turns to spare, where a longer run is advised: not each turn of a session counts whole."""


class Words(NamedTuple):
    """What is said on average: how long its recording is, and until when it is speech."""

    length_ns: int
    end_ns: int


class Speech(NamedTuple):
    """What a corpus has for a scenario.

    `into`: what is said into replies, by the tags of `caller.into`; `reply_ns`: of one reply,
    at the usual speed.
    """

    line: Words
    into: tuple[Words, ...]
    reply_ns: int


class Forecast(NamedTuple):
    """How many turns begin in the measured phase, and how many sessions in all."""

    turns: int
    sessions: int


class _Course(NamedTuple):
    """A whole session: how long it takes, and when its turns begin, ns."""

    length_ns: int
    begins: tuple[int, ...]


def forecast(scenario: Scenario, slots: Sequence[Slot], speech: Speech) -> Forecast | None:
    """What a scenario comes to that has these slots.

    None where nobody knows what its scripts do.
    """
    load = scenario.load
    if any(kind.script not in SCRIPTS for kind in scenario.kinds):
        return None
    total = sum(kind.weight for kind in scenario.kinds)
    turns = sessions = 0.0
    for kind in scenario.kinds:
        for setting in scenario.settings:
            course = _course(scenario, kind, setting, speech)
            share = kind.weight / total / len(scenario.settings)
            if load.sessions is not None and len(scenario.kinds) > 1:
                # In a slot kinds follow one another: those that take longer have more of the time.
                share *= course.length_ns / _mean_length(scenario, speech)
            mine = [_counted(course, slot, scenario) for slot in slots]
            turns += share * sum(found for found, _ in mine)
            sessions += share * sum(begun for _, begun in mine)
    return Forecast(round(turns), round(sessions))


def session_length(scenario: Scenario, speech: Speech) -> int | None:
    """How long a whole session takes on average, ns; None where nobody knows its scripts."""
    if any(kind.script not in SCRIPTS for kind in scenario.kinds):
        return None
    return round(_mean_length(scenario, speech))


def _mean_length(scenario: Scenario, speech: Speech) -> float:
    setting = scenario.settings[0]
    total = sum(kind.weight for kind in scenario.kinds)
    return sum(
        kind.weight / total * _course(scenario, kind, setting, speech).length_ns
        for kind in scenario.kinds
    )


def _counted(course: _Course, slot: Slot, scenario: Scenario) -> tuple[int, int]:
    """(turns that begin while it is measured, sessions begun) of a slot."""
    load = scenario.load
    start, end = slot.start_ns, load.warmup + load.duration
    end = min(end, slot.leave_ns or end)
    turns = sessions = 0
    while start < end:
        sessions += 1
        turns += sum(load.warmup <= start + begin < end for begin in course.begins)
        if load.sessions is None:
            break
        start += max(course.length_ns, NS_PER_S)
    return turns, sessions


def _course(scenario: Scenario, kind: Ingredient, setting: Setting, speech: Speech) -> _Course:
    session = session_object({**setting.session, **kind.session})
    pace = _Pace(scenario, session, speech)
    at, begins = 0, []
    for step in _STEPS[kind.script](pace):
        if step.turn:
            begins.append(at)
        at += step.length_ns
    return _Course(at, tuple(begins))


# ── what a script does ───────────────────────────────────────────────────────────────────────────


class _Step(NamedTuple):
    """A stretch of a session; whether a turn begins with it."""

    length_ns: int
    turn: bool = False


class _Pace:
    """How long what a caller does takes, in one session of a scenario."""

    def __init__(self, scenario: Scenario, session: Session, speech: Speech) -> None:
        caller = scenario.caller
        self.lines, self.into = scenario.turns, tuple(zip(caller.into, speech.into, strict=True))
        self.hear, self.tool_time = caller.hear, caller.tool_time
        self.gap = round(caller.think.mean_ms * NS_PER_MS) if caller.think else int(caller.gap)
        audio = getattr(session, "audio", None)
        detection = getattr(getattr(audio, "input", None), "turn_detection", None)
        silence = getattr(detection, "silence_duration_ms", None)
        said = silence if isinstance(silence, int | float) else SILENCE_MS
        speed = getattr(getattr(audio, "output", None), "speed", 1.0)
        faster = speed if isinstance(speed, int | float) and speed > 0 else 1.0
        self.line, self.answer = speech.line, ANSWER_NS
        self.reply = round(speech.reply_ns / faster)
        self.silence = round(said * NS_PER_MS)
        self.yields = getattr(detection, "interrupt_response", True) is not False
        self.textual = session.output_modalities == ["text"]
        self.tools = bool(session.tools)

    @property
    def whole_reply(self) -> int:
        """From the first of an answer until it has been heard or read."""
        return WRITTEN_NS if self.textual else self.reply

    @property
    def tool_round(self) -> int:
        """From the first of a call to that of the answer; one call in four comes with words."""
        return self.reply // 4 + self.tool_time + self.answer

    def answered(self, words: Words) -> int:
        """From the start of a recording to the first of the answer, by turn detection."""
        return words.end_ns + self.silence + self.answer


def _talk(pace: _Pace) -> Iterator[_Step]:
    for _ in range(pace.lines):
        yield _Step(pace.gap)
        yield _Step(pace.answered(pace.line) + pace.whole_reply, turn=True)


def _talk_into(pace: _Pace) -> Iterator[_Step]:
    for number in range(pace.lines):
        tag, words = pace.into[number % len(pace.into)]
        yield _Step(pace.gap)
        if tag == "nonspeech":
            rest = max(pace.reply, pace.hear + words.length_ns)
            yield _Step(pace.answered(pace.line) + rest, turn=True)
            continue
        heard = pace.hear if pace.yields else pace.reply
        yield _Step(pace.answered(pace.line) + heard, turn=True)
        again = pace.answered(words) if pace.yields else 0
        yield _Step(again + pace.reply, turn=tag not in DISTURBING)


def _push(pace: _Pace) -> Iterator[_Step]:
    for _ in range(pace.lines):
        yield _Step(pace.gap)
        yield _Step(pace.line.length_ns + pace.answer + pace.whole_reply, turn=True)


def _type(pace: _Pace) -> Iterator[_Step]:
    for _ in range(pace.lines):
        yield _Step(pace.gap)
        yield _Step(pace.answer + pace.whole_reply, turn=True)


def _use_tools(pace: _Pace) -> Iterator[_Step]:
    more = pace.tool_round if pace.tools else 0
    for _ in range(pace.lines):
        yield _Step(pace.gap)
        yield _Step(pace.answered(pace.line) + more + pace.whole_reply, turn=True)


def _stop(pace: _Pace) -> Iterator[_Step]:
    for _ in range(pace.lines):
        yield _Step(pace.gap)
        yield _Step(pace.answered(pace.line) + pace.hear, turn=True)
    yield _Step(pace.gap)


def _tour(pace: _Pace) -> Iterator[_Step]:
    """Said, typed, typed for a tool, typed and stopped, said with the key held."""
    yield _Step(pace.gap)
    yield _Step(pace.answered(pace.line) + pace.reply, turn=True)
    yield _Step(pace.answer + WRITTEN_NS, turn=True)
    yield _Step(pace.answer + pace.tool_round + pace.reply, turn=True)
    yield _Step(pace.answer, turn=True)
    yield _Step(pace.line.length_ns + pace.answer + pace.reply, turn=True)


_STEPS: Final[dict[str, Callable[[_Pace], Iterator[_Step]]]] = {
    "turn_taking": _talk,
    "barge_in": _talk_into,
    "push_to_talk": _push,
    "text_chat": _type,
    "tool_call": _use_tools,
    "interrupt_client": _stop,
    "long_call": _talk,
    "reconfigure": _talk,
    "tour": _tour,
}


# ── gates that so few turns cannot decide ────────────────────────────────────────────────────────


class Lack(NamedTuple):
    """A gate that stays open even if all goes well: how many of what it needs, and there will be.

    `times`: as long a run should do.
    """

    gate: Gate
    needs: int
    of: str
    times: float


def lacking(gates: Sequence[Gate], expected: Forecast) -> list[Lack]:
    """The gates that a run of so many turns and sessions cannot pass, as things are."""
    worth = expected.turns
    if expected.sessions < FEW_SESSIONS:
        worth = min(worth, expected.sessions)
    found = []
    for gate in gates:
        of = "session" if METRICS[gate.metric].of == "session" else "turn"
        needs, have = samples_of(gate), expected.sessions if of == "session" else worth
        if needs > have:
            found.append(Lack(gate, needs, of, _UNSURE * needs / max(1, have)))
    return found


def samples_of(gate: Gate) -> int:
    """Samples, all of them good, without which a gate cannot pass; 0: nobody knows, or any do."""
    metric = METRICS[gate.metric]
    if metric.of not in {"turn", "session"}:
        return 0
    if gate.promised is not None:
        return needed(gate.promised)
    if metric.kind != "share" or gate.limit is None or gate.metric == "spurious":
        return 0
    good = gate.limit / 100 if gate.operator in {">", ">="} else 1 - gate.limit / 100
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(good)) if 0 < good < 1 else 0

"""Who says what: the conversation of every session, drawn from seeds before it starts.

Theory of operation
-------------------
What a session says is a function of the seeds, its slot and its lap, whatever else is running and
however many workers there are. Each random choice has a seed and a stream of its own, so that
changing one leaves the others as they were.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from random import Random
from typing import Any, NamedTuple

from bench.plan.arrivals import Slot
from bench.plan.planned_slot import PlannedSlot
from bench.plan.scenario import Ingredient, Scenario
from bench.plan.session_request import changed_sessions, first_session
from bench.plan.sweep import Setting
from bench.protocol.objects import Session
from bench.runs.job import Job, find_script, line_ids, tagged_ids
from bench.voice.audio import NS_PER_MS, AudioFormat
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.directions import Part
from bench.voice.guarded_script import GuardedScript
from bench.voice.microphone import Recording
from bench.voice.scripts import SCRIPTS, marked
from bench.voice.utterance import Utterance


class SessionPlan(NamedTuple):
    """What one session does: its kind, the setting it asks for, and what it has to say.

    `turns` is how many turns that makes, `marker` words that only this session says, or "".
    `asked` is its session.update, `model` what goes into the URL where the service wants it there.
    """

    kind: Ingredient
    setting: Setting
    part: Part
    turns: int
    marker: str
    asked: Session
    model: str

    def play(self, number: int) -> GuardedScript:
        """The script as session `number` plays it."""
        name = self.kind.script
        around = partial(marked, words=self.marker, item_id=f"mark_{number}")
        return GuardedScript(find_script(name), self.part, name, around if self.marker else None)

    def conversation(
        self, number: int, scenario: Scenario, record: Callable[[Utterance, AudioFormat], Recording]
    ) -> Conversation:
        """The caller of session `number`; `record` gives what it says in a format, in chunks."""
        caller = scenario.caller
        config = CallerConfig(
            chunk_ns=scenario.chunk_ms * NS_PER_MS,
            answer_timeout_ns=caller.answer_timeout,
            jitter_buffer_ns=caller.jitter_buffer,
            flush=caller.flush,
            truncate=caller.truncate,
            greeting=caller.greeting == "hear",
        )
        return Conversation(self.play(number), self.asked, record, config, name=f"s{number}")


class SessionPlanner:
    """The plans of a run called `name`. `utterances` are all that callers can say, by id."""

    def __init__(self, job: Job, utterances: Mapping[str, Utterance], name: str) -> None:
        self._scenario = job.scenario
        self._dialect = job.target.dialect
        self._utterances = utterances
        self._name = name
        self._lines = line_ids(job.scenario, job.corpus)
        self._into = [tagged_ids(job.corpus, tag) for tag in job.scenario.caller.into]
        self._settings = job.scenario.settings
        self._kinds = job.scenario.kinds

    def plan(self, number: int, slot: int, lap: int) -> SessionPlan:
        """The plan of session `number`, which is the `lap`-th of its slot."""
        setting = self._settings[(slot + lap) % len(self._settings)]
        return self._cast(self._kind(slot, lap), setting, slot, lap, number)

    def first_sessions(self, slots: Sequence[Slot]) -> Iterator[PlannedSlot]:
        """What is planned: of every slot its instants, and its first session."""
        for number, slot in enumerate(slots):
            plan = self.plan(number, number, 0)
            gaps, lines = zip(*plan.part.paused_lines, strict=True)
            yield PlannedSlot(
                number, *slot, plan.kind.script, plan.setting.label, plan.turns,
                tuple(line.id for line in lines), gaps,
            )  # fmt: skip

    def every(self) -> Iterator[SessionPlan]:
        """A plan for each kind of conversation and each setting."""
        for number, (kind, setting) in enumerate(product(self._kinds, self._settings)):
            yield self._cast(kind, setting, number, 0, number)

    def _cast(
        self, kind: Ingredient, setting: Setting, slot: int, lap: int, number: int
    ) -> SessionPlan:
        session = {**setting.session, **kind.session}
        part = self._part(slot, lap, session)
        turns = SCRIPTS[kind.script].turns(part) if kind.script in SCRIPTS else len(part.lines)
        return SessionPlan(
            kind,
            setting,
            part,
            turns,
            self._marker(number),
            first_session(session, self._dialect),
            str(session.get("model", "")),
        )

    def _kind(self, slot: int, lap: int) -> Ingredient:
        """The kind of conversation: drawn from the slot's own stream where there are several."""
        if len(self._kinds) == 1:
            return self._kinds[0]
        random = Random(f"{self._scenario.seeds.mixture}/{slot}/{lap}")
        return random.choices(self._kinds, [kind.weight for kind in self._kinds])[0]

    def _marker(self, number: int) -> str:
        """Words that only this session of this run says."""
        if not self._scenario.caller.marker:
            return ""
        random = Random(f"{self._name}/{number}")
        letters = "".join(random.choices("bdfgklmnprstvz", k=6))
        return f"{letters}{number}"

    def _part(self, slot: int, lap: int, session: dict[str, Any]) -> Part:
        """What the caller says: drawn from the slot's own stream, whatever else is running."""
        scenario, caller = self._scenario, self._scenario.caller
        random = Random(f"{scenario.seeds.utterances}/{slot}/{lap}")
        lines = tuple(self._draw(random, self._lines, scenario.turns))
        return Part(
            lines,
            tuple(self._said_into(random, scenario.turns)),
            caller.gap,
            caller.hear,
            caller.tool_time,
            changed_sessions(caller.changes, session, self._dialect),
            changed_sessions(caller.refused_changes, session, self._dialect),
            self._gaps(slot, lap, len(lines)),
        )

    def _gaps(self, slot: int, lap: int, count: int) -> tuple[int, ...]:
        """How long the caller thinks before each line, ns; nothing where it is always as long."""
        think = self._scenario.caller.think
        if think is None:
            return ()
        random = Random(f"{self._scenario.seeds.utterances}/{slot}/{lap}/think")
        return tuple(round(think.ms(random) * NS_PER_MS) for _ in range(count))

    def _said_into(self, random: Random, count: int) -> Iterator[Utterance]:
        """What is said into `count` replies: the tags of `into` take turns."""
        if not all(self._into):
            return
        piles = [list(self._draw(random, ids, count)) for ids in self._into]
        for number in range(count):
            yield piles[number % len(piles)][number // len(piles)]

    def _draw(self, random: Random, ids: list[str], count: int) -> Iterator[Utterance]:
        """`count` utterances, none twice before all were said once."""
        while ids and count > 0:
            for chosen in random.sample(ids, min(count, len(ids))):
                yield self._utterances[chosen]
                count -= 1

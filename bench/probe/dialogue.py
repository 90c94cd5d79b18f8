"""What the scripts of a probe are made of: ask and see what comes, wait, have something answered.

Theory of operation
-------------------
A script of a probe is an ordinary script of directions (`bench.voice.directions`) that also looks
at what has come so far: `ask` sends one message and waits for one of the answers that it may have,
or for an error that names it, or nobody. Each step waits with a timeout of its own and goes on
without its answer. A server that leaves three messages in a row unanswered, and says nothing else
either, is given up: `GivenUp` ends the session, never the probe.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, TypeVar

from msgspec import UNSET

from bench.load.preflight import Rows
from bench.probe.answers import Exchange, Received, answer_to, first_of
from bench.probe.setting_checks import SERVER_VAD, SettingCheck, update
from bench.protocol.client import (
    ClientMessage,
    ConversationItemCreate,
    ResponseCreate,
    SessionUpdate,
)
from bench.protocol.codec import type_of
from bench.protocol.dialects import Dialect
from bench.protocol.objects import Item, Part, ResponseParams, Session
from bench.tracker.event import table, word
from bench.tracker.responses import AUDIO
from bench.voice.audio import ms
from bench.voice.directions import Direction, Pause, Send
from bench.voice.utterance import Utterance

ANSWER_S: Final = 4.0
PROVOKED_S: Final = 2.0
REPLY_S: Final = 15.0
STRAGGLERS: Final = Pause(ms(1200))
"""Recorded servers send rate limits 30 ms after response.done; repeats come later."""
ADDED: Final = ("conversation.item.added", "conversation.item.done")
_UPDATED: Final = "session.updated"
_MUTE_S: Final = 1.0
"""How long an acknowledgement is waited for that did not come the last time."""
_DEAF: Final = 3
_GLANCE_NS: Final = ms(20)
"""How often a script that waits looks at what has come."""

_Found = TypeVar("_Found")
Step = Generator[Direction, Any, _Found]


class GivenUp(Exception):  # noqa: N818 - it is no error of this program, it is what happened
    """The server does not answer any more. The text says so."""


class NoSuchMessage(ClientMessage, tag="bench.no_such_message", kw_only=True):
    """A message that no server knows: how it says so is a finding."""


class Dialogue:
    """One session as its script sees it.

    `name` goes into event ids, `utterance` is what there is to say. `received`, `rows` and
    `exchanges` are what has come, been logged and been asked so far; `trouble` is why it was given
    up, or "".
    """

    def __init__(self, name: str, dialect: Dialect, utterance: Utterance) -> None:
        self.name = name
        self.dialect = dialect
        self.utterance = utterance
        self.received: list[Received] = []
        self.rows = Rows()
        self.exchanges: list[Exchange] = []
        self.trouble = ""
        self._mute = False
        self._deaf = 0
        self._count = 0

    @property
    def opening(self) -> Session:
        """What the session is asked to be before its script begins."""
        return self.update((SERVER_VAD.path, SERVER_VAD.value)).session

    def play(self, script: Callable[["Dialogue"], Iterator[Direction]]) -> Iterator[Direction]:
        """`script`, once the opening was answered, or was not."""
        self.note_opening()
        try:
            yield from script(self)
        except GivenUp as why:
            self.trouble = str(why)

    def note_opening(self) -> None:
        """Note what came of the opening, once."""
        if self.exchanges:
            return
        said = [one for one in self.received if one.type in {_UPDATED, "error"}]
        again = [one for one in self.received if one.type == "session.created"][1:]
        answer = next(iter(said + again), None)
        asked = Exchange(SERVER_VAD.label, "session.update")
        self.exchanges.append(asked.answered(answer.body if answer else None))
        self._mute = answer is None

    # ── waiting ──────────────────────────────────────────────────────────────────────────────

    def until(self, find: Callable[[], _Found | None], within_s: float) -> Step[_Found | None]:
        """The first thing that `find` finds, None where that takes longer."""
        for _ in range(int(ms(1000 * within_s) / _GLANCE_NS)):
            if (found := find()) is not None:
                return found
            yield Pause(_GLANCE_NS)
        return find()

    def wait(self, *types: str, within_s: float, since: int = 0) -> Step[Received | None]:
        """The first message of these types from message number `since` on."""
        return self.until(lambda: first_of(self.received[since:], types), within_s)

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    def ask(
        self,
        label: str,
        message: ClientMessage,
        *answers: str,
        within_s: float = ANSWER_S,
        provoking: bool = False,
    ) -> Step[Exchange]:
        """Send `message` and wait for one of `answers` or an error; note and give what came.

        `provoking`: an error is hoped for, and no answer is no sign that nobody is there; nor is it
        of a server that did not acknowledge the update before.
        """
        self._count += 1
        message.event_id = event_id = f"probe-{self.name}-{self._count}-asked"
        asked = Exchange(label, type_of(message), provoking=provoking)
        updates = asked.type == "session.update"
        patient = not (provoking or (updates and self._mute))
        within_s = min(within_s, _MUTE_S) if updates and self._mute else within_s
        since = len(self.received)
        yield Send(message, provokes=provoking)
        answer = yield from self.until(
            lambda: answer_to(self.received[since:], event_id, answers), within_s
        )
        asked = asked.answered(answer)
        self.exchanges.append(asked)
        if updates and not provoking:
            self._mute = answer is None
        self._deaf = 0 if len(self.received) > since else self._deaf + patient
        if self._deaf >= _DEAF:
            raise GivenUp(f"fell silent: {_DEAF} messages in a row were not answered")
        return asked

    def provoke(self, label: str, message: ClientMessage, answer: str) -> Step[Exchange]:
        """Make a mistake on purpose."""
        return self.ask(label, message, answer, within_s=PROVOKED_S, provoking=True)

    def update(self, *changes: tuple[str, Any]) -> SessionUpdate:
        """The session.update that sets each dotted path to its value."""
        return update(self.dialect.session_type, *changes)

    def change(self, label: str, *changes: tuple[str, Any]) -> Step[Exchange]:
        """Ask for other settings of the session."""
        return self.ask(label, self.update(*changes), _UPDATED)

    def check(self, check: SettingCheck) -> Step[Exchange]:
        """Ask for one setting of the session."""
        return self.change(check.label, (check.path, check.value))

    def request(
        self, label: str, text: str, params: ResponseParams | None = None
    ) -> Step[Exchange]:
        """Write something to the agent and ask for a response; what came of that.

        An agent that is speaking already, as one that greets its callers, is heard out first.
        """
        yield from self.until(self._silent, ANSWER_S)
        item = Item(type="message", role="user", content=[Part(type="input_text", text=text)])
        yield from self.ask(f"{label}: item", ConversationItemCreate(item=item), *ADDED)
        create = ResponseCreate(response=UNSET if params is None else params)
        return (yield from self.ask(f"{label}: response", create, "response.created"))

    def _silent(self) -> bool | None:
        """Whether no response is under way; None: one is."""
        begun, ended = (
            {word(one.body, "response", "id") for one in self.received if one.type == kind}
            for kind in ("response.created", "response.done")
        )
        return None if begun - ended else True

    # ── what is known ────────────────────────────────────────────────────────────────────────

    @property
    def session(self) -> dict[str, Any]:
        """What the server last said of its session; {} where it said nothing."""
        said = [one for one in self.received if one.type in {"session.created", _UPDATED}]
        return table(said[-1].body, "session") if said else {}

    def spoken(self) -> tuple[str, int]:
        """The item that was spoken last and its length in ns; "" and 0 where none was."""
        self.rows.flush()
        audio = [row for row in self.rows if row.type in AUDIO and row.nbytes and row.item_id]
        item_id = audio[-1].item_id if audio else None
        return item_id or "", sum(row.audio_ns or 0 for row in audio if row.item_id == item_id)

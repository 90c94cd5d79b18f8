"""What the agent is known to be doing: whom it hears, what it owes, what it replies.

Theory of operation
-------------------
An agent is told what its server said, and when; it answers whether what the caller said last has
been answered whole. The answer is *owed* from the end of a turn (or from the caller's own asking)
until a response begins, *open* until that response ends. Servers may leave out any of the messages
of the input buffer, so none of them is needed: the first that comes counts. A response begins with
the first message that names it, be that response.created or not, and once. What names none is of
the one that began last.

A speech_started that nothing follows must not be waited for. It is of the caller's speech only
while that may still be unanswered: not after a response that began when all had been said has
ended, not for an item that was taken before, and not `HEARS_NS` after the last word.

A server that is full says so in place of an answer: `turned_away_ns` is when, until another try.

`progress_ns` is the last instant that gave hope of an answer: patience is counted from there.

What it refuses to know: what was heard of it (`bench.voice.player`), and what the caller does.
"""

from collections.abc import Callable
from typing import Any

from bench.protocol import server
from bench.protocol.codec import inherited
from bench.protocol.objects import Item, Response
from bench.protocol.refusals import is_overload
from bench.voice.audio import NS_PER_S
from bench.voice.directions import Call

HEARS_NS = 3 * NS_PER_S
"""So long after the caller's last word a slow detector, far away, may still say that it began."""

_ID_BYTES = 100
"""Of a text and its place, beside its letters, about."""

_OF_ITEM = (
    server.PartMessage,
    server.ResponseFunctionCallArgumentsDelta,
    server.ResponseFunctionCallArgumentsDone,
)
UNFINISHED = ("failed", "incomplete")
"""Statuses of a response that its server did not bring to its end."""


class Agent:
    """The other side, as far as its messages tell."""

    def __init__(self) -> None:
        self.answers = True
        self.open: set[str] = set()
        """Responses under way."""
        self.replies: list[str] = []
        """Responses to what was said last, in order."""
        self.fed = ""
        """The response whose audio came last."""
        self.progress_ns = 0
        self.turned_away_ns: int | None = None
        self._begun: set[str] = set()
        self._latest = ""
        self._items: dict[str, str] = {}  # by response, the last that was announced
        self._began_ns = 0
        self._hearing: set[str] = set()
        self._taken: set[str] = set()
        self._owed = False
        self._finished: set[str] = set()
        self._silenced: set[str] = set()
        self._offset_ns = 0
        self._calls: dict[str, dict[str, Call]] = {}
        self._id_bytes = 0

    # ── what the caller does ─────────────────────────────────────────────────────────────────

    def spoken_to(self, offset_ns: int, *, opens_turn: bool) -> None:
        """Something is being said, until `offset_ns`; a turn wants an answer of its own."""
        if opens_turn:
            self.replies = []
            self.turned_away_ns = None
            self._calls.clear()
        self._offset_ns = self.progress_ns = offset_ns

    def asked(self, at_ns: int) -> None:
        """The caller wants an answer now (or the server itself will give one)."""
        self._owed = True
        self.turned_away_ns = None
        self.progress_ns = max(self.progress_ns, at_ns)

    def refused(self) -> None:
        """What the caller asked for will not come: the server said so."""
        self._owed = False

    def turn_away(self, at_ns: int) -> None:
        """The server is too full to answer. That is not about a reply that has begun."""
        waited_for = not self.replies and at_ns >= self._offset_ns
        if not self._hearing and (self._owed or waited_for):
            self._owed = False
            self.turned_away_ns = at_ns

    def touched(self, at_ns: int) -> None:
        """The caller did something that the server may react to."""
        self.progress_ns = max(self.progress_ns, at_ns)

    def silence(self) -> None:
        """Stragglers of what is being said are not to be heard any more."""
        for one in (*self.open, *self.replies):
            self._remember(self._silenced, one)

    def give_up(self) -> None:
        """Whatever is still owed, nobody waits for it: it must not spoil the turns that follow."""
        self._hearing.clear()
        self.open.clear()
        self._owed = False

    @property
    def footprint(self) -> int:
        """Bytes, about and at most, of what is remembered of its server: ids, and calls of tools.

        It is asked every second: ids are counted as they come, and never again.
        """
        calls = (call for calls in self._calls.values() for call in calls.values())
        return self._id_bytes + sum(_ID_BYTES + sum(map(len, call)) for call in calls)

    def _remember(self, place: set[str], one: str) -> None:
        if one not in place:
            place.add(one)
            self._id_bytes += _ID_BYTES + len(one)

    # ── what is known ────────────────────────────────────────────────────────────────────────

    @property
    def replying(self) -> bool:
        """Whether what is in the player is the reply, and not the one before it."""
        return bool(self.replies) and self.fed == self.replies[-1]

    @property
    def answered(self) -> bool:
        """Whether the reply is complete: nothing is being heard, owed or generated any more."""
        if self._hearing or self._owed or self.open or not self.replies:
            return False
        return self.replies[-1] in self._finished

    @property
    def answers_all(self) -> bool:
        """Whether the last reply began when the caller had said all: nothing can interrupt it."""
        return bool(self.replies) and self._began_ns >= self._offset_ns

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tool calls of the last reply."""
        if not self.replies:
            return ()
        return tuple(self._calls.get(self.replies[-1], {}).values())

    def audible(self, message: server.ResponseOutputAudioDelta) -> bool:
        """Whether this audio is to be heard at all."""
        return bool(message.delta) and message.response_id not in self._silenced

    def place(self, message: server.OutputMessage) -> None:
        """Name the response and the item of a message that names none: the last that began."""
        message.response_id = message.response_id or self._latest
        if isinstance(message, _OF_ITEM) and not message.item_id:
            message.item_id = self._items.get(message.response_id) or f"of {message.response_id}"

    # ── what its server says ─────────────────────────────────────────────────────────────────

    def receive(self, message: Any, at_ns: int) -> None:
        """A message came."""
        react = inherited(_REACTIONS, type(message))
        if react is not None:
            react(self, message, at_ns)

    def _on_speech_started(self, message: server.InputAudioBufferSpeechStarted, at_ns: int) -> None:
        late = at_ns > self._offset_ns + HEARS_NS
        over = self.answers_all and self.replies[-1] in self._finished
        if not late and not over and message.item_id not in self._taken:
            self._remember(self._hearing, message.item_id)

    def _on_turn_taken(
        self,
        message: server.InputAudioBufferSpeechStopped | server.InputAudioBufferCommitted,
        at_ns: int,
    ) -> None:
        """It has heard enough: now it owes an answer. What comes after that owes nothing more."""
        self.touched(at_ns)
        if message.item_id:
            self._remember(self._taken, message.item_id)
        if message.item_id in self._hearing:
            self._hearing.discard(message.item_id)
            self._owed = self.answers
            self.turned_away_ns = None

    def _on_created(self, message: server.ResponseCreated, at_ns: int) -> None:
        self._begins(message.response.id, at_ns)

    def _begins(self, response_id: str, at_ns: int) -> None:
        """A message names a response: the first that does begins it."""
        if response_id in self._begun:
            return
        self._remember(self._begun, response_id)
        self._id_bytes += 2 * (_ID_BYTES + len(response_id))  # open, and among the replies
        self._latest = response_id
        self._began_ns = at_ns
        self._owed = False
        self.turned_away_ns = None
        if at_ns >= self._offset_ns:
            self._hearing.clear()  # the caller has finished, so this answers all that was said
        self.open = {response_id}  # one response at a time writes to the conversation
        self.replies.append(response_id)
        self.touched(at_ns)

    def _on_done(self, message: server.ResponseDone, at_ns: int) -> None:
        response = message.response
        self._begins(response.id, at_ns)
        self.open.discard(response.id)
        if response.id not in self.replies:
            return
        self._remember(self._finished, response.id)
        self.touched(at_ns)
        if response.status in UNFINISHED and is_overload(response.reason):
            self.turned_away_ns = at_ns
        if self._is_whole(response):
            self._hearing.clear()
        for index, item in enumerate(response.output if isinstance(response.output, list) else ()):
            self._called(response.id, item, index)

    def _is_whole(self, response: Response) -> bool:
        """Whether this answered all that was said: nobody cut it, so nobody is being heard."""
        last = self.replies[-1] == response.id
        return last and self.answers_all and response.status != "cancelled"

    def _on_audio(self, message: server.ResponseOutputAudioDelta, at_ns: int) -> None:
        if message.response_id not in self._begun:
            self._begins(message.response_id, at_ns)
        if self.audible(message):
            self.touched(at_ns)
            self.fed = message.response_id

    def _on_output(self, message: server.OutputMessage, at_ns: int) -> None:
        self._begins(message.response_id, at_ns)
        if message.response_id in self.open:
            self.touched(at_ns)

    def _on_item(
        self, message: server.ResponseOutputItemAdded | server.ResponseOutputItemDone, at_ns: int
    ) -> None:
        self._on_output(message, at_ns)
        item_id = message.item.id
        if isinstance(item_id, str) and self._items.get(message.response_id) != item_id:
            self._items[message.response_id] = item_id
            self._id_bytes += 2 * _ID_BYTES + len(message.response_id) + len(item_id)
        self._called(message.response_id, message.item, message.output_index)

    def _on_arguments(self, message: server.ResponseFunctionCallArgumentsDone, at_ns: int) -> None:
        """Inworld leaves the name out here; it stands in the item that was announced."""
        self._on_output(message, at_ns)
        calls = self._calls.setdefault(message.response_id, {})
        known = calls.get(message.item_id)
        name = message.name if isinstance(message.name, str) else known.name if known else ""
        call_id = message.call_id or (known.call_id if known else "")
        calls[message.item_id] = Call(call_id, name, message.arguments)

    def _called(self, response_id: str, item: Item, index: int) -> None:
        """An item that may be a tool call: its place is kept, and what it says of it."""
        if item.type != "function_call":
            return
        calls = self._calls.setdefault(response_id, {})
        item_id = item.id if isinstance(item.id, str) and item.id else f"output {index}"
        known = calls.get(item_id, Call("", "", ""))
        told = (item.call_id, item.name, item.arguments)
        calls[item_id] = Call(
            *(
                new if isinstance(new, str) and new else old
                for new, old in zip(told, known, strict=True)
            )
        )


_REACTIONS: dict[type, Callable[[Agent, Any, int], None] | None] = {
    server.InputAudioBufferSpeechStarted: Agent._on_speech_started,  # noqa: SLF001 - its own table
    server.InputAudioBufferSpeechStopped: Agent._on_turn_taken,  # noqa: SLF001
    server.InputAudioBufferCommitted: Agent._on_turn_taken,  # noqa: SLF001
    server.ResponseCreated: Agent._on_created,  # noqa: SLF001
    server.ResponseDone: Agent._on_done,  # noqa: SLF001
    server.ResponseOutputItemAdded: Agent._on_item,  # noqa: SLF001
    server.ResponseOutputItemDone: Agent._on_item,  # noqa: SLF001
    server.ResponseOutputAudioDelta: Agent._on_audio,  # noqa: SLF001
    server.ResponseContentPartAdded: Agent._on_output,  # noqa: SLF001
    server.ResponseOutputAudioTranscriptDelta: Agent._on_output,  # noqa: SLF001
    server.ResponseOutputTextDelta: Agent._on_output,  # noqa: SLF001
    server.ResponseFunctionCallArgumentsDelta: Agent._on_output,  # noqa: SLF001
    server.ResponseFunctionCallArgumentsDone: Agent._on_arguments,  # noqa: SLF001
}
"""What a message tells about the agent. A type that is not here tells nothing."""

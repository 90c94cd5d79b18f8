"""The output side of a session: the life of every response, from its cause to `response.done`.

Theory of operation
-------------------
One response at a time may belong to the conversation; those with `conversation: "none"` run beside
it and leave no item. Whatever befalls a response, it ends with exactly one `response.done`: a cut
first closes all that is open, in the usual order (`protocol.md` 7.5 and 7.6), and one cut before
`response.created` is created and cancelled in one instant.

A response ends when its last output does; an output that the limit on tokens cuts short ends all of
it as `incomplete`. A fate other than "reply" comes from the profile's failures: `failed`,
`errortype` or `overloaded` in place of it, `close`, `stall` or `malformed_mid_turn` after half of
the first output's deltas.

Tool calls are pending from their own end until the client gives what they returned. An output given
while its response is still under way waits for the end of that (`protocol.md` 7.4).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from bench.protocol import server as say
from bench.protocol.client import ResponseCancel, ResponseCreate
from bench.protocol.objects import ErrorDetail, ResponseParams
from bench.reference.answer import Answer, Output
from bench.reference.calling import functions
from bench.reference.composing import Composing
from bench.reference.formats import audio_format
from bench.reference.history import History
from bench.reference.idling import Idling
from bench.reference.refusing import error
from bench.reference.repertoire import Sound
from bench.reference.rules import Invalid, check_response
from bench.reference.schedule import Close, Raw, Schedule
from bench.reference.settings import Settings
from bench.reference.telling import Telling
from bench.reference.wording import response_of, usage_of, wanted_by

Status = Literal["completed", "cancelled", "incomplete", "failed"]

HALF_AN_OBJECT: Final = Raw('{"type":"response.output_audio.delta","delta":"')
EXHAUSTED: Final = Raw(
    '{"errorType":"SESSION_RESOURCES_EXHAUSTED","message":"Resources are exhausted."}'
)
_STRAGGLERS: Final = 3


def overload() -> say.ErrorMessage:
    """What a full service says: an ordinary error, whose words alone tell (`live.md` 7)."""
    text = "The model is at capacity, temporarily unavailable."
    return say.ErrorMessage(error=ErrorDetail(type="server_error", message=text))


_IN_PLACE: Final[dict[str, Callable[[], Raw | say.ServerMessage]]] = {
    "errortype": lambda: EXHAUSTED,
    "overloaded": overload,
}
"""What is said in place of a response of that fate."""


class Responding:
    """All responses of one session."""

    def __init__(
        self,
        composing: Composing,
        telling: Telling,
        schedule: Schedule,
        settings: Settings,
        history: History,
        idling: Idling,
        close_code: int,
    ) -> None:
        self._composing = composing
        self._telling = telling
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self._idling = idling
        self._close_code = close_code
        self._running: dict[str, Answer] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._pending_calls: set[str] = set()
        self._interrupted = False
        self.active: Answer | None = None

    @property
    def has_spoken(self) -> bool:
        """Whether the agent has made a sound."""
        return self._telling.has_spoken

    def begin(self, message: ResponseCreate | None, *, to_speech: bool = False) -> Answer | None:
        """Start a response now, for a client or, with None, of the server's own accord.

        `to_speech`: it answers audio that is being transcribed. None where there cannot be one.
        """
        params = ResponseParams()
        if message is not None and isinstance(message.response, ResponseParams):
            checked = self._checked(message.response)
            if isinstance(checked, Invalid):
                self._say(error(message, checked))
                return None
            params = checked
        if self.active is not None and params.conversation != "none":
            text = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            code = "conversation_already_has_active_response"
            self._say(error(message, Invalid("", text), code))
            return None
        answer = self._composing.compose(params, self._schedule.now_ns, to_speech=to_speech)
        self._running[answer.id] = answer
        if answer.in_conversation:
            self.active = answer
            self._idling.stop()
        self._schedule.at(answer.created_ns, answer.id, partial(self._create, answer))
        for output in answer.outputs:
            script = output.script
            announce, step = (partial(act, answer, output) for act in (self._announce, self._step))
            self._schedule.at(script.announced_ns, answer.id, announce)
            self._schedule.at(script.deltas[0].due_ns, answer.id, step)
        return answer

    def sounds_for(self, message: ResponseCreate) -> tuple[Sound, ...]:
        """What a response that a client asks for would be spoken in; nothing if it is refused."""
        params = message.response if isinstance(message.response, ResponseParams) else None
        checked = ResponseParams() if params is None else self._checked(params)
        if isinstance(checked, Invalid):
            return ()
        fmt = audio_format(wanted_by(checked, self._settings).format)
        return (Sound(fmt, self._settings.speed),)

    def cancel(self, message: ResponseCancel) -> None:
        """Cut the response that is named, else the active one."""
        named = message.response_id
        answer = self._running.get(named) if isinstance(named, str) else self.active
        if answer is None:
            invalid = Invalid("", "Cancellation failed: no active response found")
            self._say(error(message, invalid, "response_cancel_not_active"))
            return
        self.cut(answer, "client_cancelled")

    def cut(self, answer: Answer, reason: str) -> None:
        """End a response now, whatever state it is in: `turn_detected` or `client_cancelled`."""
        if answer.state == "pending":
            answer.fate = "reply"
            self._create(answer)
        if answer.late_audio and reason == "turn_detected":
            self._straggle(answer)
        # Whoever interrupts has the word: nothing goes on by itself then.
        self._interrupted = reason == "turn_detected"
        self._end(answer, "cancelled", {"type": "cancelled", "reason": reason})
        self._interrupted = False

    def after_active(self, act: Callable[[], None]) -> None:
        """Call `act` at the end of the active response, or now if there is none."""
        if self.active is None:
            act()
        else:
            self._afterwards.append(act)

    def is_calling(self, call_id: str) -> bool:
        """Whether the active response makes this call."""
        return self.active is not None and self.active.has_call(call_id)

    def returned(self, call_id: str) -> None:
        """A call has its output. Where the session says so, the last of them is answered."""
        if call_id not in self._pending_calls:
            return
        self._pending_calls.discard(call_id)
        if not self._pending_calls and self._settings.answers_tools:
            self.after_active(self._go_on)

    def _go_on(self) -> None:
        if self.active is None and not self._interrupted:
            self.begin(None)

    def _checked(self, params: ResponseParams) -> ResponseParams | Invalid:
        """What a client wants of a response, less what is overlooked; or what is wrong with it."""
        checked = check_response(params, self._settings.manners)
        if isinstance(checked, Invalid):
            return checked
        return self._check_input(checked) or self._check_choice(checked) or checked

    def _check_input(self, params: ResponseParams) -> Invalid | None:
        """Items that a response refers to must be there."""
        for number, item in enumerate(params.input if isinstance(params.input, list) else ()):
            if item.get("type") == "item_reference" and item.get("id") not in self._history:
                path = f"response.input[{number}].id"
                return Invalid(path, f"No item {item.get('id')!r} to refer to.")
        return None

    def _check_choice(self, params: ResponseParams) -> Invalid | None:
        """A function that a response must call must be there."""
        wanted = wanted_by(params, self._settings)
        choice = wanted.tool_choice
        if not isinstance(choice, dict) or choice.get("type") != "function":
            return None
        name = choice.get("name")
        if any(tool["name"] == name for tool in functions(wanted.tools)):
            return None
        return Invalid("response.tool_choice", f"Tool choice {name!r} not found in 'tools'.")

    def _create(self, answer: Answer) -> None:
        if answer.fate in _IN_PLACE:
            self._schedule.say(_IN_PLACE[answer.fate](), "failure")
            self._forget(answer)
            return
        answer.state = "created"
        self._say(say.ResponseCreated(response=response_of(answer, "in_progress", None, None)))

    def _announce(self, answer: Answer, output: Output) -> None:
        if answer.fate != "failed":
            self._telling.announce(answer, output)

    def _step(self, answer: Answer, output: Output) -> None:
        """The delta that is due, and then the next or the end."""
        if answer.fate == "failed":
            told = {"type": "server_error", "code": "server_error", "message": "Told to fail."}
            self._end(answer, "failed", {"type": "failed", "error": told})
            return
        deltas = output.script.deltas
        halfway = output.steps_done >= max(1, len(deltas) // 2)
        if output.index == 0 and halfway and not self._survives(answer):
            return
        self._telling.step(answer, output)
        if not output.finished:
            due = deltas[output.steps_done].due_ns
            self._schedule.at(due, answer.id, partial(self._step, answer, output))
        elif output.index == 0 and not self._survives(answer):
            return
        elif output.script.limited:
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            self._end(answer, "incomplete", details)
        else:
            self._close(answer, output, "completed")
            if all(other.state == "closed" for other in answer.outputs):
                self._end(answer, "completed", None)

    def _survives(self, answer: Answer) -> bool:
        """Whether the response goes on; its misfortune, if it has one, happens here and once."""
        fate, answer.fate = answer.fate, "reply"
        if fate == "close":
            self._schedule.say(Close(self._close_code), "failure")
        elif fate == "stall":
            self._schedule.silent = True
        elif fate == "malformed_mid_turn":
            self._schedule.say(HALF_AN_OBJECT, "failure")
        return fate not in {"close", "stall"}

    def _straggle(self, answer: Answer) -> None:
        """A few more deltas of what is being spoken."""
        for output in answer.shown:
            spoken = output.script.speech is not None and output.state == "announced"
            for _ in range(_STRAGGLERS if spoken else 0):
                if len(output.script.deltas) - output.steps_done > 1:
                    self._telling.step(answer, output)

    def _close(self, answer: Answer, output: Output, status: str) -> None:
        self._telling.close(answer, output, status)
        call = output.script.call
        if call is not None and status == "completed":
            self._pending_calls.add(call.call_id)

    def _end(self, answer: Answer, status: Status, details: dict[str, Any] | None) -> None:
        """Close what is open and say `response.done`, once."""
        for output in answer.outputs:
            if output.state == "announced":
                self._close(answer, output, "incomplete")
        for _ in range(2 if answer.done_twice else 1):
            response = response_of(answer, status, details, usage_of(answer))
            self._say(say.ResponseDone(response=response))
        if answer.in_conversation:
            self._idling.wait(answer.played_out_ns(self._schedule.now_ns))
        self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        """It is over: what waited for that can happen."""
        answer.state = "ended"
        self._schedule.drop(answer.id)
        self._running.pop(answer.id, None)
        if self.active is answer:
            self.active = None
            waiting, self._afterwards = self._afterwards, []
            for act in waiting:
                act()

    def _say(self, message: say.ServerMessage) -> None:
        self._schedule.say(message, "response")

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

The idle timer starts when the caller has heard the last response out, as far as the server can
tell: its audio begins to play when its first delta is sent, and is never done before
`response.done`. Speech, a commit or another response stops it; settings count as they are when the
wait is over.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from bench.protocol import server as say
from bench.protocol.client import ResponseCancel, ResponseCreate
from bench.protocol.objects import ErrorDetail, ResponseParams
from bench.reference.client_requests import Invalid, check_response, error
from bench.reference.response_emitter import ResponseEmitter, response_of, usage_of
from bench.reference.response_plan import ResponsePlanner, ServedOutput, ServedResponse
from bench.reference.schedule import Close, Raw
from bench.reference.session_context import SessionContext
from bench.reference.tool_calls import functions
from bench.reference.voices import Sound
from bench.voice.audio import ms

Status = Literal["completed", "cancelled", "incomplete", "failed"]

HALF_AN_OBJECT: Final = Raw('{"type":"response.output_audio.delta","delta":"')
EXHAUSTED: Final = Raw(
    '{"errorType":"SESSION_RESOURCES_EXHAUSTED","message":"Resources are exhausted."}'
)
_STRAGGLERS: Final = 3


def overload() -> say.ErrorMessage:
    """What a full service says: an ordinary error, recognised by its words (`live.md` 7)."""
    text = "The model is at capacity, temporarily unavailable."
    return say.ErrorMessage(error=ErrorDetail(type="server_error", message=text))


class IdleTimer:
    """The wait after a response. `on_timeout` is called, with the wait in ms, when it is over."""

    def __init__(self, context: SessionContext) -> None:
        self._schedule = context.schedule
        self._settings = context.settings
        self.on_timeout: Callable[[int], None] = lambda _: None

    def start(self, played_out_ns: int) -> None:
        """Wait from `played_out_ns`, when the caller has heard the last response out."""
        self.stop()
        detection = self._settings.detection
        if detection is not None and detection.idle_timeout_ms is not None:
            due_ns = played_out_ns + ms(detection.idle_timeout_ms)
            self._schedule.at(due_ns, "idle", self._over)

    def stop(self) -> None:
        """Stop waiting: something has happened."""
        self._schedule.drop("idle")

    def _over(self) -> None:
        detection = self._settings.detection
        if detection is not None and detection.idle_timeout_ms is not None:
            self.on_timeout(detection.idle_timeout_ms)


class ServedResponses:
    """All responses of one session. `active` is the one that belongs to the conversation."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._schedule = context.schedule
        self._planner = ResponsePlanner(context)
        self._emitter = ResponseEmitter(context)
        self._running: dict[str, ServedResponse] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._pending_calls: set[str] = set()
        self._interrupted = False
        self.idle_timer = IdleTimer(context)
        self.active: ServedResponse | None = None

    @property
    def has_spoken(self) -> bool:
        """Whether the agent has made a sound."""
        return self._emitter.has_spoken

    def begin(
        self, message: ResponseCreate | None, *, to_speech: bool = False
    ) -> ServedResponse | None:
        """Start a response now, for a client or, with None, of the server's own accord.

        `to_speech`: it answers audio that is being transcribed. None where there cannot be one.
        """
        params = self._checked(message)
        if isinstance(params, Invalid):
            self._say(error(message, params))
            return None
        if self.active is not None and params.conversation != "none":
            text = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            code = "conversation_already_has_active_response"
            self._say(error(message, Invalid("", text), code))
            return None
        response = self._planner.plan(params, self._schedule.now_ns, to_speech=to_speech)
        self._running[response.id] = response
        if response.in_conversation:
            self.active = response
            self.idle_timer.stop()
        self._schedule.at(response.created_ns, response.id, partial(self._create, response))
        for output in response.outputs:
            script = output.script
            announce, step = (
                partial(act, response, output) for act in (self._announce, self._step)
            )
            self._schedule.at(script.announced_ns, response.id, announce)
            self._schedule.at(script.deltas[0].due_ns, response.id, step)
        return response

    def sounds_for(self, message: ResponseCreate) -> tuple[Sound, ...]:
        """The sounds that an asked response would be spoken in; none if it is refused."""
        params = self._checked(message)
        if isinstance(params, Invalid):
            return ()
        settings = self._context.settings
        return (Sound(settings.for_response(params).format, settings.speed),)

    def cancel(self, message: ResponseCancel) -> None:
        """Cut the response that is named, else the active one."""
        named = message.response_id
        response = self._running.get(named) if isinstance(named, str) else self.active
        if response is None:
            invalid = Invalid("", "Cancellation failed: no active response found")
            self._say(error(message, invalid, "response_cancel_not_active"))
            return
        self.cut(response, "client_cancelled")

    def cut(self, response: ServedResponse, reason: str) -> None:
        """End a response now, whatever state it is in: `turn_detected` or `client_cancelled`."""
        if not response.created:
            response.fate = "reply"
            self._create(response)
        if response.late_audio and reason == "turn_detected":
            self._straggle(response)
        # Whoever interrupts has the word: nothing goes on by itself then.
        self._interrupted = reason == "turn_detected"
        self._end(response, "cancelled", {"type": "cancelled", "reason": reason})
        self._interrupted = False

    def after_active(self, act: Callable[[], None]) -> None:
        """Call `act` at the end of the active response, or now if there is none."""
        if self.active is None:
            act()
        else:
            self._afterwards.append(act)

    def is_calling(self, call_id: str) -> bool:
        """Whether the active response makes this call."""
        outputs = () if self.active is None else self.active.outputs
        return any(one.script.call and one.script.call.call_id == call_id for one in outputs)

    def returned(self, call_id: str) -> None:
        """A call has its output; after the last of them the agent answers, if it is set to."""
        if call_id not in self._pending_calls:
            return
        self._pending_calls.discard(call_id)
        if not self._pending_calls and self._context.settings.answers_tools:
            self.after_active(self._go_on)

    def _go_on(self) -> None:
        if self.active is None and not self._interrupted:
            self.begin(None)

    def _checked(self, message: ResponseCreate | None) -> ResponseParams | Invalid:
        """The parameters of an asked response, less what is overlooked; or what is wrong.

        Items that it refers to must be there, and a function that it must call.
        """
        if message is None or not isinstance(message.response, ResponseParams):
            return ResponseParams()
        params = check_response(message.response, self._context.settings.service)
        if isinstance(params, Invalid):
            return params
        for number, item in enumerate(params.input if isinstance(params.input, list) else ()):
            item_id = item.get("id")
            if item.get("type") == "item_reference" and item_id not in self._context.items:
                return Invalid(f"response.input[{number}].id", f"No item {item_id!r} to refer to.")
        wanted = self._context.settings.for_response(params)
        choice = wanted.tool_choice
        if isinstance(choice, dict) and choice.get("type") == "function":
            name = choice.get("name")
            if not any(tool["name"] == name for tool in functions(wanted.tools)):
                return Invalid(
                    "response.tool_choice", f"Tool choice {name!r} not found in 'tools'."
                )
        return params

    def _create(self, response: ServedResponse) -> None:
        if response.fate in {"errortype", "overloaded"}:
            said = EXHAUSTED if response.fate == "errortype" else overload()
            self._context.say(said, "failure")
            self._forget(response)
            return
        response.created = True
        self._say(say.ResponseCreated(response=response_of(response, "in_progress", None, None)))

    def _announce(self, response: ServedResponse, output: ServedOutput) -> None:
        if response.fate != "failed":
            self._emitter.announce(response, output)

    def _step(self, response: ServedResponse, output: ServedOutput) -> None:
        """Say the delta that is due; schedule the next, or end."""
        if response.fate == "failed":
            told = {"type": "server_error", "code": "server_error", "message": "Told to fail."}
            self._end(response, "failed", {"type": "failed", "error": told})
            return
        deltas = output.script.deltas
        halfway = output.steps_done >= max(1, len(deltas) // 2)
        if output.index == 0 and halfway and not self._survives(response):
            return
        self._emitter.step(response, output)
        if output.steps_done < len(deltas):
            due = deltas[output.steps_done].due_ns
            self._schedule.at(due, response.id, partial(self._step, response, output))
        elif output.index == 0 and not self._survives(response):
            return
        elif output.script.limited:
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            self._end(response, "incomplete", details)
        else:
            self._close(response, output, "completed")
            if all(other.state == "closed" for other in response.outputs):
                self._end(response, "completed", None)

    def _survives(self, response: ServedResponse) -> bool:
        """Let the failure of this response happen, if it has one; whether it goes on after that."""
        fate, response.fate = response.fate, "reply"
        if fate == "close":
            self._context.say(Close(self._context.profile.failures.close_code), "failure")
        elif fate == "stall":
            self._schedule.silent = True
        elif fate == "malformed_mid_turn":
            self._context.say(HALF_AN_OBJECT, "failure")
        return fate not in {"close", "stall"}

    def _straggle(self, response: ServedResponse) -> None:
        """Say a few more deltas of what is being spoken."""
        for output in response.outputs:
            spoken = output.script.speech is not None and output.state == "announced"
            for _ in range(_STRAGGLERS if spoken else 0):
                if len(output.script.deltas) - output.steps_done > 1:
                    self._emitter.step(response, output)

    def _close(self, response: ServedResponse, output: ServedOutput, status: str) -> None:
        self._emitter.close(response, output, status)
        call = output.script.call
        if call is not None and status == "completed":
            self._pending_calls.add(call.call_id)

    def _end(
        self, response: ServedResponse, status: Status, details: dict[str, Any] | None
    ) -> None:
        """Close what is open and say `response.done`, once."""
        for output in response.outputs:
            if output.state == "announced":
                self._close(response, output, "incomplete")
        for _ in range(2 if response.done_twice else 1):
            done = response_of(response, status, details, usage_of(response))
            self._say(say.ResponseDone(response=done))
        if response.in_conversation:
            self.idle_timer.start(response.played_out_ns(self._schedule.now_ns))
        self._forget(response)

    def _forget(self, response: ServedResponse) -> None:
        """Forget a response that is over, and do what waited for its end."""
        self._schedule.drop(response.id)
        self._running.pop(response.id, None)
        if self.active is response:
            self.active = None
            waiting, self._afterwards = self._afterwards, []
            for act in waiting:
                act()

    def _say(self, message: say.ServerMessage) -> None:
        self._context.say(message, "response")

"""The output side of a session: responses from cause to `response.done`, in the order of the API.

Theory of operation
-------------------
The order is that of `protocol.md` section 7.1 (audio), 7.3 (text), 7.5 and 7.6 (cut short). One
response at a time may belong to the conversation; those with `conversation: "none"` run beside it
and leave no item. Whatever befalls a response, it ends with exactly one `response.done`: a cut
first closes all that is open, in the usual order, and one cut before `response.created` is created
and cancelled in one instant.

Usage counts a token for 100 ms of the caller's audio (recorded servers do), for 50 ms of the
agent's, and for a word of text. `max_output_tokens` ends a reply as `incomplete`.

A fate other than "reply" comes from the profile's failures: `failed` in place of the first delta,
`close` or `stall` after half of the deltas.
"""

from functools import partial
from typing import Any, Literal

from bench.protocol import server as say
from bench.protocol.client import ResponseCancel, ResponseCreate
from bench.protocol.objects import ResponseParams
from bench.reference.answer import Answer, fate_of, instants, spoken_script, written_script
from bench.reference.draws import Draws
from bench.reference.history import History
from bench.reference.profile import Profile
from bench.reference.refusing import error
from bench.reference.repertoire import Repertoire
from bench.reference.rules import Invalid, check_response
from bench.reference.schedule import Close, Schedule
from bench.reference.settings import Settings, audio_format
from bench.reference.wording import item_of, part_of, response_of, usage_of, wanted_by

Status = Literal["completed", "cancelled", "incomplete", "failed"]


class Responding:
    """All responses of one session; `name` makes their ids unlike those of other sessions."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        repertoire: Repertoire,
        draws: Draws,
        schedule: Schedule,
        settings: Settings,
        history: History,
    ) -> None:
        self._name = name
        self._profile = profile
        self._repertoire = repertoire
        self._draws = draws
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self._number = 0
        self._running: dict[str, Answer] = {}
        self.active: Answer | None = None
        self.has_spoken = False

    def begin(self, message: ResponseCreate | None) -> None:
        """Start a response now, for a client or, with None, of the server's own accord."""
        params = ResponseParams()
        if message is not None and isinstance(message.response, ResponseParams):
            params = message.response
            invalid = check_response(params, self._settings.manners.rates)
            invalid = invalid or self._check_input(params)
            if invalid is not None:
                self._say(error(message, invalid))
                return
        if self.active is not None and params.conversation != "none":
            text = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            code = "conversation_already_has_active_response"
            self._say(error(message, Invalid("", text), code))
            return
        answer = self._settle(params)
        self._running[answer.id] = answer
        if answer.in_conversation:
            self.active = answer
        self._schedule.at(answer.created_ns, answer.id, partial(self._create, answer))
        self._schedule.at(answer.announced_ns, answer.id, partial(self._announce, answer))
        self._schedule.at(answer.first_ns, answer.id, partial(self._step, answer))

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
            self._create(answer)
        self._end(answer, "cancelled", {"type": "cancelled", "reason": reason})

    def _check_input(self, params: ResponseParams) -> Invalid | None:
        """Items that a response refers to must be there."""
        for number, item in enumerate(params.input if isinstance(params.input, list) else ()):
            if item.get("type") == "item_reference" and item.get("id") not in self._history:
                path = f"response.input[{number}].id"
                return Invalid(path, f"No item {item.get('id')!r} to refer to.")
        return None

    def _settle(self, params: ResponseParams) -> Answer:
        """Draw and decide everything that there is to know about the next response."""
        n, profile = self._number, self._profile.response
        self._number += 1
        wanted = wanted_by(params, self._settings)
        fmt = audio_format(wanted.format)
        replies = self._repertoire.replies(fmt)
        reply = replies[self._draws.index("reply", len(replies), n)]
        created, announced, first = instants(profile, self._draws, n, self._schedule.now_ns)
        limit = wanted.max_output_tokens if isinstance(wanted.max_output_tokens, int) else None
        if "audio" in wanted.modalities:
            script = spoken_script(profile, self._draws, n, first, reply, fmt, limit)
        else:
            script = written_script(profile, first, reply, limit)
        failures = self._profile.failures
        ids = f"{self._name}_{n}"
        metadata = params.metadata
        return Answer(
            id=f"resp_{ids}",
            item_id=f"item_{ids}_a",
            created_ns=created,
            announced_ns=announced,
            first_ns=first,
            script=script,
            modalities=wanted.modalities,
            format=fmt,
            voice=wanted.voice,
            max_output_tokens=wanted.max_output_tokens,
            metadata=metadata if isinstance(metadata, dict) else None,
            in_conversation=params.conversation != "none",
            input_tokens=self._history.tokens(),
            fate=fate_of(
                self._draws, n, failures.response_failed, failures.close_mid_turn, failures.stall
            ),
        )

    def _create(self, answer: Answer) -> None:
        answer.state = "created"
        self._say(say.ResponseCreated(response=response_of(answer, "in_progress", None, None)))

    def _announce(self, answer: Answer) -> None:
        if answer.fate == "failed":
            return
        answer.state = "announced"
        ids: dict[str, Any] = {"response_id": answer.id}
        item = item_of(answer, "in_progress")
        self._say(say.ResponseOutputItemAdded(**ids, item=item))
        if answer.in_conversation:
            answer.previous_item_id = self._history.add(item)
            self._say(
                say.ConversationItemAdded(item=item, previous_item_id=answer.previous_item_id)
            )
        self._say(say.ResponseContentPartAdded(**ids, item_id=answer.item_id, part=part_of(answer)))

    def _step(self, answer: Answer) -> None:
        """The delta that is due, and then the next or the end."""
        if answer.fate == "failed":
            told = {"type": "server_error", "code": "server_error", "message": "Told to fail."}
            self._end(answer, "failed", {"type": "failed", "error": told})
            return
        script = answer.script
        steps = len(script.deltas_ns)
        if answer.fate != "reply" and answer.steps_done >= max(1, steps // 2):
            self._misfortune(answer)
            return
        ids: dict[str, Any] = {"response_id": answer.id, "item_id": answer.item_id}
        for word in script.words_at(answer.steps_done):
            answer.text += word
            kind = (
                say.ResponseOutputTextDelta
                if script.speech is None
                else say.ResponseOutputAudioTranscriptDelta
            )
            self._say(kind(**ids, delta=word))
        if script.speech is not None:
            delta = script.speech.part(answer.nbytes, answer.nbytes + script.delta_bytes)
            answer.nbytes += len(delta)
            self.has_spoken = True
            if answer.in_conversation:
                self._history.speak(answer.item_id, script.speech, answer.nbytes)
            self._say(say.ResponseOutputAudioDelta(**ids, delta=delta))
        answer.steps_done += 1
        if answer.steps_done < steps:
            due = script.deltas_ns[answer.steps_done]
            self._schedule.at(due, answer.id, partial(self._step, answer))
        elif answer.fate != "reply":
            self._misfortune(answer)
        elif script.limited:
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            self._end(answer, "incomplete", details)
        else:
            self._end(answer, "completed", None)

    def _misfortune(self, answer: Answer) -> None:
        if answer.fate == "close":
            self._schedule.say(Close(self._profile.failures.close_code), "failure")
        else:
            self._schedule.silent = True

    def _end(self, answer: Answer, status: Status, details: dict[str, Any] | None) -> None:
        """Close what is open and say `response.done`, once."""
        self._schedule.drop(answer.id)
        self._running.pop(answer.id, None)
        if self.active is answer:
            self.active = None
        if answer.state == "announced":
            self._close_item(answer, "completed" if status == "completed" else "incomplete")
        answer.state = "ended"
        usage = usage_of(answer)
        self._say(say.ResponseDone(response=response_of(answer, status, details, usage)))

    def _close_item(self, answer: Answer, status: str) -> None:
        ids: dict[str, Any] = {"response_id": answer.id, "item_id": answer.item_id}
        if answer.script.speech is None:
            self._say(say.ResponseOutputTextDone(**ids, text=answer.text))
        else:
            self._say(say.ResponseOutputAudioDone(**ids))
            self._say(say.ResponseOutputAudioTranscriptDone(**ids, transcript=answer.text))
        self._say(say.ResponseContentPartDone(**ids, part=part_of(answer)))
        item = item_of(answer, status)
        answer.output.append(item)
        if answer.in_conversation:
            self._history.replace(item)
            self._say(say.ConversationItemDone(item=item, previous_item_id=answer.previous_item_id))
        self._say(say.ResponseOutputItemDone(response_id=answer.id, item=item))

    def _say(self, message: say.ServerMessage) -> None:
        self._schedule.say(message, "response")

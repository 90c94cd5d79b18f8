"""The named points in turns and sessions that intervals lie between, each declared once.

The names of instants are columns of the turn and session tables, with `_ns` behind them.
"""

from typing import Final, NamedTuple


class Instant(NamedTuple):
    """A named point, on the generator's monotonic clock.

    of:        what has it: `turn` or `session`
    turns:     which turns come to it unless something failed, see `Metric.turns`; "": every one
    awaited:   a turn that failed before it was waiting for it
    in_vain:   of what a turn asks for: the column that says until when it waited and got nothing
    follows:   the arrival that it is as uncertain as: the caller's player plays what has come
    unordered: nothing orders it and the other end of an interval: whoever speaks may be answered
               before the end, and a server may name audio that it has not got
    """

    name: str
    about: str
    of: str = "turn"
    turns: str = ""
    awaited: bool = False
    in_vain: str = ""
    follows: str = ""
    unordered: bool = False


def _session(name: str, about: str, *, unordered: bool = False) -> Instant:
    return Instant(name, about, of="session", unordered=unordered)


_ALL: Final = (
    _session("scheduled", "when the session was due to start", unordered=True),
    _session("started", "when the session did start: just before its socket was opened"),
    _session("connected", "TCP is established"),
    _session("secured", "TLS is established; equal to connected where there is none"),
    _session("upgraded", "the WebSocket upgrade is complete"),
    _session("created", "arrival of session.created"),
    _session("ready", "arrival of the first session.updated"),
    Instant("speech_onset", "true start of speech, on the microphone's timeline", unordered=True),
    Instant("speech_offset", "true end of speech, on the microphone's timeline", unordered=True),
    Instant(
        "said",
        "the caller has said it: true end of speech; of a written turn the send of the "
        "response.create that asks for its answer",
        unordered=True,
    ),
    Instant(
        "speech_started",
        "arrival of the turn's first input_audio_buffer.speech_started",
        turns="vad",
        awaited=True,
    ),
    Instant(
        "speech_stopped",
        "arrival of the turn's last input_audio_buffer.speech_stopped",
        turns="vad",
        awaited=True,
    ),
    Instant(
        "start_sample_sent",
        "send of the chunk with the sample at audio_start_ms",
        turns="vad",
        unordered=True,
    ),
    Instant(
        "stop_sample_sent",
        "send of the chunk with the last sample before audio_end_ms",
        turns="vad",
        unordered=True,
    ),
    Instant("commit_sent", "send of input_audio_buffer.commit, where the caller commits"),
    Instant("create_sent", "send of the turn's first response.create"),
    Instant(
        "turn_closed",
        "nothing more is to come: speech_stopped arrives, commit is sent, or the text is asked "
        "to be answered",
    ),
    Instant("committed", "arrival of input_audio_buffer.committed", turns="spoken"),
    Instant(
        "answer_asked",
        "an answer is owed: committed arrives, or response.create is sent where the caller "
        "asks for answers itself",
    ),
    Instant("transcribed", "arrival of the last input transcription completed", turns="spoken"),
    Instant("response_created", "arrival of the answer's response.created", turns="created"),
    Instant(
        "first_text", "arrival of the first non-empty output text delta", turns="text", awaited=True
    ),
    Instant(
        "first_transcript", "arrival of the first non-empty output transcript delta", turns="aloud"
    ),
    Instant(
        "first_audio",
        "arrival of the first non-empty output audio delta",
        turns="aloud",
        awaited=True,
    ),
    Instant("last_audio", "arrival of the last non-empty output audio delta"),
    Instant("first_heard", "the player plays the reply's first sample", follows="first_audio"),
    Instant(
        "heard",
        "the player plays the reply's first audible sample",
        turns="aloud",
        awaited=True,
        follows="first_audio",
    ),
    Instant("response_done", "arrival of response.done"),
    Instant("call_done", "arrival of the first response.function_call_arguments.done"),
    Instant("output_sent", "send of the last output of the turn's first tool calls"),
    Instant(
        "after_output_audio",
        "first audio delta of the response to those outputs",
        turns="outputs",
        awaited=True,
    ),
    Instant("cancel_sent", "send of the response.cancel of the reply"),
    Instant(
        "cancelled",
        "arrival of the response.done of the reply that the cancel stopped",
        turns="asked",
        in_vain="cancel_waited_ns",
    ),
    Instant(
        "cancelled_last_audio",
        "last audio delta of the reply that was to be cancelled",
        unordered=True,
    ),
    Instant(
        "filler",
        "first audible delta of a filler: audio before any word of the reply",
        turns="some",
    ),
    Instant("backchannel", "first chunk of an interjection while the caller spoke", turns="some"),
    Instant("interrupted_last_audio", "last delta of the reply that was interrupted"),
    Instant(
        "agent_silent",
        "the interrupted reply is last audible, player emptied at detection",
        awaited=True,
        follows="interrupted_last_audio",
    ),
    Instant(
        "agent_silent_unflushed",
        "the same, for a player that is never emptied",
        follows="interrupted_last_audio",
    ),
    Instant("truncate_sent", "send of conversation.item.truncate"),
    Instant(
        "truncated",
        "arrival of conversation.item.truncated",
        turns="asked",
        in_vain="truncate_waited_ns",
    ),
)
INSTANTS: Final = {instant.name: instant for instant in _ALL}
TURN_INSTANTS: Final = tuple(one.name for one in _ALL if one.of == "turn")

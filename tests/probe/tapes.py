"""Recorded frames in few words: a server's bodies, one after the other, a millisecond apart."""

import base64

from bench.probe.tape import Ask, Frame, Tape

AUDIBLE = (b"\x00\x30" + b"\x00\xd0") * 1200
"""100 ms of a tone at 24 kHz: a constant would be silence."""
PCM = {"type": "audio/pcm", "rate": 24_000}


def heard(*bodies, at_ms=0):
    return tuple(
        Frame((at_ms + n) * 1_000_000, out=False, type=str(body.get("type")), body=body)
        for n, body in enumerate(bodies)
    )


def tape(*bodies, asks=(), name="call", **more):
    return Tape(name, heard(*bodies), tuple(asks), **more)


def session(kind="session.updated", **fields):
    return {"type": kind, "session": fields}


def ask(label, kind, state, answer=None, *, provoking=False):
    return Ask(label, kind, {"type": kind}, state, answer or {}, provoking=provoking)


def error(code, message="No."):
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code,
                                       "message": message, "event_id": "e1"}}  # fmt: skip


def sound(audio):
    return base64.b64encode(audio).decode()


def audio_delta(audio, response="r1", kind="response.output_audio.delta"):
    return {"type": kind, "response_id": response, "item_id": "a1", "delta": sound(audio)}


def done(status="completed", response="r1", **more):
    usage = {"usage": {"total_tokens": 3}}
    return {
        "type": "response.done",
        "response": {"id": response, "status": status, **usage, **more},
    }


def created(response="r1"):
    return {"type": "response.created", "response": {"id": response, "status": "in_progress"}}


def word(text="Fine.", response="r1"):
    kind = "response.output_audio_transcript.delta"
    return {"type": kind, "response_id": response, "delta": text}


def started(item="u1"):
    kind = "input_audio_buffer.speech_started"
    return {"type": kind, "item_id": item, "audio_start_ms": 300}


def skipped(reason):
    return {"type": "response.backchannel.skipped", "reason": reason}


def fillers_on(wait_ms=100):
    wanted = {"enabled": True, "initial_wait_timeout_ms": wait_ms}
    return session(providerData={"responsiveness": wanted})


def completed(text, item="u1", **more):
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item,
        "transcript": text,
        **({"usage": {"seconds": 1}} | more),
    }


def transcribed(text, item="u1"):
    kind = "conversation.item.input_audio_transcription.delta"
    return {"type": kind, "item_id": item, "delta": text}


def committed(item="u1"):
    return {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None}

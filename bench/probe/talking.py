"""The sittings in which both talk at once.

* `interrupt`: the caller talks into a reply, and it is cut (or not)
* `interjections`: fillers before a reply and backchannels while the caller talks, both asked for
"""

import asyncio
from typing import Final

from bench.probe.line import ANSWER_S, Line
from bench.probe.steps import (
    LONG_REQUEST,
    REPLY_S,
    STRAGGLERS_S,
    TURN_S,
    Kit,
    begin,
    grant,
    request,
)
from bench.probe.tape import SEEN, table
from bench.probe.wishes import BACKCHANNELS, FILLERS, SERVER_VAD, update
from bench.voice.audio import NS_PER_S

CUT_S: Final = 4.0
"""From the first word said into a reply to its end; a reply that goes on longer is not cut."""
TRIES: Final = 3
INTO: Final = "into"
ASIDE: Final = frozenset({"interrupt", "interjections"})
"""Sittings whose replies are slowed, cut or filled: they do not show how speech usually comes."""
_SPEED: Final = 0.5
"""Slow replies are longer in coming, so that there is something to cut."""
_UTTERANCES: Final = 2
"""Said in one breath: backchannels are considered after 0.8 s of speech (`protocol.md` 2.4)."""


async def interrupt(line: Line, kit: Kit) -> None:
    """Talk into replies until one was not all there yet; what is said is not answered."""
    heed = {**SERVER_VAD.value, "create_response": False, "interrupt_response": True}
    await begin(line, kit, "begin", (SERVER_VAD.path, heed))
    slower = update(kit.dialect.session_type, ("audio.output.speed", _SPEED))
    await line.ask("slower", slower, "session.updated")
    for _ in range(TRIES):
        since = len(line.frames)
        if (await request(line, INTO, LONG_REQUEST)).state != SEEN:
            return
        sound = "response.output_audio.delta"
        if await line.hear(sound, within_s=ANSWER_S, since=since) is None:
            return
        line.say(kit.speech(line.input_format), line.listen())
        done = await line.hear("response.done", within_s=CUT_S, since=since)
        stopped = "input_audio_buffer.speech_stopped"
        await line.hear(stopped, within_s=ANSWER_S, since=since)
        line.hush()
        if done is None or table(done.body, "response").get("status") != "completed":
            break
    await line.until(lambda: None, STRAGGLERS_S)


async def interjections(line: Line, kit: Kit) -> None:
    """One long spoken turn and its reply, fillers and backchannels on."""
    await begin(line, kit, "begin", (SERVER_VAD.path, SERVER_VAD.value))
    granted = [await grant(line, kit, wish) for wish in (FILLERS, BACKCHANNELS)]
    if all(ask.state != SEEN for ask in granted):
        return
    since = len(line.frames)
    recording, microphone = kit.speech(line.input_format), line.listen()
    for _ in range(_UTTERANCES):
        line.say(recording, microphone)
    await asyncio.sleep(_UTTERANCES * recording.utterance.duration_ns / NS_PER_S)
    if await line.hear("response.created", within_s=TURN_S, since=since) is not None:
        line.hush()
        await line.hear("response.done", within_s=REPLY_S, since=since)
    line.hush()

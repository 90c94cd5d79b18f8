"""Every figure this bench reports, each declared once.

Theory of operation
-------------------
A metric is two named instants and a direction, or a share of turns, or a count. Documentation,
gate validation, the turn table, axis titles and exports all read `METRICS`; nothing else defines a
figure. The names of instants are columns of the turn and session tables (`INSTANTS`).

`VERSION` is the version of these definitions. It changes whenever a figure's meaning does, is
stored with every run, and results of different versions refuse to be compared: a changed
definition must never look like a changed server (measurement.md, flaw F22).
"""

from typing import NamedTuple

VERSION = 4


class Instant(NamedTuple):
    """A named point in a turn or a session, on the generator's monotonic clock."""

    name: str
    about: str


class Metric(NamedTuple):
    """One figure. An interval has `start` and `end`; a value or a share is what `about` says.

    `kind`: `interval` and `value` have quantiles; `share` is a percentage of turns; `count` counts.
    `of` is what one sample belongs to: `turn`, `session` or `event`.
    `needs` is what a script must do for the figure to exist (see `bench.voice.scripts.SCRIPTS`).
    `label` is its short name on pages and terminals, `colour` its role in `bench.report.theme`;
    `acknowledges` is the client message from whose send to its acknowledgement it goes.
    `signed`: an interval that may be negative, for nothing orders its two instants: whoever speaks
    may be answered before the end, and a server may name audio that it has not got.
    """

    name: str
    kind: str
    of: str
    unit: str
    better: str
    about: str
    start: str = ""
    end: str = ""
    needs: str = ""
    signed: bool = False
    label: str = ""
    colour: str = "ink"
    acknowledges: str = ""


INSTANTS = {
    instant.name: instant
    for instant in (
        Instant("scheduled", "when the session was due to start"),
        Instant("started", "when the session did start: just before its socket was opened"),
        Instant("connected", "TCP is established"),
        Instant("secured", "TLS is established; equal to connected where there is none"),
        Instant("upgraded", "the WebSocket upgrade is complete"),
        Instant("created", "arrival of session.created"),
        Instant("ready", "arrival of the first session.updated"),
        Instant("speech_onset", "true start of speech, on the microphone's timeline"),
        Instant("speech_offset", "true end of speech, on the microphone's timeline"),
        Instant(
            "said",
            "the caller has said it: true end of speech; of a written turn the send of the "
            "response.create that asks for its answer",
        ),
        Instant("speech_started", "arrival of the turn's first input_audio_buffer.speech_started"),
        Instant("speech_stopped", "arrival of the turn's last input_audio_buffer.speech_stopped"),
        Instant("start_sample_sent", "send of the chunk with the sample at audio_start_ms"),
        Instant("stop_sample_sent", "send of the chunk with the last sample before audio_end_ms"),
        Instant("commit_sent", "send of input_audio_buffer.commit, where the caller commits"),
        Instant("create_sent", "send of the turn's first response.create"),
        Instant(
            "turn_closed",
            "nothing more is to come: speech_stopped arrives, commit is sent, or the text is asked "
            "to be answered",
        ),
        Instant("committed", "arrival of input_audio_buffer.committed"),
        Instant(
            "answer_asked",
            "an answer is owed: committed arrives, or response.create is sent where the caller "
            "asks for answers itself",
        ),
        Instant("transcribed", "arrival of the last input transcription completed"),
        Instant("response_created", "arrival of the answer's response.created"),
        Instant("first_text", "arrival of the first non-empty output text delta"),
        Instant("first_transcript", "arrival of the first non-empty output transcript delta"),
        Instant("first_audio", "arrival of the first non-empty output audio delta"),
        Instant("last_audio", "arrival of the last non-empty output audio delta"),
        Instant("first_heard", "the player plays the reply's first sample"),
        Instant("heard", "the player plays the reply's first audible sample"),
        Instant("response_done", "arrival of response.done"),
        Instant("call_done", "arrival of the first response.function_call_arguments.done"),
        Instant("output_sent", "send of the last output of the turn's first tool calls"),
        Instant("after_output_audio", "first audio delta of the response to those outputs"),
        Instant("cancel_sent", "send of the response.cancel of the reply"),
        Instant("cancelled", "arrival of the response.done of the reply that the cancel stopped"),
        Instant("cancelled_last_audio", "last audio delta of the reply that was to be cancelled"),
        Instant("filler", "first audible delta of a filler: audio before any word of the reply"),
        Instant("backchannel", "first chunk of an interjection while the caller spoke"),
        Instant("interrupted_last_audio", "last delta of the reply that was interrupted"),
        Instant(
            "agent_silent", "the interrupted reply is last audible, player emptied at detection"
        ),
        Instant("agent_silent_unflushed", "the same, for a player that is never emptied"),
        Instant("truncate_sent", "send of conversation.item.truncate"),
        Instant("truncated", "arrival of conversation.item.truncated"),
    )
}


_UNORDERED = {
    "said", "speech_onset", "speech_offset", "start_sample_sent", "stop_sample_sent", "scheduled",
}  # fmt: skip
"""Starts of intervals that an end need not wait for."""


def _ms(
    name: str, start: str, end: str, about: str, *, of: str = "turn", needs: str = ""
) -> Metric:
    signed = start in _UNORDERED or end == "cancelled_last_audio"
    return Metric(name, "interval", of, "ms", "lower", about, start, end, needs, signed)


def _value(
    name: str, unit: str, about: str, *, of: str = "turn", better: str = "lower", needs: str = ""
) -> Metric:
    return Metric(name, "value", of, unit, better, about, needs=needs)


def _share(name: str, better: str, about: str, *, needs: str = "") -> Metric:
    return Metric(name, "share", "turn", "%", better, about, needs=needs)


_ALL = (
    # ── what the caller feels ──
    _ms(
        "voice_to_voice_latency",
        "said",
        "heard",
        "From the end of the caller's speech until the first audible sample of the reply plays.",
    ),
    _ms(
        "first_audio_latency",
        "said",
        "first_audio",
        "From the end of the caller's speech until the first audio delta of the reply arrives.",
    ),
    _value("leading_silence", "ms", "Length of the reply before its first audible sample."),
    _ms(
        "first_transcript_latency",
        "said",
        "first_transcript",
        "From the end of the caller's speech until the first transcript delta of the reply.",
    ),
    _ms(
        "first_text_latency",
        "said",
        "first_text",
        "From the end of what the caller said until the first text delta of the reply.",
    ),
    # ── the server's ear ──
    _ms(
        "speech_start_delay",
        "speech_onset",
        "speech_started",
        "From the true start of speech until the server says it heard speech start.",
    ),
    _value(
        "speech_start_error",
        "ms",
        "Where the server puts the start of speech (prefix padding taken out) minus where it is.",
    ),
    _ms(
        "endpointing_delay",
        "speech_offset",
        "speech_stopped",
        "From the true end of speech until the server says it heard speech stop.",
    ),
    _value(
        "endpointing_error",
        "ms",
        "Where the server puts the end of speech (its silence included) minus where it is.",
    ),
    _ms(
        "vad_lag",
        "stop_sample_sent",
        "speech_stopped",
        "From the send of the audio that decided it until speech_stopped arrives.",
    ),
    _ms(
        "vad_start_lag",
        "start_sample_sent",
        "speech_started",
        "From the send of the audio at the start that the server names until speech_started.",
    ),
    # ── where the time goes ──
    _ms(
        "commit_delay",
        "turn_closed",
        "committed",
        "From speech_stopped (or the send of commit) to committed.",
    ),
    _ms(
        "response_start_delay",
        "answer_asked",
        "response_created",
        "From committed (or the send of response.create) to the response.created of the first "
        "response to it.",
    ),
    _ms(
        "generation_delay",
        "response_created",
        "first_audio",
        "From the answer's response.created to its first audio delta.",
    ),
    _ms(
        "response_latency",
        "turn_closed",
        "first_audio",
        "From speech_stopped (or the send of commit or of response.create) to the first audio "
        "delta: what the model takes. An answer to the outputs of tools has none "
        "(see tool_answer_latency).",
    ),
    _ms(
        "transcription_delay",
        "said",
        "transcribed",
        "From the end of the caller's speech to its final transcription; may be negative.",
    ),
    # ── fluency ──
    _value(
        "realtime_factor",
        "ratio",
        "Time from first to last audio delta over the reply's length; above 1 the player starves.",
    ),
    _value("delta_gap", "ms", "The longest gap between two audio deltas of the reply."),
    _value("underrun_time", "ms", "How long the player starved in mid-reply."),
    _value("min_buffer", "ms", "The smallest start buffer with which it would not have starved."),
    # ── barge-in ──
    _ms(
        "barge_in_detection",
        "speech_onset",
        "speech_started",
        "From the start of the interruption until the server says it heard speech start.",
        needs="interruption",
    ),
    _ms(
        "barge_in_last_audio",
        "speech_onset",
        "interrupted_last_audio",
        "From the start of the interruption until the last delta of the reply it cut; may be "
        "negative where the reply had been sent whole.",
        needs="interruption",
    ),
    _ms(
        "barge_in_silence",
        "speech_onset",
        "agent_silent",
        "From the start of the interruption until the agent is inaudible, the player being "
        "emptied when speech_started arrives.",
        needs="interruption",
    ),
    _ms(
        "barge_in_silence_unflushed",
        "speech_onset",
        "agent_silent_unflushed",
        "The same for a player that plays all it was sent.",
        needs="interruption",
    ),
    _ms(
        "truncate_ack",
        "truncate_sent",
        "truncated",
        "From the send of conversation.item.truncate to conversation.item.truncated.",
        needs="truncation",
    ),
    _value(
        "stale_audio",
        "ms",
        "Audio of a reply still being generated that came after the server had noticed the "
        "interruption, or after the caller's cancel was sent; not where the server is not to be "
        "interrupted.",
        needs="cut",
    ),
    _ms(
        "cancel_delay",
        "cancel_sent",
        "cancelled",
        "From the send of response.cancel to the response.done of the reply; of a cancel that was "
        "ignored a wait without an end.",
        needs="cancel",
    ),
    _ms(
        "cancel_last_audio",
        "cancel_sent",
        "cancelled_last_audio",
        "From the send of response.cancel to the reply's last audio delta, whether or not it was "
        "heeded; negative where all of it had come.",
        needs="cancel",
    ),
    # ── text and tools ──
    _value("text_rate", "/s", "Text deltas a second, from the first to the last.", better="higher"),
    _ms(
        "tool_call_latency",
        "said",
        "call_done",
        "From the end of what the caller said to the whole arguments of the first tool call.",
        needs="tool",
    ),
    _ms(
        "tool_answer_latency",
        "output_sent",
        "after_output_audio",
        "From the send of the tools' outputs to the first audio of the answer.",
        needs="tool",
    ),
    # ── not the answer ──
    _ms(
        "filler_latency",
        "said",
        "filler",
        "From the end of what the caller said to a filler, which is no answer.",
    ),
    _ms(
        "backchannel_delay",
        "speech_onset",
        "backchannel",
        "From the start of speech to the agent's first interjection.",
    ),
    # ── acknowledgements ──
    *(
        _value(
            name,
            "ms",
            f"From the send of {asked} to {answer}; unanswered, a wait.",
            of="event",
            needs=needs,
        )
        for name, asked, answer, needs in (
            ("update_ack", "session.update", "session.updated", ""),
            ("item_ack", "conversation.item.create", "conversation.item.added", "item"),
            (
                "retrieve_ack",
                "conversation.item.retrieve",
                "conversation.item.retrieved",
                "retrieval",
            ),
            ("delete_ack", "conversation.item.delete", "conversation.item.deleted", "deletion"),
            ("clear_ack", "input_audio_buffer.clear", "input_audio_buffer.cleared", "clear"),
        )
    ),
    # ── over a call ──
    _value(
        "latency_drift",
        "ms",
        "How much first_audio_latency grows from turn to turn of a session of 5 and more answered "
        "turns (Theil-Sen slope).",
        of="session",
    ),
    # ── connecting ──
    _ms("connect_time", "started", "upgraded", "TCP, TLS and upgrade together.", of="session"),
    _ms("tcp_time", "started", "connected", "TCP handshake.", of="session"),
    _ms("tls_time", "connected", "secured", "TLS handshake; 0 where there is none.", of="session"),
    _ms("upgrade_time", "secured", "upgraded", "WebSocket upgrade.", of="session"),
    _ms(
        "session_created_time",
        "started",
        "created",
        "From the start of connecting to session.created.",
        of="session",
    ),
    _ms(
        "session_ready_time",
        "started",
        "ready",
        "From the start of connecting to session.updated.",
        of="session",
    ),
    # ── shares, over all attempted turns that the run did not itself cut short ──
    _share(
        "answered",
        "higher",
        "Turns with an answer (audible, or in text alone) before the caller gave up.",
    ),
    _share("missed", "lower", "Turns of which the server's VAD heard nothing."),
    _share("talked_over", "lower", "Turns where the agent was audible before the caller's end."),
    _share("split_turn", "lower", "Turns that the server cut into several."),
    _share("spurious", "lower", "Speech starts where nobody spoke, per attempted turn."),
    _share(
        "good_turns",
        "higher",
        "Turns that meet every objective: the gates at p90 or above, or max, of a latency.",
    ),
    _share(
        "yielded", "higher", "Interruptions at which the agent fell silent.", needs="interruption"
    ),
    _share(
        "false_barge_in",
        "lower",
        "Backchannels and sounds said into a reply at which the agent fell silent.",
        needs="disturbance",
    ),
    Metric(
        "word_error_rate",
        "share",
        "word",
        "%",
        "lower",
        "Words of the input transcription that are wrong, of the words that were said; "
        "characters, where a script has no blanks.",
        needs="speech",
    ),
    # ── counts ──
    Metric("turns", "count", "turn", "1", "higher", "Turns attempted in the measured phase."),
    Metric("sessions", "count", "session", "1", "higher", "Sessions started."),
    Metric(
        "failed_turns", "count", "turn", "1", "lower", "Turns whose outcome is neither ok nor cut."
    ),
    Metric(
        "unreached_turns",
        "count",
        "turn",
        "1",
        "lower",
        "Planned turns that nobody came to: their session had failed before. In no share.",
    ),
    Metric(
        "errors", "count", "event", "1", "lower", "error messages received in the measured phase."
    ),
    Metric("unknown_messages", "count", "event", "1", "lower", "Messages of no known type."),
    Metric(
        "violations", "count", "event", "1", "lower", "Breaches of the protocol's message grammar."
    ),
    Metric("leaks", "count", "event", "1", "lower", "What one session said, come back in another."),
    Metric(
        "unhonoured",
        "count",
        "session",
        "1",
        "lower",
        "Settings asked for and not given, each once.",
    ),
    Metric(
        "unseen_messages",
        "count",
        "event",
        "1",
        "lower",
        "Messages of the API that never crossed the wire (rate_limits.updated apart).",
        needs="tour",
    ),
    Metric(
        "remarks",
        "count",
        "session",
        "1",
        "lower",
        "Remarks on the figures: what was assumed, repaired, missing or odd and can touch one.",
    ),
    Metric("backchannels", "count", "event", "1", "higher", "Interjections of the agent."),
    # ── was the generator honest ──
    _value("send_lateness", "ms", "Send of a chunk minus its due instant.", of="event"),
    _value("client_lag", "ms", "Stamp in the program minus the kernel's stamp.", of="event"),
    _ms("arrival_lateness", "scheduled", "started", "Session start minus schedule.", of="session"),
    _value("hub_lag", "ms", "How late the loop's own absolute-deadline probe woke.", of="event"),
)

# ── how each is shown: its colour, and its label where that is not its name ──

_COLOURS = {
    "heard": (
        "voice_to_voice_latency", "leading_silence", "min_buffer", "barge_in_silence", "good_turns",
    ),
    "arrival": (
        "first_audio_latency", "generation_delay", "delta_gap", "realtime_factor",
        "barge_in_last_audio", "first_text_latency", "text_rate", "tool_answer_latency",
        "cancel_last_audio", "truncate_ack", "update_ack", "item_ack", "retrieve_ack", "delete_ack",
        "clear_ack", "client_lag",
    ),
    "vad": (
        "speech_start_delay", "speech_start_error", "endpointing_delay", "endpointing_error",
        "barge_in_detection", "transcription_delay", "word_error_rate",
    ),
    "thinking": ("response_start_delay", "tool_call_latency", "cancel_delay", "hub_lag"),
    "commit": ("commit_delay",),
    "player": ("barge_in_silence_unflushed", "stale_audio", "underrun_time"),
    "caller": ("send_lateness",),
}  # fmt: skip
_LABELS = {
    "voice_to_voice_latency": "voice to voice",
    "first_audio_latency": "first audio",
    "first_text_latency": "first text",
    "first_transcript_latency": "first transcript",
    "speech_start_delay": "speech start",
    "endpointing_delay": "endpointing",
    "barge_in_detection": "barge-in detection",
    "barge_in_silence": "barge-in silence",
    "barge_in_silence_unflushed": "barge-in silence, player not emptied",
    "answered": "turns answered",
    "violations": "protocol violations",
}
_ACKNOWLEDGES = {
    "update_ack": "session.update",
    "item_ack": "conversation.item.create",
    "retrieve_ack": "conversation.item.retrieve",
    "delete_ack": "conversation.item.delete",
    "clear_ack": "input_audio_buffer.clear",
    "truncate_ack": "conversation.item.truncate",
    "cancel_delay": "response.cancel",
}
_COLOUR_OF = {name: role for role, names in _COLOURS.items() for name in names}

METRICS = {
    metric.name: metric._replace(
        label=_LABELS.get(metric.name, metric.name.replace("_", " ")),
        colour=_COLOUR_OF.get(metric.name, "ink"),
        acknowledges=_ACKNOWLEDGES.get(metric.name, ""),
    )
    for metric in _ALL
}

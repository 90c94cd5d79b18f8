"""The intervals and values of a turn: what the caller feels, and what it is made of."""

from typing import Final

from bench.plan.declaration import interval, value

TURN_METRICS: Final = (
    # ── what the caller feels ──
    interval(
        "voice_to_voice_latency",
        "said → heard",
        "From the end of the caller's speech until the first audible sample of the reply plays.",
        wait=1,
        uses="trend calibrated table",
        colour="heard",
        label="voice to voice",
    ),
    interval(
        "first_audio_latency",
        "said → first_audio",
        "From the end of the caller's speech until the first audio delta of the reply arrives.",
        wait=2,
        uses="trend calibrated table by_setting",
        colour="arrival",
        label="first audio",
    ),
    value(
        "leading_silence",
        "ms",
        "Length of the reply before its first audible sample.",
        turns="aloud",
        colour="heard",
    ),
    interval(
        "first_transcript_latency",
        "said → first_transcript",
        "From the end of the caller's speech until the first transcript delta of the reply.",
        wait=4,
        label="first transcript",
    ),
    interval(
        "first_text_latency",
        "said → first_text",
        "From the end of what the caller said until the first text delta of the reply.",
        wait=3,
        uses="trend table",
        colour="arrival",
        label="first text",
    ),
    # ── the server's ear ──
    interval(
        "speech_start_delay",
        "speech_onset → speech_started",
        "From the true start of speech until the server says it heard speech start.",
        uses="decides trend calibrated table",
        colour="vad",
        label="speech start",
    ),
    value(
        "speech_start_error",
        "ms",
        "Where the server puts the start of speech (prefix padding taken out) minus where it is.",
        colour="vad",
    ),
    interval(
        "endpointing_delay",
        "speech_offset → speech_stopped",
        "From the true end of speech until the server says it heard speech stop.",
        uses="decides trend calibrated table by_setting",
        colour="vad",
        label="endpointing",
    ),
    value(
        "endpointing_error",
        "ms",
        "Where the server puts the end of speech (its silence included) minus where it is.",
        colour="vad",
    ),
    interval(
        "vad_lag",
        "stop_sample_sent → speech_stopped",
        "From the send of the audio that decided it until speech_stopped arrives.",
    ),
    interval(
        "vad_start_lag",
        "start_sample_sent → speech_started",
        "From the send of the audio at the start that the server names until speech_started.",
    ),
    # ── where the time goes ──
    interval(
        "commit_delay",
        "turn_closed → committed",
        "From speech_stopped (or the send of commit) to committed.",
        colour="commit",
    ),
    interval(
        "response_start_delay",
        "answer_asked → response_created",
        "From committed (or the send of response.create) to the response.created of the first "
        "response to it.",
        colour="thinking",
    ),
    interval(
        "generation_delay",
        "response_created → first_audio",
        "From the answer's response.created to its first audio delta.",
        turns="no_tools",
        colour="arrival",
    ),
    interval(
        "response_latency",
        "turn_closed → first_audio",
        "From speech_stopped (or the send of commit or of response.create) to the first audio "
        "delta: what the model takes. An answer to the outputs of tools has none "
        "(see tool_answer_latency).",
        turns="no_tools",
        uses="decides trend table",
    ),
    interval(
        "transcription_delay",
        "said → transcribed",
        "From the end of the caller's speech to its final transcription; may be negative.",
        uses="trend table",
        colour="vad",
    ),
    # ── fluency ──
    value(
        "realtime_factor",
        "ratio",
        "Time from first to last audio delta over the reply's length; above 1 the player starves.",
        turns="aloud",
        colour="arrival",
    ),
    value(
        "delta_gap",
        "ms",
        "The longest gap between two audio deltas of the reply.",
        turns="aloud",
        colour="arrival",
    ),
    value(
        "underrun_time",
        "ms",
        "How long the player starved in mid-reply.",
        turns="aloud",
        uses="table",
        colour="player",
    ),
    value(
        "min_buffer",
        "ms",
        "The smallest start buffer with which it would not have starved.",
        turns="aloud",
        colour="heard",
    ),
    # ── barge-in ──
    interval(
        "barge_in_detection",
        "speech_onset → speech_started",
        "From the start of the interruption until the server says it heard speech start.",
        needs="interruption",
        uses="table",
        colour="vad",
        label="barge-in detection",
    ),
    interval(
        "barge_in_last_audio",
        "speech_onset → interrupted_last_audio",
        "From the start of the interruption until the last delta of the reply it cut; may be "
        "negative where the reply had been sent whole.",
        needs="interruption",
        colour="arrival",
    ),
    interval(
        "barge_in_silence",
        "speech_onset → agent_silent",
        "From the start of the interruption until the agent is inaudible, the player being "
        "emptied when speech_started arrives.",
        needs="interruption",
        uses="decides trend calibrated table",
        colour="heard",
        label="barge-in silence",
    ),
    interval(
        "barge_in_silence_unflushed",
        "speech_onset → agent_silent_unflushed",
        "The same for a player that plays all it was sent.",
        needs="interruption",
        colour="player",
        label="barge-in silence, player not emptied",
    ),
    interval(
        "truncate_ack",
        "truncate_sent → truncated",
        "From the send of conversation.item.truncate to conversation.item.truncated.",
        needs="truncation",
        uses="table",
        colour="arrival",
        acknowledges="conversation.item.truncate",
    ),
    value(
        "stale_audio",
        "ms",
        "Audio of a reply still being generated that came after the server had noticed the "
        "interruption, or after the caller's cancel was sent; not where the server is not to be "
        "interrupted.",
        needs="cut",
        uses="table",
        colour="player",
    ),
    interval(
        "cancel_delay",
        "cancel_sent → cancelled",
        "From the send of response.cancel to the response.done of the reply; a cancel that is "
        "ignored counts as never answered.",
        needs="cancel",
        uses="table",
        colour="thinking",
        acknowledges="response.cancel",
    ),
    interval(
        "cancel_last_audio",
        "cancel_sent → cancelled_last_audio",
        "From the send of response.cancel to the reply's last audio delta, whether or not it was "
        "heeded; negative where all of it had come.",
        needs="cancel",
        colour="arrival",
    ),
    # ── text and tools ──
    value(
        "text_rate",
        "/s",
        "Text deltas a second, from the first to the last.",
        better="higher",
        turns="some",
        uses="table",
        colour="arrival",
    ),
    interval(
        "tool_call_latency",
        "said → call_done",
        "From the end of what the caller said to the whole arguments of the first tool call.",
        needs="tool",
        uses="decides trend table",
        colour="thinking",
    ),
    interval(
        "tool_answer_latency",
        "output_sent → after_output_audio",
        "From the send of the tools' outputs to the first audio of the answer.",
        needs="tool",
        uses="table",
        colour="arrival",
    ),
    # ── not the answer ──
    interval(
        "filler_latency",
        "said → filler",
        "From the end of what the caller said to a filler, which is no answer.",
    ),
    interval(
        "backchannel_delay",
        "speech_onset → backchannel",
        "From the start of speech to the agent's first interjection.",
    ),
)

"""Every figure this bench reports, each declared once, with all that is known of it.

Theory of operation
-------------------
A metric is two named instants (`plan.instants`) and a direction, or a share of turns, or a count.
Documentation, gate validation, the tables, the analysis, comparisons, histories, axis titles and
exports all read `METRICS`; nothing else defines a figure or lists figures by name.

`VERSION` is the version of these definitions. It changes whenever a figure's meaning does, is
stored with every run, and results of different versions refuse to be compared: a changed
definition must never look like a changed server (measurement.md, flaw F22).
"""

from typing import Final

from bench.plan.declaration import Metric, count, interval, share, value
from bench.plan.turn_metrics import TURN_METRICS

VERSION = 4


_ALL: Final[tuple[Metric, ...]] = (
    *TURN_METRICS,
    # ── acknowledgements ──
    *(
        value(
            name,
            "ms",
            f"From the send of {asked} to {answer}; unanswered, a wait.",
            of="event",
            needs=needs,
            uses="" if needs else "table",
            colour="arrival",
            acknowledges=asked,
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
    value(
        "latency_drift",
        "ms",
        "How much first_audio_latency grows from turn to turn of a session of 5 and more answered "
        "turns (Theil-Sen slope).",
        of="session",
        uses="table",
    ),
    # ── connecting ──
    interval("connect_time", "started → upgraded", "TCP, TLS and upgrade together.", of="session"),
    interval("tcp_time", "started → connected", "TCP handshake.", of="session"),
    interval(
        "tls_time", "connected → secured", "TLS handshake; 0 where there is none.", of="session"
    ),
    interval("upgrade_time", "secured → upgraded", "WebSocket upgrade.", of="session"),
    interval(
        "session_created_time",
        "started → created",
        "From the start of connecting to session.created.",
        of="session",
    ),
    interval(
        "session_ready_time",
        "started → ready",
        "From the start of connecting to session.updated.",
        of="session",
        uses="table",
    ),
    # ── shares, over all attempted turns that the run did not itself cut short ──
    share(
        "answered",
        "higher",
        "Turns with an answer (audible, or in text alone) before the caller gave up.",
        uses="decides trend table by_setting",
        label="turns answered",
    ),
    share(
        "missed", "lower", "Turns of which the server's VAD heard nothing.", uses="decides table"
    ),
    share(
        "talked_over",
        "lower",
        "Turns where the agent was audible before the caller's end.",
        uses="decides table by_setting",
    ),
    share(
        "split_turn",
        "lower",
        "Turns that the server cut into several.",
        uses="decides table by_setting",
    ),
    share(
        "spurious",
        "lower",
        "Speech starts where nobody spoke, per attempted turn.",
        over="attempts",
    ),
    share(
        "good_turns",
        "higher",
        "Turns that meet every objective: the gates at p90 or above, or max, of a latency.",
        colour="heard",
    ),
    share(
        "yielded",
        "higher",
        "Interruptions at which the agent fell silent.",
        needs="interruption",
        uses="decides table",
    ),
    share(
        "false_barge_in",
        "lower",
        "Backchannels and sounds said into a reply at which the agent fell silent.",
        needs="disturbance",
        over="disturbances",
        uses="table",
    ),
    share(
        "word_error_rate",
        "lower",
        "Words of the input transcription that are wrong, of the words that were said; "
        "characters, where a script has no blanks.",
        of="word",
        needs="speech",
        over="words",
        uses="decides trend table",
        colour="vad",
    ),
    # ── counts ──
    count("turns", "turn", "higher", "Turns attempted in the measured phase."),
    count("sessions", "session", "higher", "Sessions started."),
    count(
        "failed_turns",
        "turn",
        "lower",
        "Turns whose outcome is neither ok nor cut.",
        only_grows=True,
    ),
    count(
        "unreached_turns",
        "turn",
        "lower",
        "Planned turns that nobody came to: their session had failed before. In no share.",
    ),
    count(
        "errors",
        "event",
        "lower",
        "error messages received in the measured phase.",
        only_grows=True,
    ),
    count("unknown_messages", "event", "lower", "Messages of no known type.", only_grows=True),
    count(
        "violations",
        "event",
        "lower",
        "Violations of the protocol's rules.",
        only_grows=True,
        label="protocol violations",
    ),
    count(
        "leaks", "event", "lower", "What one session said, come back in another.", only_grows=True
    ),
    count("unhonoured", "session", "lower", "Settings asked for and not given, each once."),
    count(
        "unseen_messages",
        "event",
        "lower",
        "Messages of the API that never crossed the wire (rate_limits.updated apart).",
        needs="tour",
    ),
    count(
        "remarks",
        "session",
        "lower",
        "Remarks on the figures: what was assumed, repaired, missing or odd and can touch one.",
    ),
    count("backchannels", "event", "higher", "Interjections of the agent."),
    # ── was the generator honest ──
    value(
        "send_lateness",
        "ms",
        "Send of a chunk minus its due instant.",
        of="event",
        uses="table",
        colour="caller",
    ),
    value(
        "client_lag",
        "ms",
        "Stamp in the program minus the kernel's stamp.",
        of="event",
        colour="arrival",
    ),
    interval(
        "arrival_lateness", "scheduled → started", "Session start minus schedule.", of="session"
    ),
    value(
        "hub_lag",
        "ms",
        "How late the loop's own absolute-deadline probe woke.",
        of="event",
        colour="thinking",
    ),
)

METRICS: Final = {metric.name: metric for metric in _ALL}
PER_TURN: Final = tuple(
    one for one in METRICS.values() if one.of == "turn" and one.kind in {"interval", "value"}
)
PER_SESSION: Final = tuple(
    one for one in METRICS.values() if one.of == "session" and one.kind in {"interval", "value"}
)
WAITS: Final = tuple(
    one.name for one in sorted(METRICS.values(), key=lambda one: one.wait) if one.wait
)
"""How long a caller waits, by whatever an answer is: the first that a run has samples of counts."""
CALIBRATED_BY: Final = "first_audio_latency"
"""The headline of a calibration: what this machine is trusted by."""

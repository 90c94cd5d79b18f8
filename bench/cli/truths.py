"""Six ways in which a reference server may behave, to show that a harness's bias depends on none.

Each is a profile (TOML, every key it does not name as shipped) and, where a profile cannot say it,
a change to the scenario.
"""

from typing import Final, NamedTuple


class Truth(NamedTuple):
    """How the server behaves. `detection` is merged into the scenario's own server_vad."""

    profile: str
    detection: tuple[tuple[str, int], ...] = ()


_STEADY: Final = "[response]\ncreated_ms = 20\nfirst_delta_ms = 350\nleading_silence_ms = 0\n"

TRUTHS: Final = {
    # Everything takes as long as it took the last time.
    "constant": Truth(_STEADY),
    # Most answers are quick, a few take seconds; nothing comes at an even pace.
    "heavy_tailed": Truth(
        "[vad]\nlag_ms = { kind = 'lognormal', median_ms = 15, sigma = 0.8 }\n"
        "[response]\ncreated_ms = { kind = 'lognormal', median_ms = 20, sigma = 0.8 }\n"
        "first_delta_ms = { kind = 'lognormal', median_ms = 350, sigma = 0.9 }\njitter_ms = 20\n"
    ),
    # A reply in small deltas, two each ms: segments coalesce in the kernel. Not all of it at once:
    # what the socket does not take waits in the server, and its truth would not be known.
    "bursts": Truth(f"{_STEADY}delta_ms = 20\npace = 40\n"),
    # Deltas stop and start, and the player starves.
    "stalls": Truth(f"{_STEADY}delta_ms = 400\npace = 0.9\njitter_ms = 400\n"),
    # The first packets are silent: first audio and first audible sample are far apart.
    "silence_first": Truth(
        "[response]\nleading_silence_ms = { kind = 'uniform', low_ms = 200, high_ms = 600 }\n"
    ),
    # Turns end at the first short pause and are answered at once, into the caller's own speech.
    "early_vad": Truth(
        "[vad]\nlag_ms = 0\n[response]\ncreated_ms = 0\nfirst_delta_ms = 10\n",
        (("silence_duration_ms", 100),),
    ),
}

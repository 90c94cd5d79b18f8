"""Ways of a server that are no breach of the protocol, and that a reader of figures wants to know.

Each is counted over the whole run, under the name that the reference server's profile and
`bench probe` give it.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.tables import codes, is_type, latest, of_type, parsed

_COMPLETED: Final = "conversation.item.input_audio_transcription.completed"
_SPEECH: Final = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
_BETA: Final = (
    "response.audio.delta",
    "response.audio_transcript.delta",
    "response.text.delta",
    "conversation.item.created",
)
_ABOUT: Final = {
    "transcription_duplicate": "input transcriptions that were completed again",
    "transcription_late": "input transcriptions completed after the whole answer to them was done",
    "missing_ms": "speech_started and speech_stopped without their position",
    "missing_usage": "response.done without usage",
    "beta_names": "messages in the spelling of the beta",
    "turn_suggestion": "guesses that a turn has ended",
}


def quirks(events: pd.DataFrame) -> list[dict[str, Any]]:
    """{quirk, about, count} of those that were seen."""
    done = of_type(events, "response.done")
    said = parsed(done, "usage", "status")
    usage = said["usage"].map(lambda used: isinstance(used, dict))
    # A reply that was cut off is over early: what comes after it need not be late.
    whole = done[(said["status"] == "completed").to_numpy(bool)]
    completed = of_type(events, _COMPLETED)
    speech = of_type(events, *_SPEECH)
    counts = {
        "transcription_duplicate": int(completed.duplicated(["session", "item_id"]).sum()),
        "transcription_late": _late(events, completed, whole),
        "missing_ms": int(speech["audio_ms"].isna().sum()),
        "missing_usage": int((~usage.astype(bool)).sum()),
        "beta_names": int(is_type(events, *_BETA).sum()),
        "turn_suggestion": int(is_type(events, "input_audio_buffer.turn_suggestion").sum()),
    }
    return [
        {"quirk": name, "about": _ABOUT[name], "count": count}
        for name, count in counts.items()
        if count
    ]


def _late(events: pd.DataFrame, completed: pd.DataFrame, done: pd.DataFrame) -> int:
    """How many items were first transcribed after a response that began with them had ended.

    `done` are the ends of responses that were completed.
    """
    first = completed.drop_duplicates(["session", "item_id"])
    commits = of_type(events, "input_audio_buffer.committed")
    keys = pd.MultiIndex.from_arrays([commits["session"], codes(commits["item_id"])])
    keys, place = keys.drop_duplicates(), np.flatnonzero(~keys.duplicated())
    found = keys.get_indexer(pd.MultiIndex.from_arrays([first["session"], codes(first["item_id"])]))
    known = found >= 0
    committed = commits["row"].to_numpy()[place[found[known]]] if known.any() else np.zeros(0, int)
    # The last response.done before the transcription: late where it came after the commit.
    last = latest(
        first["session"].to_numpy()[known], first["row"].to_numpy()[known],
        done["session"].to_numpy(), done["row"].to_numpy(),
    )  # fmt: skip
    ended = done["row"].to_numpy()[last] if len(done) else np.full(len(last), -1)
    created = of_type(events, "response.created")
    begun = latest(
        first["session"].to_numpy()[known], first["row"].to_numpy()[known],
        created["session"].to_numpy(), created["row"].to_numpy(),
    )  # fmt: skip
    began = created["row"].to_numpy()[begun] if len(created) else np.full(len(begun), -1)
    return int(((last >= 0) & (begun >= 0) & (began > committed) & (ended > began)).sum())

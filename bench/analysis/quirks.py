"""Ways of a server that are no breach of the protocol, and that a reader of figures wants to know.

Each is counted over the whole run, under the name that the reference server's profile and
`bench probe` give it.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.responses import AUDIO, TEXT, TRANSCRIPT
from bench.analysis.tables import Ints, is_type, latest, of_type, parsed

_COMPLETED: Final = "conversation.item.input_audio_transcription.completed"
_SPEECH: Final = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
_BETA: Final = (AUDIO[1], TRANSCRIPT[1], TEXT[1], "conversation.item.created")
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
    key = ["session", "item_id"]
    commits = of_type(events, "input_audio_buffer.committed").drop_duplicates(key)
    first = completed.drop_duplicates(key).dropna(subset="item_id")
    first = first.merge(commits, on=key, suffixes=("", "_committed"))
    began = _before(first, of_type(events, "response.created"))
    ended = _before(first, done)
    late = (began > first["row_committed"].to_numpy()) & (ended > began)
    return int(late.sum())


def _before(rows: pd.DataFrame, others: pd.DataFrame) -> Ints:
    """The row of the last of the others before each, in its session; -1 where there is none."""
    of_session, of_row = (others[name].to_numpy() for name in ("session", "row"))
    last = latest(rows["session"].to_numpy(), rows["row"].to_numpy(), of_session, of_row)
    return np.append(of_row, -1)[last]

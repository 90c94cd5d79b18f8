"""Who spoke first: responses that began before their caller had said anything, asked for by nobody.

Some deployments let the agent speak first. A caller that was told so hears it out before its script
begins; any other talks over it, and its first turn may be answered late or not at all.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.asks import CREATE
from bench.analysis.responses import begun
from bench.analysis.tables import NEVER, integers, is_type, latest, of_type

_COMMITTED: Final = "input_audio_buffer.committed"


def greetings(events: pd.DataFrame, said: pd.DataFrame) -> dict[str, Any]:
    """How many sessions were greeted unasked, and which first; how many waited for it in vain.

    `said` is `speech.utterances`. Only sessions count whose microphone was open (`sessions`).
    """
    opened = of_type(events, "bench.microphone", direction="note")["session"]
    heard = of_type(events, "bench.greeted", direction="note")["session"]
    missed = of_type(events, "bench.ungreeted", direction="note")["session"]
    greeted = _unasked(events, said)
    unasked = greeted[greeted.isin(opened) & ~greeted.isin(heard) & ~greeted.isin(missed)]
    return {
        "sessions": len(opened),
        "heard": len(heard),
        "unasked": _told(unasked),
        "missing": _told(missed),
    }


def _unasked(events: pd.DataFrame, said: pd.DataFrame) -> pd.Series:
    """Sessions whose first response began before anybody could have asked for one."""
    first = begun(events).drop_duplicates("session")
    session, row = first["session"].to_numpy(), first["row"].to_numpy()
    asks = np.flatnonzero(is_type(events, CREATE, direction="out") | is_type(events, _COMMITTED))
    asked = latest(session, row, events["session"].to_numpy()[asks], asks) >= 0
    turns = said[said["number"] >= 0].drop_duplicates("session")
    ended = pd.Series(integers(turns["end_ns"], NEVER), turns["session"].to_numpy())
    early = first["begin_ns"].to_numpy() < ended.reindex(session, fill_value=NEVER).to_numpy()
    return pd.Series(session[early & ~asked])


def _told(sessions: pd.Series) -> dict[str, Any]:
    return {"count": len(sessions), "first": int(sessions.min()) if len(sessions) else None}

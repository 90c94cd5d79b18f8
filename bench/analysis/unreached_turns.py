"""Turns never reached, for their session had failed: how they would have been spoken and answered.

Theory of operation
-------------------
A session that failed says nothing of how its turns would have been said and answered: spoken or
written, to a VAD or not, answered aloud or in text. Figures that such turns have no part in must
not wait for them, and those that they have a part in must (flaw F12). So that is imputed: from all
turns that were attempted with the same script and setting; where there are none, from the session
that the scenario asks for; of a script that the scenario does not know, from all turns that were
attempted with it.
"""

from typing import Any, Final

import msgspec
import pandas as pd

from bench.plan.session_request import session_object
from bench.plan.sweep import settings
from bench.protocol.objects import AudioInput, Session, SessionAudio
from bench.tracker.utterances import WRITTEN
from bench.voice.scripts import SCRIPTS

_FLAGS: Final = ["manual", "textual", "written"]


def impute(missing: pd.DataFrame, turns: pd.DataFrame, scenario: dict[str, Any]) -> pd.DataFrame:
    """`missing` with `manual` and `textual`, and the role of what is written.

    `turns` are those that were attempted; `scenario` is the effective one of run.json, {}: unknown.
    """
    told = turns.assign(written=turns["role"] == WRITTEN)
    alike = told.groupby(["script", "setting"])[_FLAGS].all().to_dict("index")
    script = told.groupby("script")[_FLAGS].all().to_dict("index")
    asked = {place: _asked(scenario, *place) for place in _places(missing)}
    rows = [
        alike.get(place) or asked[place] or script.get(place[0]) or dict.fromkeys(_FLAGS, False)
        for place in zip(missing["script"], missing["setting"], strict=True)
    ]
    flags = pd.DataFrame(rows, missing.index, columns=_FLAGS, dtype=bool)
    missing = missing.assign(manual=flags["manual"], textual=flags["textual"])
    return missing.assign(role=missing["role"].where(~flags["written"], WRITTEN))


def _places(missing: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(missing["script"], missing["setting"], strict=True))


def _asked(scenario: dict[str, Any], script: str, setting: str) -> dict[str, bool] | None:
    """What all kinds of that script ask for in that setting; None where the scenario has none."""
    asked = settings(scenario.get("session") or {}, scenario.get("sweep") or {})
    sessions = [one.session for one in asked if one.label == setting]
    kinds = scenario.get("mixture") or [{"script": scenario.get("script")}]
    mine = [kind.get("session") or {} for kind in kinds if kind.get("script") == script]
    flags = [
        _flags(script, {**session, **kind}) for session in sessions for kind in mine
    ]  # a script that is in the mixture twice
    return {name: all(one[name] for one in flags) for name in _FLAGS} if flags else None


def _flags(script: str, session: dict[str, Any]) -> dict[str, bool]:
    written = script in SCRIPTS and "speech" not in SCRIPTS[script].yields
    try:
        asked = session_object(session)
    except msgspec.ValidationError:  # of another version of this program
        asked = Session()
    heard = asked.audio.input if isinstance(asked.audio, SessionAudio) else None
    detection = heard.turn_detection if isinstance(heard, AudioInput) else ""
    modalities = asked.output_modalities
    return {
        "manual": not written and detection is None,
        "textual": isinstance(modalities, list) and "audio" not in modalities,
        "written": written,
    }

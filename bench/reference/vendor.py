"""`providerData`: Inworld's additions to a session, read leniently.

Theory of operation
-------------------
Clients put what they like there and it is echoed; only what this server acts on is read, branch
by branch, and a value of the wrong kind counts as left out. Defaults are those of `protocol.md`
section 2.4 where it knows them.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

# Not readable in Inworld's documents: how long a caller waits before a filler.
_FILLER_WAIT_MS = 100.0


class Backchannel(NamedTuple):
    """Interjections while the caller talks."""

    eval_interval_ms: float
    min_speech_ms: float
    min_gap_ms: float
    max_per_turn: float
    volume_gain: float
    fire_probability: float
    phrases: tuple[str, ...]


def backchannel(data: Mapping[str, Any] | None) -> Backchannel | None:
    """The branch `backchannel`, or None where it is not enabled."""
    branch = _branch(data, "backchannel")
    if branch.get("enabled") is not True:
        return None
    phrases = branch.get("allowed_phrases")
    words = [one for one in phrases if isinstance(one, str)] if isinstance(phrases, list) else []
    by_rule = branch.get("decider_kind") == "rule"
    return Backchannel(
        eval_interval_ms=max(10.0, _number(branch, "eval_interval_ms", 800.0)),
        min_speech_ms=_number(branch, "min_speech_ms", 800.0),
        min_gap_ms=_number(branch, "min_gap_ms", 4000.0),
        max_per_turn=_number(branch, "max_per_turn", 3.0),
        volume_gain=min(1.0, _number(branch, "volume_gain", 0.6)),
        fire_probability=_number(branch, "rule_fire_probability", 1.0) if by_rule else 1.0,
        phrases=tuple(words) or ("mm-hmm",),
    )


def filler_wait_ms(data: Mapping[str, Any] | None) -> float | None:
    """How long after its cause a response says "hmm"; None where it is not to."""
    branch = _branch(data, "responsiveness")
    if branch.get("enabled") is not True:
        return None
    return _number(branch, "initial_wait_timeout_ms", _FILLER_WAIT_MS)


def auto_tool_response(data: Mapping[str, Any] | None) -> bool | None:
    """Whether the server goes on by itself once it has what its tools gave; None: unsaid."""
    said = data.get("auto_tool_response") if isinstance(data, Mapping) else None
    return said if isinstance(said, bool) else None


def _branch(data: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    branch = data.get(name) if isinstance(data, Mapping) else None
    return branch if isinstance(branch, Mapping) else {}


def _number(branch: Mapping[str, Any], name: str, default: float) -> float:
    """A number from 0 to 600 000, or the default."""
    value: Any = branch.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return default
    return float(value) if 0 <= value <= 600_000 else default

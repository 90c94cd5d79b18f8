"""What the server said its session is, and since when: its own word, else what was asked for.

Theory of operation
-------------------
`session.created` and `session.updated` carry the whole session; where one leaves a thing out, what
was last said of it holds. What matters at a row is the last word before it. A session of which
nothing is known is taken for the usual one: the server listens (VAD), answers by itself, and may
speak. What session.updated leaves out is as the last session.update before it asked, unless that
was refused: not every server says what it has taken.

Flat keys of the beta (`turn_detection`, `modalities` at the top) are read too.
"""

from bisect import bisect_right
from typing import Any, Final, NamedTuple

from bench.tracker.event import MISSING, Event, dig, milliseconds

_RESPONSIVE: Final = ("providerData", "responsiveness", "enabled")


class SessionConfig(NamedTuple):
    """What is in force. `None`: the server never said.

    told:        it said something of turn detection at all
    vad:         somebody on the server's side decides when a turn is over (not manual mode)
    answers:     it answers by itself, without response.create
    interrupts:  it falls silent when somebody speaks
    padding_ns:  prefix padding
    modalities:  of its output
    responsive:  it may fill the wait with fillers (providerData.responsiveness)
    """

    told: bool = False
    vad: bool = True
    answers: bool = True
    interrupts: bool = True
    padding_ns: int | None = None
    modalities: tuple[str, ...] | None = None
    responsive: bool = False

    @property
    def textual(self) -> bool:
        """It answers in text and never aloud."""
        return self.modalities is not None and "audio" not in self.modalities

    def after(self, body: dict[str, Any]) -> "SessionConfig":
        """This, with what a session object says."""
        config = self
        detection = _first(body, ("audio", "input", "turn_detection"), ("turn_detection",))
        if detection is None:
            config = config._replace(
                told=True, vad=False, answers=False, interrupts=False, padding_ns=None
            )
        elif isinstance(detection, dict):
            config = config._replace(
                told=True,
                vad=True,
                answers=detection.get("create_response") is not False,
                interrupts=detection.get("interrupt_response") is not False,
                padding_ns=milliseconds(detection.get("prefix_padding_ms")),
            )
        modalities = _first(body, ("output_modalities",), ("modalities",))
        if isinstance(modalities, list):
            config = config._replace(modalities=tuple(map(str, modalities)))
        responsive = dig(body, *_RESPONSIVE)
        if responsive is not MISSING:
            config = config._replace(responsive=responsive is True)
        return config


USUAL: Final = SessionConfig()


def _first(body: dict[str, Any], *paths: tuple[str, ...]) -> Any:
    return next((found for path in paths if (found := dig(body, *path)) is not MISSING), MISSING)


class ConfigHistory:
    """Every word of the server about its session: `rows`, `configs` and whole `bodies`."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.configs: list[SessionConfig] = []
        self.bodies: list[dict[str, Any]] = []

    def said(self, event: Event, asked: dict[str, Any]) -> None:
        """session.created or session.updated came; `asked` is the session last asked for."""
        before, body = self.configs[-1] if self.configs else USUAL, event.body()
        self.rows.append(event.row)
        self.bodies.append(body)
        if event.type == "session.updated":
            before = before.after({**asked, "providerData": None})
        if "providerData" not in body:
            body = {**body, "providerData": asked.get("providerData", {})}
        self.configs.append(before.after(body))

    def at(self, row: int) -> SessionConfig:
        """What is in force at a row."""
        word = bisect_right(self.rows, row) - 1
        return self.configs[word] if word >= 0 else USUAL

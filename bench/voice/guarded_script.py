"""A script as it is played: begun, resumed with what it was given, and watched.

Theory of operation
-------------------
A script is somebody's own program, and may do anything. Whatever it does that no caller can do (it
raises, it yields nothing or what is no direction, it goes on for ever without time passing) is one
`ScriptError` that names the script, its file and line, and what it did. Nothing else leaves a
`GuardedScript`, so that whoever drives it can tell a script at fault from a program at fault.

The line is where the script itself stood: of a traceback the innermost frame in the file that the
script is in, for what it called is seldom to blame; of a generator the innermost `yield`.
"""

import importlib
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, GeneratorType
from typing import Any, Final, NamedTuple

from bench.errors import ScriptError
from bench.protocol.client import ClientMessage
from bench.voice.audio import NS_PER_S
from bench.voice.directions import (
    Await,
    Commit,
    Direction,
    Hear,
    HearOut,
    Part,
    Pause,
    Say,
    Script,
    Send,
    Stop,
    Write,
    play_of,
)
from bench.voice.utterance import Utterance

MOST_A_SECOND: Final = 10_000
"""Directions that a caller can follow in a second: more is a loop in which no time passes."""
RAISED: Final = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What somebody's program may raise that must not end this one."""
_NOT_THEIRS: Final = (f"{Path(__file__).parents[1]}{os.sep}", "<frozen ", importlib.__file__)
"""How the names of files begin that no script is in: this program's, and the importer's."""


class GuardedScript:
    """`script` of `part`, called `name`; `around` puts directions of the bench's own around it."""

    def __init__(
        self,
        script: Callable[[Part], Iterator[Direction]],
        part: Part,
        name: str = "",
        around: Callable[[Iterator[Direction]], Script] | None = None,
    ) -> None:
        self._begin = script
        self._part = part
        self._name = name
        self._script: Iterator[Direction] | None = None
        own = self._own()
        self._resume = play_of(own if around is None else around(own))
        self._second_ns = 0
        self._directions = 0

    @classmethod
    def of(cls, script: Iterator[Direction]) -> "GuardedScript":
        """A script that has been begun."""
        return cls(lambda _: script, Part(()))

    def resume(self, given: Any, at_ns: int) -> Direction | None:
        """What to do from `at_ns` on, now that `given` came of the last; None: it is over.

        Raises ScriptError.
        """
        try:
            direction = self._resume(given)
        except StopIteration:
            return None
        self._count(at_ns)
        return direction

    def fault(self, what: str, error: BaseException | None = None) -> ScriptError:
        """The script did that: an error that names it and where it stands."""
        where = self._stands() if error is None else _raised(error)
        where = where or _defined(getattr(self._begin, "__code__", None))
        name = f"script {self._name!r}" if self._name else "the script"
        trace = "" if error is None else "".join(traceback.format_exception(error))
        return ScriptError(f"{name}{_shown(where)}: {what}", trace)

    def _own(self) -> Script:
        """The script itself, directions and nothing else."""
        self._script = script = self._begun()
        resume, given, yields = play_of(script), None, False
        while True:
            try:
                direction = resume(given)
            except StopIteration:
                break
            except RAISED as error:
                raise self.fault(f"raised {last_line(error)}", error) from error
            if flaw := _flaw(direction):
                raise self.fault(f"yielded {direction!r:.200}, {flaw}")
            yields = True
            given = yield direction
        if not yields:
            raise self.fault("ended without a direction; yield one at least, as in Say(line)")

    def _begun(self) -> Iterator[Direction]:
        try:
            script = self._begin(self._part)
        except RAISED as error:
            raise self.fault(f"raised {last_line(error)}", error) from error
        if not isinstance(script, Iterator):
            kind = type(script).__name__
            raise self.fault(f"is no generator: it returned {kind}; yield directions in it")
        return script

    def _count(self, at_ns: int) -> None:
        if at_ns >= self._second_ns + NS_PER_S:
            self._second_ns, self._directions = at_ns, 0
        self._directions += 1
        if self._directions > MOST_A_SECOND:
            raise self.fault(
                f"goes on for ever: {MOST_A_SECOND} directions and no second has passed; end its "
                "loop, or listen or pause in it"
            )

    def _stands(self) -> "_Place | None":
        """The innermost `yield` of the script, where it is a generator under way."""
        found, script = None, self._script
        while isinstance(script, GeneratorType) and (frame := script.gi_frame) is not None:
            found = _Place(frame.f_code.co_filename, frame.f_lineno)
            script = script.gi_yieldfrom
        return found


class _Place(NamedTuple):
    file: str
    line: int


def last_line(error: BaseException) -> str:
    """The last line of its traceback: it says what was raised."""
    return " ".join(traceback.format_exception_only(error)[-1].split())


def raised_in(error: BaseException) -> str:
    """Where somebody's program raised, in brackets; "" where that cannot be told."""
    return _shown(_raised(error))


def _raised(error: BaseException) -> _Place | None:
    """See the top of this file; of a text that is no Python, where it is none."""
    own = [
        _Place(frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(_NOT_THEIRS)
    ]
    if not own and isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _Place(error.filename, error.lineno)
    own = [place for place in own if place.file == own[0].file]
    return own[-1] if own else None


def _shown(place: _Place | None) -> str:
    return "" if place is None else f" ({place.file}, line {place.line})"


def _defined(code: CodeType | None) -> _Place | None:
    return None if code is None else _Place(code.co_filename, code.co_firstlineno)


_NS: Final = "a whole number of ns from 0 on, as ms(300) gives"
_FIELDS: Final[dict[type, dict[str, tuple[Callable[[Any], bool], str]]]] = {
    Say: {
        "utterance": (lambda value: isinstance(value, Utterance), "an Utterance of the part"),
        "role": (
            {"line", "interruption", "backchannel"}.__contains__,
            "line, interruption or backchannel",
        ),
    },
    Write: {"text": (lambda value: isinstance(value, str), "a text")},
    Commit: {},
    Pause: {"duration_ns": (lambda value: isinstance(value, int) and value >= 0, _NS)},
    Hear: {"duration_ns": (lambda value: isinstance(value, int) and value >= 0, _NS)},
    HearOut: {},
    Send: {"message": (lambda value: isinstance(value, ClientMessage), "a client message")},
    Await: {"type": (lambda value: isinstance(value, str), "the type of a message")},
    Stop: {"cancel": ({"named", "bare", "none"}.__contains__, "named, bare or none")},
}
"""What the fields of a direction must be: whether they are, and in words."""


def _flaw(direction: object) -> str:
    """Why this can be no direction of a caller; "" where it is one."""
    fields = _FIELDS.get(type(direction))
    if fields is None:
        if isinstance(direction, type) and direction in _FIELDS:
            return "a class and no direction: call it"
        return f"which is no direction; valid are: {', '.join(kind.__name__ for kind in _FIELDS)}"
    for name, (holds, what) in fields.items():
        if not holds(getattr(direction, name)):
            return f"whose {name} must be {what}"
    return ""

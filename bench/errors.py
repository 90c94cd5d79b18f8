"""The error tree.

::

    BenchError                     something this program says in one line; never a traceback
    ├── UsageError        exit 2   what was asked cannot be done as asked: nothing was started
    │   ├── ScenarioError             a scenario file: file, line, key, nearest valid word
    │   ├── CorpusError               a corpus: file, key, remedy
    │   ├── GateError                 a gate: the sentence and the word that is wrong
    │   └── RunFolderError            a run folder that cannot be read or written
    ├── ScriptError       exit 2   a script did what no caller can: its name, file, line, and what
    ├── TargetError       exit 3   the target cannot be reached; says what was tried
    ├── FolderLostError   exit 3   a folder taken away, or full, once something was written there
    └── ProtocolError              bytes on the wire that are no message: data of one session

A session that fails is data (an outcome in the log); a harness that fails is an exit code.
The two never mix: no code outside `bench.load` catches `ProtocolError`, and once a run has begun
nothing inside it raises `UsageError`.
"""

from collections.abc import Collection
from difflib import get_close_matches


class BenchError(Exception):
    """Anything the program reports in one line. `exit_code` is what the process ends with."""

    exit_code = 2


class UsageError(BenchError):
    """What was asked cannot be done as asked; nothing was started."""


class ScenarioError(UsageError):
    """A scenario that does not say what it must. The text names file, line, key and remedy."""


class CorpusError(UsageError):
    """A corpus that cannot be used. The text names the file, the key and the remedy."""


class GateError(UsageError):
    """A gate that is no gate, or that can never be judged. The text quotes it."""


class RunFolderError(UsageError):
    """A run folder that cannot be read or written. The text names the path and the remedy."""


class ScriptError(BenchError):
    """A script that is at fault. The text names it, its file and line, and what it did.

    `trace` is the whole traceback where it raised, else "".
    """

    def __init__(self, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.trace = trace


class TargetError(BenchError):
    """A target that cannot be reached. The text says what was tried and for how long."""

    exit_code = 3


class FolderLostError(BenchError):
    """A folder that was taken away, or cannot be written any more, while it was being filled.

    `what` names it and says what happened; the text has the `remedy`, too.
    """

    exit_code = 3

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class ProtocolError(BenchError):
    """Bytes on the wire that are no message. `kind` is the session outcome it leads to."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def nearest(word: str, valid: Collection[str], *, most: int = 1, listed: int | None = None) -> str:
    """The tail of an error: at most so many valid words that are near, else what is valid.

    Near are words that this one begins (`silence`, silence_duration_ms), the shortest first, words
    that are spelt alike, and words that hold it. Where none is, `listed` valid words are named and
    the others counted; None: all are named.
    """
    every = sorted(valid)
    begun = sorted((one for one in every if len(word) > 2 and one.startswith(word)), key=len)
    alike = get_close_matches(word, every, n=most, cutoff=0.5)
    held = [one for one in every if len(word) > 2 and word.lower() in one.lower()]
    if near := list(dict.fromkeys([*begun, *alike, *held]))[:most]:
        *others, last = map(repr, near)
        return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"
    rest = 0 if listed is None else len(every) - listed
    return f"valid are: {', '.join(every[:listed])}" + (f" and {rest} more" if rest > 0 else "")

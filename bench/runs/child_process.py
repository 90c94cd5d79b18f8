"""A process that never outlives the one that started it, however that ends.

``python -m bench.runs.child_process PID MODULE …`` runs a module as ``python -m MODULE …`` would,
as a child of the process PID. The kernel kills it with its parent, where it can (Linux); beside
that a thread of the system looks every half second, for a loop or a greenlet may be busy for
minutes. Both begin before anything else is imported: a parent that is gone by then is noticed.
"""

import ctypes
import os
import runpy
import signal
import sys
from _thread import start_new_thread
from contextlib import suppress
from time import sleep
from typing import Final

from bench.own_module import own_module

_LOOK_S: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1
_ORPHANED: Final = 3


def command(module: str, *arguments: str) -> list[str]:
    """The command of a child of this process. Start it from a thread that lives as long as it."""
    return [*own_module(__name__), str(os.getpid()), module, *arguments]


def follow(parent: int) -> None:
    """End this process, at once and whatever it does, when `parent` has ended."""
    with suppress(OSError, AttributeError):  # no such call: the thread alone looks
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_ORPHANED)
    start_new_thread(_look, (parent,))


def _look(parent: int) -> None:
    while os.getppid() == parent:
        sleep(_LOOK_S)
    os._exit(_ORPHANED)


def main() -> None:
    """Follow, then be the module."""
    _, parent, module, *arguments = sys.argv
    follow(int(parent))
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

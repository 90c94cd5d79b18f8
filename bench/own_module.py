"""How this program starts a process of its own: from its own code, wherever it is started."""

import sys
from typing import Final

PYTHON: Final = (sys.executable, "-P")
"""-P: the current folder is not on the import path. A folder named bench there would be run."""


def own_module(name: str) -> list[str]:
    """The command that runs a module of this program."""
    return [*PYTHON, "-m", name]

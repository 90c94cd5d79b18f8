"""Locust as `bench run` starts it: steered by the bench's arguments and by nothing else.

Locust also reads ~/.locust.conf, and locust.conf and pyproject.toml of the current folder: a run
time, users or a stop timeout in one of them would change a run without a word. Its variables
(LOCUST_...) are kept from it by whoever starts this. A plain ``locust -f`` reads all of them.
"""

import ctypes
import os
import signal
import sys
from functools import partial
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def run() -> None:
    """Locust's own main, its parsers without configuration files."""
    if "BENCH_PARENT" in os.environ:
        _end_with(int(os.environ["BENCH_PARENT"]))
    from locust import argument_parser  # noqa: PLC0415 - slow, and the parent may die meanwhile

    for name in ("get_empty_argument_parser", "get_parser"):
        parser = partial(getattr(argument_parser, name), default_config_files=())
        setattr(argument_parser, name, parser)
    from locust.main import main  # noqa: PLC0415 - takes the parsers when it is imported

    main()


def _end_with(parent: int) -> None:
    """Let the kernel end this process with its parent.

    Locust waits a minute for a master that is gone before anything of ours looks at the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(3)


if __name__ == "__main__":
    run()

"""Locust as `bench run` starts it: steered by the bench's arguments and by nothing else.

Locust also reads ~/.locust.conf, and locust.conf and pyproject.toml of the current folder: a run
time, users or a stop timeout in one of them would change a run without a word. Its variables
(LOCUST_...) are kept from it by whoever starts this. A plain ``locust -f`` reads all of them.

What `bench run` tells its Locust processes stands in variables of their environment, named here.
"""

import _thread
import os
from functools import partial
from time import sleep
from typing import Final

RUN_VARIABLE: Final = "BENCH_RUN"
PROGRESS_VARIABLE: Final = "BENCH_PROGRESS_FD"
PROCESS_VARIABLE: Final = "BENCH_PROCESS"
"""Which of the processes of `bench run` this is: Locust numbers workers in the order they come."""
PARENT_VARIABLE: Final = "BENCH_PARENT"
_PARENT_S: Final = 0.25


def run() -> None:
    """Locust's own main, its parsers without configuration files."""
    if PARENT_VARIABLE in os.environ:
        _thread.start_new_thread(_end_with, (int(os.environ[PARENT_VARIABLE]),))
    from locust import argument_parser  # noqa: PLC0415 - slow, and the parent may die meanwhile

    for name in ("get_empty_argument_parser", "get_parser"):
        parser = partial(getattr(argument_parser, name), default_config_files=())
        setattr(argument_parser, name, parser)
    from locust.main import main  # noqa: PLC0415 - takes the parsers when it is imported

    main()


def _end_with(parent: int) -> None:
    """End this process once its parent is gone: load never outlives whoever asked for it.

    It needs a thread of the system: a greenlet would start only after Locust, which waits a minute
    for a master that is gone, and the kernel's own signal for it is Linux's alone.
    """
    while os.getppid() == parent:
        sleep(_PARENT_S)
    os._exit(3)


if __name__ == "__main__":
    run()

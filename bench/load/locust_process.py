"""Locust as `bench run` starts it: steered by the bench's arguments and by nothing else.

Locust also reads ~/.locust.conf, and locust.conf and pyproject.toml of the current folder: a run
time, users or a stop timeout in one of them would change a run without a word. Its variables
(LOCUST_...) are kept from it by whoever starts this. A plain ``locust -f`` reads all of them.

What `bench run` tells its Locust processes stands in variables of their environment, named here.
"""

import signal
from functools import partial
from typing import Final

FINISH: Final = signal.SIGUSR1
CUT: Final = signal.SIGUSR2
"""What `bench run` tells the master: drain and end; cut every session and end."""
RUN_VARIABLE: Final = "BENCH_RUN"
PROGRESS_VARIABLE: Final = "BENCH_PROGRESS_FD"
PROCESS_VARIABLE: Final = "BENCH_PROCESS"
"""Which of the processes of `bench run` this is: Locust numbers workers in the order they come."""


def run() -> None:
    """Locust's own main, its parsers without configuration files."""
    from locust import argument_parser  # noqa: PLC0415 - patches all that is imported before

    for name in ("get_empty_argument_parser", "get_parser"):
        parser = partial(getattr(argument_parser, name), default_config_files=())
        setattr(argument_parser, name, parser)
    from locust.main import main  # noqa: PLC0415 - takes the parsers when it is imported

    main()


if __name__ == "__main__":
    run()

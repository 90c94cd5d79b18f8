"""The program: `bench`, and `python -m bench`. Ctrl-C while its modules are read ends it, too."""

import sys


def main() -> None:
    """Run the program; see `bench.cli.main`."""
    try:
        from bench.cli import main as run  # noqa: PLC0415 - what takes long is the import
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

"""What every verb prints with, and the option of those that can print for a script."""

from typing import Annotated

import typer
from rich.console import Console

talk = Console(stderr=True)
"""What happens, for a person who waits."""
out = Console()
"""The answer."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]

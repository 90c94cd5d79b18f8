"""The verb `open`: the newest report, in the browser where there is one."""

import os
import webbrowser
from pathlib import Path
from typing import Final

from bench.cli.console import out, say, talk
from bench.cli.verbs import OpenOptions
from bench.errors import UsageError

_PAGES: Final = {
    "report.html": "run.json",
    "comparison.html": "comparison.json",
    "capacity.html": "capacity.json",
}
"""The pages that are reports, each with what lies beside it: a template of that name is none."""


def open_verb(options: OpenOptions) -> None:
    """Print the path of the newest page, and open it where there is a browser."""
    page = newest_page(options.folder)
    say(out, str(page))
    if not _open(page):
        say(talk, "no browser was found here; open that file in one")


def newest_page(folder: Path) -> Path:
    """The page that was written last in `folder` or below. UsageError where there is none."""
    found = [
        page
        for page in folder.rglob("*.html")
        if page.name in _PAGES and page.with_name(_PAGES[page.name]).exists()
    ]
    if not found:
        raise UsageError(f"{folder}: holds no report; `bench run demo` makes one in reports/")
    return max(found, key=lambda page: page.stat().st_mtime_ns)


def _open(page: Path) -> bool:
    """Whether a browser was told. One inside a terminal shows no figures, so none is started."""
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    return webbrowser.open(page.resolve().as_uri())

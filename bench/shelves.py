"""The shelves that runs take from: `scenarios/` and `audio_corpus/`.

There are two of each: the one in the current folder, and the one that comes with this program.
In a checkout that is the checkout's own; in a wheel it lies inside the package, which the build
puts there (`sources` in pyproject.toml), so that there is one copy of every file in git.
"""

from pathlib import Path
from typing import Final

import bench
from bench.errors import ScenarioError, nearest

SCENARIOS: Final = "scenarios"
CORPORA: Final = "audio_corpus"

_PACKAGE: Final = Path(bench.__file__).resolve().parent
_HOME: Final = _PACKAGE if (_PACKAGE / SCENARIOS).is_dir() else _PACKAGE.parent


def shelves(name: str, near: Path = Path()) -> tuple[Path, Path]:
    """The shelf of that name that comes with this program, and the one in the folder `near`.

    What stands on the second goes before its namesake on the first.
    """
    return _HOME / name, near / name


def shipped_or_here(path: Path) -> Path:
    """`path`; where nothing is there, the file of that path that comes with this program."""
    shipped = _HOME / path
    return shipped if not _there(path) and _there(shipped) else path


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def scenarios() -> dict[str, Path]:
    """The scenario files on both shelves, by name."""
    files = [path for shelf in shelves(SCENARIOS) for path in shelf.glob("*.toml")]
    return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}


def find_scenario(word: Path) -> Path:
    """The file of the scenario that `word` is: a path, which goes first, or a name on a shelf.

    ScenarioError with the nearest name where it is neither.
    """
    if _there(word) and not word.is_dir():
        return word
    known = scenarios()
    if str(word) in known:
        return known[str(word)]
    if _there(word):
        raise ScenarioError(f"{word}: is a folder; give a scenario file (TOML)")
    raise ScenarioError(
        f"{word}: is neither a scenario file nor the name of one; {nearest(word.stem, known)} "
        "(`bench list scenarios` tells what each is)"
    )

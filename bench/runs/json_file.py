"""A JSON document that this program wrote, read back: with its version, or refused in a line."""

from pathlib import Path
from typing import Any

import msgspec

from bench.errors import RunFolderError


def read_json(path: Path, version: int, *, missing: str, broken: str) -> dict[str, Any]:
    """The document at `path`, whose key `format` is `version`.

    RunFolderError, a line that names the file and ends with a remedy: `missing` where there is no
    such document, `broken` where it cannot be read.
    """
    try:
        document = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise RunFolderError(f"{path}: no such file; {missing}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunFolderError(f"{path}: cannot be read (no JSON: {error}); {broken}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or error
        raise RunFolderError(f"{path}: cannot be read ({why}); {broken}") from None
    found = document.get("format") if isinstance(document, dict) else None
    if type(found) is not int:
        raise RunFolderError(
            f"{path}: is no document of this program (its key 'format' is no number); {missing}"
        )
    if found != version:
        raise RunFolderError(
            f"{path}: format {found}, this version reads {version}; use the bench version that "
            "made it"
        )
    return dict(document)

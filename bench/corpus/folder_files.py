"""The files of a folder and of all below it, and what is there besides and cannot be read.

No link to a folder is followed, nothing but a regular file is ever opened, so nothing is waited
for; and every name is either a file or has a reason.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

_WHY: Final = {
    errno.ENOENT: "is a link to nothing; restore what it names, or remove it",
    errno.ELOOP: "is a link that leads back to itself; remove it",
}


class FolderFiles(NamedTuple):
    """Regular files in order of names, and (path, reason) of what is none."""

    files: tuple[Path, ...]
    others: tuple[tuple[Path, str], ...]


def folder_files(top: Path, *, besides: Path) -> FolderFiles:
    """All that is under `top` but for the folder `besides`, which is a resolved path."""
    files: list[Path] = []
    others: list[tuple[Path, str]] = []
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            names = os.listdir(folder)  # noqa: PTH208 - iterdir may raise in the middle
        except OSError as error:
            others.append((folder, f"cannot be read ({error.strerror})"))
            continue
        for path in (folder / name for name in names):
            kind = _kind(path)
            if kind == "folder":
                folders += [path] if path.resolve() != besides else []
            elif kind:
                others.append((path, kind))
            elif besides not in path.resolve().parents:
                files.append(path)
    return FolderFiles(tuple(sorted(files)), tuple(sorted(others)))


def _kind(path: Path) -> str:
    """Why a path is not looked at, "folder", or "" for a regular file or a link to one."""
    try:
        about = path.stat()
        is_link = path.is_symlink()
    except OSError as error:
        return _WHY.get(error.errno or 0) or f"cannot be read ({error.strerror})"
    if stat.S_ISREG(about.st_mode):
        return ""
    if not stat.S_ISDIR(about.st_mode):
        return "is no regular file but a pipe or a device"
    return (
        "is a link to a folder, which is not followed; add that folder itself"
        if is_link
        else ("folder")
    )

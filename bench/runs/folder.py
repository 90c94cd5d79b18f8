"""A run on disk: one folder, its files, and `run.json`, which says where everything came from.

`run.json` is a plain dictionary so that every later stage can add what it knows; its keys:

format, metric_version, bench_version, name, created
scenario  {name, text, sha256, effective}     corpus  {name, sha256}
target    {name, url, dialect, subprotocol, hops, headers ["name=$VARIABLE", …], ca, loopback,
          proxy}                              secrets never get here
host, versions, workers, clock_pairs [[monotonic_ns, realtime_ns], …]
plan      {sessions, scheduled, start_ns, measured_from_ns, measured_to_ns, end_ns}
plan_sha256                                   the digest of plan.parquet
trace_sha256                                  the digest of the instants of a trace; only where so
rows_written {worker: n}, rows_sealed, drained [worker, …], digests {worker: sha256 of its log}
processes {worker: number of its process}, interrupted
ended_by  {rule, text, …}: what of the bench's own ended the load before its time; only where so
interim   {window_s, looks, broken}: how often --abort-on-fail looked, and why no more; where asked
page_reset how far into the run somebody pressed reset in Locust's page; only where so
faults    [{rule, text, remedy, from_ns, to_ns}]: what went wrong with the harness itself
gauges    {url, asked [text, …], scrapes, lost, why, missing {gauge: n}}: what --metrics-url was to
          give, how often it was asked and did not answer (and commonly why), and in how many
          answers a gauge was not there; only where it was asked
gates, baseline, reference
"""

import errno
import os
import platform
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from bench import __version__
from bench.errors import FolderLostError, RunFolderError, ScriptError
from bench.plan.metrics import VERSION
from bench.runs.json_file import RunShape, check_whole, read_json
from bench.runs.machine import read_quota

FORMAT = 1
SCRIPT = "script"
"""The rule of the fault that is the user's own."""
PREFLIGHT = "preflight"
"""The rule of the fault that is the target's: it takes no session, whatever the load."""
LOST = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ESTALE,
}  # fmt: skip
"""What a system says of a file where its folder was taken away, closed, or its disk is full."""
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_ROOM: Final = 32 << 10
"""Bytes kept for run.json on a disk that is full: it is written beside the old one."""
_SMALL = {".json", ".md", ".xml"}
_VERSIONS_OF = ("locust", "gevent", "websockets", "msgspec", "numpy", "pandas", "pyarrow")


class RunFolder:
    """The paths of one run. Making one touches nothing; `create` and `open` do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_json = path / "run.json"
        self.logs = path / "logs"
        self.events = path / "events.parquet"
        self.health = path / "health.parquet"
        self.gauges = path / "gauges.parquet"
        self.plan = path / "plan.parquet"
        self.turns = path / "turns.parquet"
        self.sessions = path / "sessions.parquet"
        self.summary = path / "summary.json"
        self.verdict = path / "verdict.json"
        self.report = path / "report.html"
        self.digest = path / "summary.md"
        self.reference = path / "reference.json"
        self.truth = path / "truth.jsonl"

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """Make the folder. RunFolderError where it cannot be, or where a run is in it already.

        Of two that begin at once, it is that one's which makes logs/.
        """
        folder = cls(path)
        _need_text(path)
        if folder.run_json.exists():
            raise RunFolderError(f"{path}: holds a run already; choose another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._claim()
            probe = folder.logs / ".probe"
            probe.touch()
            probe.unlink()
            folder._keep_room()
        except OSError as error:
            raise RunFolderError(
                f"{path}: cannot be written ({error.strerror}); mend that, or choose another --out"
            ) from None
        return folder

    def _claim(self) -> None:
        try:
            self.logs.mkdir()
        except FileExistsError:
            raise RunFolderError(
                f"{self.logs}: is there already, perhaps of a run that began at this instant; "
                "choose another --out"
            ) from None

    @property
    def _reserve(self) -> Path:
        return self.logs / ".reserve"

    def _keep_room(self) -> None:
        """Take the room that run.json will need on a disk that is full, to say so there."""
        try:
            self._reserve.write_bytes(os.urandom(_ROOM))  # what would be no smaller if packed
        except OSError:  # so small a disk says it soon enough
            self.give_room()

    def give_room(self) -> None:
        """Give back the room that was kept."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run. RunFolderError where there is none."""
        folder = cls(path)
        if not os.path.isfile(folder.run_json):  # noqa: PTH113 - never raises, be it an odd name
            raise RunFolderError(f"{path}: no run here (no run.json); give a folder of reports/")
        _need_text(path)
        return folder

    def read(self) -> dict[str, Any]:
        """`run.json`. RunFolderError where it is broken or of a format this version cannot read."""
        remedy = "restore it, or run again"
        return read_json(self.run_json, FORMAT, missing=remedy, broken=remedy, shape=RunShape)

    def read_whole(self) -> dict[str, Any]:
        """`run.json` of a run that was really run. RunFolderError names a key that is missing."""
        return check_whole(self.run_json, self.read())

    def write(self, run: dict[str, Any]) -> None:
        """Replace `run.json` in one step: a reader never sees half of it."""
        text = msgspec.json.format(msgspec.json.encode(run), indent=2).decode() + "\n"
        try:
            replace_file(self.run_json, text)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self.give_room()
            replace_file(self.run_json, text)

    def update(self, **facts: Any) -> dict[str, Any]:
        """Add facts to `run.json`; returns it."""
        run = {**self.read(), **facts}
        self.write(run)
        return run


def _need_text(path: Path) -> None:
    """RunFolderError for a name that is no text: documents hold it, and parquet takes no other."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        name = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
        raise RunFolderError(f"{name}: this name is not UTF-8; choose another folder") from None


def replace_file(path: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old text or the new. OSError where it cannot."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


CONTRADICTIONS: Final = (LookupError, ValueError, TypeError, ArithmeticError, AttributeError)
"""What reckoning raises over tables and documents that are each well-formed, and do not agree."""


def contradiction(error: BaseException) -> str:
    """What happened and in which line of this program, in one short line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    first = next(iter(str(error).splitlines()), "")[:160]
    return f"{type(error).__name__}: {first}, {Path(place.filename).name}:{place.lineno}"


@contextmanager
def still_there(folder: Path) -> Iterator[None]:
    """Fill a folder, or read what was just written there.

    FolderLostError, naming folder and remedy, where it was taken away meanwhile, or its disk is
    full, or where its files contradict each other. Other errors are left as they are.
    """
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        ours = named is None or folder == named or folder in named.parents
        if error.errno not in LOST or not ours:
            raise
        where = "" if named in {None, folder} else f"{named}: "
        why = f"{where}{os.strerror(error.errno)}"
    except RunFolderError as error:
        why, _, remedy = str(error).partition("; ")
        if (folder / "run.json").exists():  # the folder is there: what is wrong is what is said
            raise FolderLostError(why, remedy) from error
    except CONTRADICTIONS as error:
        raise FolderLostError(
            f"{folder}: its files contradict each other ({contradiction(error)})",
            "restore them, or run again",
        ) from error
    else:
        return
    raise FolderLostError(
        f"{folder}: cannot be used any more ({why})",
        "leave it in place, with room on its disk, and run again",
    )


@contextmanager
def writable(folder: RunFolder) -> Iterator[RunFolder]:
    """The run itself; where its folder is read-only, a twin that is gone afterwards.

    What a run recorded is the same file in both. Whoever writes replaces files, and never fills
    them.
    """
    probe = folder.path / ".probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
    else:
        yield folder
        return
    with TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as place:
        copy = RunFolder(Path(place) / folder.path.name)
        copy.path.mkdir()
        copy.logs.mkdir()
        for path in [*folder.path.iterdir(), *folder.logs.glob("*")]:
            twin = copy.path / path.relative_to(folder.path)
            if path.suffix in _SMALL:
                copyfile(path, twin)
            elif path not in {folder.logs, folder.report}:
                twin.symlink_to(path.resolve())
        yield copy


def fault(rule: str, text: str, remedy: str) -> dict[str, Any]:
    """One entry of `faults`: something of the harness itself that makes the run invalid."""
    return {"rule": rule, "text": text, "remedy": remedy, "from_ns": None, "to_ns": None}


def script_fault(error: ScriptError) -> dict[str, Any]:
    """The fault of a run whose script is at fault."""
    return fault(SCRIPT, str(error), "mend the script; `bench check` plays it without a run")


def provenance(name: str) -> dict[str, Any]:
    """What a run has in `run.json` before anything is known of it."""
    quota = read_quota()
    return {
        "format": FORMAT,
        "metric_version": VERSION,
        "bench_version": __version__,
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "cpu_quota": None if quota is None else round(quota.cores, 3),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "python": platform.python_version(),
        },
        "versions": {package: _version(package) for package in _VERSIONS_OF},
        "clock_pairs": [],
        "rows_written": {},
        "rows_sealed": 0,
        "drained": [],
        "interrupted": False,
        "faults": [],
        "reference": None,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""The runs of a capacity search: each from its load to what was observed, and what they take.

A run is made as `bench run` would make it, with seeds of its own and the objectives as its gates;
then it is analysed and observed. A canary is a single session beside the runs: how fast is the
target without load?
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console

from bench.capacity.document import SearchSpending
from bench.capacity.loads import Step, stage_texts
from bench.capacity.observation import observe, observe_overload
from bench.capacity.result import Trial
from bench.capacity.search import Purpose
from bench.cli.capacity_settings import SearchSettings
from bench.cli.console import say
from bench.cli.run_result import settle
from bench.cli.run_scenario import run
from bench.cli.scraper import Watch, watch_of
from bench.cli.supervisor import EXIT_INTERRUPTED, start_reference
from bench.cli.verbs import RunOptions
from bench.errors import BenchError, TargetError
from bench.load.canary import Canary, Sighting
from bench.reference.profile import load_profile
from bench.runs.folder import RunFolder
from bench.runs.job import Job
from bench.verdict.early_stop import may_end
from bench.voice.audio import NS_PER_S

CANARIES: Final = 2
"""How many tell, before the first run, how fast the target is without load."""
PATIENCE_S: Final = 120.0
"""How long a target may take to recover between two runs."""
_RECOVERED: Final = 1.5
"""A canary is as fast as before where it takes no longer than so many times the slowest then."""

Kind = Purpose | Literal["beyond", "ramp"]


class Served(NamedTuple):
    """The target of all runs, and the gauges of one that was started for them."""

    url: str
    watch: Watch | None = None


class InterruptedSearchError(BenchError):
    """Ctrl-C: what is known is in `capacity.json`."""

    exit_code = EXIT_INTERRUPTED


@contextmanager
def serving(job: Job, place: Path) -> Iterator[Served]:
    """The target of the runs: the embedded server is started here, and serves all of them.

    Where the search is taken up again its draws have another seed: runs that met the same draws
    would not be independent samples.
    """
    if job.target.url:
        yield Served(job.target.url)
        return
    number = 1
    while (place / f"server-{number}").exists():
        number += 1
    named = job.scenario.reference.profile
    profile = load_profile(Path(named) if named else None)
    server = start_reference(
        job,
        RunFolder.create(place / f"server-{number}"),
        truth=False,
        seed=profile.seed + number - 1,
    )
    try:
        yield Served(server.url, watch_of(f"http://{urlsplit(server.url).netloc}/metrics", ()))
    finally:
        server.stop()


class TrialRunner:
    """Makes the runs of one search, one after the other, in the folder `place`."""

    def __init__(
        self, settings: SearchSettings, place: Path, served: Served, console: Console
    ) -> None:
        self.workers = settings.options.workers
        self.spent = SearchSpending(seconds=0.0, session_minutes=0.0, cost=None)
        self.url = served.url
        self._settings, self._place, self._console = settings, place, console
        self._watch = settings.watch or served.watch
        target = settings.job.target._replace(url=served.url)
        self._canary = Canary(settings.job._replace(target=target))
        self._usual_ms = 0.0

    def make(
        self,
        number: int,
        purpose: Kind,
        load: float,
        lengths: dict[str, float],
        steps: Sequence[Step] = (),
    ) -> Trial:
        """One run from start to observation. InterruptedSearchError after Ctrl-C."""
        name = f"{number:02d}-{purpose}-{load:g}"
        path, twin = self._place / name, 1
        while path.exists():  # of a search that was killed in this run
            twin += 1
            path = self._place / f"{name}-{twin}"
        gates = (gate.text for tier in self._settings.tiers for gate in tier.gates)
        options = RunOptions(
            self._settings.options.scenario,
            target=self.url,
            dialect=self._settings.job.target.dialect.name,
            workers=self.workers,
            gates=tuple(dict.fromkeys(gates)),
            assignments=self._assignments(number, load, lengths, steps),
            out=path,
            yes=True,
            exceed_limits=True,  # the search keeps to them itself
            headers=self._settings.options.headers,
            ca=self._settings.options.ca,
            abort_on_fail=bool(window_s := self._window(purpose, steps)),
            abort_window=window_s,
        )
        folder, interrupted = run(options, self._console, watch=self._watch)
        with self._console.status("sealing and analysing"):
            settle(folder)
        if interrupted:
            raise InterruptedSearchError(
                f"interrupted; the same with --resume {self._place} goes on"
            )
        return self.read(number, purpose, load, path)

    def _window(self, purpose: Kind, steps: Sequence[Step]) -> float | None:
        """Seconds of the windows in which a ramp's objectives are judged while it goes on.

        None where they are not: of several tiers one fails while another is still looked for.
        """
        tiers = self._settings.tiers
        if purpose != "ramp" or len(tiers) > 1 or not any(map(may_end, tiers[0].gates)):
            return None
        window_s = steps[0].length / NS_PER_S
        return window_s if window_s >= 1 and len(steps) > 1 else None

    def _assignments(
        self, number: int, load: float, lengths: dict[str, float], steps: Sequence[Step]
    ) -> tuple[str, ...]:
        """What is set for a run: its load, seeds of its own, and the objectives as its gates."""
        own, settings = self._settings.job.scenario.load, self._settings
        table = {name: f"{seconds * 1000:.0f}ms" for name, seconds in lengths.items()}
        table["drain"] = f"{own.drain / NS_PER_S * 1000:.0f}ms"
        words = [f'{name} = "{text}"' for name, text in table.items()]
        words.append(f'connects = "{float(own.connects):g}/s"')
        if settings.open_load:
            words += [f'arrivals = "{settings.options.arrivals}"', f'rate = "{load:.6g}/s"']
        else:
            words.append(f"sessions = {load:.0f}")
        if steps:
            words.append(f"stages = [{', '.join(stage_texts(steps))}]")
        seeds = settings.job.scenario.seeds
        return (
            *settings.options.assignments,
            f"load={{ {', '.join(words)} }}",
            "gates={}",
            "gate_profile='default'",
            f"seeds.arrivals={seeds.arrivals + number}",
            f"seeds.utterances={seeds.utterances + 1000 * number}",
            f"seeds.mixture={seeds.mixture + number}",
        )

    def read(self, number: int, purpose: Kind, load: float, path: Path) -> Trial:
        """What the run in `path` says, and what it took."""
        tiers, session_s = self._settings.tiers, self._settings.session_s
        if purpose == "beyond":
            seen = observe_overload(path, tiers, session_s)
        else:
            seen = observe(path, tiers, load, session_s)
        plan = RunFolder.open(path).read()["plan"]
        begin, end = plan.get("start_ns"), plan.get("end_ns")
        seconds = (end - begin) / NS_PER_S if begin is not None and end is not None else 0.0
        self.account(seconds, seen.session_minutes)
        return Trial(number, purpose, path.name, seconds, seen)

    def account(self, seconds: float, session_minutes: float) -> None:
        """Add to what the search has taken."""
        minutes = self.spent.session_minutes + session_minutes
        price = self._settings.options.price_per_minute
        self.spent = SearchSpending(
            seconds=self.spent.seconds + seconds,
            session_minutes=minutes,
            cost=None if price is None else minutes * price,
        )

    # ── canaries ─────────────────────────────────────────────────────────────────────────────

    def first_canary(self) -> None:
        """How fast the target is without load. TargetError where it serves nobody."""
        for _ in range(CANARIES):
            seen = self._look()
            if seen.failure:
                raise TargetError(f"target {self._settings.job.target.name}: {seen.failure}")
            self._usual_ms = max(self._usual_ms, *seen.latencies)
        say(self._console, f"canary    {self._usual_ms:.0f} ms to first audio without load")

    def recovers(self) -> bool:
        """Wait until a canary is as fast as the first; whether it was, within `PATIENCE_S`."""
        begin = time.monotonic()
        while time.monotonic() - begin < PATIENCE_S:
            seen = self._look()
            if not seen.failure and max(seen.latencies) <= _RECOVERED * self._usual_ms:
                return True
            time.sleep(1.0)
        return False

    def _look(self) -> Sighting:
        """What the canary met; its session is paid for as any other."""
        began = time.monotonic()
        seen = self._canary.look()
        took_s = time.monotonic() - began
        self.account(took_s, took_s / 60)
        return seen

"""`bench probe`: what a target can do, asked of it in a few short sessions."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench.cli.console import out, print_json, say, talk
from bench.cli.network_lines import network_lines
from bench.cli.processes import Reference
from bench.cli.verbs import ProbeOptions
from bench.data_file import json_of
from bench.errors import UsageError
from bench.load.route import read_credentials
from bench.probe.probe_cost import estimate
from bench.probe.probe_report import FILE_NAME, Probe, keep
from bench.probe.probe_scripts import scripts_for
from bench.protocol.upgrade import Offer, make_offer
from bench.reference.profile import load_profile
from bench.runs.folder import RunFolder
from bench.runs.target import Target, read_target


def probe(
    word: str,
    dialect: str | None,
    profile: Path | None,
    corpus: str,
    talk: Console,
    *,
    offer: Offer,
    yes: bool,
    headers: Sequence[str] = (),
    ca: Path | None = None,
) -> Probe:
    """Probe the target that `word` names; the embedded server is started and stopped for it.

    UsageError without `yes` where the target is off loopback.
    """
    target = read_target(word, dialect, headers, ca)._replace(offer=offer)
    read_credentials(target)
    if target.url and profile is not None:
        raise UsageError("--profile is for the reference server, which this target is not")
    if profile is not None:
        load_profile(profile)
    say(talk, f"probe     {target.name}: {estimate(corpus, only=scripts_for(target.dialect))}")
    for line in network_lines(target):
        say(talk, line)
    if not target.loopback and not yes:
        raise UsageError("this is no loopback target: add --yes to start")
    from bench.probe.prober import run_probe  # noqa: PLC0415 - pandas is slow to import

    with _reachable(target, corpus, profile) as reachable, talk.status("probing"):
        return run_probe(reachable, corpus=corpus)


def probe_for_run(folder: RunFolder, target: Target, corpus: str, talk: Console) -> None:
    """Probe the target of a run first and keep what was found beside it."""
    from bench.probe.prober import run_probe  # noqa: PLC0415 - pandas is slow to import

    with talk.status("probing the target"):
        found = run_probe(target, corpus=corpus)
    keep(found, folder.path / FILE_NAME)


@contextmanager
def _reachable(target: Target, corpus: str, profile: Path | None) -> Iterator[Target]:
    if target.url:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="bench-probe-") as place:
        folder = RunFolder.create(Path(place) / "probe")
        server = Reference(folder, corpus, str(profile or ""), ())
        try:
            yield target._replace(url=server.url)
        finally:
            server.stop()


def probe_verb(options: ProbeOptions) -> None:
    """Probe, keep the findings where asked, and print them."""
    offer = make_offer(options.subprotocol, follow=options.follow_redirects)
    found = probe(
        options.target, options.dialect, options.profile, options.corpus, talk,
        offer=offer, yes=options.yes, headers=options.headers, ca=options.ca,
    )  # fmt: skip
    if options.out is not None:
        keep(found, options.out)
    if options.as_json:
        print_json(json_of(found.to_json()))
        return
    for line in found.lines():
        say(out, line)

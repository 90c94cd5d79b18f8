"""The verb `init`: the files that a team begins with, and what to do with them."""

import json
import re
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.cli.console import out, say
from bench.cli.verbs import InitOptions
from bench.compare.baseline import SHELF
from bench.errors import UsageError
from bench.runs.target import REFERENCE, Target, read_target
from bench.shelves import SCENARIOS

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_SCENARIO: Final = """\
# Written by `bench init`. `bench check NAME` plays it dry, `bench run NAME` runs it.
about  = "Callers hold a spoken conversation, and the agent must answer in time."
script = "turn_taking"   # other kinds of conversation: bench list scenarios
corpus = "everyday"      # the shipped speech; your own: bench corpus add FOLDER
turns  = 3
gate_profile = "ci"

[session]                # what is asked of the target, in the words of its API
turn_detection = { type = "server_vad", silence_duration_ms = 500 }

[caller]                 # utterances with these tags are not said
exclude = ["nonspeech", "interruption", "pause", "noise", "long"]

[load]
sessions = 10            # callers at once
warmup   = "5s"
duration = "60s"         # measured; `bench run` says beforehand which gates need more

[gates]
ci = [
  "p90(first_audio_latency) < 2 s",
  "share(answered) >= 90 %",
  "count(errors) <= 0",
]
# Against a run that the team has accepted: bench run NAME --gates regression --baseline BASELINE
regression = [
  "p50(first_audio_latency) <= baseline + 15 %",
  "share(answered) >= 90 %",
  "count(errors) <= 0",
]
"""

_WORKFLOW: Final = """\
# Written by `bench init`: one run of the scenario, whose gates decide. Write the owner of your
# copy of realtime-voice-bench for OWNER; its action.yml and docs/ci.md say what else it takes.
name: bench NAME

on:
  workflow_dispatch:
  schedule:
    - cron: "17 3 * * *"

permissions:
  contents: read

jobs:
  bench:
    runs-on: ubuntu-latest
    timeout-minutes: 30
CREDENTIAL    steps:
      - uses: actions/checkout@v6
      - uses: OWNER/realtime-voice-bench@main
        with:
          scenario: SCENARIO
TARGET          # Once BASELINE is in git:
          # gate-profile: regression
          # baseline: BASELINE
"""


def init_verb(options: InitOptions) -> None:
    """Write both files, or neither; say what to do next."""
    name = options.name
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: give letters, digits, - and _, as in calls")
    target = read_target(options.target, options.dialect)
    scenario = Path(SCENARIOS) / f"{name}.toml"
    baseline = SHELF / f"{name}.json"
    _write_new({
        scenario: _filled(_SCENARIO, NAME=name, BASELINE=str(baseline)),
        Path(".github/workflows") / f"bench-{name}.yml": _filled(
            _WORKFLOW,
            NAME=name,
            SCENARIO=str(scenario),
            BASELINE=str(baseline),
            CREDENTIAL=_credential(target),
            TARGET=_target_inputs(options, target),
        ),
    })  # fmt: skip
    steps = {
        f"bench check {name}": "plays it dry, in seconds",
        f"bench run {name}{_options(options, target)}": "takes about a minute",
        "bench open": "shows its report",
        "bench baseline accept RUN": f"RUN is its folder; writes {baseline}, for git",
    }
    width = max(map(len, steps))
    for number, (command, about) in enumerate(steps.items()):
        say(out, f"{'' if number else 'next':<7}{command:<{width}}   # {about}")


def _filled(text: str, **words: str) -> str:
    """`text` with the words in capitals replaced."""
    return re.sub(r"[A-Z]{4,}", lambda found: words.get(found[0], found[0]), text)


def _credential(target: Target) -> str:
    """Where the job has its credential from; a target on its own machine needs none."""
    if target.loopback:
        return ""
    variable = target.dialect.credential_env
    return f"    env:\n      {variable}: ${{{{ secrets.{variable} }}}}\n"


def _target_inputs(options: InitOptions, target: Target) -> str:
    """The inputs of the action that say what is loaded, and what it may take."""
    inputs = {"target": options.target, "dialect": options.dialect}
    lines = [f"          {key}: {json.dumps(said)}" for key, said in inputs.items() if said]
    if not target.loopback:
        lines += [f"          {word}" for word in ("args: |", "  --yes", "  --max-minutes=15")]
    return "".join(f"{line}\n" for line in lines)


def _options(options: InitOptions, target: Target) -> str:
    """What `bench run` is given beside the name."""
    words = [] if options.target == REFERENCE else ["--target", options.target]
    words += ["--dialect", options.dialect] if options.dialect else []
    words += [] if target.loopback else ["--yes"]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _write_new(files: dict[Path, str]) -> None:
    """Write all the files. UsageError where one is there already, or cannot be: then none is."""
    for path in files:
        if path.exists():
            raise UsageError(
                f"{path}: is there already, and nothing was written; give another --name, or move "
                "it away"
            )
    with ExitStack() as undone:
        for path, text in files.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("x", encoding="utf-8") as file:
                    undone.callback(path.unlink)
                    file.write(text)
            except OSError as error:
                why = error.strerror or str(error)
                raise UsageError(
                    f"{path}: cannot be written ({why}), and nothing was; mend that and try again"
                ) from None
        undone.pop_all()
    for path in files:
        say(out, f"wrote  {path}")

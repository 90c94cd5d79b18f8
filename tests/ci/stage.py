"""The stage for tests of `action.yml` and `ci/`: a small runner, and a bench that only pretends.

`Runner` does with action.yml what GitHub's does, for the few forms that this file uses; one that it
does not know is an error and no guess. The steps' own scripts are executed, by the shell and with
the files that GitHub gives. Actions of others are not: what they were given is written down.
"""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
URL = "https://example.org/artifacts/7"

BENCH = """#!{python}
import json, pathlib, sys
here = pathlib.Path({here!r})
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
plays = json.loads((here / "plays.json").read_text())
play = plays[len((here / "calls").read_text().splitlines()) - 1]
folder = next(pathlib.Path(a[6:]) for a in sys.argv if a.startswith("--out="))
print(play["said"])
if play["verdict"] is not None:
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps(play["verdict"]))
    (folder / "summary.md").write_text("## digest of " + folder.name + "\\n")
sys.exit(play["code"])
"""
# A python3 that makes environments without pip, and runs scripts with the tests' own interpreter.
PYTHON = """#!/usr/bin/env bash
set -euo pipefail
if [ "$1" = -c ]; then exit "$(cat {here}/too-old)"; fi
if [ "$1" != -m ]; then exec {python} "$@"; fi
mkdir -p "$3/bin"
cp {here}/bench "$3/bin/bench"
printf '#!/usr/bin/env bash\\nprintf "%%s\\\\n" "$@" > {here}/pip\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text("utf-8"))


def verdict(word: str, *, gates: list[dict] = (), validity: list[dict] = ()) -> dict[str, Any]:
    """A verdict document with that word."""
    return {
        "verdict": word, "reasons": [f"so it is: {word}"], "gates": list(gates),
        "validity": list(validity),
    }  # fmt: skip


def play(code: int, document: dict | None = None, said: str = "bench: as it went") -> dict:
    """What one call of the bench comes to."""
    return {"code": code, "verdict": document, "said": said}


class Pretence:
    """A folder on PATH with a `bench` that follows `plays` and a `python3` that installs it."""

    def __init__(self, here: Path, plays: list[dict]) -> None:
        self.here = here
        here.mkdir(parents=True, exist_ok=True)
        (here / "plays.json").write_text(json.dumps(plays))
        (here / "too-old").write_text("0")
        for name, text in (("bench", BENCH), ("python3", PYTHON)):
            path = here / name
            path.write_text(text.format(python=sys.executable, here=str(here)))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        path = self.here / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def environment(self, **more: str) -> dict[str, str]:
        """What a job's process sees: nothing of this machine but how to find programs."""
        return {"PATH": f"{self.here}{os.pathsep}{os.environ['PATH']}", **more}


class Ran:
    """A job that ended: what its steps gave, printed and came to."""

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, str]] = {}
        self.used: dict[str, dict[str, str]] = {}
        self.printed: dict[str, str] = {}
        self.codes: dict[str, int] = {}
        self.summary = ""
        self.gives: dict[str, str] = {}


class Runner:
    """Runs the composite action of this repository in `work`."""

    def __init__(self, work: Path, pretence: Pretence) -> None:
        self.action = read_yaml(ROOT / "action.yml")
        self._work, self._pretence = work, pretence
        (work / "temp").mkdir(parents=True)
        (work / "summary").touch()

    def run(self, **given: str) -> Ran:
        """Run it with those inputs (`gate_profile` for gate-profile) and defaults for the rest."""
        asked = {name.replace("_", "-"): value for name, value in given.items()}
        inputs = {
            name: str(spec.get("default", "")) for name, spec in self.action["inputs"].items()
        }
        assert set(asked) <= set(inputs)
        inputs |= asked
        ran, failed = Ran(), False
        for step in self.action["runs"]["steps"]:
            if not self._due(step.get("if", ""), inputs, ran, failed=failed):
                continue
            name = step.get("id", step["name"])
            if "uses" in step:
                given = {key: self._fill(str(value), inputs, ran)
                         for key, value in step["with"].items()}  # fmt: skip
                ran.used[step["uses"]] = given
                ran.outputs[name] = {"artifact-url": URL}
            else:
                failed = self._execute(name, step, inputs, ran) != 0 or failed
        ran.summary = (self._work / "summary").read_text("utf-8")
        ran.gives = {
            name: self._fill(spec["value"], inputs, ran)
            for name, spec in self.action["outputs"].items()
        }
        return ran

    def _due(self, condition: str, inputs: dict, ran: Ran, *, failed: bool) -> bool:
        terms = [term.strip() for term in condition.strip("${} ").split("&&") if term.strip()]
        if failed and "always()" not in terms:
            return False
        for term in terms:
            if term != "always()":
                match = re.fullmatch(r"(\S+) != ''", term)
                assert match, f"a condition that this runner does not know: {term}"
                if self._value(match[1], inputs, ran) == "":
                    return False
        return True

    def _execute(self, name: str, step: dict, inputs: dict, ran: Ran) -> int:
        assert step["shell"] == "bash"
        output = self._work / f"output-{name.replace(' ', '-')}"
        output.touch()
        given = {key: self._fill(str(value), inputs, ran)
                 for key, value in step.get("env", {}).items()}  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self._work, text=True, capture_output=True, check=False,
            env=self._pretence.environment(
                GITHUB_ACTIONS="true", GITHUB_ACTION_PATH=str(ROOT), GITHUB_OUTPUT=str(output),
                GITHUB_STEP_SUMMARY=str(self._work / "summary"),
                RUNNER_TEMP=str(self._work / "temp"), **given,
            ),
        )  # fmt: skip
        lines = output.read_text("utf-8").splitlines()
        ran.outputs[name] = dict(line.split("=", 1) for line in lines)
        ran.printed[name], ran.codes[name] = done.stdout + done.stderr, done.returncode
        return done.returncode

    def _fill(self, text: str, inputs: dict, ran: Ran) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda m: self._value(m[1], inputs, ran), text)

    def _value(self, name: str, inputs: dict, ran: Ran) -> str:
        match name.split("."):
            case ["inputs", key]:
                return inputs[key]
            case ["steps", step, "outputs", key]:
                return ran.outputs.get(step, {}).get(key, "")
        raise AssertionError(f"an expression that this runner does not know: {name}")

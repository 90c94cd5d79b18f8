"""Whatever becomes of what is printed: the verdict and the exit code stay what they are."""

import os
import subprocess

import pytest

from tests.cli.test_run_result import FAILS, analysed_run
from tests.live.process import BENCH, ROOT

LOST = {
    "a reader who leaves": "{bench} | head -1 > /dev/null",
    "a reader who was never there": "{bench} | true",
    "a full disk": "{bench} > /dev/full",
    "a closed stdout": "{bench} >&-",
    "a closed stderr": "{bench} 2>&-",
    "both full": "{bench} > /dev/full 2>&1",
    "both closed": "{bench} >&- 2>&- <&-",
    "letters that the encoding has not": "PYTHONIOENCODING=ascii {bench}",
}


def ended(line, verb, place):
    """The exit code of a verb in a line of a shell, and what came on stderr."""
    line = line.format(bench=" ".join([*BENCH, *verb])) + f"; echo ${{PIPESTATUS[0]}} > {place}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return int(place.read_text()), done.stderr


@pytest.mark.parametrize("lost", LOST)
def test_whatever_becomes_of_the_answer_the_exit_code_stays(lost, tmp_path):
    code, err = ended(LOST[lost], ["list", "metrics"], tmp_path / "code")
    assert code == 0, err
    full = "bench: the answer: cannot be written (No space left on device)" in err
    assert full == (lost == "a full disk")


@pytest.mark.parametrize("lost", ["a reader who leaves", "a full disk"])
def test_a_gate_that_failed_has_failed_whoever_reads_it(lost, tmp_path):
    folder = analysed_run(tmp_path / "run")
    verb = ["judge", str(folder), "--gate", f"'{FAILS}'"]
    code, err = ended(LOST[lost], verb, tmp_path / "code")
    assert code == 1, err

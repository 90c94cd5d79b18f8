"""No child outlives its parent, whatever it is doing and however its parent ends."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.live.process import until

pytestmark = pytest.mark.live

DOING = {
    "computing": "while True: pass",
    "deaf to signals": "import signal, time\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)\ntime.sleep(600)",
    "in one long call": "sum(range(10**12))",
    "held still": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
}  # fmt: skip
WITHOUT_KERNEL = (
    "import ctypes\ndef none(_):\n    raise OSError\nctypes.CDLL = none\n"
    "from bench.runs import child_process\nimport os\n"
    "child_process.follow(os.getppid())\nprint('on', flush=True)\nwhile True: pass"
)


def orphan(command, cwd):
    """Start a command by a parent that is killed once the child has said so; the child."""
    code = "import subprocess, time\nfrom bench.runs import child_process\n"
    code += f"print(subprocess.Popen({command}).pid, flush=True)\ntime.sleep(600)"
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, text=True, cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(cwd), *sys.path))},
    )  # fmt: skip
    child = psutil.Process(int(parent.stdout.readline()))
    assert parent.stdout.readline() == "on\n"
    parent.kill()
    parent.communicate()
    return child


@pytest.mark.parametrize("doing", DOING)
def test_a_child_dies_with_its_parent_whatever_it_does(doing, tmp_path):
    (tmp_path / "busy.py").write_text(f"print('on', flush=True)\n{DOING[doing]}\n")
    child = orphan('child_process.command("busy")', tmp_path)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 3)


def test_where_the_kernel_has_no_such_thing_a_thread_looks(tmp_path):
    child = orphan(repr([sys.executable, "-c", WITHOUT_KERNEL]), tmp_path)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 3)


def test_a_child_whose_parent_is_gone_before_it_begins_does_nothing():
    command = [sys.executable, "-m", "bench.runs.child_process"]
    for parent, told in ((os.getppid(), (3, "")), (os.getpid(), (0, "bench.reference"))):
        done = subprocess.run(
            [*command, str(parent), "bench.reference", "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == told[0]
        assert told[1] in done.stdout
        assert bool(told[1]) == bool(done.stdout)

"""Whoever reads what a verb says may leave, as `head` does: its exit code stays its own."""

import pytest

from tests.live.process import start

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("words", "code"),
    [(("list", "metrics"), 0), (("list", "metrics", "--json"), 0), (("--help",), 0), (("run",), 2)],
)
@pytest.mark.parametrize("leaves", ["stdout", "both"])
def test_a_reader_that_leaves_changes_no_exit_code(words, code, leaves):
    with start(*words) as process:
        process.stdout.close()
        if leaves == "both":
            process.stderr.close()
        err = "" if leaves == "both" else process.stderr.read()
    assert process.returncode == code
    assert "Traceback" not in err
    assert "Broken pipe" not in err

"""Leaving Python while the model generates: the process ends in order, whichever way it leaves."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from engine.testing.conformance import PATIENCE_S

pytestmark = [
    pytest.mark.embedded,
]


def leave(way: str, *, send: signal.Signals | None = None) -> tuple[int, str]:
    """Run `tests.engine.cores.embedded.exit_program` to its end; exit status and standard error."""
    command = [sys.executable, "-m", "tests.engine.cores.embedded.exit_program", way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "generating\n"
            if send is not None:
                process.send_signal(send)
            _, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    return process.returncode, errors


@pytest.mark.parametrize(
    ("way", "code"),
    [("exit", 3), ("exit-reading", 3), ("cancelled", 0), ("abandoned", 0), ("abandoned-reading", 0)],
)
def test_leaving_while_it_generates(way: str, code: int) -> None:
    assert leave(way) == (code, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_while_it_generates() -> None:
    code, errors = leave("go-on", send=signal.SIGINT)
    assert code == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")

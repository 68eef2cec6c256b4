"""The signals that end a command in order, and those it leaves alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aios_tui.cli.exit_codes import INTERRUPTED, TERMINATED
from aios_tui.cli.runner.signals import Interrupted, Stopper
from tests.aios_tui.cli.helpers import ENDLESS, start
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def disposition() -> Iterator[None]:
    """SIGINT and SIGTERM as they were, after the test."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("disposition")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
async def test_a_signal_cancels_the_work(number: signal.Signals, code: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cancelled = asyncio.Event()

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with Stopper() as stopper:
        with pytest.raises(Interrupted):
            await stopper.run(work())
        assert (stopper.code, cancelled.is_set()) == (code, True)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL, "the second one ends the process"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("disposition")
async def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Stopper() as stopper:
        os.kill(os.getpid(), signal.SIGINT)
        assert await stopper.run(asyncio.sleep(0, "done")) == "done"
        assert (stopper.code, signal.getsignal(signal.SIGINT)) == (None, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            await stopper.run(asyncio.Event().wait())
        assert (stopper.code, signal.getsignal(signal.SIGINT)) == (TERMINATED, signal.SIG_IGN)


def test_a_run_in_the_background_of_a_script_survives_ctrl_c_and_ends_on_sigterm(tmp_path: Path) -> None:
    """A shell without job control starts background jobs with SIGINT ignored."""
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "aios_tui"]
    process = start(tmp_path, args=[*shell, "run", "--core", ENDLESS, "a"], stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    while "accepted" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    assert "1 stays queued" in process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == TERMINATED

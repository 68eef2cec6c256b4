"""The command line on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aios_tui.cli.helpers import ENDLESS, QUICK, environment, start
from tests.waiting import PATIENCE_S

pexpect = pytest.importorskip("pexpect", reason="needs a Unix terminal")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix terminal")


def test_the_console_on_a_history_in_use_is_one_line_before_any_screen(tmp_path: Path) -> None:
    owner = start(tmp_path, "run", "--core", ENDLESS, "hi")
    assert owner.stderr is not None
    assert any("accepted" in line for line in owner.stderr)
    child = pexpect.spawn(
        sys.executable,
        ["-m", "aios_tui", "--core", QUICK],
        cwd=str(tmp_path),
        env=environment(tmp_path),
        timeout=PATIENCE_S,
    )
    printed = child.read().decode()
    child.close()
    assert child.exitstatus == 2
    assert "\x1b" not in printed
    assert [line for line in printed.splitlines() if line] == [printed.strip()]
    assert printed.startswith("aios-tui: history ")
    assert "is in use by" in printed
    owner.send_signal(signal.SIGINT)
    owner.communicate(timeout=PATIENCE_S)


def test_the_progress_bar_is_drawn_on_a_terminal_and_keeps_out_of_the_data(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        env = {"TERM": "xterm-256color", "COLUMNS": "80"}
        process = start(tmp_path, "run", "--core", QUICK, "--json", *"abcde", stderr=theirs, env=env)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert len(out.splitlines()) == 5
        assert "\x1b" not in out
        assert b"5/5" in os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)


def test_no_bar_without_a_terminal(tmp_path: Path) -> None:
    process = start(tmp_path, "run", "--core", QUICK, "--json", "a", "b", stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "\x1b" not in err
    assert len(err.splitlines()) == 3, "the core, what was accepted, what came of it"
